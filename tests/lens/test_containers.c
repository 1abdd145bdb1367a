// SPDX-License-Identifier: Apache-2.0
// Lists of embedded links: programs tell what each link is a member of.
#include "lens/lens.h"
#include "lens/known.h"
#include "symbols/program.h"

static const char list_program[] =
	"struct list_head { struct list_head *next, *prev; };\n"
	"struct hlist_node { struct hlist_node *next, **pprev; };\n"
	"struct rb_node { unsigned long parent_color; struct rb_node *right, *left; };\n"
	"struct unrelated { long a, b, c, d, e; };\n"
	"struct item { long key; struct list_head node; char text[24]; };\n"
	"typedef struct { struct rb_node by_name; struct { struct rb_node by_size; struct "
	"list_head all; } in; } entry_t;\n"
	"struct big { double d[20]; struct list_head links[3]; struct item item; };\n"
	"struct twin_a { int a; struct hlist_node node; }; struct twin_b { float b; struct "
	"hlist_node node; };\n"
	"struct small { struct hlist_node node; int i; }; struct alone { struct hlist_node node; "
	"}; struct large { struct hlist_node node; long "
	"more[9]; };\n"
	"union choice { struct list_head free; struct { long kind; struct list_head used; } u; };\n"
	"static struct list_head head = {&head, &head};\n"
	"static void tell(struct list_head *at, size_t offset, size_t size, const char *link, "
	"const char *type) {\n"
	"  if (!known) known = fopen(\"known\", \"w\");\n"
	"  fprintf(known, \"link %zu %zu %s | %s\\n\", offset, size, link, type); }\n"
	"#define LIST \"struct list_head\"\n"
	"#define AT(type, member) offsetof(type, member)\n"
	"int main(void) {\n"
	"  for (int i = 0; i < 3; i++) { struct item *n = calloc(1, sizeof *n); n->node.next = "
	"head.next; head.next = &n->node; }\n"
	"  tell(0, AT(struct item, node), sizeof(struct item), LIST, \"struct item\");\n"
	"  tell(0, AT(struct item, node), sizeof(struct item) + 8, LIST, \"struct item\");\n"
	"  tell(0, AT(struct item, node), 400, LIST, \"?\");\n"
	"  tell(0, AT(struct item, node), 16, LIST, \"?\");\n"
	"  tell(0, AT(struct item, key), sizeof(struct item), LIST, \"?\");\n"
	"  entry_t *e = calloc(1, sizeof *e); e->in.by_size.left = &e->by_name;\n"
	"  tell(0, AT(entry_t, by_name), sizeof(entry_t), \"struct rb_node\", \"entry_t\");\n"
	"  tell(0, AT(entry_t, in.by_size), sizeof(entry_t), \"struct rb_node\", \"entry_t\");\n"
	"  tell(0, AT(entry_t, in.all), sizeof(entry_t), LIST, \"entry_t\");\n"
	"  struct big *b = calloc(1, sizeof *b); b->links[0].next = &head;\n"
	"  tell(0, AT(struct big, links[1]), sizeof(struct big), LIST, \"struct big\");\n"
	"  tell(0, AT(struct big, item.node), sizeof(struct big), LIST, \"struct big\");\n"
	"  struct twin_a *ta = calloc(1, sizeof *ta); struct twin_b *tb = calloc(1, sizeof *tb);\n"
	"  ta->node.next = &tb->node; tell(0, AT(struct twin_a, node), sizeof(*ta), \"struct "
	"hlist_node\", \"?\");\n"
	"  struct small *s = calloc(1, sizeof *s); struct large *l = calloc(1, sizeof *l); "
	"l->node.next = &s->node;\n"
	"  tell(0, 0, sizeof(*s), \"struct hlist_node\", \"struct small\");\n"
	"  tell(0, 0, 16, \"struct hlist_node\", \"?\"); struct alone *n = calloc(1, sizeof *n); "
	"n->node.next = 0;\n"
	"  tell(0, 0, sizeof(*l), \"struct hlist_node\", \"struct large\");\n"
	"  union choice *c = calloc(1, sizeof *c); c->u.used.next = &head;\n"
	"  tell(0, AT(union choice, u.used), sizeof(*c), LIST, \"union choice\");\n"
	"  struct unrelated *u = calloc(1, sizeof *u); u->a = 1;\n"
	"  end(); }\n";

static void tell_links(struct lens *lens, const char *known, struct text *ret)
{
	for (const char *line = known; *line; line = strchr(line, '\n') + 1) {
		unsigned long long offset, size;
		char link[100];
		if (sscanf(line, "link %llu %llu %99[^|\n]", &offset, &size, link) != 3)
			continue;
		link[strlen(link) - 1] = 0;
		uint32_t id = lens_type_find(lens, link, SIZE_MAX, 0, false);
		CHECK(id != 0);
		uint32_t found = lens_container_of(lens, id, offset, size);
		text_printf(ret, "link %llu %llu %s | %s\n", offset, size, link,
			    found ? lens_type(lens, found)->name : "?");
	}
}

static void learn(struct lens *lens, const char *name)
{
	uint32_t id = lens_type_find(lens, name, SIZE_MAX, 0, false);
	CHECK_OK(lens_learn_links(lens, &id, 1));
	CHECK_OK(lens_learn_links(lens, &id, 1)); // nothing more to learn
}

static void compare(const char *command)
{
	struct program program;
	struct lens *lens;
	char *whole = NULL, path[256], *known = NULL;
	size_t size = 0;
	const uint32_t *list;
	CHECK(asprintf(&whole, "%s%s", known_writer, list_program) > 0);
	program_open(&program, command, "c", whole);
	free(whole);
	snprintf(path, sizeof(path), "%s/known", program.directory);
	FILE *file = fopen(path, "r");
	CHECK(file != NULL && getdelim(&known, &size, 0, file) > 0);
	fclose(file);
	CHECK_OK(lens_new(program.symbols, &lens));
	uint32_t link = lens_type_find(lens, "struct list_head", SIZE_MAX, 0, false);
	CHECK_EQUAL(lens_containers(lens, link, 8, &list), 0); // nothing is learned yet
	learn(lens, "struct list_head");
	learn(lens, "struct rb_node");
	learn(lens, "struct hlist_node");
	CHECK_EQUAL(lens_containers(lens, link, 8, &list), 2);
	CHECK_STRING(lens_type(lens, list[0])->name, "union choice");
	CHECK_STRING(lens_type(lens, list[1])->name, "struct item");
	CHECK(lens_type(lens, list[1])->plan && lens_type(lens, list[1])->plan->step_count > 0);
	for (uint32_t id = 1; id <= lens_type_count(lens); id++)
		CHECK(strcmp(lens_type(lens, id)->name, "struct unrelated") != 0);
	struct text told cleanup_text = {0};
	tell_links(lens, known, &told);
	CHECK_STRING(text_string(&told), known);
	free(known);
	lens_free(lens);
	program_close(&program);
}

static void plain(void)
{
	compare("gcc -g -O0 -w");
}

static void older(void)
{
	compare("gcc -g -O2 -gdwarf-4 -fdebug-types-section -w");
}

static void split(void)
{
	compare("gcc -g -O1 -gsplit-dwarf -w");
}

CHECK_MAIN({"what links are members of, by a program's own word", plain},
	   {"the same of -O2 with type units", older}, {"the same with split DWARF", split})
