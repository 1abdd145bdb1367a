# SPDX-License-Identifier: Apache-2.0
# Runs inside gdb (`gdb -nx -batch -x gdb_dump.py PROGRAM CORE`): writes what gdb knows of every
# frame as JSON to the file named by $GDB_DUMP. Values are formatted as `bt full` formats them.
import json
import os

import gdb

MAX_FRAMES = int(os.environ.get("GDB_FRAMES", "400"))

for setting in ("pagination off", "print pretty off", "print frame-arguments all",
                "print elements 200", "print repeats 10", "print max-depth 20",
                "print static-members on", "auto-load no"):
    gdb.execute("set " + setting, to_string=True)


def text_of(symbol, frame):
    try:
        value = symbol.value(frame) if symbol.needs_frame else symbol.value()
        return value.format_string(raw=True, deref_refs=True)
    except gdb.MemoryError as error:
        return "<error: %s>" % error
    except gdb.error as error:
        return "<error: %s>" % error


def variables_of(frame):
    result = []
    try:
        block = frame.block()
    except RuntimeError:
        return result
    while block is not None:
        for symbol in block:
            if symbol.is_argument:
                result.append(("argument", symbol.name, text_of(symbol, frame)))
            elif symbol.is_variable and symbol.addr_class != gdb.SYMBOL_LOC_TYPEDEF:
                result.append(("local", symbol.name, text_of(symbol, frame)))
        if block.function is not None:
            break
        block = block.superblock
    return result


threads = []
for thread in sorted(gdb.selected_inferior().threads(), key=lambda t: t.num):
    thread.switch()
    frames = []
    stop = None
    try:
        frame = gdb.newest_frame()
        while frame is not None and len(frames) < MAX_FRAMES:
            sal = frame.find_sal()
            frames.append({
                "pc": frame.pc(),
                "function": frame.name(),
                "file": sal.symtab.filename if sal.symtab else None,
                "line": sal.line if sal.symtab else 0,
                "inlined": frame.type() == gdb.INLINE_FRAME,
                "signal_frame": frame.type() == gdb.SIGTRAMP_FRAME,
                "locals": [{"kind": k, "name": n, "value": v}
                           for k, n, v in variables_of(frame)],
            })
            frame = frame.older()
    except gdb.error as error:
        stop = str(error)
    threads.append({"tid": thread.ptid[1], "frames": frames, "stop": stop})
with open(os.environ["GDB_DUMP"], "w") as out:
    json.dump({"threads": threads}, out)
