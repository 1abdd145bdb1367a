// SPDX-License-Identifier: Apache-2.0
// Classes of libstdc++ (GCC 5 to 14).
#include <stdlib.h>
#include <string.h>

#include "lens/cplus.h"

/** The id of `name`<argument, ...rest> as a class of std; 0 if debug information has none. */
static uint32_t instance_id(struct plan_builder *builder, const char *name, struct type *argument,
			    const char *rest)
{
	struct strobe_symbols *symbols = plan_symbols(builder);
	struct text text cleanup_text = {0};
	const char *spelled = type_name(symbols, argument);
	size_t size = strlen(spelled);
	text_printf(&text, "%s<%s%s%s>", name, spelled, rest,
		    !*rest && size && spelled[size - 1] == '>' ? " " : "");
	struct type *type = type_find(symbols, NULL, text_string(&text));
	return type ? plan_type(builder, type) : LENS_TYPE_NONE;
}

static bool plan_vector(struct plan_builder *builder, struct type *type, uint64_t offset,
			bool maybe)
{
	struct strobe_symbols *symbols = plan_symbols(builder);
	struct cplus_member start, finish;
	if (!cplus_find(symbols, type, "_M_impl._M_start", &start) ||
	    !cplus_find(symbols, type, "_M_impl._M_finish", &finish))
		return false;
	if (start.type->kind == TYPE_POINTER && start.type->target) {
		cplus_elements(builder, offset + start.offset, offset + finish.offset,
			       start.type->target, maybe);
		return true;
	}
	// std::vector<bool>: iterators, which hold pointers to words of bits.
	if (!cplus_find(symbols, type, "_M_impl._M_start._M_p", &start) ||
	    start.type->kind != TYPE_POINTER)
		return false;
	plan_value(builder, start.type, offset + start.offset, maybe);
	return true;
}

static bool plan_string(struct plan_builder *builder, struct type *type, uint64_t offset,
			bool maybe)
{
	struct strobe_symbols *symbols = plan_symbols(builder);
	struct cplus_member data, length;
	if (!cplus_find(symbols, type, "_M_dataplus._M_p", &data) ||
	    data.type->kind != TYPE_POINTER || !data.type->target)
		return false;
	if (cplus_find(symbols, type, "_M_string_length", &length))
		cplus_counted(builder, offset + data.offset, offset + length.offset,
			      plan_type(builder, data.type->target), maybe);
	else // of before C++11: shared text, behind its length and count
		plan_add(builder, &(struct plan_step){.kind = PLAN_POINTER,
						      .offset = (uint32_t)(offset + data.offset),
						      .maybe = maybe});
	return true;
}

static bool plan_list(struct plan_builder *builder, struct type *type, uint64_t offset, bool maybe)
{
	struct strobe_symbols *symbols = plan_symbols(builder);
	struct type *value = cplus_argument(symbols, type, 0);
	struct cplus_member next, prev;
	if (!value || !cplus_find(symbols, type, "_M_impl._M_node._M_next", &next) ||
	    !cplus_find(symbols, type, "_M_impl._M_node._M_prev", &prev))
		return false;
	uint32_t node = instance_id(builder, "std::_List_node", value, "");
	if (!node)
		node = instance_id(builder, "std::__cxx11::_List_node", value, "");
	cplus_link(builder, offset + next.offset, node, maybe);
	cplus_link(builder, offset + prev.offset, node, maybe);
	return true;
}

static bool plan_forward_list(struct plan_builder *builder, struct type *type, uint64_t offset,
			      bool maybe)
{
	struct strobe_symbols *symbols = plan_symbols(builder);
	struct type *value = cplus_argument(symbols, type, 0);
	struct cplus_member next;
	if (!value || !cplus_find(symbols, type, "_M_impl._M_head._M_next", &next))
		return false;
	cplus_link(builder, offset + next.offset,
		   instance_id(builder, "std::_Fwd_list_node", value, ""), maybe);
	return true;
}

