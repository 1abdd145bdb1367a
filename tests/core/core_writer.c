// SPDX-License-Identifier: Apache-2.0
#include "core_writer.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PAGE = 4096 };

static void *grown(void *items, size_t size)
{
	void *result = realloc(items, size);
	if (!result)
		abort();
	return result;
}

void core_writer_init(struct core_writer *writer)
{
	*writer = (struct core_writer){.machine = EM_X86_64};
}

void core_writer_fini(struct core_writer *writer)
{
	free(writer->notes);
	free(writer->segments);
	free(writer->files);
	core_writer_init(writer);
}

static size_t padded(size_t size)
{
	return (size + 3) & ~(size_t)3;
}

void core_writer_note(struct core_writer *writer, const char *name, uint32_t type, const void *data,
		      size_t size)
{
	Elf64_Nhdr header = {(uint32_t)strlen(name) + 1, (uint32_t)size, type};
	size_t total = sizeof(header) + padded(header.n_namesz) + padded(size);
	writer->notes = grown(writer->notes, writer->notes_size + total);
	uint8_t *at = writer->notes + writer->notes_size;
	memset(at, 0, total);
	memcpy(at, &header, sizeof(header));
	memcpy(at + sizeof(header), name, header.n_namesz);
	if (size)
		memcpy(at + sizeof(header) + padded(header.n_namesz), data, size);
	writer->notes_size += total;
}

void core_writer_thread(struct core_writer *writer, int tid, int signal,
			const uint64_t registers[CORE_WRITER_REGISTERS])
{
	uint8_t status[336] = {0};
	int16_t number = (int16_t)signal;
	memcpy(status, &signal, 4);
	memcpy(status + 12, &number, 2);
	memcpy(status + 32, &tid, 4);
	memcpy(status + 112, registers, 8 * CORE_WRITER_REGISTERS);
	core_writer_note(writer, "CORE", NT_PRSTATUS, status, sizeof(status));
}

void core_writer_process(struct core_writer *writer, int pid, const char *name,
			 const char *arguments)
{
	uint8_t info[136] = {0};
	info[1] = 'R';
	memcpy(info + 24, &pid, 4);
	strncpy((char *)info + 40, name, 15);
	strncpy((char *)info + 56, arguments, 79);
	core_writer_note(writer, "CORE", NT_PRPSINFO, info, sizeof(info));
}

void core_writer_fault(struct core_writer *writer, int signal, int code, uint64_t address)
{
	uint8_t info[128] = {0};
	memcpy(info, &signal, 4);
	memcpy(info + 8, &code, 4);
	memcpy(info + 16, &address, 8);
	core_writer_note(writer, "CORE", NT_SIGINFO, info, sizeof(info));
}

void core_writer_auxv(struct core_writer *writer, const uint64_t (*pairs)[2], size_t count)
{
	core_writer_note(writer, "CORE", NT_AUXV, pairs, count * 16);
}

void core_writer_strobe(struct core_writer *writer, enum strobe_note_type type, const void *head,
			size_t head_size, const void *rest, size_t rest_size)
{
	uint8_t *bytes = grown(NULL, head_size + rest_size + 1);
	if (head_size)
		memcpy(bytes, head, head_size);
	if (rest_size)
		memcpy(bytes + head_size, rest, rest_size);
	core_writer_note(writer, STROBE_NOTE_NAME, type, bytes, head_size + rest_size);
	free(bytes);
}

void core_writer_capture(struct core_writer *writer, uint64_t realtime_ns, uint64_t pause_ns,
			 uint8_t id)
{
	struct strobe_note_capture capture = {
		.version = STROBE_NOTE_VERSION,
		.method = 1,
		.realtime_ns = realtime_ns,
		.boottime_ns = UINT64_C(1000000000000),
		.pause_ns = pause_ns,
	};
	memset(capture.id, id, sizeof(capture.id));
	core_writer_strobe(writer, NT_STROBE_CAPTURE, &capture, sizeof(capture), NULL, 0);
}

void core_writer_proc_file(struct core_writer *writer, const char *name, const void *bytes,
			   size_t size)
{
	core_writer_strobe(writer, NT_STROBE_PROC_FILE, name, strlen(name) + 1, bytes, size);
}

