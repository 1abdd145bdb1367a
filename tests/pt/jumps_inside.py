#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turns the address of one branch after the other into one within an instruction, and looks whether that is said. TAP on stdout.

usage: jumps_inside.py STROBE TRACES

Each such trace must have an error item at that place, and before it what the whole trace has. Only one packet is changed: most
decode to the end without any other sign of damage, since code read from the middle of an instruction soon reads as it should.
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

STROBE, TRACE = sys.argv[1], pathlib.Path(sys.argv[2]) / "calls1"
FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="strobe-inside-"))
SAMPLE = 60


def instructions():
    """Start and size of each instruction of the program, by objdump."""
    text = subprocess.run(["objdump", "-dw", "--no-show-raw-insn", TRACE / "calls"], capture_output=True, text=True, check=True).stdout
    starts = [int(start, 16) for start in re.findall(r"^ +([0-9a-f]+):\t", text, re.M)]
    return {start: end - start for start, end in zip(starts, starts[1:]) if 1 < end - start < 16}


def branches(data):
    """(offset of the packet, bytes of its address, where it goes) of each TIP while the packets can be read."""
    at, last = 0, 0
    while at < len(data):
        opcode = data[at]
        if opcode == 0x02:
            extended = data[at + 1]
            at += {0x82: 16, 0x23: 2, 0x03: 4, 0xa3: 8, 0xf3: 2}[extended]
            if extended == 0x82:
                last = 0
        elif opcode == 0 or not opcode & 1:
            at += 1
        elif opcode == 0x19:
            at += 8
        elif opcode == 0x99:
            at += 2
        elif opcode == 0x59:
            at += 2
        elif opcode & 0x1f in (0x0d, 0x11, 0x01, 0x1d):
            size = [0, 2, 4, 6, 6, 0, 8, 0][opcode >> 5]
            if size:
                mask = (1 << 8 * size) - 1
                last = last & ~mask | int.from_bytes(data[at + 1:at + 1 + size], "little")
            if opcode & 0x1f == 0x0d and size:
                yield at, size, last
            at += 1 + size
        else:
            raise AssertionError(f"packet {opcode:#x} at {at:#x}")


def items(folder):
    """All lines of a raw dump."""
    run = subprocess.run([STROBE, "trace", "dump", folder / "trace.json", "--forwards", "--all", "--raw", "--index", ""],
                         capture_output=True, text=True, check=True)
    return run.stdout.splitlines()


def main():
    for name in ("calls", "trace.json"):
        shutil.copy(TRACE / name, FOLDER)
    data, sizes = (TRACE / "calls.pt").read_bytes(), instructions()
    whole = items(TRACE)
    found = [branch for branch in branches(data) if branch[2] in sizes]
    assert len(found) > SAMPLE, len(found)
    failed = []
    for offset, size, target in found[::len(found) // SAMPLE]:
        inside = target + 1 + offset % (sizes[target] - 1)
        changed = data[:offset + 1] + (inside & (1 << 8 * size) - 1).to_bytes(size, "little") + data[offset + 1 + size:]
        (FOLDER / "calls.pt").write_bytes(changed)
        lines = items(FOLDER)
        same = next((i for i, (a, b) in enumerate(zip(lines, whole)) if a != b), len(lines))
        said = " ".join(lines[same:same + 2])
        if f"(error) branch into an instruction: 0x{inside:016x}" not in said and \
                f"(error) return to where no call came from: 0x{inside:016x}" not in said:
            failed.append(f"packet at {offset:#x}, {target:#x} + {inside - target}: {lines[same - 1:same + 2]}")
    print("1..1")
    print("\n".join(f"# {line}" for line in failed))
    print(f"{'not ok' if failed else 'ok'} 1 - each jump into an instruction is an error item where it is")
    shutil.rmtree(FOLDER)
    return bool(failed)


sys.exit(main())
