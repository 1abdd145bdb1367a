#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Finds files of more than 800 lines and functions of more than 70. TAP on stdout.

usage: check_length.py SOURCE_ROOT

What is longer for a reason stands in tools/long.txt, as "PATH reason" or "PATH:FUNCTION reason";
a line there that is no longer needed fails too.
"""
import pathlib
import re
import sys

FILE_LINES, FUNCTION_LINES = 800, 70
FOLDERS = ("src", "include", "tests", "examples", "fuzz", "bench")


def functions(lines):
    """(name, number of lines) of each function, by the kernel style's braces in column one."""
    start = None
    for number, line in enumerate(lines):
        if line == "{":
            start = number
        elif line.startswith("}") and start is not None:
            head = start - 1
            while head > 0 and lines[head - 1] and not lines[head - 1].startswith(
                    ("}", "//", " *", "/*", "#")):
                head -= 1
            before = " ".join(lines[head:start])
            name = re.search(r"(\w+)\s*\(", before)
            if name and not before.rstrip().endswith("="): # not a table
                yield name.group(1), number - head + 1
            start = None


def too_long(root):
    """{path or path:function: number of lines} of everything over the limits."""
    found = {}
    for path in sorted(p for f in FOLDERS for p in (root / f).rglob("*.[ch]")):
        name = path.relative_to(root).as_posix()
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        if len(lines) > FILE_LINES:
            found[name] = len(lines)
        for function, count in functions(lines):
            if count > FUNCTION_LINES:
                found[f"{name}:{function}"] = count
    return found


def main():
    root = pathlib.Path(sys.argv[1])
    excused = set()
    for line in (root / "tools" / "long.txt").read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            place, reason = line.split(None, 1)
            assert reason
            excused.add(place)
    found = too_long(root)
    surplus = {place: count for place, count in found.items() if place not in excused}
    print("1..2")
    for place, count in surplus.items():
        print(f"# {place}: {count} lines")
    print("not ok" if surplus else "ok", "1 - no file or function is longer than it should be")
    stale = sorted(excused - set(found))
    for place in stale:
        print(f"# {place} is in tools/long.txt, but not long")
    print("not ok" if stale else "ok", "2 - tools/long.txt lists nothing that is short")
    return 1 if surplus or stale else 0


if __name__ == "__main__":
    sys.exit(main())
