// SPDX-License-Identifier: Apache-2.0
// The journal's file: docs/format/overlay.md. A header, then a record for each write, appended.

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "elf/elf_image.h"
#include "view/build.h"
#include "view/overlay.h"

enum { FORMAT_VERSION = 1, LOCK_TRIES = 100, LOCK_PAUSE_US = 50000, NAME_SIZE = 16 };
enum { SEGMENT_LIMIT = 1 << 20, EDGE_SIZE = 65536 };

static const char magic[8] = "STROBEOV";

struct overlay_header {
	char magic[8];
	uint32_t version, size;
	uint8_t id[OVERLAY_ID_SIZE]; // of the snapshot that it belongs to
	uint64_t reserved;
	uint64_t checksum; // of all before it
};
_Static_assert(sizeof(struct overlay_header) == 48, "on disk");
_Static_assert((int)OVERLAY_ID_SIZE == (int)STROBE_ID_SIZE, "on disk");

// Followed by `size` bytes, and a 64-bit checksum of the record and them.
struct overlay_record {
	uint32_t kind;	  // enum strobe_overlay_kind
	int32_t tid;	  // of a register's thread
	uint64_t address; // of memory; of a register, the index of its thread
	uint64_t size;
	char name[NAME_SIZE]; // of a register, filled up with NULs
};
_Static_assert(sizeof(struct overlay_record) == 40, "on disk");

static void put_hash(uint8_t *id, uint64_t hash, uint64_t size)
{
	memcpy(id, &hash, 8);
	memcpy(id + 8, &size, 8);
}

/** A snapshot has an id of its own. Of other cores, notes are what tells one from another; of other files, how they begin and end. */
static void identify(const struct strobe_view *view, uint8_t id[OVERLAY_ID_SIZE])
{
	struct elf_image image;
	const char *why;
	uint64_t hash = 0;
	const uint8_t *data = view->source ? view->source->data : NULL;
	uint64_t size = data ? view->source->size : 0;
	if (view->facts.captured) {
		memcpy(id, view->facts.id, OVERLAY_ID_SIZE);
		return;
	}
	if (data && elf_image_init(&image, data, size, &why)) {
		Elf64_Phdr segment;
		for (uint32_t i = 0; i < SEGMENT_LIMIT && elf_image_segment(&image, i, &segment);
		     i++) {
			if (segment.p_type != PT_NOTE || segment.p_offset > size)
				continue;
			if (segment.p_filesz > size - segment.p_offset)
				segment.p_filesz = size - segment.p_offset;
			hash = hash * 31 + hash_bytes(data + segment.p_offset, segment.p_filesz);
		}
	} else if (data) {
		uint64_t edge = size < EDGE_SIZE ? size : EDGE_SIZE;
		hash = hash_bytes(data, edge) * 31 + hash_bytes(data + size - edge, edge);
	}
	put_hash(id, hash, size);
}

static struct overlay_header make_header(const struct strobe_view *view)
{
	struct overlay_header header = {.version = FORMAT_VERSION, .size = sizeof(header)};
	memcpy(header.magic, magic, sizeof(magic));
	identify(view, header.id);
	header.checksum = hash_bytes(&header, offsetof(struct overlay_header, checksum));
	return header;
}

/** As many bytes as there are up to `size`; -1 with errno. */
static ssize_t read_all(int fd, uint64_t offset, void *buffer, size_t size)
{
	size_t done = 0;
	while (done < size) {
		ssize_t got = pread(fd, (char *)buffer + done, size - done, (off_t)(offset + done));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		done += (size_t)got;
	}
	return (ssize_t)done;
}

static bool write_all(int fd, uint64_t offset, const void *buffer, size_t size)
{
	size_t done = 0;
	while (done < size) {
		ssize_t put = pwrite(fd, (const char *)buffer + done, size - done,
				     (off_t)(offset + done));
		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return false;
		done += (size_t)put;
	}
	return true;
}

/** What is known of a file while it is read. */
struct reading {
	int fd;
	const char *path;
	uint64_t size, end; // of the file; of what was applied
	struct strobe_overlay_loaded loaded;
};

static void lose_rest(struct reading *reading, bool damaged, const char *what)
{
	struct strobe_overlay_loaded *loaded = &reading->loaded;
	loaded->ignored_bytes = reading->size - reading->end;
	loaded->damaged = damaged;
	snprintf(loaded->why, sizeof(loaded->why), "record %zu is %s", loaded->count + 1, what);
}

