#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Snapshots relative to earlier ones, and with the files they need.

usage: relative.py WRITE_VIEW COMPARE_VIEWS TARGET
"""
import os
import shutil
import struct
import subprocess
import sys
import tempfile

from written import EMBEDDED, EXTENTS, PARENT, Cases, Writer, headers_of, notes_of, run

AS_PARENT = 2


def three_cores(target, folder):
    """Of one process, at three times."""
    names = [os.path.join(folder, name) for name in ("first", "second", "third")]
    commands = ["set debuginfod enabled off", "run", f"generate-core-file {names[0]}",
                "set var *(int*)(scattered+8192*10)=1", "set var *(int*)(scattered+8192*25)=1",
                "set var global_counter=99", f"generate-core-file {names[1]}",
                "set var *(int*)(scattered+8192*15)=1", "set var *(int*)(scattered+8192*25)=7",
                "call (void)memset(scattered+8192*30,0,4096)",
                f"generate-core-file {names[2]}", "kill"]
    subprocess.run(["gdb", "-nx", "-batch", *(x for c in commands for x in ("-ex", c)), "--args",
                    target, folder, "64"], capture_output=True, check=False, timeout=120)
    return names if all(os.path.exists(name) for name in names) else None


class Core:
    """A core's pages by address, put together with those it leaves to earlier ones."""

    def __init__(self, path, earlier=()):
        self.pages = {}
        left = []
        for name, kind, data in notes_of(path):
            if name == b"STROBE" and kind == EXTENTS:
                left += [x[:2] for x in struct.iter_unpack("<QQII", data) if x[2] == AS_PARENT]
        self.left = sum(end - start for start, end in left)
        for start, end in left:
            for at in range(start, end, 4096):
                self.pages[at] = next(c.pages[at] for c in earlier if at in c.pages)
        with open(path, "rb") as file:
            for kind, _, offset, address, size, _ in headers_of(path):
                if kind != 1:
                    continue
                for at in range(0, size, 4096):
                    file.seek(offset + at)
                    self.pages[address + at] = hash(file.read(4096))


def parent_of(path):
    return next((data[16:-1].decode() for name, kind, data in notes_of(path)
                 if name == b"STROBE" and kind == PARENT), None)


def chains(cases, writer, cores, folder):
    names = [os.path.join(folder, name) for name in ("a", "b", "c")]
    written = [writer.write(cores[0], names[0])]
    written.append(writer.write("--since", names[0], cores[1], names[1]))
    told = dict(writer.told)
    written.append(writer.write("--since", names[1], cores[2], names[2]))
    cases.check(all(written), "three snapshots, each since the one before", writer.error)
    cases.check(told["pages"] < 20 * 4096 and told["equal"] > 64 << 20 and
                os.path.getsize(names[1]) < 200 << 10, "a second one holds what changed", told)
    cases.check(parent_of(names[2]) == "b", "a parent in the same folder goes by its name",
                parent_of(names[2]))
    first = Core(names[0])
    second = Core(names[1], [first])
    third = Core(names[2], [second])
    cases.check(first.left == 0 and second.left == told["equal"], "the bytes told are those left")
    for core, built in zip(cores[1:], (second, third)):
        truth = Core(core)
        wrong = [hex(at) for at, page in truth.pages.items()
                 if built.pages.get(at, page) != page]
        cases.check(not wrong and len(built.pages) > 10000,
                    f"{os.path.basename(core)}: every page is what it was", wrong[:10])
    other = os.path.join(folder, "elsewhere")
    os.mkdir(other)
    good = writer.write("--compress", "1", "--since", names[0], cores[1], os.path.join(other, "b"))
    cases.check(good, "a compressed one", writer.error)
    good = writer.write("--since", os.path.join(other, "b"), cores[2], os.path.join(folder, "d"))
    fourth = Core(os.path.join(folder, "d"), [second])
    cases.check(good and fourth.pages == third.pages, "since a compressed one", writer.error)
    cases.check(parent_of(os.path.join(folder, "d")) == "elsewhere/b",
                "a parent below goes by its relative path")
    good = writer.write("--since", names[0], cores[1], os.path.join(other, "e"))
    cases.check(good and parent_of(os.path.join(other, "e")) == os.path.realpath(names[0]),
                "a parent elsewhere goes by its whole path")
    os.rename(names[0], names[0] + ".gone")
    good = writer.write("--since", names[1], cores[2], os.path.join(folder, "f"))
    cases.check(not good and names[0] in writer.error and not os.path.exists(folder + "/f"),
                "a missing link is named", writer.error)
    writer.write(cores[0], names[0])
    good = writer.write("--since", names[1], cores[2], os.path.join(folder, "f"))
    cases.check(not good and "not the snapshot" in writer.error, "another one under its name",
                writer.error)


