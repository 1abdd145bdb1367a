// SPDX-License-Identifier: Apache-2.0
#include "elf/elf_image.h"

#include "check.h"

static uint8_t bytes[1024];

static void make(void)
{
	Elf64_Ehdr header = {
		.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, 1},
		.e_type = ET_DYN,
		.e_machine = EM_X86_64,
		.e_phoff = sizeof(header),
		.e_phnum = 1,
	};
	Elf64_Phdr note = {.p_type = PT_NOTE, .p_offset = 512, .p_filesz = 36, .p_align = 4};
	Elf64_Nhdr id = {4, 20, NT_GNU_BUILD_ID};
	memset(bytes, 0, sizeof(bytes));
	memcpy(bytes, &header, sizeof(header));
	memcpy(bytes + sizeof(header), &note, sizeof(note));
	memcpy(bytes + 512, &id, sizeof(id));
	memcpy(bytes + 524, "GNU", 4);
	memset(bytes + 528, 0x5a, 20);
}

static void reads_a_build_id(void)
{
	struct elf_image image;
	const char *why;
	char id[ELF_BUILD_ID_TEXT];
	make();
	CHECK(elf_image_init(&image, bytes, sizeof(bytes), &why));
	CHECK_EQUAL(image.segment_count, 1);
	CHECK(elf_image_build_id(&image, id));
	CHECK_STRING(id, "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a");
	CHECK(elf_image_init(&image, bytes, 540, &why)); // the note is cut
	CHECK(!elf_image_build_id(&image, id));
}

static void refuses_what_is_no_elf(void)
{
	struct elf_image image;
	const char *why = NULL;
	make();
	for (uint64_t size = 0; size < sizeof(Elf64_Ehdr); size++) {
		why = NULL;
		CHECK(!elf_image_init(&image, bytes, size, &why));
		CHECK(why != NULL);
	}
	bytes[EI_DATA] = ELFDATA2MSB;
	CHECK(!elf_image_init(&image, bytes, sizeof(bytes), &why));
	CHECK(strstr(why, "little-endian"));
	make();
	bytes[1] = 'e';
	CHECK(!elf_image_init(&image, bytes, sizeof(bytes), &why));
}

static void counts_only_segments_in_the_file(void)
{
	struct elf_image image;
	const char *why;
	Elf64_Phdr segment;
	make();
	bytes[offsetof(Elf64_Ehdr, e_phnum)] = 200;
	CHECK(elf_image_init(&image, bytes, sizeof(bytes), &why));
	CHECK(image.segment_count_cut);
	CHECK_EQUAL(image.segment_count, (sizeof(bytes) - 64) / 56);
	CHECK(!elf_image_segment(&image, image.segment_count, &segment));
	memset(bytes + offsetof(Elf64_Ehdr, e_phoff), 0xff, 8);
	CHECK(elf_image_init(&image, bytes, sizeof(bytes), &why));
	CHECK_EQUAL(image.segment_count, 0);
	memset(bytes + offsetof(Elf64_Ehdr, e_shoff), 0xff, 8);
	bytes[offsetof(Elf64_Ehdr, e_shnum)] = 9;
	CHECK(elf_image_init(&image, bytes, sizeof(bytes), &why));
	Elf64_Shdr section;
	CHECK(!elf_image_section(&image, 3, &section));
}

static void walks_notes_to_their_damage(void)
{
	static const uint32_t notes[] = {5, 4, 1, 0x45524f43, 0, 77, 5, 100, 2, 0x45524f43, 0};
	struct elf_note_walk walk = {.data = (const uint8_t *)notes, .size = sizeof(notes)};
	struct elf_note note;
	CHECK(elf_note_next(&walk, &note));
	CHECK(elf_note_is(&note, "CORE"));
	CHECK(!elf_note_is(&note, "COR"));
	CHECK(!elf_note_is(&note, "LINUX"));
	CHECK_EQUAL(elf_number(note.data, 4), 77);
	CHECK(!walk.damaged);
	CHECK(!elf_note_next(&walk, &note));
	CHECK(walk.damaged);
	CHECK_EQUAL(walk.position, 24);
}

static void widens_32_bits(void)
{
	Elf32_Ehdr header = {
		.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS32, ELFDATA2LSB, 1},
		.e_machine = EM_386,
		.e_phoff = sizeof(header),
		.e_phnum = 1,
	};
	Elf32_Phdr load = {.p_type = PT_LOAD, .p_vaddr = 0x8048000, .p_flags = PF_X};
	struct elf_image image;
	const char *why;
	Elf64_Phdr segment;
	memset(bytes, 0, sizeof(bytes));
	memcpy(bytes, &header, sizeof(header));
	memcpy(bytes + sizeof(header), &load, sizeof(load));
	CHECK(elf_image_init(&image, bytes, sizeof(bytes), &why));
	CHECK(elf_image_segment(&image, 0, &segment));
	CHECK_EQUAL(segment.p_vaddr, 0x8048000);
	CHECK_EQUAL(segment.p_flags, PF_X);
	CHECK_STRING(elf_machine_name(image.header.e_machine), "i386");
}

CHECK_MAIN({"a build id is found by its note", reads_a_build_id},
	   {"what is no ELF file is refused with a reason", refuses_what_is_no_elf},
	   {"segments beyond the file are not counted", counts_only_segments_in_the_file},
	   {"notes are walked up to damage", walks_notes_to_their_damage},
	   {"32-bit headers are widened", widens_32_bits})
