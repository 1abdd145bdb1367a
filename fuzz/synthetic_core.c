// SPDX-License-Identifier: Apache-2.0
#include "synthetic_core.h"

#include <elf.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/procfs.h>
#include <sys/user.h>
#include <unistd.h>

#include "elf/strobe_note.h"

enum { NOTES_OFFSET = 512, NOTES_SIZE = 2048, STACK_OFFSET = 4096 };

int memory_file(const char *name, const void *bytes, size_t size)
{
	int fd = memfd_create(name, MFD_CLOEXEC);
	if (fd >= 0 && write(fd, bytes, size) != (ssize_t)size) {
		close(fd);
		return -1;
	}
	return fd;
}

// Appends a note at `*offset` of `image`, of a name of 4 to 7 bytes.
static void put_named(uint8_t *image, size_t *offset, const char *name, uint32_t type,
		      const void *bytes, size_t size)
{
	const Elf64_Nhdr header = {
		.n_namesz = (uint32_t)strlen(name) + 1, .n_descsz = (uint32_t)size, .n_type = type};
	memcpy(image + *offset, &header, sizeof(header));
	memcpy(image + *offset + sizeof(header), name, strlen(name));
	memcpy(image + *offset + sizeof(header) + 8, bytes, size);
	*offset += sizeof(header) + 8 + ((size + 3) & ~(size_t)3);
}

static void put_note(uint8_t *image, size_t *offset, uint32_t type, const void *bytes, size_t size)
{
	put_named(image, offset, "CORE", type, bytes, size);
}

// What a snapshot of Strobe's has besides.
static void put_facts(uint8_t *image, size_t *offset)
{
	static const struct strobe_note_capture capture = {
		.version = 1, .method = 1, .realtime_ns = 1, .boottime_ns = 1, .pause_ns = 1};
	static const struct strobe_note_thread thread = {
		.version = 1, .tid = 100, .flags = STROBE_THREAD_IN_SYSCALL, .state = 'S'};
	static const char stat[] = "stat\0"
				   "100 (fuzz) S 1 1 1 0 -1 0 0 0 0 0 1 1 0 0 20 0 1 0 1";
	static const char socket[] = "\3\0\0\0\377\301\0\0socket:[9]\0pos:\t0\nflags:\t02\n\0";
	put_named(image, offset, STROBE_NOTE_NAME, NT_STROBE_CAPTURE, &capture, sizeof(capture));
	put_named(image, offset, STROBE_NOTE_NAME, NT_STROBE_THREAD, &thread, sizeof(thread));
	put_named(image, offset, STROBE_NOTE_NAME, NT_STROBE_PROC_FILE, stat, sizeof(stat) - 1);
	put_named(image, offset, STROBE_NOTE_NAME, NT_STROBE_DESCRIPTOR, socket, sizeof(socket));
}

static size_t put_notes(uint8_t *image, const char *mapped_path, uint64_t mapped_size, uint64_t pc)
{
	size_t offset = NOTES_OFFSET;
	struct elf_prstatus status = {.pr_pid = 100, .pr_cursig = 11, .pr_info.si_signo = 11};
	struct user_regs_struct registers = {.rip = pc,
					     .rsp = SYNTHETIC_STACK_BASE + 256,
					     .rbp = SYNTHETIC_STACK_BASE + 512,
					     .cs = 0x33,
					     .ss = 0x2b};
	memcpy(&status.pr_reg, &registers, sizeof(registers));
	put_note(image, &offset, NT_PRSTATUS, &status, sizeof(status));
	put_facts(image, &offset);
	const struct elf_prpsinfo process = {.pr_pid = 100, .pr_sname = 'R', .pr_fname = "fuzz"};
	put_note(image, &offset, NT_PRPSINFO, &process, sizeof(process));
	const uint64_t auxv[] = {AT_PAGESZ,	      4096,	AT_ENTRY, pc,	   AT_PHDR,
				 SYNTHETIC_BASE + 64, AT_PHNUM, 4,	  AT_NULL, 0};
	put_note(image, &offset, NT_AUXV, auxv, sizeof(auxv));
	struct {
		uint64_t count, page_size, start, end, file_page;
		char path[256];
	} files = {1, 4096, SYNTHETIC_BASE, SYNTHETIC_BASE + mapped_size, 0, ""};
	strncpy(files.path, mapped_path, sizeof(files.path) - 1);
	put_note(image, &offset, 0x46494c45 /* NT_FILE */, &files, 40 + strlen(files.path) + 1);
	return offset - NOTES_OFFSET;
}

int synthetic_core(const char *mapped_path, uint64_t mapped_size, uint64_t pc)
{
	static _Thread_local uint8_t image[STACK_OFFSET + SYNTHETIC_STACK];
	mapped_size = (mapped_size + 4095) & ~UINT64_C(4095);
	memset(image, 0, sizeof(image));
	Elf64_Ehdr *header = (Elf64_Ehdr *)image;
	memcpy(header->e_ident, ELFMAG, SELFMAG);
	header->e_ident[EI_CLASS] = ELFCLASS64;
	header->e_ident[EI_DATA] = ELFDATA2LSB;
	header->e_ident[EI_VERSION] = EV_CURRENT;
	header->e_type = ET_CORE;
	header->e_machine = EM_X86_64;
	header->e_version = EV_CURRENT;
	header->e_ehsize = sizeof(*header);
	header->e_phoff = sizeof(*header);
	header->e_phentsize = sizeof(Elf64_Phdr);
	header->e_phnum = 3;
	Elf64_Phdr *segments = (Elf64_Phdr *)(image + sizeof(*header));
	segments[0] = (Elf64_Phdr){.p_type = PT_NOTE, .p_offset = NOTES_OFFSET, .p_align = 4};
	segments[0].p_filesz = put_notes(image, mapped_path, mapped_size, pc);
	segments[1] = (Elf64_Phdr){.p_type = PT_LOAD,
				   .p_flags = PF_R | PF_X,
				   .p_align = 4096,
				   .p_offset = STACK_OFFSET,
				   .p_vaddr = SYNTHETIC_BASE,
				   .p_memsz = mapped_size};
	segments[2] = (Elf64_Phdr){.p_type = PT_LOAD,
				   .p_flags = PF_R | PF_W,
				   .p_align = 4096,
				   .p_offset = STACK_OFFSET,
				   .p_vaddr = SYNTHETIC_STACK_BASE,
				   .p_filesz = SYNTHETIC_STACK,
				   .p_memsz = SYNTHETIC_STACK};
	for (size_t i = 0; i < SYNTHETIC_STACK / 8; i++) {
		uint64_t word = i % 3 ? pc + 8 * i : SYNTHETIC_STACK_BASE + 8 * i + 64;
		memcpy(image + STACK_OFFSET + 8 * i, &word, 8);
	}
	return memory_file("core", image, sizeof(image));
}
