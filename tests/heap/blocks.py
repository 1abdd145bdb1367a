#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Blocks of glibc's malloc, compared with the log of a program that knows its own. TAP on stdout.

usage: blocks.py SHOW_BLOCKS EXERCISE STATIC STRIPPED STROBE DAMAGE_BLOCKS

A program may be a command of several words: another glibc's loader with --library-path, say.
"""
import os
import shutil
import struct
import subprocess
import sys
import tempfile

show_blocks, exercise, static, stripped, strobe, damage_blocks = sys.argv[1:7]
number = 0
failed = 0


def result(good, name, notes=()):
    global number, failed
    number += 1
    failed += not good
    print(f"{'ok' if good else 'not ok'} {number} - {name}")
    for note in list(notes)[:12]:
        print(f"# {note}")
    sys.stdout.flush()


class Program:
    """The program, waiting."""

    def __init__(self, folder, program, arguments, environment):
        self.log = os.path.join(folder, "log")
        self.process = subprocess.Popen([*program.split(), self.log, *map(str, arguments)],
                                        stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, **environment})
        words = self.process.stdout.readline().split()
        if not words:
            raise RuntimeError(f"the program ended: {self.process.wait()}")
        self.pid = int(words[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.pid != self.process.pid:
            os.kill(self.pid, 9)
        self.process.kill()
        self.process.wait()

    def truth(self):
        """({address: usable size} of what is allocated, addresses that are free now)."""
        with open(self.log, "rb") as log:
            count = struct.unpack("<Q", log.read(8))[0]
            log.seek(16)
            words = struct.unpack(f"<{2 * count}Q", log.read(16 * count))
        live, freed = {}, set()
        for i in range(0, len(words), 2):
            address, size = words[i], words[i + 1]
            if size:
                live[address] = size
                freed.discard(address)
            else:
                live.pop(address, None)
                freed.add(address)
        return live, freed


def shown(target, *options):
    """({address: (size, state, arena)}, lines of other kinds)."""
    done = subprocess.run([show_blocks, *options, str(target)], capture_output=True, text=True,
                          check=False)
    blocks, others = {}, []
    for line in done.stdout.splitlines():
        words = line.split()
        if words[0] == "block":
            blocks[int(words[1], 16)] = (int(words[2]), words[3], words[4])
        else:
            others.append(line)
    if done.returncode:
        others.append(f"damage 0x0 0 exit status {done.returncode} {done.stderr}")
    return blocks, others


def compare(truth, target, name, *options, expect=(), damaged=False):
    live, freed = truth
    blocks, others = shown(target, *options)
    allocated = {a: b[0] for a, b in blocks.items() if b[1] == "allocated"}
    notes = [f"missing 0x{a:x} {s}: {blocks.get(a)}" for a, s in live.items() if a not in allocated]
    notes += [f"invented 0x{a:x} {s}{' (freed)' if a in freed else ''}"
              for a, s in allocated.items() if a not in live]
    notes += [f"size of 0x{a:x} is {allocated[a]}, not {s}" for a, s in live.items()
              if a in allocated and allocated[a] != s]
    notes += [line for line in others if line.startswith("broken" if damaged else ("damage", "broken"))]
    if damaged and not any(line.startswith("damage") for line in others):
        notes.append("no damage is told")
    states = {b[1] for b in blocks.values()}
    states |= {f"{n} main regions" for n in range(1, 1 + len(
        [line for line in others if line.startswith("region") and line.endswith(" main")]))}
    if any(line.startswith("allocator glibc 2.43") for line in others):
        states.add("fastbin") # it has none
    notes += [f"there is no block, or region: {state}" for state in expect if state not in states]
    if not live:
        notes.append("the log is empty")
    if notes:
        notes += [line for line in others if not line.startswith("region")]
    result(not notes, f"{name}: {len(live)} blocks", notes)
    return blocks, others


SCENARIOS = [
    # name, arguments (threads, rounds, seed, ways), environment, options, states that must occur
    ("one thread", (1, 4000, 1), {}, (), ("cached", "free", "top", "books")),
    ("one thread, no debug information", (1, 4000, 2), {}, ("--no-debug",), ("cached",)),
    ("16 threads", (16, 3000, 3), {}, (), ("cached", "fastbin", "free", "top", "books")),
    ("16 threads, half of which ended", (16, 2000, 4, "exit"), {}, ("--no-debug",), ("cached",)),
    ("24 threads in 2 arenas", (24, 1500, 5), {"MALLOC_ARENA_MAX": "2"}, (), ("cached",)),
    ("a child of fork", (8, 2000, 6, "fork"), {}, (), ("cached",)),
    ("a child of fork, 2 arenas", (8, 2000, 7, "fork"), {"MALLOC_ARENA_MAX": "2"}, (), ("cached",)),
    ("others call sbrk", (1, 6000, 8, "foreign"), {}, (), ("cached", "3 main regions")),
    ("sbrk cannot grow", (4, 3000, 9, "blocked"), {}, (), ("cached", "2 main regions")),
    ("mappings like chunks", (4, 2000, 10, "maps"), {}, (), ()),
    ("no thread caches", (4, 3000, 11), {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"}, (),
     ("fastbin",)),
    ("all in mappings", (4, 800, 12), {"GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=1024"}, (), ()),
    ("threads' caches in mappings", (4, 800, 17), {"GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=300"},
     (), ("cached", "books")),
    ("nothing in mappings", (4, 1500, 13), {"GLIBC_TUNABLES": "glibc.malloc.mmap_max=0"}, (), ()),
    ("long caches", (4, 6000, 14, "many"), {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=2000"}, (),
     ("cached",)),
    ("transparent huge pages", (4, 1500, 15), {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}, (), ()),
    ("no fast bins", (2, 4000, 16), {"GLIBC_TUNABLES": "glibc.malloc.mxfast=0"}, (), ("free",)),
]


def scenario(folder, name, program, arguments, environment, options, states):
    with Program(folder, program, arguments, environment) as running:
        compare(running.truth(), running.pid, name, *options, expect=states)


def files(folder):
    """The same from files."""
    snapshot, core = os.path.join(folder, "snapshot"), os.path.join(folder, "core")
    with Program(folder, exercise, (6, 2000, 20), {}) as running:
        truth = running.truth()
        subprocess.run([strobe, "snap", str(running.pid), "-o", snapshot], check=True,
                       stdout=subprocess.DEVNULL)
        gcore = shutil.which("gcore")
        if gcore:
            subprocess.run([gcore, "-o", core, str(running.pid)], check=True,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    compare(truth, snapshot, "a snapshot")
    if gcore:
        compare(truth, f"{core}.{running.pid}", "a core of gdb's, no debug information", "--no-debug")


def truncated(folder):
    """Ends of files missing: what is left is told, in order."""
    snapshot, part = os.path.join(folder, "whole"), os.path.join(folder, "part")
    with Program(folder, exercise, (4, 1500, 60), {}) as running:
        subprocess.run([strobe, "snap", str(running.pid), "-o", snapshot], check=True,
                       stdout=subprocess.DEVNULL)
    size, told, damaged_ones, whole_ones = os.path.getsize(snapshot), [], 0, 0
    with open(snapshot, "rb") as whole:
        content = whole.read()
    for step in range(1, 21):
        kept = int(size * (step / 20) ** 4) # most of the heap comes first
        with open(part, "wb") as file:
            file.write(content[:kept])
        done = subprocess.run([show_blocks, "--quiet", part], capture_output=True, text=True,
                              check=False, timeout=60)
        words = done.stdout.splitlines()[-1:] or [""]
        told.append(f"{kept} bytes: {done.returncode} {words[0]}{done.stderr}")
        if done.returncode not in (0, 1) or "broken" in done.stdout: # 1: it does not even open
            result(False, "truncated snapshots", told)
            return
        words = words[0].split()
        damaged_ones += len(words) > 3 and words[0] == "total" and int(words[3]) > 0
        whole_ones += len(words) > 3 and int(words[1]) > 1000 and int(words[3]) == 0
    result(damaged_ones > 0 and whole_ones > 0, "truncated snapshots", told)


def smashed(folder):
    """With zeros where the main arena's bins were."""
    for threads, how in ((1, "by symbol"), (4, "in the ring of other arenas")):
        name = f"the main arena {how}"
        with Program(folder, exercise, (threads, 2000, 40), {}) as running:
            debug = subprocess.run([show_blocks, "--smash-bins", "--quiet", str(running.pid)],
                                   capture_output=True, text=True, check=True).stdout
            if threads == 1 and "allocator" not in debug:
                result(True, f"{name} # SKIP libc has no symbols here")
                continue
            _, others = compare(running.truth(), running.pid, name, "--smash-bins", damaged=True)
            evidence = [line for line in others if line.startswith("allocator")]
            result(how in "".join(evidence), f"{name}: told", evidence)


