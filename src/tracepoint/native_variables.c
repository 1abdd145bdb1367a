// SPDX-License-Identifier: Apache-2.0
#include "tracepoint/native_variables.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/memory.h>
#include <time.h>

#include "base/hash.h"
#include "base/text.h"
#include "tracepoint/native_containers.h"

/** A value whose children are still to be looked at. */
struct pending {
	struct strobe_value *value;
	uint32_t id;
	uint32_t depth;
	bool watched;
};

/** Invariant: result->variables.items[id - 1] is variable `id`; identities has those that have an address. */
struct variable_walk {
	struct result *result;
	char id[33]; // the result's: another may come to stand where it stood
	struct config_limits limits;
	struct hash identities; // of address and type -> id, as a pointer
	ARRAY(struct pending) queue;
	size_t next;	  // in the queue
	uint32_t watched; // variables that belong to watches; they have a limit of their own
	int64_t until_ns;
	bool failed;
};

static int64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

struct variable_walk *variable_walk_new(struct result *result, const struct config_limits *limits)
{
	struct variable_walk *walk = calloc(1, sizeof(*walk));
	if (!walk)
		return NULL;
	walk->result = result;
	memcpy(walk->id, result->id, sizeof(walk->id));
	walk->limits = *limits;
	walk->until_ns = now_ns() + (int64_t)limits->max_process_time_ms * 1000000;
	return walk;
}

struct variable_walk *variable_walk_free(struct variable_walk *walk)
{
	if (!walk)
		return NULL;
	for (size_t i = walk->next; i < walk->queue.count; i++)
		strobe_value_close(walk->queue.items[i].value);
	array_fini(&walk->queue);
	hash_fini(&walk->identities);
	free(walk);
	return NULL;
}

bool variable_walk_fills(const struct variable_walk *walk, const struct result *result)
{
	return walk->result == result && strcmp(walk->id, result->id) == 0;
}

static const struct type *element_of(const struct type *type)
{
	return type->target ? type->target : NULL;
}

/** An array of characters with others than text in it: it ends at its first 0, and is of that to its end. */
static bool is_bytes(const struct strobe_value *value)
{
	unsigned char bytes[256];
	uint64_t address, size = strobe_value_size(value);
	bool ended = false;
	if (!strstr(strobe_value_type(value), "unsigned") &&
	    !strstr(strobe_value_type(value), "uint8_t"))
		return false; // char is for text, whatever is in it
	if (!strobe_value_address(value, &address))
		return false;
	size = strobe_memory_read(value_view(value), address, bytes,
				  size < sizeof(bytes) ? size : sizeof(bytes));
	for (uint64_t i = 0; i < size; i++) {
		ended |= !bytes[i];
		if (ended ? bytes[i] != 0 : bytes[i] < 0x20 && !strchr("\t\r\n", bytes[i]))
			return true;
	}
	return size > 0 && !bytes[0];
}

/** Text: an array of characters, or a pointer to some. */
static bool is_text(const struct strobe_value *value, const struct type *type)
{
	const struct type *element = element_of(type);
	if (!element || (type->kind != TYPE_POINTER && type->kind != TYPE_ARRAY))
		return false;
	element = type_strip(value->symbols, (struct type *)(uintptr_t)element);
	if (element->kind != TYPE_CHARACTER || element->size != 1)
		return false;
	return type->kind == TYPE_POINTER || !is_bytes(value);
}

/** What stands at an address up to its NUL, made printable; false if it cannot be read. */
static bool read_text(const struct strobe_value *value, uint64_t address, uint64_t most,
		      uint64_t limit, struct text *ret, bool *truncated)
{
	char bytes[256];
	uint64_t done = 0;
	*truncated = false;
	while (done < most) {
		size_t want = most - done < sizeof(bytes) ? (size_t)(most - done) : sizeof(bytes);
		size_t got = strobe_memory_read(value_view(value), address + done, bytes, want);
		if (got == 0 && done == 0)
			return false;
		for (size_t i = 0; i < got; i++, done++) {
			if (!bytes[i])
				return true;
			if (ret->size >= limit) {
				*truncated = true;
				return true;
			}
			text_append_char(ret, bytes[i]);
		}
		if (got < want)
			return true;
	}
	return true;
}

