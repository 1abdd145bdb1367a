#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`strobe diff` of two cores of SIZE MiB beside `cmp -l | wc -l`, in one run.

usage: diff.py STROBE [MIB]

The cores are written here: random bytes, of which some 20,000 single ones differ. Cmp compares files, not
address spaces, and names no pages: it does less.
"""
import os
import pathlib
import random
import struct
import subprocess
import sys
import tempfile
import time

BASE, DATA = 0x10000000, 4096


def write_core(path, pieces, size):
    """A core of one thread and one mapping."""
    note = struct.pack("<III", 5, 336, 1) + b"CORE\0\0\0\0" + bytes(32) + struct.pack("<I", 1) + bytes(300)
    header = b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 4, 62, 1, 0, 64, 0, 0, 64, 56, 2, 64, 0, 0)
    table = struct.pack("<IIQQQQQQ", 4, 0, 176, 0, 0, len(note), 0, 4)
    table += struct.pack("<IIQQQQQQ", 1, 6, DATA, BASE, 0, size, size, DATA)
    with open(path, "wb") as out:
        out.write(header + table + note)
        out.seek(DATA)
        for piece in pieces:
            out.write(piece)


def changed(pieces, chance, every):
    """The pieces with a byte in `every` changed."""
    for piece in pieces:
        data = bytearray(piece)
        for _ in range(len(data) // every):
            data[chance.randrange(len(data))] ^= 1
        yield bytes(data)


def measure(title, command):
    """The best of three runs."""
    best, peak = None, 0
    for _ in range(3):
        start = time.monotonic()
        process = subprocess.Popen(command, shell=isinstance(command, str), stdout=subprocess.DEVNULL)
        _, _, usage = os.wait4(process.pid, 0)
        process.returncode = 0
        took = time.monotonic() - start
        best = took if best is None else min(best, took)
        peak = max(peak, usage.ru_maxrss)
    print(f"{title:24} {best:8.3f} s  {peak / 1024:8.1f} MiB")


def main():
    strobe, mib = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1024
    with tempfile.TemporaryDirectory() as name:
        a, b = pathlib.Path(name) / "a.core", pathlib.Path(name) / "b.core"
        piece = [os.urandom(1 << 20) for _ in range(8)]
        pieces = [piece[i % 8] for i in range(mib)]
        write_core(a, pieces, mib << 20)
        write_core(b, changed(pieces, random.Random(1), 52000), mib << 20)
        measure("strobe diff", [strobe, "diff", "--limit", "1", a, b])
        measure("strobe diff --json", [strobe, "diff", "--json", a, b])
        measure("cmp -l | wc -l", f"cmp -l {a} {b} | wc -l")


main()