void core_writer_descriptor(struct core_writer *writer, int fd, uint32_t mode, const char *link,
			    const char *info, const char *peer)
{
	struct strobe_note_descriptor head = {fd, mode};
	size_t links = strlen(link) + 1, infos = strlen(info) + 1, peers = strlen(peer) + 1;
	char *rest = grown(NULL, links + infos + peers);
	memcpy(rest, link, links);
	memcpy(rest + links, info, infos);
	memcpy(rest + links + infos, peer, peers);
	core_writer_strobe(writer, NT_STROBE_DESCRIPTOR, &head, sizeof(head), rest,
			   links + infos + peers);
	free(rest);
}

void core_writer_file(struct core_writer *writer, uint64_t start, uint64_t end,
		      uint64_t page_offset, const char *path)
{
	writer->files = grown(writer->files, (writer->file_count + 1) * sizeof(*writer->files));
	writer->files[writer->file_count++] =
		(struct core_writer_file){start, end, page_offset, path};
}

void core_writer_segment(struct core_writer *writer, uint64_t start, uint64_t memory_size,
			 uint32_t flags, const void *data, uint64_t file_size)
{
	size_t count = writer->segment_count;
	if ((count & (count - 1)) == 0) // full: capacities are powers of two
		writer->segments = grown(writer->segments,
					 (count ? 2 * count : 1) * sizeof(*writer->segments));
	writer->segments[writer->segment_count++] =
		(struct core_writer_segment){start, memory_size, file_size, flags, data};
}

static void add_file_note(struct core_writer *writer)
{
	size_t size = 16 + 24 * writer->file_count;
	for (size_t i = 0; i < writer->file_count; i++)
		size += strlen(writer->files[i].path) + 1;
	uint8_t *note = grown(NULL, size);
	uint64_t head[2] = {writer->file_count, PAGE};
	memcpy(note, head, 16);
	uint8_t *name = note + 16 + 24 * writer->file_count;
	for (size_t i = 0; i < writer->file_count; i++) {
		const struct core_writer_file *file = &writer->files[i];
		uint64_t entry[3] = {file->start, file->end, file->page_offset};
		memcpy(note + 16 + 24 * i, entry, 24);
		strcpy((char *)name, file->path);
		name += strlen(file->path) + 1;
	}
	core_writer_note(writer, "CORE", NT_FILE, note, size);
	free(note);
}

static void put(int fd, const void *data, size_t size, uint64_t offset)
{
	if (size && pwrite(fd, data, size, (off_t)offset) != (ssize_t)size)
		abort();
}

void core_writer_save(struct core_writer *writer, const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		abort();
	if (writer->file_count)
		add_file_note(writer);
	size_t count = writer->segment_count + 1;
	Elf64_Ehdr header = {
		.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
			    EV_CURRENT},
		.e_type = ET_CORE,
		.e_machine = (uint16_t)writer->machine,
		.e_version = EV_CURRENT,
		.e_phoff = sizeof(header),
		.e_ehsize = sizeof(header),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = (uint16_t)(count < PN_XNUM ? count : PN_XNUM),
		.e_shentsize = sizeof(Elf64_Shdr),
	};
	Elf64_Phdr *table = calloc(count, sizeof(*table));
	if (!table)
		abort();
	uint64_t at = sizeof(header) + count * sizeof(*table);
	table[0] = (Elf64_Phdr){
		.p_type = PT_NOTE, .p_offset = at, .p_filesz = writer->notes_size, .p_align = 4};
	put(fd, writer->notes, writer->notes_size, at);
	at += writer->notes_size;
	for (size_t i = 0; i < writer->segment_count; i++) {
		const struct core_writer_segment *segment = &writer->segments[i];
		at = (at + PAGE - 1) & ~(uint64_t)(PAGE - 1);
		table[i + 1] = (Elf64_Phdr){.p_type = PT_LOAD,
					    .p_flags = segment->flags,
					    .p_offset = at,
					    .p_vaddr = segment->start,
					    .p_filesz = segment->file_size,
					    .p_memsz = segment->memory_size,
					    .p_align = PAGE};
		if (segment->data)
			put(fd, segment->data, segment->file_size, at);
		at += segment->file_size;
	}
	if (ftruncate(fd, (off_t)at) < 0)
		abort();
	if (count >= PN_XNUM) {
		Elf64_Shdr section = {.sh_size = 1, .sh_info = (uint32_t)count};
		header.e_shoff = at;
		header.e_shnum = 1;
		put(fd, &section, sizeof(section), at);
	}
	put(fd, table, count * sizeof(*table), sizeof(header));
	put(fd, &header, sizeof(header), 0);
	free(table);
	close(fd);
}