static const char *text_of_characters(const struct strobe_value *value, const struct type *type,
				      const struct config_limits *limits, struct arena *arena,
				      bool *truncated)
{
	struct text text cleanup_text = {0};
	uint64_t address, most = UINT64_MAX;
	bool found = type->kind == TYPE_ARRAY ? strobe_value_address(value, &address)
					      : strobe_value_integer(value, &address) && address;
	if (type->kind == TYPE_ARRAY)
		most = strobe_value_size(value);
	if (!found || !read_text(value, address, most, limits->max_string_length, &text, truncated))
		return NULL;
	return arena_copy_string(arena, text_string(&text), text.size);
}

/** NULL if its text cannot be read. */
static const char *text_of_container(const struct strobe_value *value,
				     const struct container *container,
				     const struct config_limits *limits, struct arena *arena,
				     bool *truncated)
{
	struct text text cleanup_text = {0};
	if (container->kind == CONTAINER_SEQUENCE)
		return arena_printf(arena, "Size: %llu", (unsigned long long)container->count);
	if (!read_text(value, container->address, container->count, limits->max_string_length,
		       &text, truncated))
		return container->count ? NULL : "";
	return arena_copy_string(arena, text_string(&text), text.size);
}

const char *variable_text(const struct strobe_value *value, const struct config_limits *limits,
			  struct arena *arena, bool *truncated)
{
	struct strobe_format format = {
		.size = sizeof(format), .max_elements = limits->max_string_length, .max_depth = 2};
	struct type *type = value_stripped(value);
	const char *ret = NULL;
	char *text = NULL;
	struct container container;
	*truncated = false;
	if (container_see(value, &container)) {
		ret = text_of_container(value, &container, limits, arena, truncated);
		if (ret)
			return ret;
	}
	if (is_text(value, type) &&
	    (ret = text_of_characters(value, type, limits, arena, truncated)))
		return ret;
	if (type->kind == TYPE_ARRAY)
		return arena_printf(arena, "Size: %llu",
				    (unsigned long long)strobe_value_child_count(value));
	if (!format.max_elements)
		format.max_elements = 1;
	struct strobe_error *error = strobe_value_format(value, &format, &text);
	if (error) {
		ret = arena_strdup(arena, strobe_error_message(error));
		strobe_error_free(error);
		return ret;
	}
	size_t size = strlen(text);
	*truncated = size > limits->max_string_length;
	ret = arena_copy_string(arena, text, *truncated ? limits->max_string_length : size);
	free(text);
	return ret;
}

/** The number that stands for one object of one type; 0 if it has no address. */
static uint64_t identity(const struct strobe_value *value, uint64_t *address)
{
	if (!strobe_value_address(value, address) || value->bit_size)
		return 0;
	const char *type = strobe_value_type(value);
	uint64_t parts[2] = {*address, hash_bytes(type, strlen(type))};
	return hash_bytes(parts, sizeof(parts)) | 1;
}

/** A watch's variable is another's too: what it holds does not count as the watch's any more. */
static void share(struct variable_walk *walk, uint32_t id)
{
	for (size_t i = walk->next; walk->watched && i < walk->queue.count; i++)
		if (walk->queue.items[i].id == id)
			walk->queue.items[i].watched = false;
}

/** The variable of a value, made if it is new: then the value is taken over. 0 past a limit. */
static uint32_t find_or_add(struct variable_walk *walk, struct strobe_value *value, uint32_t depth,
			    bool watched)
{
	struct result *result = walk->result;
	uint64_t address = 0, key = identity(value, &address);
	uintptr_t known = key ? (uintptr_t)hash_get(&walk->identities, key) : 0;
	if (known) {
		strobe_value_close(value);
		if (!watched)
			share(walk, (uint32_t)known);
		return (uint32_t)known;
	}
	if (result->variables.count >= walk->limits.max_variables ||
	    (watched && walk->watched >= walk->limits.max_watch_vars))
		return 0;
	struct result_variable variable = {
		.type = arena_strdup(&result->arena, strobe_value_type(value)),
		.identity = address,
	};
	enum strobe_value_state state = strobe_value_state(value);
	variable.state = state == STROBE_VALUE_OPTIMIZED_OUT ? VARIABLE_OPTIMIZED_OUT
			 : state == STROBE_VALUE_UNREADABLE  ? VARIABLE_UNREADABLE
							     : VARIABLE_GOOD;
	if (variable.state == VARIABLE_GOOD)
		variable.value =
			variable_text(value, &walk->limits, &result->arena, &variable.truncated);
	else
		variable.value = variable.state == VARIABLE_OPTIMIZED_OUT ? "<optimized out>"
									  : "<unreadable>";
	uint32_t id = (uint32_t)result->variables.count + 1;
	if (!variable.type || !variable.value || !array_push(&result->variables, variable) ||
	    (key && !hash_put(&walk->identities, key, (void *)(uintptr_t)id)) ||
	    !array_push(&walk->queue, (struct pending){value, id, depth, watched})) {
		walk->failed = true;
		return 0;
	}
	walk->watched += watched;
	return id;
}

