// SPDX-License-Identifier: Apache-2.0
#include "bundle/description.h"

#include <ctype.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "bundle/json.h"

static const uint64_t default_kernel_address = UINT64_C(0xffffffff81000000);
enum { KERNEL_PID = 1, MAX_CPU = 65535, MAX_SHIFT = 63 };

struct reader {
	struct arena *arena;
	struct description *out;
	char *folder; // that paths are relative to
};

static struct strobe_error *copy_path(const struct reader *reader, const struct json_place *place,
				      const char **ret)
{
	const char *path;
	struct strobe_error *error = json_read_string(place, &path);
	if (error)
		return error;
	*ret = *path == '/' ? arena_strdup(reader->arena, path)
			    : arena_printf(reader->arena, "%s/%s", reader->folder, path);
	return *ret ? NULL : error_no_memory();
}

static struct strobe_error *read_limited(const struct json_place *object, const char *key,
					 uint64_t most, unsigned *ret)
{
	uint64_t value = 0;
	const struct json_place place = json_member(object, key);
	struct strobe_error *error = json_read_integer(&place, most, &value);
	*ret = (unsigned)value;
	return error;
}

static struct strobe_error *read_id(const struct json_place *place, uint64_t most, int *ret)
{
	uint64_t value = 0;
	struct strobe_error *error = json_read_integer(place, most, &value);
	*ret = (int)value;
	return error;
}

static struct strobe_error *read_cpu_info(const struct reader *reader,
					  const struct json_place *root)
{
	struct description *out = reader->out;
	const char *vendor;
	const struct json_place info = json_member(root, "cpuInfo");
	struct strobe_error *error =
		info.value ? json_expect_object(&info)
			   : json_fail(&info, "an object with vendor, family, model and stepping");
	if (error)
		return error;
	const struct json_place place = json_member(&info, "vendor");
	error = json_read_string(&place, &vendor);
	if (!error)
		error = read_limited(&info, "family", UINT16_MAX, &out->family);
	if (!error)
		error = read_limited(&info, "model", UINT8_MAX, &out->model);
	if (!error)
		error = read_limited(&info, "stepping", UINT8_MAX, &out->stepping);
	if (error || strcmp(vendor, "unknown") == 0)
		return error;
	out->vendor = arena_strdup(reader->arena, vendor);
	return out->vendor ? NULL : error_no_memory();
}

static struct strobe_error *read_conversion(const struct reader *reader,
					    const struct json_place *root)
{
	struct description *out = reader->out;
	unsigned multiplier = 0, shift = 0;
	const struct json_place conversion = json_member(root, "tscPerfZeroConversion");
	if (!conversion.value)
		return NULL;
	struct strobe_error *error = json_expect_object(&conversion);
	if (!error)
		error = read_limited(&conversion, "timeMult", UINT32_MAX, &multiplier);
	if (!error)
		error = read_limited(&conversion, "timeShift", MAX_SHIFT, &shift);
	const struct json_place mult = json_member(&conversion, "timeMult");
	if (!error && !multiplier)
		error = json_fail(&mult, "an integer above 0");
	const struct json_place zero = json_member(&conversion, "timeZero");
	if (!error)
		error = json_read_address(&zero, &out->time_zero);
	out->has_conversion = !error;
	out->time_multiplier = multiplier;
	out->time_shift = (uint16_t)shift;
	return error;
}

/** A uuid as LLDB writes it, as a build id; NULL if it is none (8 digits are a checksum's). */
static const char *build_id_of(const struct reader *reader, const char *uuid)
{
	enum { SHORTEST = 16 };
	char *id = arena_strdup(reader->arena, uuid);
	size_t size = 0;
	for (const char *c = uuid; id && *c; c++) {
		if (isxdigit((unsigned char)*c))
			id[size++] = (char)tolower((unsigned char)*c);
		else if (*c != '-')
			return NULL;
	}
	if (!id || size < SHORTEST)
		return NULL;
	id[size] = '\0';
	return id;
}

static struct strobe_error *read_module(const struct reader *reader, const struct json_place *item,
					struct bundle_process *process)
{
	struct bundle_module module = {0};
	const char *text;
	struct strobe_error *error = json_expect_object(item);
	if (error)
		return error;
	const struct json_place system_path = json_member(item, "systemPath");
	const struct json_place file = json_member(item, "file");
	const struct json_place uuid = json_member(item, "uuid");
	const struct json_place address = json_member(item, "loadAddress");
	error = json_read_string(&system_path, &text);
	if (!error && !(module.system_path = arena_strdup(reader->arena, text)))
		error = error_no_memory();
	// Without a file of its own it is looked for where it was.
	if (!error && file.value)
		error = copy_path(reader, &file, &module.file);
	else if (!error && *text != '/')
		error = copy_path(reader, &system_path, &module.file);
	if (!error && uuid.value) {
		error = json_read_string(&uuid, &text);
		module.build_id = error ? NULL : build_id_of(reader, text);
	}
	if (!error)
		error = json_read_address(&address, &module.load_address);
	if (!error && !array_push(&process->modules, module))
		error = error_no_memory();
	return error;
}

