// SPDX-License-Identifier: Apache-2.0
// DWARF expressions and location lists as we read them. Surroundings answer from the input's own
// tail; the whole input serves as a section of location lists, too.
#include <string.h>

#include "symbols/expression.h"
#include "symbols/location.h"

struct input {
	const uint8_t *data;
	size_t size, used;
};

static bool take(struct input *input, void *buffer, size_t size)
{
	if (input->size - input->used < size)
		return false;
	memcpy(buffer, input->data + input->used, size);
	input->used += size;
	return true;
}

static bool get_register(void *data, unsigned number, void *buffer, size_t *size, uint64_t *address)
{
	if (number > 40 || *size < 8)
		return false;
	*size = 8;
	*address = number & 1 ? 0x7fff0000 : 0;
	return take(data, buffer, 8);
}

static bool get_number(void *data, uint64_t *ret)
{
	return take(data, ret, 8);
}

static bool get_tls(void *data, uint64_t offset, uint64_t *ret)
{
	*ret = offset + 0x10000;
	return data != NULL;
}

static size_t read_memory(void *data, uint64_t address, void *buffer, size_t size)
{
	return address % 7 && take(data, buffer, size) ? size : 0;
}

static bool get_entry_value(void *data, const uint8_t *expression, size_t size, uint64_t *ret)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < size; i++)
		sum += expression[i];
	*ret = sum;
	return data != NULL;
}

/** Looks up in the list at byte 2 on, in the form and at the address that byte 1 chooses. */
static void find_location(const uint8_t *data, size_t size)
{
	const uint8_t *bytes;
	size_t length;
	if (size < 2)
		return;
	const struct unit unit = {.version = 2 + data[0] % 4,
				  .address_size = data[0] & 0x40 ? 4 : 8,
				  .offset_size = data[0] & 0x20 ? 8 : 4,
				  .split = data[0] & 0x10,
				  .low_pc = 0x1000,
				  .addr = data,
				  .addr_size = size,
				  .loclists = data + 1,
				  .loclists_size = size - 1,
				  .loclists_base = data[1] & 7};
	if (location_list_find(&unit, data[1], data[0] & 0x80, data[1] * 16, &bytes, &length) &&
	    length > 0 && (bytes < data || bytes + length > data + size))
		__builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	find_location(data, size);
	size_t expression_size = data[0] < size - 1 ? data[0] : size - 1;
	struct input input = {data + 1 + expression_size, size - 1 - expression_size, 0};
	const struct expression_context context = {
		.data = &input,
		.bias = 0x1000,
		.get_register = get_register,
		.get_cfa = get_number,
		.get_frame_base = get_number,
		.get_tls = get_tls,
		.get_object_address = get_number,
		.read_memory = read_memory,
		.get_entry_value = get_entry_value,
	};
	struct location location;
	expression_evaluate(&context, data + 1, expression_size, &location);
	location_fini(&location);
	expression_evaluate_with(&context, data + 1, expression_size, 0x7fff0100, &location);
	location_fini(&location);
	return 0;
}
