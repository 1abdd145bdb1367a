// SPDX-License-Identifier: Apache-2.0
#include "check.h"
#include "symbols/cfi_parse.h"

// A CIE (zRS: pc-relative code addresses, a signal frame) with CFA = rsp + 8 and the return address
// at CFA - 8, and an FDE for 0x101c to 0x111c in a section at 0x1000.
static const uint8_t frame[] = {
	22,   0,    0,	  0,	0,    0, 0, 0, 1,    'z',  'R',	 'S',  0, 1, 0x78, 16, 1,
	0x1b, 0x0c, 7,	  8,	0x90, 1, 0, 0, 0,					  // CIE
	32,   0,    0,	  0,	30,   0, 0, 0, 0xe6, 0xff, 0xff, 0xff, 0, 1, 0,	   0,  0, // FDE
	0x41, 0x0e, 16,	  0x86, 2,	       // +1: push rbp
	0x43, 0x0d, 6,			       // +3: CFA by rbp
	0x0a, 0x50, 0x0b,		       // remember; +16: as before
	0x41, 0x16, 3,	  1,	0x30, 0, 0, 0, // +1: rbx = expression
	0,    0,    0,	  0};

static const struct cfi_section section = {frame, sizeof(frame), 0x1008, true};

static void first_fde(struct cfi_fde *fde)
{
	size_t offset = 0;
	CHECK_EQUAL(cfi_read_entry(&section, &offset, fde), CFI_ENTRY_CIE);
	CHECK_EQUAL(cfi_read_entry(&section, &offset, fde), CFI_ENTRY_FDE);
	CHECK_EQUAL(fde->start, 0x1010);
	CHECK_EQUAL(fde->end, 0x1110);
}

static void runs_rows(void)
{
	struct cfi_fde fde;
	struct cfi_row row;
	first_fde(&fde);
	CHECK(cfi_run(&fde, fde.start, &row));
	CHECK(row.signal_frame);
	CHECK_EQUAL(row.cfa_register, 7);
	CHECK_EQUAL(row.cfa_offset, 8);
	CHECK_EQUAL(row.rules[16].kind, CFI_OFFSET);
	CHECK_EQUAL(row.rules[16].offset, -8);
	CHECK_EQUAL(row.rules[6].kind, CFI_UNSPECIFIED);
	CHECK(cfi_run(&fde, fde.start + 1, &row));
	CHECK_EQUAL(row.cfa_offset, 16);
	CHECK_EQUAL(row.rules[6].kind, CFI_OFFSET);
	CHECK_EQUAL(row.rules[6].offset, -16);
	CHECK(cfi_run(&fde, fde.start + 4, &row));
	CHECK_EQUAL(row.cfa_register, 6);
	CHECK_EQUAL(row.cfa_offset, 16);
	CHECK(cfi_run(&fde, fde.end - 1, &row));
	CHECK_EQUAL(row.rules[3].kind, CFI_VALUE_EXPRESSION);
	CHECK_EQUAL(row.rules[3].expression_size, 1);
	CHECK_EQUAL(row.rules[3].expression[0], 0x30);
}

static void every_cut_is_survived(void)
{
	for (size_t size = 0; size < sizeof(frame); size++) {
		uint8_t *copy = malloc(size + 1); // exactly sized, for the sanitizer
		memcpy(copy, frame, size);
		struct cfi_section cut = {copy, size, 0x1000, true};
		struct cfi_fde fde;
		struct cfi_row row;
		size_t offset = 0;
		for (enum cfi_entry kind;
		     (kind = cfi_read_entry(&cut, &offset, &fde)) != CFI_ENTRY_END;)
			if (kind == CFI_ENTRY_FDE)
				(void)cfi_run(&fde, fde.end - 1, &row);
		CHECK_EQUAL(offset, size);
		free(copy);
	}
}

static void searches_the_header(void)
{
	uint8_t bytes[12 + 3 * 8] = {1, 0x1b, 0x03, 0x3b, 0xfc, 0xff, 0xff, 0xff, 9, 0, 0, 0};
	for (int i = 0; i < 3; i++) {
		bytes[12 + 8 * i] = (uint8_t)(0x10 * (i + 1)); // code at +0x10, +0x20, +0x30
		bytes[16 + 8 * i] = (uint8_t)(0x80 + i);
	}
	struct cfi_header header;
	uint64_t fde;
	CHECK(cfi_read_header(bytes, sizeof(bytes), 0x2000, &header));
	CHECK_EQUAL(header.frame, 0x2000);
	CHECK_EQUAL(header.count, 3); // the file says 9, but has room for 3
	CHECK(!cfi_search_header(&header, 0x200f, &fde));
	CHECK(cfi_search_header(&header, 0x2010, &fde));
	CHECK_EQUAL(fde, 0x2080);
	CHECK(cfi_search_header(&header, 0x202f, &fde));
	CHECK_EQUAL(fde, 0x2081);
	CHECK(cfi_search_header(&header, 0x9999, &fde));
	CHECK_EQUAL(fde, 0x2082);
	CHECK(!cfi_read_header(bytes, 6, 0x2000, &header));
}

CHECK_MAIN({"rows follow the instructions", runs_rows},
	   {"a section cut anywhere is survived", every_cut_is_survived},
	   {"the search table is used as far as it goes", searches_the_header})