static struct strobe_error *read_thread(const struct reader *reader, const struct json_place *item,
					struct bundle_process *process)
{
	struct bundle_thread thread = {0};
	struct strobe_error *error = json_expect_object(item);
	if (error)
		return error;
	const struct json_place tid = json_member(item, "tid");
	const struct json_place packets = json_member_or(item, "iptTrace", "traceBuffer");
	error = read_id(&tid, INT_MAX, &thread.tid);
	if (!error && packets.value)
		error = copy_path(reader, &packets, &thread.packets);
	const struct json_place name = json_member(item, "name");
	const char *text = NULL;
	if (!error && name.value)
		error = json_read_string(&name, &text);
	if (!error && text && !(thread.name = arena_strdup(reader->arena, text)))
		error = error_no_memory();
	if (!error && packets.value && reader->out->per_cpu)
		return error_new(STROBE_ERROR_FORMAT,
				 "%s: thread %d has a trace of its own, and traceBundle.cpus says "
				 "that traces are by CPU",
				 item->file, thread.tid);
	if (!error && !array_push(&process->threads, thread))
		error = error_no_memory();
	return error;
}

typedef struct strobe_error *(*read_item)(const struct reader *reader,
					  const struct json_place *item,
					  struct bundle_process *process);

static struct strobe_error *read_items(const struct reader *reader, const struct json_place *array,
				       read_item read, struct bundle_process *process)
{
	struct strobe_error *error = json_expect_array(array);
	for (size_t i = 0; !error && i < json_count(array); i++) {
		const struct json_place item = json_item(array, i);
		error = read(reader, &item, process);
	}
	return error;
}

static struct strobe_error *read_process(const struct reader *reader, const struct json_place *item)
{
	struct bundle_process process = {0};
	struct strobe_error *error = json_expect_object(item);
	if (error)
		return error;
	const struct json_place pid = json_member(item, "pid");
	const struct json_place triple = json_member(item, "triple");
	const struct json_place threads = json_member(item, "threads");
	const struct json_place modules = json_member(item, "modules");
	const char *unused;
	error = read_id(&pid, INT_MAX, &process.pid);
	if (!error && triple.value)
		error = json_read_string(&triple, &unused);
	if (!error && !array_push(&reader->out->processes, process))
		error = error_no_memory();
	if (error)
		return error;
	struct bundle_process *out =
		&reader->out->processes.items[reader->out->processes.count - 1];
	error = read_items(reader, &threads, read_thread, out);
	return error ? error : read_items(reader, &modules, read_module, out);
}

static struct strobe_error *read_processes(const struct reader *reader,
					   const struct json_place *root)
{
	const struct json_place array = json_member(root, "processes");
	struct strobe_error *error = json_expect_array(&array);
	for (size_t i = 0; !error && i < json_count(&array); i++) {
		const struct json_place item = json_item(&array, i);
		error = read_process(reader, &item);
	}
	return error;
}

static struct strobe_error *read_cpu(const struct reader *reader, const struct json_place *item)
{
	struct bundle_cpu cpu = {0};
	struct strobe_error *error = json_expect_object(item);
	if (error)
		return error;
	const struct json_place id = json_member_or(item, "id", "coreId");
	const struct json_place packets = json_member_or(item, "iptTrace", "traceBuffer");
	const struct json_place switches = json_member(item, "contextSwitchTrace");
	error = read_id(&id, MAX_CPU, &cpu.id);
	if (!error)
		error = copy_path(reader, &packets, &cpu.packets);
	if (!error)
		error = copy_path(reader, &switches, &cpu.switches);
	for (size_t i = 0; !error && i < reader->out->cpus.count; i++)
		if (reader->out->cpus.items[i].id == cpu.id)
			error = json_fail(&id, "a CPU that is not listed before");
	if (!error && !array_push(&reader->out->cpus, cpu))
		error = error_no_memory();
	return error;
}

static struct strobe_error *read_cpus(const struct reader *reader, const struct json_place *root)
{
	const struct json_place array = json_member_or(root, "cpus", "cores");
	if (!array.value)
		return NULL;
	struct strobe_error *error = json_expect_array(&array);
	reader->out->per_cpu = true;
	const struct json_place conversion = json_member(root, "tscPerfZeroConversion");
	if (!error && !conversion.value)
		error = json_fail(&conversion,
				  "needed by the context switches of traceBundle.cpus");
	for (size_t i = 0; !error && i < json_count(&array); i++) {
		const struct json_place item = json_item(&array, i);
		error = read_cpu(reader, &item);
	}
	return error;
}

