#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the heap says of redis-server, and what jemalloc in it says of itself. TAP on stdout.

usage: redis.py HEAP_SUMS [KEYS]

jemalloc counts as allocated what the program has, what threads keep in their caches, and what it gave to itself (the
caches' stacks). The same sum of our blocks must be its sum to the byte, if nothing happened in between.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "scenario"))
from demo_core import Cases  # noqa: E402

ATTEMPTS = 5


def sums(program, pid):
    """{state: (blocks, bytes)} of jemalloc; damages."""
    done = subprocess.run([program, str(pid)], text=True, capture_output=True, check=True)
    states = {m[1]: (int(m[2]), int(m[3])) for m in re.finditer(r"^jemalloc (\w+) (\d+) (\d+)$", done.stdout, re.M)}
    return states, int(re.search(r"^damage (\d+)$", done.stdout, re.M)[1]), done.stdout


class Redis:
    """A server that nobody else talks to."""

    def __init__(self, folder):
        self.socket = os.path.join(folder, "s")
        self.server = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", self.socket, "--save", "", "--appendonly", "no", "--hz", "1",
             "--dynamic-hz", "no", "--dir", folder], stdout=subprocess.DEVNULL)
        while not os.path.exists(self.socket):
            time.sleep(0.02)
            if self.server.poll() is not None:
                raise SystemExit("redis-server ended")

    def ask(self, *words, stdin=None):
        return subprocess.run(["redis-cli", "-s", self.socket, *words], text=True, input=stdin, capture_output=True,
                              check=True).stdout

    def allocated(self):
        """jemalloc's stats.allocated as the server's timer last asked for it, while nobody was connected."""
        time.sleep(1.3)
        return int(re.search(r"^allocator_allocated:(\d+)", self.ask("info", "memory"), re.M)[1])

    def metadata(self):
        told = self.ask("memory", "malloc-stats")
        return int(re.search(r"^Allocated: \d+, active: \d+, metadata: (\d+)", told, re.M)[1])

    def stop(self):
        self.server.kill()
        self.server.wait()


def fill(redis, keys):
    commands = []
    for i in range(keys):
        commands.append(f"SET key:{i} {'v' * (i % 97 + 1)}\r\n")
        if i % 10 == 0:
            commands.append(f"RPUSH list:{i % 1000} {i}\r\n")
            commands.append(f"HSET hash:{i % 500} f{i} {'x' * (i % 300 + 1)}\r\n")
        if i % 1000 == 0:
            commands.append(f"SET large:{i} {'L' * 40000}\r\n")
    for i in range(0, keys, 7): # holes in slabs
        commands.append(f"DEL key:{i}\r\n")
    redis.ask("--pipe", stdin="".join(commands))


def check(cases, program, redis, keys):
    fill(redis, keys)
    metadata = redis.metadata()
    best = None
    for _ in range(ATTEMPTS):
        told = redis.allocated()
        time.sleep(0.1) # the client that asked is gone
        states, damages, text = sums(program, redis.server.pid)
        # The stacks of caches are in its "allocated", and in our books beside whole blocks of metadata.
        stacks = states["books"][1] % (2 << 20)
        difference = abs(told - states["allocated"][1] - states["cached"][1] - stacks)
        if best is None or difference < best[0]:
            best = (difference, told, stacks, states, damages, text)
        if not difference:
            break
    difference, told, stacks, states, damages, text = best
    print(f"# jemalloc: {told} allocated; ours: {states['allocated'][1]}, {states['cached'][1]} in caches, {stacks} of "
          f"their stacks; difference {difference}")
    cases.check(damages == 0, "no damage", text)
    cases.check(states["allocated"][0] > keys, "every key has blocks", states)
    cases.check(difference <= 4096, "allocated bytes agree with jemalloc's own", told, stacks, text)
    cases.check(metadata <= states["books"][1] + (1 << 20), "its own memory is in the books", metadata, states)


def main():
    program, keys = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 50000
    for tool in ("redis-server", "redis-cli"):
        if not shutil.which(tool):
            print(f"1..0 # SKIP {tool} is not installed")
            return 0
    linked = subprocess.run(["ldd", shutil.which("redis-server")], text=True, capture_output=True, check=False).stdout
    if "jemalloc" not in linked:
        print("1..0 # SKIP this redis-server is not linked with libjemalloc")
        return 0
    cases = Cases()
    with tempfile.TemporaryDirectory() as folder:
        redis = Redis(folder)
        try:
            check(cases, program, redis, keys)
        finally:
            redis.stop()
    return cases.end()


sys.exit(main())
