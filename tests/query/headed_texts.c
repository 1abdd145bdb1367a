// SPDX-License-Identifier: Apache-2.0
// A program that keeps texts behind headers of all sorts, as libraries do, and tells how often each is there.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define APART __attribute__((noinline, noclone))

enum { COUNT = 30 };

// redis's strings: the pointer leads to the text.
struct __attribute__((packed)) short_header {
	uint8_t flags; // 3 bits of type, 5 of length
};
struct __attribute__((packed)) byte_header {
	uint8_t length, room, flags;
};
struct __attribute__((packed)) word_header {
	uint32_t length, room;
	uint8_t flags;
};
struct counted {
	int references;
	char text[];
};
struct old_string { // of the C++ library before 2011
	size_t length, capacity;
	int references;
};
struct object {
	unsigned type : 4, encoding : 4, clock : 24;
	int references;
	void *value; // behind it, in the same block
};

static char *names[COUNT], *keys[COUNT], *longer[COUNT], *old[COUNT], *plain[COUNT];
static struct counted *counted[COUNT];
static struct object *objects[COUNT];
static void *others[COUNT];

static APART char *short_text(const char *text)
{
	size_t length = strlen(text);
	struct short_header *header = malloc(sizeof(*header) + length + 1);
	header->flags = (uint8_t)(length << 3);
	return strcpy((char *)(header + 1), text);
}

static APART char *byte_text(void *memory, const char *text, size_t room)
{
	struct byte_header *header = memory;
	*header = (struct byte_header){(uint8_t)strlen(text), (uint8_t)room, 1};
	return strcpy((char *)(header + 1), text);
}

static APART char *word_text(const char *text, size_t room)
{
	struct word_header *header = malloc(sizeof(*header) + room + 1);
	memset(header, 0xa5, sizeof(*header) + room + 1); // what it held before
	*header = (struct word_header){(uint32_t)strlen(text), (uint32_t)room, 3};
	return strcpy((char *)(header + 1), text);
}

static APART struct counted *counted_text(const char *text, int references)
{
	struct counted *made = malloc(sizeof(*made) + strlen(text) + 1);
	made->references = references;
	strcpy(made->text, text);
	return made;
}

static APART char *old_text(const char *text, int references)
{
	struct old_string *header = malloc(sizeof(*header) + strlen(text) + 1);
	*header = (struct old_string){strlen(text), strlen(text), references};
	return strcpy((char *)(header + 1), text);
}

static APART struct object *embedded_text(const char *text, unsigned clock)
{
	struct object *made = malloc(sizeof(*made) + sizeof(struct byte_header) + 45);
	*made = (struct object){.type = 0, .encoding = 8, .clock = clock, .references = 1};
	made->value = byte_text(made + 1, text, 44);
	return made;
}

static APART void *no_text(unsigned i)
{
	uint32_t *made = malloc(64);
	for (unsigned j = 0; j < 16; j++)
		made[j] = (i + 1) * 2654435761u + j * 40503u;
	memcpy(made + 4, "abcd", 4); // letters that no zero byte ends
	made[5] = 0x01020304;
	return made;
}

int main(void)
{
	char own[60];
	for (unsigned i = 0; i < COUNT; i++) {
		names[i] = short_text("hello, world!!"); // whose header is a 'p': 14 << 3
		keys[i] = byte_text(malloc(3 + 30 + i), "a text of some words", 29 + i);
		longer[i] = word_text("a longer text that has room to grow", 40 + 2 * i);
		counted[i] = counted_text("a text behind a count", (int)i + 1);
		old[i] = old_text("as strings were long ago", (int)i);
		objects[i] = embedded_text("embedded in an object", i * 1000);
		plain[i] = strdup("with no header at all");
		snprintf(own, sizeof(own), "everybody has another one: %u", i);
		others[i] = i % 2 ? no_text(i) : (void *)byte_text(malloc(60), own, 55);
	}
	puts("ready");
	fflush(stdout);
	pause();
	return names[0] == keys[0] && longer[0] == old[0] && plain[0] == (char *)others[0] &&
	       (void *)counted[0] == (void *)objects[0];
}
