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
    if told[0] != "0":
        raise RuntimeError(f"{' '.join(command)}: exit {told[0]}")
    return float(told[1]), int(told[2]) / 1024


def synced(path):
    """How long it takes until a file is on the disk."""
    start = time.monotonic()
    run("sync", path)
    return time.monotonic() - start


def disk_bytes(path):
    """What a file takes on the disk."""
    return os.stat(path).st_blocks * 512


class Writes:
    """What is written of one target, by everybody, in turns: the machine is not the same all the time."""

    def __init__(self, bench, pid):
        self.bench, self.pid = bench, pid
        self.ours, self.packed = bench.path("ours.core"), bench.path("packed.core")
        self.theirs, self.zst = f"{bench.path('plain.core')}.{pid}", bench.path("plain.core.zst")
        self.zeros = bench.path("zeros")
        self.seconds, self.peak, self.sizes = {}, {"plain": 0, "compressed": 0}, {}

    def note(self, what, seconds):
        """The best counts."""
        self.seconds[what] = min(seconds, self.seconds.get(what, seconds))

    def snap(self, what, path, *options):
        """One of ours."""
        seconds, peak = timed(self.bench, [self.bench.strobe, "snap", str(self.pid), "--force", *options, "-o", path],
                              [path])
        self.note(what, seconds)
        kind = "compressed" if "--compress" in options else "plain"
        self.peak[kind] = max(self.peak[kind], peak)

    def turn(self):
        """Everything once."""
        self.snap("strobe", self.ours)
        self.sizes["ours"] = disk_bytes(self.ours)
        gcore = timed(self.bench, ["gcore", "-o", self.bench.path("plain.core"), str(self.pid)], [self.theirs])[0]
        self.note("gcore", gcore)
        self.note("gcore, sync", gcore + synced(self.theirs))
        self.sizes["theirs"] = disk_bytes(self.theirs)
        self.snap("strobe --no-fsync", self.ours, "--no-fsync")
        self.snap("strobe --compress", self.packed, "--compress")
        zstd = timed(self.bench, ["zstd", "-q", "-f", "-1", "-T2", self.theirs, "-o", self.zst], [self.zst])[0]
        self.note("gcore, zstd", gcore + zstd)
        self.note("gcore, zstd, sync", gcore + zstd + synced(self.zst))
        self.sizes["packed"], self.sizes["zst"] = os.path.getsize(self.packed), os.path.getsize(self.zst)
        self.snap("strobe --compress --no-fsync", self.packed, "--compress", "--no-fsync")
        self.note("dd", timed(self.bench, ["dd", "if=/dev/zero", f"of={self.zeros}", "bs=1M", "conv=fsync",
                                           "status=none", f"count={max(self.sizes['ours'] // MIB, 1)}"],
                              [self.zeros])[0])

    def end(self):
        """Removes all files."""
        for path in (self.ours, self.packed, self.theirs, self.zst, self.zeros):
            if os.path.exists(path):
                os.unlink(path)


def bench_disk(bench, gib, kind):
    """The time to disk, against dd and gcore; the size and time of --compress. Against peers that reach the
    disk as Strobe does, with nobody waiting for the disk, and with Strobe alone waiting for it."""
    target = Target(bench, gib, 4, kind)
    writes, name = Writes(bench, target.pid), f"{gib:g} GiB, {kind}"
    try:
        for _ in range(ROUNDS):
            writes.turn()
        took, sizes = writes.seconds, writes.sizes
        rate = sizes["ours"] / took["strobe"] / MIB
        dd_rate = max(sizes["ours"] // MIB, 1) / took["dd"]
        bench.row(f"to disk: {name}", f"{took['strobe']:.2f} s, {rate:.0f} MiB/s", f"dd {dd_rate:.0f} MiB/s",
                  f"80 %: {100 * rate / dd_rate:.0f} %", rate >= 0.8 * dd_rate)
        factor = 0.5 if kind == "server" else 1
        for ours, theirs in (("strobe", "gcore, sync"), ("strobe --no-fsync", "gcore"), ("strobe", "gcore")):
            ratio = took[ours] / took[theirs]
            bench.row(f"to disk: {name}: `{ours}`", f"{took[ours]:.2f} s, {sizes['ours'] / MIB:.0f} MiB",
                      f"{theirs} {took[theirs]:.2f} s, {sizes['theirs'] / MIB:.0f} MiB",
                      f"{factor:g} x: {ratio:.2f} x", ratio <= factor)
        limit = 64 + target.bytes / MIB / 1000
        bench.row(f"own memory: {name}", f"{writes.peak['plain']:.0f} MiB", "",
                  f"64 MiB + 0.1 %: {limit:.0f} MiB", writes.peak["plain"] <= limit)
        for ours, theirs in (("strobe --compress", "gcore, zstd, sync"), ("strobe --compress --no-fsync", "gcore, zstd"),
                             ("strobe --compress", "gcore, zstd")):
            ratio, larger = took[theirs] / took[ours], sizes["packed"] / sizes["zst"]
            bench.row(f"`{ours}`: {name}", f"{took[ours]:.2f} s, {sizes['packed'] / MIB:.1f} MiB",
                      f"{theirs} (-1 -T2) {took[theirs]:.2f} s, {sizes['zst'] / MIB:.1f} MiB",
                      f"2 x as fast, no larger: {ratio:.1f} x, {larger:.2f}", ratio >= 2 and larger <= 1)
        bench.row(f"own memory with `--compress`: {name}", f"{writes.peak['compressed']:.0f} MiB", "",
                  f"64 MiB + 0.1 %: {limit:.0f} MiB", writes.peak["compressed"] <= limit)
    finally:
        target.end()
        writes.end()


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
