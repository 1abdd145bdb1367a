// SPDX-License-Identifier: Apache-2.0
// Classes of libc++ (LLVM 11 to 19, the usual ABI).
#include "lens/cplus.h"

static bool plan_vector(struct plan_builder *builder, struct type *type, uint64_t offset,
			bool maybe)
{
	struct strobe_symbols *symbols = plan_symbols(builder);
	struct cplus_member begin, end;
	if (!cplus_find(symbols, type, "__begin_", &begin) || begin.type->kind != TYPE_POINTER ||
	    !begin.type->target)
		return false;
	// std::vector<bool> has a size in its place.
	if (!cplus_find(symbols, type, "__end_", &end) || end.type->kind != TYPE_POINTER)
		plan_value(builder, begin.type, offset + begin.offset, maybe);
	else
		cplus_elements(builder, offset + begin.offset, offset + end.offset,
			       begin.type->target, maybe);
	return true;
}

/** Its first bit tells whether the text stands elsewhere: size and address are the second and third word then. */
static bool plan_string(struct plan_builder *builder, struct type *type, uint64_t offset,
			bool maybe)
{
	enum { SIZE_AT = 8, TEXT_AT = 16, STRING_SIZE = 24 };
	struct strobe_symbols *symbols = plan_symbols(builder);
	struct type *character = cplus_argument(symbols, type, 0);
	if (type->size != STRING_SIZE || !character ||
	    (!cplus_find(symbols, type, "__r_", &(struct cplus_member){0}) &&
	     !cplus_find(symbols, type, "__rep_", &(struct cplus_member){0})))
		return false;
	size_t number = plan_add(builder, &(struct plan_step){.kind = PLAN_IF,
							      .offset = (uint32_t)offset,
							      .width = 1,
							      .mask = 1,
							      .a = 1,
							      .b = 1});
	cplus_counted(builder, offset + TEXT_AT, offset + SIZE_AT, plan_type(builder, character),
		      maybe);
	plan_end(builder, number);
	return true;
}

/** The node that links of `type` are in: an instance with the same arguments, called `name`. */
static uint32_t node_id(struct plan_builder *builder, struct type *value, const char *name)
{
	struct strobe_symbols *symbols = plan_symbols(builder);
	static const char *const spaces[] = {"std::__1::", "std::__ndk1::", "std::__8::"};
	for (size_t i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++) {
		struct text text cleanup_text = {0};
		text_printf(&text, "%s%s<%s, void *>", spaces[i], name, type_name(symbols, value));
		struct type *type = type_find(symbols, NULL, text_string(&text));
		if (type)
			return plan_type(builder, type);
	}
	return LENS_TYPE_NONE;
}

/** Links at the members of `paths`, as many as there are; false if there is none, or no node's type. */
static bool plan_links(struct plan_builder *builder, struct type *type, uint64_t offset, bool maybe,
		       uint32_t node, const char *const *paths)
{
	struct cplus_member member;
	bool any = false;
	for (; node && *paths; paths++) {
		if (!cplus_find(plan_symbols(builder), type, *paths, &member) ||
		    member.type->kind != TYPE_POINTER)
			continue;
		cplus_link(builder, offset + member.offset, node, maybe);
		any = true;
	}
	return any;
}

static bool plan_list(struct plan_builder *builder, struct type *type, uint64_t offset, bool maybe)
{
	static const char *const paths[] = {"__end_.__next_", "__end_.__prev_", NULL};
	struct type *value = cplus_argument(plan_symbols(builder), type, 0);
	return value && plan_links(builder, type, offset, maybe,
				   node_id(builder, value, "__list_node"), paths);
}

static bool plan_tree(struct plan_builder *builder, struct type *type, uint64_t offset, bool maybe)
{
	static const char *const paths[] = {"__pair1_.__value_.__left_", "__end_node_.__left_",
					    "__begin_node_", NULL};
	struct type *value = cplus_argument(plan_symbols(builder), type, 0);
	return value && plan_links(builder, type, offset, maybe,
				   node_id(builder, value, "__tree_node"), paths);
}

static bool plan_table(struct plan_builder *builder, struct type *type, uint64_t offset, bool maybe)
{
	static const char *const paths[] = {"__p1_.__value_.__next_", "__first_node_.__next_",
					    NULL};
	static const char *const lists[] = {"__bucket_list_.__ptr_.__value_",
					    "__bucket_list_.__ptr_"};
	struct strobe_symbols *symbols = plan_symbols(builder);
	struct type *value = cplus_argument(symbols, type, 0);
	struct cplus_member list;
	if (!value || !plan_links(builder, type, offset, maybe,
				  node_id(builder, value, "__hash_node"), paths))
		return false;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		if (cplus_find(symbols, type, lists[i], &list) && list.type->kind == TYPE_POINTER) {
			plan_value(builder, list.type, offset + list.offset, maybe);
			break;
		}
	return true;
}

