#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures Strobe against gdb, memmem and lldb side by side, in one run.

usage: bench.py --build BUILD [--write] [stacks|names|scale|sparse|search|capture|graph|reachable|parity|trace ...]

--write puts the table into docs/performance.md. Programs and cores are kept in BUILD/bench.
"""
import argparse
import os
import resource
import signal
import struct
import subprocess
import sys
import time

from capture import bench_capture
from graph import bench_graph
from reachable import bench_reachable
from trace import bench_trace, write_section

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
ROUNDS = 5
GDB = ["gdb", "-nx", "-batch", "-iex", "set debuginfod enabled off", "-iex", "set auto-load no"]

PYTHON_WORK = """
import json, re, threading, time
def wait(n):
    if n == 0:
        time.sleep(1000)
    return json.dumps({'x': wait(n - 1)}) + re.sub('x', lambda m: wait(n - 1), 'x')
for n in range(7):
    threading.Thread(target=wait, args=(10 + n,), daemon=True).start()
sorted([2, 1], key=lambda v: wait(20))
"""


class Bench:
    """Where things are, and the rows of the table so far."""

    def __init__(self, build):
        self.strobe = os.path.join(os.path.abspath(build), "strobe")
        self.folder = os.path.join(os.path.abspath(build), "bench")
        self.rows = []
        self.failed = False
        os.makedirs(self.folder, exist_ok=True)
        for name in ("measure", "memmem"):
            subprocess.run(["gcc", "-O2", "-o", self.path(name), os.path.join(HERE, name + ".c")],
                           check=True)

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def measure(self, command, rounds=ROUNDS):
        """(best seconds, peak MiB) of a command, its files in the cache."""
        best, peak = None, 0
        for _ in range(rounds + 1):
            told = subprocess.run([self.path("measure"), *command], check=True, text=True,
                                  capture_output=True).stdout.split()
            if told[0] not in ("0", "1"): # 1: nothing found
                sys.exit(f"bench: {' '.join(command)}: exit {told[0]}")
            seconds = float(told[1])
            if best is None:
                best = seconds * 10  # the first round warms the cache
                if seconds > 60:
                    rounds = 1
            best, peak = min(best, seconds), max(peak, int(told[2]) / 1024)
        return best, peak

    def row(self, name, ours, theirs, wanted, good):
        """Adds and prints a row of the table."""
        self.failed = self.failed or not good
        self.rows.append((name, ours, theirs, wanted, "yes" if good else "**no**"))
        print(f"{name:34} {ours:28} {theirs:28} {wanted:26} {'ok' if good else 'MISSED'}")
        sys.stdout.flush()


def make_core(folder, command, seconds=None, deep=False):
    """Runs a command until it dies (or for some seconds, then kills it); the core's path."""
    os.makedirs(folder, exist_ok=True)
    core = os.path.join(folder, "core")
    if os.path.exists(core):
        return core

    def limits():
        hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
        resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
        if deep:
            hard = resource.getrlimit(resource.RLIMIT_STACK)[1]
            resource.setrlimit(resource.RLIMIT_STACK, (hard, hard))

    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          preexec_fn=limits) as process:
        if seconds:
            time.sleep(seconds)
            process.send_signal(signal.SIGABRT)
        process.wait(timeout=120)
    left = [name for name in os.listdir(folder) if name.startswith("core")]
    if not left:
        sys.exit("bench: no core file: core_pattern leads elsewhere")
    os.rename(os.path.join(folder, left[0]), core)
    return core


def make_big(bench):
    """(program, core) with 200 MiB or more of debug information."""
    big = bench.path("big", "big")
    if not os.path.exists(big):
        print("building the program with 200 MiB of debug information")
        subprocess.run([sys.executable, os.path.join(HERE, "make_big.py"), bench.path("big")],
                       check=True)
    return big, make_core(bench.path("big-core"), [big])


def make_packed(bench, big):
    """The same program, its debug sections compressed, without .debug_aranges."""
    packed = bench.path("big", "packed")
    if not os.path.exists(packed):
        subprocess.run(["objcopy", "--compress-debug-sections=zlib", "-R", ".debug_aranges", big,
                        packed], check=True)
    return packed


def stack_programs(bench):
    """(name, program, core) of what `bt` is measured on."""
    yield ("python3.11, 8 threads", "/usr/bin/python3.11",
           make_core(bench.path("python"), ["/usr/bin/python3.11", "-S", "-c", PYTHON_WORK], 2))
    threads = bench.path("threads")
    subprocess.run(["gcc", "-g", "-O2", "-pthread", "-o", threads,
                    os.path.join(ROOT, "tests", "parity", "programs", "threads.c")],
                   check=True)
    yield "1,000 threads", threads, make_core(bench.path("threads-core"), [threads])
    big, core = make_big(bench)
    yield "216 MiB of debug information", big, core
    yield "the same compressed, no .debug_aranges", make_packed(bench, big), core