static bool plan_tree(struct plan_builder *builder, struct type *type, uint64_t offset, bool maybe)
{
	static const char *const links[] = {"_M_impl._M_header._M_parent",
					    "_M_impl._M_header._M_left",
					    "_M_impl._M_header._M_right"};
	struct strobe_symbols *symbols = plan_symbols(builder);
	struct type *value = cplus_argument(symbols, type, 1);
	struct cplus_member member;
	if (!value || !cplus_find(symbols, type, links[0], &member))
		return false;
	uint32_t node = instance_id(builder, "std::_Rb_tree_node", value, "");
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		if (cplus_find(symbols, type, links[i], &member))
			cplus_link(builder, offset + member.offset, node, maybe);
	return true;
}

/** A node: its links, by name, and the value behind them. */
static bool plan_node(struct plan_builder *builder, struct type *type, uint64_t offset, bool maybe,
		      const char *const *links)
{
	static const char *const values[] = {"_M_storage", "_M_value_field", "_M_data", "_M_v"};
	struct strobe_symbols *symbols = plan_symbols(builder);
	struct cplus_member member;
	uint32_t node = plan_type(builder, type);
	for (; *links; links++)
		if (cplus_find(symbols, type, *links, &member))
			cplus_link(builder, offset + member.offset, node, maybe);
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		if (cplus_find(symbols, type, values[i], &member)) {
			plan_value(builder, member.type, offset + member.offset, maybe);
			return true;
		}
	return false;
}

static bool plan_list_node(struct plan_builder *builder, struct type *type, uint64_t offset,
			   bool maybe)
{
	static const char *const links[] = {"_M_next", "_M_prev", NULL};
	return plan_node(builder, type, offset, maybe, links);
}

static bool plan_tree_node(struct plan_builder *builder, struct type *type, uint64_t offset,
			   bool maybe)
{
	static const char *const links[] = {"_M_parent", "_M_left", "_M_right", NULL};
	return plan_node(builder, type, offset, maybe, links);
}

static bool plan_hash_node(struct plan_builder *builder, struct type *type, uint64_t offset,
			   bool maybe)
{
	static const char *const links[] = {"_M_nxt", NULL};
	return plan_node(builder, type, offset, maybe, links);
}

/** A bucket: a pointer to the node before its first. */
static void build_bucket(struct plan_builder *builder, const void *data)
{
	cplus_link(builder, 0, (uint32_t)(uintptr_t)data, false);
}

static bool plan_hash_table(struct plan_builder *builder, struct type *type, uint64_t offset,
			    bool maybe)
{
	struct strobe_symbols *symbols = plan_symbols(builder);
	struct type *value = cplus_argument(symbols, type, 1);
	struct cplus_member first, buckets, count;
	if (!value || !cplus_find(symbols, type, "_M_before_begin._M_nxt", &first) ||
	    !cplus_find(symbols, type, "_M_buckets", &buckets) ||
	    !cplus_find(symbols, type, "_M_bucket_count", &count))
		return false;
	// _Hashtable_traits<true: the hash is kept in each node, ...>
	const char *traits = strstr(type->name, "_Hashtable_traits<");
	bool kept = traits && strncmp(traits + strlen("_Hashtable_traits<"), "true", 4) == 0;
	uint32_t node = instance_id(builder, "std::__detail::_Hash_node", value,
				    kept ? ", true" : ", false");
	if (!node)
		return false;
	struct text name cleanup_text = {0};
	text_printf(&name, "%s *", lens_type(plan_lens(builder), node)->name);
	uint32_t bucket = plan_own_type(builder, text_string(&name), 8, build_bucket,
					(void *)(uintptr_t)node);
	cplus_counted(builder, offset + buckets.offset, offset + count.offset, bucket, maybe);
	cplus_link(builder, offset + first.offset, node, maybe);
	return true;
}

/** Bytes that hold a value of the first argument, which begins with them. */
static struct type *storage_value(struct strobe_symbols *symbols, struct type *type,
				  uint64_t *offset)
{
	struct type *value = cplus_argument(symbols, type, 0);
	*offset = 0;
	return value && cplus_size(symbols, value) <= type->size ? value : NULL;
}

