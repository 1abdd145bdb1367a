// SPDX-License-Identifier: Apache-2.0
// The kernel's own types: where a member of one of its structures is.
#include <linux/btf.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "uprobe/bpf.h"

enum { TYPE_LIMIT = 1 << 21, NESTING_LIMIT = 8 };

struct types {
	const uint8_t *bytes;
	uint64_t size;
	const char *strings;
	uint64_t strings_size;
	const struct btf_type **by_id; // [0] is void
	uint32_t count;
};

/** Bytes that follow a type; UINT64_MAX if it is of a kind that is not known. */
static uint64_t extra_size(const struct btf_type *type)
{
	uint64_t count = BTF_INFO_VLEN(type->info);
	switch (BTF_INFO_KIND(type->info)) {
	case BTF_KIND_INT:
	case BTF_KIND_VAR:
	case 17: // BTF_KIND_DECL_TAG
		return 4;
	case BTF_KIND_ARRAY:
		return sizeof(struct btf_array);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		return count * sizeof(struct btf_member);
	case BTF_KIND_ENUM:
		return count * sizeof(struct btf_enum);
	case BTF_KIND_FUNC_PROTO:
		return count * sizeof(struct btf_param);
	case BTF_KIND_DATASEC:
		return count * sizeof(struct btf_var_secinfo);
	case 19: // BTF_KIND_ENUM64
		return count * 12;
	case BTF_KIND_PTR:
	case BTF_KIND_FWD:
	case BTF_KIND_TYPEDEF:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_CONST:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_FUNC:
	case 16: // BTF_KIND_FLOAT
	case 18: // BTF_KIND_TYPE_TAG
		return 0;
	default:
		return UINT64_MAX;
	}
}

static const char *name_of(const struct types *types, uint32_t offset)
{
	return offset < types->strings_size ? types->strings + offset : "";
}

static bool list_types(struct types *types)
{
	uint64_t at = 0;
	types->by_id = calloc(TYPE_LIMIT, sizeof(*types->by_id));
	types->count = 1;
	while (types->by_id && at + sizeof(struct btf_type) <= types->size &&
	       types->count < TYPE_LIMIT) {
		const struct btf_type *type = (const void *)(types->bytes + at);
		uint64_t extra = extra_size(type);
		if (extra > types->size - at - sizeof(*type))
			return false;
		types->by_id[types->count++] = type;
		at += sizeof(*type) + extra;
	}
	return types->by_id != NULL;
}

static const struct btf_type *strip(const struct types *types, uint32_t id)
{
	for (unsigned i = 0; i < NESTING_LIMIT && id < types->count && types->by_id[id]; i++) {
		const struct btf_type *type = types->by_id[id];
		unsigned kind = BTF_INFO_KIND(type->info);
		if (kind != BTF_KIND_TYPEDEF && kind != BTF_KIND_CONST && kind != BTF_KIND_VOLATILE)
			return type;
		id = type->type;
	}
	return NULL;
}

static bool is_structure(const struct btf_type *type)
{
	return type && (BTF_INFO_KIND(type->info) == BTF_KIND_STRUCT ||
			BTF_INFO_KIND(type->info) == BTF_KIND_UNION);
}

/** The member called `name` (`size` bytes), also in members without a name. */
static const struct btf_type *find_member(const struct types *types, const struct btf_type *type,
					  const char *name, size_t size, uint32_t *bits,
					  unsigned depth)
{
	const struct btf_member *members = (const void *)(type + 1);
	for (unsigned i = 0; i < BTF_INFO_VLEN(type->info); i++) {
		const char *called = name_of(types, members[i].name_off);
		const struct btf_type *inner = strip(types, members[i].type), *found;
		uint32_t offset = BTF_INFO_KFLAG(type->info)
					  ? BTF_MEMBER_BIT_OFFSET(members[i].offset)
					  : members[i].offset;
		if (strncmp(called, name, size) == 0 && !called[size]) {
			*bits += offset;
			return inner ? inner : type;
		}
		uint32_t deeper = *bits + offset;
		if (!*called && is_structure(inner) && depth < NESTING_LIMIT &&
		    (found = find_member(types, inner, name, size, &deeper, depth + 1))) {
			*bits = deeper;
			return found;
		}
	}
	return NULL;
}

static bool find_path(const struct types *types, const char *structure, const char *member,
		      uint32_t *ret)
{
	const struct btf_type *type = NULL;
	uint32_t bits = 0;
	for (uint32_t id = 1; id < types->count && !type; id++)
		if (is_structure(types->by_id[id]) && BTF_INFO_VLEN(types->by_id[id]->info) &&
		    strcmp(name_of(types, types->by_id[id]->name_off), structure) == 0)
			type = types->by_id[id];
	for (size_t size; *member && type; member += size + (member[size] == '.')) {
		size = strcspn(member, ".");
		type = is_structure(type) ? find_member(types, type, member, size, &bits, 0) : NULL;
	}
	*ret = bits / 8;
	return type != NULL;
}

bool btf_offset(const char *structure, const char *member, uint32_t *ret)
{
	struct file *file = NULL;
	struct strobe_error *error = file_open("/sys/kernel/btf/vmlinux", &file);
	bool found = false;
	if (error) {
		strobe_error_free(error);
		return false;
	}
	const struct btf_header *header = (const void *)file->data;
	if (file->size > sizeof(*header) && header->magic == BTF_MAGIC &&
	    (uint64_t)header->hdr_len + header->type_off + header->type_len <= file->size &&
	    (uint64_t)header->hdr_len + header->str_off + header->str_len <= file->size &&
	    header->str_len &&
	    file->data[header->hdr_len + header->str_off + header->str_len - 1] == 0) {
		struct types types = {
			.bytes = file->data + header->hdr_len + header->type_off,
			.size = header->type_len,
			.strings = (const char *)file->data + header->hdr_len + header->str_off,
			.strings_size = header->str_len,
		};
		found = list_types(&types) && find_path(&types, structure, member, ret);
		free(types.by_id);
	}
	file_close(file);
	return found;
}