static bool is_torn(const struct overlay_record *record, const uint8_t *bytes)
{
	uint64_t sum;
	memcpy(&sum, bytes + sizeof(*record) + record->size, sizeof(sum));
	return sum != hash_bytes(bytes, sizeof(*record) + record->size);
}

/** Does to the view what the record says; an error if that cannot be. */
static struct strobe_error *apply(struct strobe_view *view, const struct overlay_record *record,
				  const uint8_t *bytes)
{
	if (record->kind == STROBE_OVERLAY_MEMORY)
		return strobe_overlay_write(view, record->address, bytes, record->size);
	char name[NAME_SIZE + 1] = {0};
	memcpy(name, record->name, NAME_SIZE);
	if (record->kind != STROBE_OVERLAY_REGISTER || record->address >= view->threads.count ||
	    view->threads.items[record->address].tid != record->tid)
		return error_new(STROBE_ERROR_FORMAT, "of a kind or thread that is not known");
	return strobe_overlay_set_register(view, record->address, name, bytes, record->size);
}

/** One record; `*more` is false at the end, or where nothing that follows can be read. */
static struct strobe_error *read_record(struct strobe_view *view, struct reading *reading,
					bool *more)
{
	struct overlay_record record;
	uint64_t left = reading->size - reading->end;
	*more = false;
	if (left == 0)
		return NULL;
	ssize_t got = read_all(reading->fd, reading->end, &record, sizeof(record));
	if (got < 0)
		return error_errno(errno, "%s", reading->path);
	uint64_t around = sizeof(record) + sizeof(uint64_t);
	if ((size_t)got < sizeof(record) || left < around || record.size > left - around) {
		lose_rest(reading, false, "half written");
		return NULL;
	}
	if (record.size > OVERLAY_MAX_WRITE) {
		lose_rest(reading, true, "damaged");
		return NULL;
	}
	size_t size = (size_t)(around + record.size);
	uint8_t *bytes = malloc(size);
	if (!bytes)
		return error_no_memory();
	got = read_all(reading->fd, reading->end, bytes, size);
	struct strobe_error *error = NULL;
	if (got < 0 || (size_t)got < size || is_torn(&record, bytes)) {
		lose_rest(reading, left > size, left > size ? "damaged" : "half written");
	} else {
		error = apply(view, &record, bytes + sizeof(record));
		*more = error == NULL;
	}
	free(bytes);
	if (*more) {
		struct overlay *overlay = view->overlay;
		overlay->entries.items[overlay->entries.count - 1].file_offset = reading->end;
		reading->end += size;
		reading->loaded.count++;
	} else if (error && strobe_error_code(error) != STROBE_ERROR_NO_MEMORY) {
		char what[128];
		snprintf(what, sizeof(what), "not applicable: %s", strobe_error_message(error));
		lose_rest(reading, true, what);
		error = strobe_error_free(error);
	}
	return error;
}

static struct strobe_error *read_header(const struct strobe_view *view, struct reading *reading)
{
	struct overlay_header header, wanted = make_header(view);
	ssize_t got = read_all(reading->fd, 0, &header, sizeof(header));
	if (got < 0)
		return error_errno(errno, "%s", reading->path);
	size_t compared = (size_t)got < sizeof(magic) ? (size_t)got : sizeof(magic);
	if (memcmp(header.magic, magic, compared) != 0)
		return error_new(STROBE_ERROR_FORMAT, "%s: not a journal of writes", reading->path);
	if ((size_t)got < sizeof(header)) { // nothing was ever written behind it
		reading->loaded.ignored_bytes = (uint64_t)got;
		return NULL;
	}
	if (header.checksum != hash_bytes(&header, offsetof(struct overlay_header, checksum)))
		return error_new(STROBE_ERROR_FORMAT, "%s: its header is damaged", reading->path);
	if (header.version != FORMAT_VERSION || header.size != sizeof(header))
		return error_new(STROBE_ERROR_UNSUPPORTED, "%s: version %u of the format",
				 reading->path, header.version);
	if (memcmp(header.id, wanted.id, sizeof(header.id)) != 0)
		return error_new(STROBE_ERROR_INVALID, "%s: belongs to another snapshot than %s",
				 reading->path,
				 view->info.source_path ? view->info.source_path : "this one");
	reading->end = sizeof(header);
	return NULL;
}