static bool plan_storage(struct plan_builder *builder, struct type *type, uint64_t offset,
			 bool maybe)
{
	uint64_t start;
	struct type *value = storage_value(plan_symbols(builder), type, &start);
	if (value)
		plan_value(builder, value, offset, maybe);
	return value != NULL;
}

static const struct cplus_place vector_places[] = {
	{"_M_impl._M_start._M_p", "[]"}, {"_M_impl._M_start", "[]"}, {NULL, NULL}};
static const struct cplus_place string_places[] = {{"_M_dataplus._M_p", ".text"}, {NULL, NULL}};
static const struct cplus_place list_places[] = {{"_M_impl._M_node._M_next", ".first"},
						 {"_M_impl._M_node._M_prev", ".last"},
						 {"_M_impl._M_head._M_next", ".first"},
						 {NULL, NULL}};
static const struct cplus_place tree_places[] = {{"_M_impl._M_header._M_parent", ".root"},
						 {"_M_impl._M_header._M_left", ".leftmost"},
						 {"_M_impl._M_header._M_right", ".rightmost"},
						 {NULL, NULL}};
static const struct cplus_place table_places[] = {
	{"_M_buckets", ".buckets"}, {"_M_before_begin._M_nxt", ".first"}, {NULL, NULL}};
static const struct cplus_place map_places[] = {{"_M_t._M_impl._M_header._M_parent", ".root"},
						{"_M_t._M_impl._M_header._M_left", ".leftmost"},
						{"_M_t._M_impl._M_header._M_right", ".rightmost"},
						{NULL, NULL}};
static const struct cplus_place unordered_places[] = {
	{"_M_h._M_buckets", ".buckets"}, {"_M_h._M_before_begin._M_nxt", ".first"}, {NULL, NULL}};
static const struct cplus_place deque_places[] = {{"_M_impl._M_map", "[]"}, {NULL, NULL}};
static const struct cplus_place node_places[] = {
	{"_M_next", ".next"}, {"_M_prev", ".prev"},   {"_M_parent", ".parent"},
	{"_M_left", ".left"}, {"_M_right", ".right"}, {"_M_nxt", ".next"},
	{NULL, NULL}};
static const struct cplus_place unique_places[] = {
	{"_M_t._M_t._M_head_impl", ".get()"}, {"_M_t._M_head_impl", ".get()"}, {NULL, NULL}};
static const struct cplus_place shared_places[] = {
	{"_M_ptr", ".get()"}, {"_M_refcount._M_pi", ".control"}, {NULL, NULL}};

const struct cplus_class cplus_libstdcxx[] = {
	{"_Vector_base", plan_vector, vector_places, NULL},
	{"vector", plan_vector, vector_places, NULL},
	{"_Bvector_base", plan_vector, vector_places, NULL},
	{"basic_string", plan_string, string_places, NULL},
	{"_List_base", plan_list, list_places, NULL},
	{"_List_node", plan_list_node, node_places, NULL},
	{"_Fwd_list_base", plan_forward_list, list_places, NULL},
	{"_Fwd_list_node", plan_list_node, node_places, NULL},
	{"_Rb_tree", plan_tree, tree_places, NULL},
	{"_Rb_tree_node", plan_tree_node, node_places, NULL},
	{"_Hashtable", plan_hash_table, table_places, NULL},
	{"_Hash_node", plan_hash_node, node_places, NULL},
	{"_Deque_base", cplus_deque_plan, deque_places, NULL},
	{"__aligned_membuf", plan_storage, NULL, storage_value},
	{"__aligned_buffer", plan_storage, NULL, storage_value},
	{"map", NULL, map_places, NULL},
	{"multimap", NULL, map_places, NULL},
	{"set", NULL, map_places, NULL},
	{"multiset", NULL, map_places, NULL},
	{"unordered_map", NULL, unordered_places, NULL},
	{"unordered_multimap", NULL, unordered_places, NULL},
	{"unordered_set", NULL, unordered_places, NULL},
	{"unordered_multiset", NULL, unordered_places, NULL},
	{"unique_ptr", NULL, unique_places, NULL},
	{"__shared_ptr", NULL, shared_places, NULL},
	{NULL, NULL, NULL, NULL},
};
