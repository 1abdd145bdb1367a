#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Cores and minidumps of hostile shapes: no byte in them is wrong, there is only too much of it.

shapes.py STROBE: a step that is quadratic in anything of a file shows here. Tells TAP.
"""
import os
import struct
import subprocess
import sys
import tempfile
import time

COUNT = 20000
TIME_LIMIT = 20  # seconds a run; linear ones take well under one
PAGE = 4096
CODE, STACK = 0x400000, 0x7F0000000000
VERBS = [["info"], ["bt"], ["maps"], ["modules"]]


def note(kind, data):
    return struct.pack("<III4s4x", 5, len(data), kind, b"CORE") + data + bytes(-len(data) % 4)


def thread(tid):
    status = bytearray(336)
    struct.pack_into("<I", status, 32, tid)
    struct.pack_into("<Q", status, 112 + 16 * 8, CODE + 16)
    struct.pack_into("<Q", status, 112 + 19 * 8, STACK + 256)
    return note(1, bytes(status))


def files(entries):
    """NT_FILE of (start, end, path)."""
    ranges = b"".join(struct.pack("<QQQ", start, end, 0) for start, end, _ in entries)
    paths = b"".join(path + b"\0" for _, _, path in entries)
    return note(0x46494C45, struct.pack("<QQ", len(entries), PAGE) + ranges + paths)


def core(segments, notes, data=bytes(PAGE)):
    """A core of (address, memory size, offset in `data`), all with a page in the file."""
    count = len(segments) + 1
    notes_at = 64 + 56 * count + 64
    data_at = (notes_at + len(notes) + PAGE - 1) & -PAGE
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 4, 62, 1, 0, 64, 64 + 56 * count, 0,
                         64, 56, min(count, 0xFFFF), 64, 1, 0)
    table = struct.pack("<IIQQQQQQ", 4, 4, notes_at, 0, 0, len(notes), 0, 4)
    table += b"".join(struct.pack("<IIQQQQQQ", 1, 5, data_at + offset, address, 0, PAGE, size, PAGE)
                      for address, size, offset in segments)
    many = struct.pack("<IIQQQQIIQQ", 0, 0, 0, 0, 0, 0, 0, count, 0, 0)  # PN_XNUM
    before = header + table + many + notes
    return before + bytes(data_at - len(before)) + data


def elf_page():
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 3, 62, 1, 0, 64, 0, 0, 64, 56, 1, 0,
                         0, 0)
    return (header + struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, PAGE, PAGE, PAGE)).ljust(PAGE, b"\0")


def minidump():
    """All its memory lies beyond its end."""
    ranges = b"".join(struct.pack("<QII", CODE + PAGE * i, PAGE, 0x7F000000 + i)
                      for i in range(COUNT))
    return (struct.pack("<IIIIIIQ", 0x504D444D, 0xA793, 1, 32, 0, 0, 0) +
            struct.pack("<III", 5, 4 + len(ranges), 44) + struct.pack("<I", COUNT) + ranges)


def shapes():
    numbers = range(COUNT)
    apart = [(CODE + 2 * PAGE * i, PAGE, 0) for i in numbers]
    modules = [(start, start + size, b"/nonexistent/%d" % start) for start, size, _ in apart]
    same = [(start, start + size, b"/nonexistent/x") for start, size, _ in apart]
    nested = [(CODE + PAGE * i, CODE + PAGE * (2 * COUNT - i), b"/nonexistent/%d" % i)
              for i in numbers]
    both = [(CODE, PAGE, 0), (STACK, PAGE, 0)]
    one = thread(1)
    yield "segments within each other", core([(CODE + PAGE * i, PAGE * 2 * (COUNT - i), 0)
                                              for i in numbers], one)
    yield "segments that touch", core([(CODE + PAGE * i, PAGE, 0) for i in numbers], one)
    yield "segments beyond the end", core([(CODE + PAGE * i, PAGE, 1 << 40) for i in numbers], one)
    yield "modules", core(apart, one + files(modules), elf_page())
    yield "modules of one name", core(apart, one + files(same), elf_page())
    yield "files within each other", core(both, one + files(nested), elf_page())
    yield "threads", core(both, b"".join(thread(i + 1) for i in numbers), elf_page())
    yield "threads of one number", core(both, one * COUNT, elf_page())
    yield "a minidump's memory", minidump()


def run(strobe, verb, path):
    started = time.time()
    try:
        done = subprocess.run([strobe, *verb, path], stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=TIME_LIMIT)
    except subprocess.TimeoutExpired:
        return "did not end within %d s" % TIME_LIMIT, TIME_LIMIT
    wrong = None if done.returncode in (0, 1) else "exit status %d" % done.returncode
    return wrong, time.time() - started


def main():
    strobe = os.path.abspath(sys.argv[1])
    number = failed = 0
    with tempfile.TemporaryDirectory(prefix="strobe-shapes-") as folder:
        path = os.path.join(folder, "core")
        for name, content in shapes():
            with open(path, "wb") as file:
                file.write(content)
            runs = [(verb[0], *run(strobe, verb, path)) for verb in VERBS]
            wrong = ["%s: %s" % (verb, why) for verb, why, _ in runs if why]
            number += 1
            failed += bool(wrong)
            print("# " + ", ".join("%s %.2f s" % (verb, seconds) for verb, _, seconds in runs))
            for line in wrong:
                print("# " + line)
            print("%s %d - %d %s" % ("not ok" if wrong else "ok", number, COUNT, name))
    print("1..%d" % number)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