static struct strobe_error *read_kernel(const struct reader *reader, const struct json_place *root)
{
	struct description *out = reader->out;
	struct bundle_module module = {.load_address = default_kernel_address};
	const struct json_place kernel = json_member(root, "kernel");
	const struct json_place processes = json_member(root, "processes");
	const struct json_place cpus = json_member_or(root, "cpus", "cores");
	if (!out->per_cpu)
		return json_fail(&cpus, "needed by traceBundle.kernel");
	if (processes.value)
		return json_fail(&processes, "none beside traceBundle.kernel");
	struct strobe_error *error = json_expect_object(&kernel);
	if (error)
		return error;
	const struct json_place file = json_member(&kernel, "file");
	const struct json_place address = json_member(&kernel, "loadAddress");
	error = copy_path(reader, &file, &module.file);
	if (!error && address.value)
		error = json_read_address(&address, &module.load_address);
	if (error)
		return error;
	module.system_path = module.file;
	out->kernel = true;
	if (!array_push(&out->processes, (struct bundle_process){.pid = KERNEL_PID}) ||
	    !array_push(&out->processes.items[0].modules, module))
		return error_no_memory();
	return NULL;
}

/** Of our own saving: what LLDB's form has no place for. */
static struct strobe_error *read_ours(const struct reader *reader, const struct json_place *root)
{
	struct description *out = reader->out;
	const struct json_place ours = json_member(root, "strobe");
	static const struct {
		const char *key;
		uint64_t most;
		size_t offset;
	} numbers[] = {
		{"mtcFrequency", 15, offsetof(struct description, mtc_frequency)},
		{"nominalFrequency", UINT8_MAX, offsetof(struct description, nominal_frequency)},
		{"cpuid15eax", UINT32_MAX, offsetof(struct description, cpuid_15_eax)},
		{"cpuid15ebx", UINT32_MAX, offsetof(struct description, cpuid_15_ebx)},
	};
	struct strobe_error *error = ours.value ? json_expect_object(&ours) : NULL;
	for (size_t i = 0; !error && ours.value && i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		uint64_t value = 0;
		const struct json_place place = json_member(&ours, numbers[i].key);
		if (place.value)
			error = json_read_integer(&place, numbers[i].most, &value);
		*(unsigned *)((char *)out + numbers[i].offset) = (unsigned)value;
	}
	const struct json_place wall = json_member(&ours, "wallOffsetNs");
	uint64_t offset = 0;
	if (!error && ours.value && wall.value)
		error = json_read_address(&wall, &offset);
	out->wall_offset_ns = (int64_t)offset;
	const struct json_place technology = json_member(&ours, "technology");
	const char *text = NULL;
	if (!error && ours.value && technology.value)
		error = json_read_string(&technology, &text);
	if (!error && text && !(out->technology = arena_strdup(reader->arena, text)))
		error = error_no_memory();
	return error;
}

static struct strobe_error *read_root(const struct reader *reader, const struct json_place *root)
{
	const char *type = NULL;
	struct strobe_error *error = json_expect_object(root);
	if (error)
		return error;
	const struct json_place kind = json_member(root, "type");
	const struct json_place kernel = json_member(root, "kernel");
	error = json_read_string(&kind, &type);
	if (!error && strcmp(type, "intel-pt") != 0)
		error = json_fail(&kind, "\"intel-pt\"");
	if (!error)
		error = read_cpu_info(reader, root);
	if (!error)
		error = read_conversion(reader, root);
	if (!error)
		error = read_ours(reader, root);
	if (!error)
		error = read_cpus(reader, root);
	if (!error)
		error = (kernel.value ? read_kernel : read_processes)(reader, root);
	return error;
}

/** Where relative paths begin. */
static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder =
		slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
	char *whole = folder ? realpath(folder, NULL) : NULL;
	if (!whole)
		return folder;
	free(folder);
	return whole;
}

struct strobe_error *description_read(const struct file *file, struct arena *arena,
				      struct description *ret)
{
	memset(ret, 0, sizeof(*ret));
	const struct reader reader = {arena, ret, folder_of(file->path)};
	struct json_place root = {.file = file->path};
	if (!reader.folder)
		return error_no_memory();
	struct strobe_error *error = json_parse(file, &root.value);
	if (!error)
		error = read_root(&reader, &root);
	json_decref(root.value);
	free(reader.folder);
	return error;
}

void description_fini(struct description *description)
{
	for (size_t i = 0; i < description->processes.count; i++) {
		array_fini(&description->processes.items[i].threads);
		array_fini(&description->processes.items[i].modules);
	}
	array_fini(&description->processes);
	array_fini(&description->cpus);
}
