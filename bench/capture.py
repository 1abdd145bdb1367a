# SPDX-License-Identifier: Apache-2.0
"""Measures capture against fork(), gdb's gcore, dd and zstd, side by side in one run.

Rows of bench.py's part "capture". STROBE_BENCH_GIB="1 4 10" chooses the sizes, STROBE_BENCH_ROUNDS
how often each thing is measured (the best counts).
"""
import json
import os
import re
import shutil
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROUNDS = int(os.environ.get("STROBE_BENCH_ROUNDS", "5"))
SIZES = [float(size) for size in os.environ.get("STROBE_BENCH_GIB", "1 4 10").split()]
MIB = 1 << 20


class Target:
    """A process that tells how long it stood."""

    def __init__(self, bench, gib, threads, kind="random"):
        self.bytes = int(gib * 1024) * MIB
        self.process = subprocess.Popen([bench.path("capture_target"), str(int(gib * 1024)), str(threads), kind],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pid = int(self.process.stdout.readline())

    def ask(self, command):
        """The answer to a command, in seconds."""
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline()) / 1e9

    def stand(self, action):
        """How long it stands while `action` runs."""
        self.ask("reset")
        action()
        return self.ask("gap")

    def end(self):
        """Ends it."""
        self.process.kill()
        self.process.wait()


def build(bench):
    """The program to capture."""
    subprocess.run(["gcc", "-O2", "-pthread", "-o", bench.path("capture_target"),
                    os.path.join(HERE, "capture_target.c")], check=True)


def available_gib():
    """Memory that can be had."""
    with open("/proc/meminfo", encoding="utf-8") as file:
        return int(re.search(r"MemAvailable: +(\d+)", file.read()).group(1)) / MIB


def run(*command):
    """Runs a command that must succeed."""
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()[-300:]}")


def best(rounds, function):
    """The least of some measurements."""
    return min(function() for _ in range(rounds))


def ms(seconds):
    """Milliseconds for the table."""
    return f"{seconds * 1000:.1f} ms"


def quiet_gap(target):
    """What the machine itself makes a spinning thread wait."""
    return best(ROUNDS, lambda: target.stand(lambda: time.sleep(0.3)))


def bench_stop(bench, gib, kind):
    """The stop, against fork() and gcore."""
    target = Target(bench, gib, 4, kind)
    path = bench.path("capture.core")
    name = f"stop: {gib:g} GiB in {'huge' if kind == 'huge' else '4 KiB'} pages, 4 threads"
    try:
        quiet = quiet_gap(target)
        forked = best(ROUNDS, lambda: target.ask("fork"))
        ours = best(ROUNDS, lambda: target.stand(
            lambda: run(bench.strobe, "snap", str(target.pid), "--contents", "stacks", "-o", path)))
        ours = max(ours - quiet, 0)
        limit = 1.5 * forked + 0.0005
        bench.row(name, ms(ours), f"fork() {ms(forked)}", f"1.5 x + 0.5 ms: {ours / forked:.2f} x", ours <= limit)
        if gib <= 1 and kind != "huge":
            theirs = target.stand(lambda: run("gcore", "-o", path, str(target.pid)))
            os.unlink(f"{path}.{target.pid}")
            bench.row(name, ms(ours), f"gcore {ms(theirs)}", f"1/100: 1/{theirs / max(ours, 1e-9):.0f}",
                      ours <= theirs / 100)
    finally:
        target.end()


def bench_threads(bench):
    """The stop of a thousand threads, against gcore."""
    target = Target(bench, 0.01, 1000)
    path = bench.path("capture.core")
    try:
        quiet = quiet_gap(target)
        ours = best(ROUNDS, lambda: target.stand(
            lambda: run(bench.strobe, "snap", str(target.pid), "--contents", "stacks", "-o", path))) - quiet
        theirs = best(2, lambda: target.stand(lambda: run("gcore", "-o", path, str(target.pid)))) - quiet
        bench.row("stop: 1,000 threads", ms(ours), f"gcore {ms(theirs)}", f"1/5: 1/{theirs / ours:.1f}",
                  ours <= theirs / 5)
        os.unlink(f"{path}.{target.pid}")
    finally:
        target.end()


def timed(bench, command, remove):
    """(seconds, peak MiB) of a command; what it wrote is removed before."""
    for path in remove:
        if os.path.exists(path):
            os.unlink(path)
    os.sync()
    told = subprocess.run([bench.path("measure"), *command], check=True, text=True,
                          capture_output=True).stdout.split()
    if told[-3] != "0":
        raise RuntimeError(f"{' '.join(command)}: exit {told[-3]}")
    return float(told[-2]), int(told[-1]) / 1024


def disk_bytes(path):
    """What a file takes on the disk."""
    return os.stat(path).st_blocks * 512


