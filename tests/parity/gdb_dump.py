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


def labels_of(frame):
    """Labels without an address: gdb lists them as variables that are optimized out."""
    names = set()
    try:
        block = frame.block()
    except RuntimeError:
        return names
    while block is not None:
        for symbol in block:
            if symbol.addr_class == gdb.SYMBOL_LOC_OPTIMIZED_OUT \
                    and str(symbol.type) in ("__CORE_ADDR", "void"):
                names.add(symbol.name)
        if block.function is not None:
            break
        block = block.superblock
    return names


def lines_of(kind, command):
    """What `info args` and `info locals` print: the same text as in `bt full`."""
    result = []
    try:
        text = gdb.execute(command, to_string=True)
    except gdb.error:
        return result
    for line in text.split("\n"):
        name, found, value = line.partition(" = ")
        if found and name and not name.startswith(" "):
            result.append([kind, name, value])
        elif result and line:
            result[-1][2] += "\n" + line
    return result


def variables_of(frame):
    frame.select()
    labels = labels_of(frame)
    result = lines_of("argument", "info args") + lines_of("local", "info locals")
    return [each for each in result if each[1] not in labels]


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