def against_gdb(bench, name, ours, theirs):
    """A row of two commands, that of gdb measured once warm."""
    ours = bench.measure(ours)
    theirs = bench.measure(theirs, 1)
    bench.row(name, f"{ours[0]:.3f} s, {ours[1]:.0f} MiB", f"gdb {theirs[0]:.3f} s, {theirs[1]:.0f} MiB",
              f"5 x faster, half: {theirs[0] / ours[0]:.1f} x, {ours[1] / theirs[1]:.2f}",
              theirs[0] >= 5 * ours[0] and ours[1] <= theirs[1] / 2)


def bench_stacks(bench):
    """All threads' stacks with locals, against gdb."""
    for name, program, core in stack_programs(bench):
        against_gdb(bench, f"`bt --locals`: {name}",
                    [bench.strobe, "bt", core, "--locals", "--exe", program],
                    [*GDB, "-ex", "thread apply all bt full", program, core])


def bench_names(bench):
    """One expression, for which a name must be found among all units."""
    big, core = make_big(bench)
    for expression in ("ready", "sizeof(struct u9_record_7)"):
        against_gdb(bench, f"`print {expression}`: 216 MiB of debug information",
                    [bench.strobe, "print", core, expression],
                    [*GDB, "-ex", f"print {expression}", big, core])


def write_many_mappings(path, count):
    """A core of one thread with `count` mappings of a page each, counted by section 0."""
    header = b"\x7fELF\2\1\1" + bytes(9) + struct.pack(
        "<HHIQQQIHHHHHH", 4, 62, 1, 0, 128, 64, 0, 64, 56, 0xffff, 64, 1, 0)
    section = struct.pack("<IIQQQQIIQQ", 0, 0, 0, 0, 0, 0, 0, count, 0, 0)
    first = (128 + 56 * count + 4095) // 4096 * 4096
    with open(path, "wb") as out:
        out.write(header + section)
        for i in range(count):
            out.write(struct.pack("<IIQQQQQQ", 1, 4 + i % 2 * 2, first + 4096 * i,
                                  0x10000000 + 4096 * i, 0, 4096, 4096, 4096))
        for i in range(count):
            out.seek(first + 4096 * i)
            out.write(struct.pack("<Q", i))
        out.truncate(first + 4096 * count)


def alone(bench, name, command):
    """A row of ours alone."""
    seconds, peak = bench.measure(command, 2)
    bench.row(name, f"{seconds:.3f} s, {peak:.0f} MiB", "", "", True)


def bench_scale(bench):
    """Many frames, many mappings, many threads."""
    program = bench.path("deep")
    subprocess.run(["gcc", "-g", "-O0", "-o", program, os.path.join(HERE, "deep.c")], check=True)
    core = make_core(bench.path("deep-core"), [program], deep=True)
    alone(bench, "`bt`: 1,000,000 frames", [bench.strobe, "bt", core])
    alone(bench, "`bt --locals`: 1,000,000 frames", [bench.strobe, "bt", core, "--locals"])
    core = bench.path("mappings")
    write_many_mappings(core, 70000)
    for verb in ("info", "maps"):
        alone(bench, f"`{verb}`: 70,000 mappings", [bench.strobe, verb, core])
    os.unlink(core)
    with open(os.path.join(ROOT, "tests", "parity", "programs", "threads.c"),
              encoding="utf-8") as file:
        text = file.read().replace("COUNT = 1000 ", "COUNT = 10000 ").replace("64 * 1024", "16384")
    program = bench.path("threads10k")
    subprocess.run(["gcc", "-g", "-O2", "-pthread", "-xc", "-o", program, "-"], input=text,
                   text=True, check=True)
    core = make_core(bench.path("threads10k-core"), [program])
    alone(bench, "`threads`: 10,000 threads", [bench.strobe, "threads", core])
    alone(bench, "`bt --locals`: 10,000 threads", [bench.strobe, "bt", core, "--locals"])


def write_sparse_core(path, size):
    """A core of one thread with one segment of `size` bytes that are never written."""
    registers = struct.pack("<27Q", *([0] * 27))
    status = struct.pack("<iiih2xQQiiii", 11, 0, 0, 11, 0, 0, 100, 1, 100, 100)
    status += bytes(64) + registers + struct.pack("<i4x", 0)
    note = struct.pack("<III8s", 5, len(status), 1, b"CORE") + status
    header = b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 4, 62, 1, 0, 64, 0, 0, 64,
                                                       56, 2, 0, 0, 0)
    segments = struct.pack("<IIQQQQQQ", 4, 0, 4096, 0, 0, len(note), 0, 4)
    segments += struct.pack("<IIQQQQQQ", 1, 6, 8192, 0x10000000000, 0, size, size, 4096)
    with open(path, "wb") as out:
        out.write(header + segments)
        out.seek(4096)
        out.write(note)
        out.truncate(8192 + size)


