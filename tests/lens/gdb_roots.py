# SPDX-License-Identifier: Apache-2.0
"""Run by gdb (compare_roots.py): what gdb knows of the variables of all frames, and of those that ROOTS names, as JSON."""
import json
import os

import gdb


def bare_type(value):
    kind = value.type.strip_typedefs().code
    return "reference" if kind in (gdb.TYPE_CODE_REF, gdb.TYPE_CODE_RVALUE_REF) else "other"


def look(value):
    if value.is_optimized_out:
        return None
    told = {"size": int(value.type.sizeof), "kind": bare_type(value), "address": None, "word": None}
    try:
        if told["kind"] == "reference":
            told["word"] = int(value.referenced_value().address)
            told["size"] = 8
            return told
        value.fetch_lazy()
        if value.address is not None:
            told["address"] = int(value.address)
        elif value.type.strip_typedefs().code in (gdb.TYPE_CODE_INT, gdb.TYPE_CODE_PTR):
            told["word"] = int(value) & ((1 << (8 * told["size"])) - 1)
    except gdb.error:
        return None
    return told


def frame_variables(frame):
    try:
        block = frame.block()
    except RuntimeError:
        return
    while block is not None:
        for symbol in block:
            if not (symbol.is_variable or symbol.is_argument):
                continue
            if symbol.addr_class in (gdb.SYMBOL_LOC_STATIC, gdb.SYMBOL_LOC_UNRESOLVED, gdb.SYMBOL_LOC_CONST):
                continue
            try:
                told = look(frame.read_var(symbol, block))
            except (gdb.error, RuntimeError):
                continue
            if told:
                yield symbol.name, told
        if block.function:
            return
        block = block.superblock


def main():
    variables, named = [], {}
    for thread in gdb.selected_inferior().threads():
        thread.switch()
        frame, level = gdb.newest_frame(), 0
        while frame is not None:
            frame.select()
            for name, told in frame_variables(frame):
                variables.append([thread.ptid[1], level, name, told])
            frame, level = frame.older(), level + 1
    with open(os.environ["ROOTS"], encoding="utf-8") as names:
        for name in names.read().split("\n"):
            try:
                value = gdb.parse_and_eval(f"'{name}'" if ":" in name else name)
                named[name] = [int(value.address), int(value.type.sizeof)]
            except (gdb.error, TypeError):
                pass
    with open(os.environ["TOLD"], "w", encoding="utf-8") as out:
        json.dump({"variables": variables, "named": named}, out)


main()