static struct strobe_error *read_journal(struct strobe_view *view, struct reading *reading)
{
	struct stat status;
	if (fstat(reading->fd, &status) < 0)
		return error_errno(errno, "%s", reading->path);
	reading->size = (uint64_t)status.st_size;
	if (reading->size == 0)
		return NULL;
	struct strobe_error *error = read_header(view, reading);
	bool more = !error && reading->end > 0;
	while (more && !error)
		error = read_record(view, reading, &more);
	return error;
}

static struct strobe_error *open_plain(const char *path, int flags, int *ret)
{
	struct stat status;
	int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK, 0600);
	if (fd < 0)
		return error_errno(errno, "%s", path);
	if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) {
		*ret = fd;
		return NULL;
	}
	close(fd);
	return error_new(STROBE_ERROR_INVALID, "%s: not a plain file", path);
}

static void tell(const struct reading *reading, struct strobe_overlay_loaded *ret)
{
	size_t size = ret ? ret->size : 0;
	if (!ret || size < sizeof(*ret))
		return;
	*ret = reading->loaded;
	ret->size = size;
}

static struct strobe_error *check_empty(const struct strobe_view *view)
{
	if (strobe_overlay_count(view) == 0 && (!view->overlay || view->overlay->file < 0))
		return NULL;
	return error_new(STROBE_ERROR_INVALID, "the view has been written to already");
}

const char *strobe_overlay_path(const struct strobe_view *view)
{
	return view->overlay_path;
}

struct strobe_error *strobe_overlay_load(struct strobe_view *view, const char *path,
					 struct strobe_overlay_loaded *ret)
{
	struct reading reading = {.path = path};
	struct strobe_error *error = check_empty(view);
	if (!error)
		error = open_plain(path, O_RDONLY, &reading.fd);
	if (error && strobe_error_errno(error) == ENOENT) {
		tell(&reading, ret);
		return strobe_error_free(error);
	}
	if (error)
		return error;
	error = read_journal(view, &reading);
	close(reading.fd);
	if (!error)
		tell(&reading, ret);
	else
		strobe_error_free(strobe_overlay_undo(view, SIZE_MAX));
	return error;
}

/** Opens and locks the file that is at `path` now: another may remove it while we wait. */
static struct strobe_error *open_locked(const char *path, int *ret)
{
	for (int tries = 0; tries < LOCK_TRIES; tries++) {
		struct stat ours, there;
		int fd;
		struct strobe_error *error = open_plain(path, O_RDWR | O_CREAT, &fd);
		if (error)
			return error;
		if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &ours) == 0 &&
		    stat(path, &there) == 0 && ours.st_ino == there.st_ino &&
		    ours.st_dev == there.st_dev) {
			*ret = fd;
			return NULL;
		}
		close(fd);
		usleep(LOCK_PAUSE_US);
	}
	return error_new(STROBE_ERROR_LIMIT, "%s: in use by another process", path);
}

struct strobe_error *strobe_overlay_open(struct strobe_view *view, const char *path,
					 struct strobe_overlay_loaded *ret)
{
	struct overlay *overlay = NULL;
	struct reading reading = {.path = path};
	struct strobe_error *error = check_empty(view);
	if (!error)
		error = overlay_get(view, &overlay);
	if (!error)
		error = open_locked(path, &reading.fd);
	if (error)
		return error;
	error = read_journal(view, &reading);
	if (!error && !(overlay->file_path = strdup(path)))
		error = error_no_memory();
	if (error) {
		close(reading.fd);
		strobe_error_free(strobe_overlay_undo(view, SIZE_MAX));
		return error;
	}
	overlay->file = reading.fd;
	overlay->file_end = reading.end;
	overlay->file_damaged = reading.loaded.damaged;
	tell(&reading, ret);
	return NULL;
}

/** A record in one piece, so that it is written in one; NULL when memory is short. */
static uint8_t *make_record(const struct strobe_view *view, const struct overlay_entry *entry,
			    size_t *size)
{
	struct overlay_record record = {
		.kind = entry->kind, .address = entry->address, .size = entry->size};
	if (entry->kind == STROBE_OVERLAY_REGISTER) {
		record.address = entry->thread_index;
		record.tid = view->threads.items[entry->thread_index].tid;
		strncpy(record.name, entry->spec->name, sizeof(record.name) - 1);
	}
	*size = sizeof(record) + entry->size + sizeof(uint64_t);
	uint8_t *bytes = malloc(*size);
	if (!bytes)
		return NULL;
	memcpy(bytes, &record, sizeof(record));
	memcpy(bytes + sizeof(record), entry->bytes, entry->size);
	uint64_t sum = hash_bytes(bytes, sizeof(record) + entry->size);
	memcpy(bytes + sizeof(record) + entry->size, &sum, sizeof(sum));
	return bytes;
}

