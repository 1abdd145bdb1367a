# SPDX-License-Identifier: Apache-2.0
"""Measures reachable snapshots of a process that holds much more than its threads do.

Rows of bench.py's part "reachable". STROBE_BENCH_GIB="4" chooses how much the process holds.
"""
import os
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
SIZES = [float(size) for size in os.environ.get("STROBE_BENCH_GIB", "4").split()]
ROUNDS = int(os.environ.get("STROBE_BENCH_ROUNDS", "3"))
MIB = 1 << 20
NODES = 36000  # a thread: with their texts, 5 MiB


def bench_one(bench, program, gib, size):
    """One process; blocks of 1 MiB, or of 200 bytes."""
    path = bench.path("reachable.core")
    with subprocess.Popen([program, str(int(gib * 1024)), size, str(NODES)], stdout=subprocess.PIPE, text=True) as process:
        try:
            pid = process.stdout.readline().strip()
            seconds, cpu, peak = None, 0.0, 0
            for _ in range(ROUNDS):
                told = subprocess.run([bench.path("measure"), bench.strobe, "snap", pid, "--contents", "reachable", "--force",
                                       "--no-fsync", "-o", path], check=True, text=True, capture_output=True).stdout.split()
                if told[0] != "0":
                    raise RuntimeError(f"strobe snap: exit {told[0]}")
                if seconds is None or float(told[1]) < seconds:
                    seconds, cpu = float(told[1]), float(told[3])
                peak = max(peak, int(told[2]) / 1024)
            written = os.path.getsize(path) / MIB
            name = f"reachable: {gib:g} GiB in {size} blocks, threads hold 20 MiB"
            bench.row(name, f"{seconds:.2f} s, the stop included; {cpu:.2f} s of CPU, {peak:.0f} MiB of its own", "", "2 s", seconds < 2)
            bench.row(name, f"{written:.1f} MiB", "", "40 MiB", written < 40)
        finally:
            process.kill()
    os.unlink(path)


def bench_reachable(bench):
    """All rows of reachable snapshots."""
    program = bench.path("reachable")
    subprocess.run(["gcc", "-g", "-O1", "-D_GNU_SOURCE", "-w", "-pthread", "-o", program,
                    os.path.join(HERE, "..", "tests", "scenario", "reachable.c")], check=True)
    for gib in SIZES:
        for size in ("large", "small"):
            bench_one(bench, program, gib, size)