bool variable_walk_add(struct variable_walk *walk, struct strobe_value *value, const char *name,
		       bool watched, struct variable_name *ret)
{
	*ret = (struct variable_name){.name = arena_strdup(&walk->result->arena, name ? name : "")};
	ret->id = find_or_add(walk, value, 1, watched);
	return ret->id != 0;
}

/** How many children are looked at, of how many. `container` is NULL if it is none. */
static uint64_t wanted_children(const struct variable_walk *walk, const struct strobe_value *value,
				const struct container *container, uint64_t *all)
{
	struct type *type = value_stripped(value);
	uint64_t most = walk->limits.max_collection_size;
	*all = 0;
	if (container) {
		*all = container->kind == CONTAINER_SEQUENCE ? container->count : 0;
		return *all < most ? *all : most;
	}
	if (is_text(value, type) || strobe_value_state(value) == STROBE_VALUE_OPTIMIZED_OUT)
		return 0;
	if (type->kind == TYPE_POINTER) {
		uint64_t address;
		struct type *target =
			type->target ? type_strip(value->symbols, type->target) : NULL;
		if (!target || target->kind == TYPE_VOID || target->kind == TYPE_FUNCTION ||
		    !strobe_value_integer(value, &address) || address == 0)
			return 0;
	}
	*all = strobe_value_child_count(value);
	return type->kind == TYPE_ARRAY && *all > most ? most : *all;
}

/** A child and its name, in the result's arena; false if it cannot be had. */
static bool take_child(struct variable_walk *walk, const struct strobe_value *value,
		       const struct container *container, uint64_t index, const char **name,
		       struct strobe_value **ret)
{
	struct arena *arena = &walk->result->arena;
	const char *own = NULL;
	struct strobe_error *error = NULL;
	*ret = NULL;
	if (container)
		*ret = container_element(value, container, index);
	else
		error = strobe_value_child(value, index, &own, ret);
	strobe_error_free(error);
	if (!*ret)
		return false;
	*name = container ? arena_printf(arena, "[%llu]", (unsigned long long)index)
			  : arena_strdup(arena, own ? own : "");
	return true;
}

static bool add_children(struct variable_walk *walk, const struct pending *pending)
{
	struct container container;
	bool contains = container_see(pending->value, &container);
	uint64_t all,
		count = wanted_children(walk, pending->value, contains ? &container : NULL, &all);
	bool cut = count < all;
	if (pending->depth >= walk->limits.max_var_depth) {
		cut = all > 0;
		count = 0;
	}
	for (uint64_t i = 0; i < count && !walk->failed; i++) {
		struct strobe_value *child;
		struct variable_name entry = {0};
		if (!take_child(walk, pending->value, contains ? &container : NULL, i, &entry.name,
				&child))
			continue;
		entry.id = find_or_add(walk, child, pending->depth + 1, pending->watched);
		if (!entry.id) {
			strobe_value_close(child);
			cut = true;
			break;
		}
		// The array may have moved.
		if (!array_push(&walk->result->variables.items[pending->id - 1].children, entry))
			walk->failed = true;
	}
	walk->result->variables.items[pending->id - 1].truncated |= cut;
	return !walk->failed;
}

bool variable_walk_finish(struct variable_walk *walk)
{
	while (walk->next < walk->queue.count && !walk->failed) {
		struct pending pending = walk->queue.items[walk->next++];
		if (now_ns() < walk->until_ns)
			add_children(walk, &pending);
		else
			walk->result->variables.items[pending.id - 1].truncated = true;
		strobe_value_close(pending.value);
	}
	return !walk->failed;
}