def refusals(cases, writer, cores, target, folder):
    good = writer.write("--since", cores[0], cores[1], os.path.join(folder, "x"))
    cases.check(not good and "no page hashes" in writer.error, "since a plain core", writer.error)
    good = writer.write("--since", folder + "/none", cores[1], os.path.join(folder, "x"))
    cases.check(not good and "no such snapshot" in writer.error, "since nothing", writer.error)
    again = os.path.join(folder, "again")
    os.mkdir(again)
    other = three_cores(target, again)
    writer.write(other[0], os.path.join(again, "a"))
    good = writer.write("--since", os.path.join(again, "a"), cores[1], os.path.join(folder, "x"))
    cases.check(not good and "process" in writer.error, "since another process", writer.error)


def bundles(cases, writer, core, target, folder):
    """--with-files."""
    out = os.path.join(folder, "bundle")
    good = writer.write("--files", core, out)
    found = {}
    with open(out, "rb") as file:
        for name, kind, data in notes_of(out):
            if name == b"STROBE" and kind == EMBEDDED:
                offset, size, what, _ = struct.unpack_from("<QQII", data)
                build_id, path = data[24:-1].split(b"\0")
                file.seek(offset)
                found[path.decode()] = (what, build_id, file.read(size), offset)
    cases.check(good and found.get(target, (0,))[0] == 1, "the program is in it", writer.error,
                list(found))
    cases.check(any("libc.so.6" in path for path in found), "the C library is in it", list(found))
    for path, (what, build_id, content, offset) in found.items():
        with open(path, "rb") as file:
            same = file.read() == content
        cases.check(same and offset % 4096 == 0, f"{os.path.basename(path)}: byte for byte")
    ids = [x[1] for x in found.values() if x[1] and x[0] == 1]
    cases.check(len(ids) == len(set(ids)), "each once")

    source = os.path.join(folder, "split.c")
    with open(source, "w", encoding="utf-8") as file:
        file.write("#include <stdlib.h>\nint main(void) { abort(); }\n")
    built = run(["gcc", "-g", "-gsplit-dwarf", "-o", "split", "split.c"], cwd=folder)
    core = os.path.join(folder, "split.core")
    run(["gdb", "-nx", "-batch", "-ex", "run", "-ex", f"generate-core-file {core}", "-ex", "kill",
         os.path.join(folder, "split")], cwd=folder)
    good = built.returncode == 0 and writer.write("--files", core, out)
    kinds = {data[24:-1].split(b"\0")[1].decode(): struct.unpack_from("<I", data, 16)[0]
             for name, kind, data in notes_of(out) if name == b"STROBE" and kind == EMBEDDED}
    cases.check(good and any(path.endswith(".dwo") and kind == 4 for path, kind in kinds.items()),
                "split debug information is in it", writer.error, kinds)


def main():
    write_view, _, target = (os.path.abspath(path) for path in sys.argv[1:4])
    if not shutil.which("gdb"):
        print("1..0 # SKIP gdb is not installed")
        return
    cases = Cases()
    writer = Writer(write_view)
    with tempfile.TemporaryDirectory() as folder:
        cores = three_cores(target, folder)
        if not cores:
            print("1..0 # SKIP gdb writes no core here")
            return
        chains(cases, writer, cores, folder)
        refusals(cases, writer, cores, target, folder)
        bundles(cases, writer, cores[0], target, folder)
    cases.end()


main()