static struct strobe_error *append(const struct strobe_view *view, int fd, const char *path,
				   struct overlay_entry *entry, uint64_t *end)
{
	size_t size;
	uint64_t start = *end;
	if (start == 0) {
		struct overlay_header header = make_header(view);
		if (!write_all(fd, 0, &header, sizeof(header)))
			return error_errno(errno ? errno : ENOSPC, "%s", path);
		start = sizeof(header);
	}
	uint8_t *bytes = make_record(view, entry, &size);
	if (!bytes)
		return error_no_memory();
	bool done = write_all(fd, start, bytes, size);
	int errnum = errno;
	free(bytes);
	if (!done)
		return error_errno(errnum ? errnum : ENOSPC, "%s", path);
	entry->file_offset = start;
	*end = start + size;
	return NULL;
}

struct strobe_error *overlay_file_append(struct strobe_view *view, struct overlay_entry *entry)
{
	struct overlay *overlay = view->overlay;
	if (overlay->file_damaged)
		return error_new(STROBE_ERROR_FORMAT,
				 "%s is damaged: undo all its writes, or remove it, before others",
				 overlay->file_path);
	// What a writer left half done makes room.
	if (ftruncate(overlay->file, (off_t)overlay->file_end) < 0)
		return error_errno(errno, "%s", overlay->file_path);
	uint64_t end = overlay->file_end;
	struct strobe_error *error = append(view, overlay->file, overlay->file_path, entry, &end);
	if (!error)
		overlay->file_end = end;
	else if (ftruncate(overlay->file, (off_t)overlay->file_end) < 0)
		return error; // a half-written record is not read
	return error;
}

struct strobe_error *overlay_file_cut(struct strobe_view *view, size_t index)
{
	struct overlay *overlay = view->overlay;
	if (overlay->file_damaged && index > 0)
		return error_new(STROBE_ERROR_FORMAT, "%s is damaged: undo all its writes, or none",
				 overlay->file_path);
	uint64_t end = index == 0			? 0
		       : index < overlay->entries.count ? overlay->entries.items[index].file_offset
							: overlay->file_end;
	if (ftruncate(overlay->file, (off_t)end) < 0)
		return error_errno(errno, "%s", overlay->file_path);
	overlay->file_end = end;
	overlay->file_damaged = false;
	return NULL;
}

void overlay_file_close(struct strobe_view *view)
{
	struct overlay *overlay = view->overlay;
	if (overlay->file < 0)
		return;
	// Still locked: nobody can have begun to write.
	if (overlay->entries.count == 0 && !overlay->file_damaged)
		(void)unlink(overlay->file_path);
	close(overlay->file);
	free(overlay->file_path);
	overlay->file = -1;
	overlay->file_path = NULL;
}

static struct strobe_error *save(const struct strobe_view *view, int fd, const char *path)
{
	uint64_t end = 0;
	struct strobe_error *error = NULL;
	for (size_t i = 0; i < strobe_overlay_count(view) && !error; i++) {
		struct overlay_entry entry = view->overlay->entries.items[i];
		error = append(view, fd, path, &entry, &end);
	}
	if (!error && end == 0) {
		struct overlay_header header = make_header(view);
		if (!write_all(fd, 0, &header, sizeof(header)))
			error = error_errno(errno, "%s", path);
	}
	if (!error && fsync(fd) < 0)
		error = error_errno(errno, "%s", path);
	return error;
}

struct strobe_error *strobe_overlay_save(const struct strobe_view *view, const char *path)
{
	char *temporary;
	if (asprintf(&temporary, "%s.XXXXXX", path) < 0)
		return error_no_memory();
	int fd = mkostemp(temporary, O_CLOEXEC); // mode 0600
	struct strobe_error *error = fd < 0 ? error_errno(errno, "%s", path) : save(view, fd, path);
	if (fd >= 0 && close(fd) < 0 && !error)
		error = error_errno(errno, "%s", path);
	if (!error && rename(temporary, path) < 0)
		error = error_errno(errno, "%s", path);
	if (error && fd >= 0)
		(void)unlink(temporary);
	free(temporary);
	return error;
}