def bench_disk(bench, gib, kind):
    """The time to disk, against dd and gcore; the size and time of --compress."""
    target = Target(bench, gib, 4, kind)
    ours, plain, zeros = bench.path("ours.core"), bench.path("plain.core"), bench.path("zeros")
    theirs, packed, name = f"{plain}.{target.pid}", bench.path("packed.core"), f"{gib:g} GiB, {kind}"
    rounds = max(ROUNDS // 2, 1)
    snap = [bench.strobe, "snap", str(target.pid), "--force", "-o"]
    try:
        seconds, peak = best(rounds, lambda: timed(bench, [*snap, ours], [ours]))
        size = disk_bytes(ours)
        gcore = best(rounds, lambda: timed(bench, ["gcore", "-o", plain, str(target.pid)], [theirs]))[0]
        dd = best(rounds, lambda: timed(bench, ["dd", "if=/dev/zero", f"of={zeros}", "bs=1M", "conv=fsync",
                                                "status=none", f"count={max(size // MIB, 1)}"], [zeros]))[0]
        rate, dd_rate = size / seconds / MIB, max(size // MIB, 1) / dd
        bench.row(f"to disk: {name}", f"{seconds:.2f} s, {rate:.0f} MiB/s", f"dd {dd_rate:.0f} MiB/s",
                  f"80 %: {100 * rate / dd_rate:.0f} %", kind == "server" or rate >= 0.8 * dd_rate)
        factor = 0.5 if kind == "server" else 1
        bench.row(f"to disk: {name}", f"{seconds:.2f} s, {size / MIB:.0f} MiB",
                  f"gcore {gcore:.2f} s, {disk_bytes(theirs) / MIB:.0f} MiB",
                  f"{factor:g} x: {seconds / gcore:.2f} x", seconds <= factor * gcore)
        limit = 64 + target.bytes / MIB / 1000
        bench.row(f"own memory: {name}", f"{peak:.0f} MiB", "", f"64 MiB + 0.1 %: {limit:.0f} MiB", peak <= limit)
        squeezed, peak = best(rounds, lambda: timed(bench, [*snap, packed, "--compress"], [packed]))
        zstd = best(rounds, lambda: timed(bench, ["zstd", "-q", "-f", "-1", "-T2", theirs, "-o", plain + ".zst"],
                                          [plain + ".zst"]))[0]
        mine, other = os.path.getsize(packed), os.path.getsize(plain + ".zst")
        bench.row(f"`--compress`: {name}", f"{squeezed:.2f} s, {mine / MIB:.1f} MiB",
                  f"gcore + zstd -1 -T2 {gcore + zstd:.2f} s, {other / MIB:.1f} MiB",
                  f"2 x as fast, no larger: {(gcore + zstd) / squeezed:.1f} x, {mine / other:.2f}",
                  squeezed * 2 <= gcore + zstd and mine <= other)
        bench.row(f"own memory with `--compress`: {name}", f"{peak:.0f} MiB", "", f"64 MiB + 0.1 %: {limit:.0f} MiB",
                  peak <= limit)
    finally:
        target.end()
        for path in (ours, theirs, zeros, packed, plain + ".zst"):
            if os.path.exists(path):
                os.unlink(path)


def kib(pid, file, *fields):
    """The sum of some fields of a file of /proc."""
    with open(f"/proc/{pid}/{file}", encoding="utf-8") as text:
        lines = text.read()
    return sum(int(re.search(rf"^{field}:\s+(\d+) kB", lines, re.M).group(1)) for field in fields)


def traced_by(keeper):
    """The clone that a keeper keeps."""
    threads = "|".join(os.listdir(f"/proc/{keeper}/task"))
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/status", encoding="utf-8") as file:
                if re.search(rf"^TracerPid:\t({threads})$", file.read(), re.M):
                    return int(name)
        except OSError:
            pass
    raise RuntimeError("the keeper keeps no clone")


def bench_held(bench, gib):
    """What a held copy of an idle process costs beyond its page tables."""
    target = Target(bench, gib, 4)
    hold = f"bench{os.getpid()}"
    try:
        run(bench.strobe, "snap", str(target.pid), "--hold", hold)
        told = json.loads(subprocess.run([bench.strobe, "held", "--json"], check=True, text=True,
                                         capture_output=True).stdout)
        entry = next(entry for entry in told["held"] if entry["name"] == hold)
        keeper = entry["keeper"]
        clone = traced_by(keeper)
        private = kib(clone, "smaps_rollup", "Private_Clean", "Private_Dirty")
        own = kib(keeper, "smaps_rollup", "Private_Clean", "Private_Dirty")
        tables, keeper_tables = kib(clone, "status", "VmPTE"), kib(keeper, "status", "VmPTE")
        more = (private + own + keeper_tables) / 1024
        bench.row(f"held copy: {gib:g} GiB, idle", f"{more:.1f} MiB", f"page tables {tables / 1024:.1f} MiB",
                  "12 MiB", more < 12)
    finally:
        subprocess.run([bench.strobe, "held", "drop", hold], check=False, capture_output=True)
        target.end()


def bench_capture(bench):
    """All rows of capture."""
    build(bench)
    for gib in SIZES:
        if gib * 1.3 + 1 > available_gib():
            print(f"# {gib:g} GiB: not enough memory here")
            continue
        bench_stop(bench, gib, "random")
        if gib == max(SIZES):
            bench_stop(bench, gib, "huge")
    bench_threads(bench)
    for gib in [size for size in SIZES if size <= 4]:
        free = shutil.disk_usage(bench.folder).free / MIB / 1024
        if gib * 1.3 + 1 > available_gib() or gib * 4 > free:
            print(f"# {gib:g} GiB to disk: not enough memory or room on the disk here")
            continue
        bench_disk(bench, gib, "random")
        bench_disk(bench, gib, "server")
    bench_held(bench, min(4, max(SIZES)))
