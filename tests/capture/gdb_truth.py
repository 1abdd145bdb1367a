# SPDX-License-Identifier: Apache-2.0
"""Runs inside gdb: prints what gdb knows of a core of truth_target, as one line of JSON."""
import json

import gdb

GENERAL = ["rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13",
           "r14", "r15", "rip", "eflags", "fs_base", "gs_base", "orig_rax", "mxcsr", "fctrl"]


def number(text):
    """A value as a number without a sign."""
    return int(gdb.parse_and_eval(text)) & 0xffffffffffffffff # flags too, which cannot be cast


def attempt(function, *arguments):
    """The value, or why there is none."""
    try:
        return function(*arguments)
    except gdb.error as error:
        return f"error: {error}"


def vector(index):
    """A vector register's bytes in hexadecimal, the highest first."""
    try:
        value = gdb.parse_and_eval(f"$ymm{index}.v32_int8")
        count = 32
    except gdb.error:
        value = gdb.parse_and_eval(f"$xmm{index}.v16_int8")
        count = 16
    return "".join(f"{int(value[i]) & 255:02x}" for i in reversed(range(count)))


def memory(address, size):
    """Bytes in hexadecimal."""
    return bytes(gdb.selected_inferior().read_memory(address, size)).hex()


def dump():
    """Everything."""
    result = {"threads": {}}
    for thread in gdb.selected_inferior().threads():
        thread.switch()
        tid = thread.ptid[1] or thread.ptid[2]
        result["threads"][tid] = {
            "registers": {name: attempt(number, f"${name}") for name in GENERAL},
            "vectors": [attempt(vector, i) for i in range(16)],
            "x87": [attempt(lambda i=i: f"{gdb.parse_and_eval(f'$st{i}')}") for i in range(8)],
            "tls_word": attempt(number, "tls_word"),
            "tls_zeros": attempt(lambda: str(gdb.parse_and_eval("tls_zeros"))),
            "stack": attempt(memory, number("$rsp") & ~7, 1024),
        }
    result["words"] = attempt(lambda: str(gdb.parse_and_eval("global_words")))
    result["text"] = attempt(lambda: gdb.parse_and_eval("global_text").string())
    result["auxv"] = attempt(lambda: gdb.execute("info auxv", to_string=True))
    result["files"] = attempt(lambda: gdb.execute("info proc mappings", to_string=True))
    result["siginfo"] = attempt(lambda: str(gdb.parse_and_eval("$_siginfo.si_signo")))
    print("TRUTH " + json.dumps(result))


dump()