/** A node: its own links, and its value. */
static bool plan_node(struct plan_builder *builder, struct type *type, uint64_t offset, bool maybe)
{
	static const char *const paths[] = {"__next_",	"__prev_",   "__left_",
					    "__right_", "__parent_", NULL};
	struct cplus_member value;
	if (!cplus_find(plan_symbols(builder), type, "__value_", &value) ||
	    !plan_links(builder, type, offset, maybe, plan_type(builder, type), paths))
		return false;
	plan_value(builder, value.type, offset + value.offset, maybe);
	return true;
}

/** What std::make_shared() makes: the value stands behind the counts, as bytes. */
static struct type *shared_value(struct strobe_symbols *symbols, struct type *type,
				 uint64_t *offset)
{
	struct cplus_member storage;
	struct type *value = cplus_argument(symbols, type, 0);
	if (!value || !cplus_find(symbols, type, "__storage_", &storage) ||
	    cplus_size(symbols, value) > cplus_size(symbols, storage.type))
		return NULL;
	*offset = storage.offset;
	return value;
}

static bool plan_shared(struct plan_builder *builder, struct type *type, uint64_t offset,
			bool maybe)
{
	uint64_t start;
	struct type *value = shared_value(plan_symbols(builder), type, &start);
	if (value)
		plan_value(builder, value, offset + start, maybe);
	return value != NULL;
}

/** What an object that a std::function holds is made for: in pairs with its allocator, one within another. */
static struct type *func_value(struct strobe_symbols *symbols, struct type *type, uint64_t *offset)
{
	static const char *const paths[] = {"__f_.__f_.__value_", "__f_.__func_", "__func_",
					    "__f_"};
	struct type *value = cplus_argument(symbols, type, 0);
	struct cplus_member member;
	for (size_t i = 0; value && i < sizeof(paths) / sizeof(paths[0]); i++) {
		if (!cplus_find(symbols, type, paths[i], &member) ||
		    !type_equal(symbols, member.type, value))
			continue;
		*offset = member.offset;
		return value;
	}
	return NULL;
}

static const struct cplus_place vector_places[] = {{"__begin_", "[]"}, {NULL, NULL}};
static const struct cplus_place string_places[] = {
	{"__r_.__value_.__l.__data_", ".text"}, {"__rep_.__l.__data_", ".text"}, {NULL, NULL}};
static const struct cplus_place list_places[] = {
	{"__end_.__next_", ".first"}, {"__end_.__prev_", ".last"}, {NULL, NULL}};
static const struct cplus_place tree_places[] = {{"__pair1_.__value_.__left_", ".root"},
						 {"__end_node_.__left_", ".root"},
						 {"__begin_node_", ".leftmost"},
						 {NULL, NULL}};
static const struct cplus_place table_places[] = {{"__bucket_list_.__ptr_.__value_", ".buckets"},
						  {"__bucket_list_.__ptr_", ".buckets"},
						  {"__p1_.__value_.__next_", ".first"},
						  {"__first_node_.__next_", ".first"},
						  {NULL, NULL}};
static const struct cplus_place node_places[] = {{"__next_", ".next"},	   {"__prev_", ".prev"},
						 {"__left_", ".left"},	   {"__right_", ".right"},
						 {"__parent_", ".parent"}, {NULL, NULL}};
static const struct cplus_place deque_places[] = {{"__map_.__first_", "[]"}, {NULL, NULL}};
static const struct cplus_place unique_places[] = {
	{"__ptr_.__value_", ".get()"}, {"__ptr_", ".get()"}, {NULL, NULL}};
static const struct cplus_place shared_places[] = {
	{"__ptr_", ".get()"}, {"__cntrl_", ".control"}, {NULL, NULL}};

const struct cplus_class cplus_libcxx[] = {
	{"vector", plan_vector, vector_places, NULL},
	{"basic_string", plan_string, string_places, NULL},
	{"__list_imp", plan_list, list_places, NULL},
	{"list", plan_list, list_places, NULL},
	{"__list_node", plan_node, node_places, NULL},
	{"__tree", plan_tree, tree_places, NULL},
	{"__tree_node", plan_node, node_places, NULL},
	{"__hash_table", plan_table, table_places, NULL},
	{"__hash_node", plan_node, node_places, NULL},
	{"__deque_base", cplus_split_deque_plan, deque_places, NULL},
	{"deque", cplus_split_deque_plan, deque_places, NULL},
	{"__shared_ptr_emplace", plan_shared, NULL, shared_value},
	{"__func", NULL, NULL, func_value},
	{"unique_ptr", NULL, unique_places, NULL},
	{"shared_ptr", NULL, shared_places, NULL},
	{NULL, NULL, NULL, NULL},
};