def bench_sparse(bench):
    """`info` on a core far larger than memory."""
    core = bench.path("sparse")
    write_sparse_core(core, 64 << 30)
    seconds, peak = bench.measure([bench.strobe, "info", core])
    bench.row("`info`: sparse core of 64 GiB", f"{seconds * 1000:.1f} ms, {peak:.0f} MiB", "",
              "50 ms, 64 MiB", seconds < 0.05 and peak < 64)
    os.unlink(core)


def bench_search(bench):
    """`mem search` against memmem over the same bytes."""
    core, size = bench.path("search"), 1 << 30
    write_sparse_core(core, size)
    words = b"the quick brown fox jumps over the lazy dog; 0x00000000 strobe\0\0\n"
    block = (words * (1 << 16))[: 1 << 20]
    with open(core, "r+b") as out:
        out.seek(8192)
        for number in range(size >> 20):
            out.write(block[number:] + block[:number])
    info = bench.measure([bench.strobe, "info", core])[0]
    for name, text, arguments in (
            ("a rare text", "needle in here", ["--text", "needle in here"]),
            ("a text with common letters", "the quiet", ["--text", "the quiet"]),
            ("bytes under a mask", "\x01\x02\x7e\x04", ["--bytes", "01 02 ?? 04"]),
            ("an aligned integer", "\x01\x02\x7e\x04", ["--int", "0x047e0201"]),
            ("a regular expression", "needle ", ["--regex", "needle [0-9]+ here"])):
        theirs, seconds, peak = 1e9, 1e9, 0
        for _ in range(ROUNDS): # by turns: both meet the same machine
            told = subprocess.run([bench.path("memmem"), core, text], check=True, text=True,
                                  capture_output=True).stdout.split()
            mine = bench.measure([bench.strobe, "mem", "search", core, *arguments], 1)
            theirs = min(theirs, float(told[1]))
            seconds, peak = min(seconds, mine[0]), max(peak, mine[1])
        ours = seconds - info
        bench.row(f"`mem search`: 1 GiB, {name}", f"{1 / ours:.2f} GiB/s, {peak:.0f} MiB",
                  f"memmem {1 / theirs:.2f} GiB/s", f"half: {theirs / ours:.2f}",
                  ours <= 2 * theirs)
    os.unlink(core)


def bench_parity(bench):
    """The whole comparison with gdb."""
    done = subprocess.run([sys.executable, os.path.join(ROOT, "tests", "parity", "compare.py"),
                           bench.strobe], check=False)
    bench.failed = bench.failed or done.returncode != 0


def machine():
    """One line about the machine."""
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        model = next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), "?")
    return f"{os.cpu_count()} x {model}, Linux {os.uname().release}"


def write_table(bench):
    """docs/performance.md, between its markers."""
    path = os.path.join(ROOT, "docs", "performance.md")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    head, rest = text.split("<!-- table -->\n")
    tail = rest.split("<!-- end -->")[1]
    table = f"Measured on {machine()}.\n\n| what | Strobe | against | wanted: reached | met |\n"
    table += "|---|---|---|---|---|\n"
    table += "".join("| " + " | ".join(row) + " |\n" for row in bench.rows)
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"{head}<!-- table -->\n{table}<!-- end -->{tail}")


def main():
    parts = {"stacks": bench_stacks, "names": bench_names, "scale": bench_scale,
             "sparse": bench_sparse, "search": bench_search, "capture": bench_capture, "graph": bench_graph, "reachable": bench_reachable,
             "parity": bench_parity, "trace": bench_trace}
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default=os.path.join(ROOT, "build"))
    parser.add_argument("--write", action="store_true")
    parser.add_argument("parts", nargs="*")
    options = parser.parse_args()
    for part in options.parts:
        if part not in parts:
            sys.exit(f"bench: no part '{part}'; there are: {' '.join(parts)}")
    bench = Bench(options.build)
    for part in options.parts or ["stacks", "names", "scale", "sparse", "search"]:
        parts[part](bench)
    if options.write and options.parts == ["trace"]:
        write_section(bench.rows, machine())
    elif options.write:
        write_table(bench)
    sys.exit(1 if bench.failed else 0)


if __name__ == "__main__":
    main()
