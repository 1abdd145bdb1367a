#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A heap with holes everywhere: its snapshot is exact, has the holes, and takes little memory to
write. TAP on stdout.

usage: scattered.py STROBE
"""
import bisect
import os
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "scenario"))
from demo_core import Cases # pylint: disable=wrong-import-position

PAGE = 4096
SIZE, STEP, FILLED, ZERO = 160 << 20, 10 * PAGE, 4 * PAGE, PAGE
LIMIT = (64 << 20) + SIZE // 1000

HEAP = """
import mmap, sys, time
size, step, filled, zero = map(int, sys.argv[1:])
heap = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for at in range(0, size, step):
    heap[at:at + filled] = (b"piece %15d " % at * (filled // 22 + 1))[:filled]
    heap[at + filled:at + filled + zero] = bytes(zero) # a page of zeros that is there
print("ready", flush=True)
time.sleep(300)
"""


def piece(at):
    """What the heap holds there."""
    return (b"piece %15d " % at * (FILLED // 22 + 1))[:FILLED]


def peak(command):
    """Exit status, and the most memory it had in use."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = status
    return status, usage.ru_maxrss << 10


def segments(content):
    """(address, file offset, bytes in the file, in memory) of each PT_LOAD, sorted."""
    headers, sections = struct.unpack_from("<QQ", content, 32)
    size, count = struct.unpack_from("<HH", content, 54)
    if count == 0xffff: # PN_XNUM: section 0 has the number
        count = struct.unpack_from("<I", content, sections + 44)[0]
    found = []
    for i in range(count):
        kind, _, offset, address, _, stored, memory = struct.unpack_from("<IIQQQQQ", content, headers + i * size)
        if kind == 1:
            found.append((address, offset, stored, memory))
    return sorted(found)


class Memory:
    """What a core says of addresses."""

    def __init__(self, content):
        self.content = content
        self.loads = segments(content)
        self.starts = [load[0] for load in self.loads]

    def address_of(self, text):
        """Where memory holds it first."""
        offset = self.content.find(text)
        return next((load[0] + offset - load[1] for load in self.loads if load[1] <= offset < load[1] + load[2]), None)

    def read(self, address, size):
        """Bytes of as many segments as it takes; fewer where memory ends."""
        found = b""
        while len(found) < size:
            at = bisect.bisect_right(self.starts, address + len(found)) - 1
            start, offset, stored, memory = self.loads[at]
            skip = address + len(found) - start
            if at < 0 or skip >= min(stored, memory):
                break
            end = offset + min(stored, skip + size - len(found))
            found += self.content[offset + skip:end]
        return found


def is_exact(core):
    """Does a plain core hold all of the heap?"""
    with open(core, "rb") as file:
        memory = Memory(file.read())
    start = memory.address_of(piece(0))
    if start is None:
        return False
    pause = bytes(STEP - FILLED)
    last = SIZE - SIZE % STEP
    return all(memory.read(start + at, STEP) == piece(at) + pause for at in range(0, last - STEP, STEP)) and \
        memory.read(start + last - STEP, FILLED) == piece(last - STEP)


def main():
    """Plain, and compressed."""
    strobe = sys.argv[1]
    cases = Cases()
    heap = [sys.executable, "-S", "-c", HEAP, *map(str, (SIZE, STEP, FILLED, ZERO))]
    with tempfile.TemporaryDirectory() as folder, subprocess.Popen(heap, stdout=subprocess.PIPE) as target:
        target.stdout.readline()
        core, packed = os.path.join(folder, "core"), os.path.join(folder, "packed")
        snap = [strobe, "snap", str(target.pid), "--no-fsync", "-o"]
        # First, as what this process has in use would count for what it starts.
        status, used = peak([*snap, core])
        cases.check(status == 0 and used < LIMIT, "scattered pages take little memory to write", status, used)
        status, used = peak([*snap, packed, "--compress"])
        cases.check(status == 0 and used < LIMIT, "and no more compressed", status, used)
        blocks = os.stat(core).st_blocks * 512
        cases.check(blocks < SIZE * (FILLED + PAGE // 2) // STEP + (16 << 20), "zero pages are holes", blocks)
        cases.check(is_exact(core), "each page is as it was")
        with open(os.path.join(folder, "plain"), "wb") as file:
            done = subprocess.run(["zstd", "-q", "-d", "-c", packed], stdout=file, check=False)
        cases.check(done.returncode == 0 and is_exact(file.name), "zstd gives the same")
        target.kill()
    cases.end()


main()