def damaged(folder):
    """Some thousand times other words are damaged: what is visited is in order, and most is as it was."""
    snapshot = os.path.join(folder, "damaged")
    for threads, rounds in ((1, 2000), (4, 1000)):
        with Program(folder, exercise, (threads, 1500, 50), {}) as running:
            subprocess.run([strobe, "snap", str(running.pid), "-o", snapshot], check=True,
                           stdout=subprocess.DEVNULL)
        done = subprocess.run([damage_blocks, str(rounds), str(threads), snapshot],
                              capture_output=True, text=True, check=False)
        words = done.stdout.split()
        good = done.returncode == 0 and words[0] == "words"
        if good: # blocks that a damaged word makes others, and seconds
            good = int(words[3]) < 5 * int(words[1]) and float(words[-1]) < 5
        result(good, f"words damaged at random, {threads} threads", [done.stdout.strip(), done.stderr])
        print(f"# {done.stdout.strip()}")


def main():
    with tempfile.TemporaryDirectory() as folder:
        for name, arguments, environment, options, states in SCENARIOS:
            scenario(folder, name, exercise, arguments, environment, options, states)
        for name, program in (("static", static), ("stripped", stripped)):
            for threads in (1, 8):
                scenario(folder, f"{name}, {threads} threads", program, (threads, 3000, 30), {},
                         ("--no-debug",), ("cached", "free", "top", "books"))
        scenario(folder, "static, a child of fork", static, (4, 3000, 31, "fork"), {}, (), ())
        files(folder)
        truncated(folder)
        smashed(folder)
        damaged(folder)
    print(f"1..{number}")
    return 1 if failed else 0


sys.exit(main())
