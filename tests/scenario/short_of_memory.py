#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The N-th allocation fails, N = 1, 2, 3, ... until a run needs fewer than N: the command answers with
what it has or one line, never with a signal.

A living process runs on as it was, whatever came of it, and nothing of ours is left.

usage: short_of_memory.py STROBE SERVER FAILING_MALLOC DISTURBED [MOST]   (MOST runs a verb: then N grows faster)
"""
import os
import subprocess
import sys
import tempfile

from demo_core import ROOT, Cases, make_demo_core
from failing_ptrace import ALL, Disturbed, settled
from spinner import Command

VERBS = [["info"], ["threads"], ["bt", "--locals", "--thread", "signal"], ["modules"],
         ["print", "*session", "--frame", "1"]]
# All of Strobe's own notes.
SNAPSHOT = os.path.join(ROOT, "fuzz", "corpus", "core", "snapshot-notes")
SNAPSHOT_VERBS = [["info", "--json"], ["fds"], ["maps"], ["threads"]]


def failing_runs(strobe, library, most, words, after=lambda status: None, **how):
    """(how many runs, what was bad); `after` says what is wrong after a run."""
    bad, number, runs = [], 1, 0
    while runs < 4 * most and len(bad) < 5:
        environment = {**os.environ, "LD_PRELOAD": library, "FAIL_AT": str(number), "FAIL_TOLD": "1",
                       "DEBUGINFOD_URLS": "", **how.get("env", {})}
        done = subprocess.run([strobe, *words], capture_output=True, check=False, timeout=60, cwd=how.get("cwd"),
                              env=environment)
        runs += 1
        problem = after(done.returncode)
        if problem:
            bad.append(f"allocation {number}: {problem} (status {done.returncode}: {done.stderr.decode()[-200:]})")
        if done.returncode == 99:
            break
        if done.returncode not in (0, 1):
            bad.append(f"allocation {number}: status {done.returncode}: {done.stderr.decode()[-200:]}")
        elif done.returncode == 1 and not done.stderr.strip():
            bad.append(f"allocation {number}: failed without a word")
        number += 1 if runs < most else max(1, number // 10)
    return runs, bad


def live(cases, strobe, library, program, most):
    """Verbs for a living process: it must not notice that memory is short."""
    command = Command(strobe)
    target = Disturbed(program, "threads")
    ALL.add(target.pid)
    pid = str(target.pid)
    command.run("snap", pid, "-o", "before.core")
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps:
        address = next(int(line.split("-")[0], 16) for line in maps if "[heap]" in line)

    def after(status):
        del status
        command.run("held", "drop", "--all")
        left, wrong = settled(target), target.ask()
        files = [name for name in os.listdir(command.files) if name not in ("before.core", "a.core")]
        return " ".join(map(str, filter(None, (wrong, left, files)))) or None

    def memory():
        with open(f"/proc/{pid}/mem", "rb") as file:
            file.seek(address)
            return file.read(8)

    before = memory()

    def written(status):
        # What is there already: it may have been written, or not, but nothing else.
        return after(status) or (None if memory() == before else f"{memory().hex()}, it was {before.hex()}")

    for title, verb, check in (
            ("snap -o", ["snap", pid, "-o", "a.core", "--contents", "stacks"], after),
            ("snap --contents reachable", ["snap", pid, "-o", "a.core", "--contents", "reachable"], after),
            ("snap --no-clone", ["snap", pid, "-o", "a.core", "--contents", "stacks", "--no-clone"], after),
            ("snap --hold", ["snap", pid, "--hold", "short"], after),
            ("diff of a file and the process", ["diff", "before.core", pid, "--threads"], after),
            ("info", ["info", pid], after),
            ("mem write", ["mem", "write", pid, hex(address), before.hex(" ")], written)):
        runs, bad = failing_runs(strobe, library, most, verb, check, env=command.environment, cwd=command.files)
        cases.check(not bad, f"{title} of a living process: each of {runs} failing allocations is survived", *bad)
    target.end()
    command.end()


def main():
    strobe, server, library, program = map(os.path.abspath, sys.argv[1:5])
    most = int(sys.argv[5]) if len(sys.argv) > 5 else 40
    cases = Cases()
    with tempfile.TemporaryDirectory(prefix="strobe-memory-") as folder:
        core = make_demo_core(server, folder)
        for core, verb in [(core, verb) for verb in VERBS] + [(SNAPSHOT, verb) for verb in SNAPSHOT_VERBS]:
            runs, bad = failing_runs(strobe, library, most, [verb[0], core, *verb[1:]])
            cases.check(not bad, f"{verb[0]} of {os.path.basename(core)}: each of {runs} failing allocations is survived", *bad)
    live(cases, strobe, library, program, most)
    cases.end()


if __name__ == "__main__":
    main()
