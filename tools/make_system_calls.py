#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes src/view/system_calls.c from the kernel's header of system call numbers.

usage: make_system_calls.py [/usr/include/x86_64-linux-gnu/asm/unistd_64.h] > src/view/system_calls.c
"""
import re
import sys

HEAD = """// SPDX-License-Identifier: Apache-2.0
// Made by tools/make_system_calls.py from the kernel's asm/unistd_64.h.
#include <strobe/view.h>

// Numbers without a name were never given out, or are those of the x32 interface.
static const char *const names[] = {
"""
TAIL = """};

const char *strobe_system_call_name(int64_t number)
{
	int64_t count = sizeof(names) / sizeof(names[0]);
	return number >= 0 && number < count ? names[number] : NULL;
}
"""
# Newer than the headers of Debian 12: arch/x86/entry/syscalls/syscall_64.tbl of Linux 6.12.
NEWER = {"map_shadow_stack": 453, "futex_wake": 454, "futex_wait": 455, "futex_requeue": 456,
         "statmount": 457, "listmount": 458, "lsm_get_self_attr": 459, "lsm_set_self_attr": 460,
         "lsm_list_modules": 461, "mseal": 462, "uretprobe": 335, "cachestat": 451,
         "fchmodat2": 452}


def main():
    path = sys.argv[1] if len(sys.argv) > 1 else "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"
    numbers = dict(NEWER)
    with open(path, encoding="ascii") as header:
        for match in re.finditer(r"^#define __NR_(\w+) (\d+)$", header.read(), re.M):
            numbers[match.group(1)] = int(match.group(2))
    sys.stdout.write(HEAD)
    for name, number in sorted(numbers.items(), key=lambda item: item[1]):
        sys.stdout.write(f'\t[{number}] = "{name}",\n')
    sys.stdout.write(TAIL)


if __name__ == "__main__":
    main()
