// SPDX-License-Identifier: Apache-2.0
// A library that comes and goes: see lively.cc.
#include <stdint.h>

uint64_t guest_function(uint64_t number);
uint64_t guest_function(uint64_t number)
{
	return number * 7 + 3;
}
