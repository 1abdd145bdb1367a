#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The N-th ptrace() call fails, N = 1, 2, 3, ... until a run needs fewer than N: whatever comes of the
snapshot, the process runs on as it was, and nothing of ours is left. TAP on stdout.

usage: failing_ptrace.py STROBE DISTURBED FAILING_PTRACE
"""
import os
import select
import shutil
import subprocess
import sys
import time

from demo_core import Cases
from spinner import Command

LIMIT = 400  # calls that one snapshot may take


class Disturbed:
    """A process that notices; see disturbed.c."""

    def __init__(self, program, kind):
        self.process = subprocess.Popen([program, kind], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.program, self.pid, self.asked = os.path.realpath(program), self.process.pid, 0
        assert self.ask() is None

    def ask(self):
        """What is wrong with it; None = nothing."""
        self.asked += 1
        try:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return f"it has ended: {self.process.wait()}"
        if not select.select([self.process.stdout], [], [], 15)[0]:
            return "it does not answer: " + self.status()
        answer = self.process.stdout.readline().strip()
        return None if answer == f"good {self.asked}" else answer or f"it has ended: {self.process.wait()}"

    def status(self):
        with open(f"/proc/{self.pid}/status", encoding="utf-8") as file:
            return " ".join(line.strip() for line in file if line.startswith(("State", "TracerPid", "SigBlk")))

    def traces(self):
        """What is left of us: a tracer, children, copies."""
        left = []
        for tid in os.listdir(f"/proc/{self.pid}/task"):
            with open(f"/proc/{self.pid}/task/{tid}/status", encoding="utf-8") as file:
                left += [f"{tid}: {line.strip()}" for line in file
                         if line.startswith("TracerPid") and line.split()[1] != "0"]
            with open(f"/proc/{self.pid}/task/{tid}/children", encoding="utf-8") as file:
                left += [f"child {child}" for child in file.read().split()]
        return left + [f"copy {pid}" for pid in copies(self)]

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def base(pid):
    """Where a process's program lies: a clone has it at the same address, nobody else does."""
    with open(f"/proc/{pid}/maps", encoding="utf-8") as file:
        return file.readline().split("-")[0]


def copies(target):
    """Clones of it that are left."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) in ALL:
            continue
        try:
            if os.path.realpath(f"/proc/{name}/exe") == target.program and base(name) == base(target.pid):
                found.append(int(name))
        except OSError:
            pass
    return found


ALL = set()


def settled(target):
    """What is left of us after a moment: a helper needs its time to exit."""
    end = time.monotonic() + 5
    while True:
        left = target.traces()
        if not left or time.monotonic() > end:
            return left
        time.sleep(0.005)


def where(pid):
    """What its threads do, as the kernel tells."""
    told = []
    for tid in os.listdir(f"/proc/{pid}/task"):
        for name in ("stat", "wchan", "syscall"):
            try:
                with open(f"/proc/{pid}/task/{tid}/{name}", encoding="utf-8") as file:
                    told.append(file.read().strip()[:80])
            except OSError as error:
                told.append(str(error))
    return told


def snapshots(cases, command, library, targets, title, words):
    bad, number = [], 1
    while number < LIMIT and len(bad) < 5:
        environment = {**command.environment, "LD_PRELOAD": library, "FAIL_AT": str(number), "FAIL_TOLD": "1"}
        process = subprocess.Popen([command.strobe, "snap", "--stop-limit", "40", "--contents", "stacks", *words],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
                                   cwd=command.files)
        try:
            output, errors = process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            bad.append(f"call {number}: no end: {where(process.pid)}; {[where(target.pid) for target in targets]}")
            process.kill()
            process.communicate()
            break
        if process.returncode not in (0, 1, 3, 99):
            bad.append(f"call {number}: status {process.returncode}: {errors[-300:]}")
        if process.returncode == 1 and not errors.strip():
            bad.append(f"call {number}: failed without a word")
        if "Sanitizer" in errors:
            bad.append(f"call {number}: {errors[-2000:]}")
        for target in targets:
            left, wrong = settled(target), target.ask()
            if left or wrong:
                bad.append(f"call {number}: {wrong or ''} {left or ''} (status {process.returncode}: "
                           f"{output.strip()} {errors.strip()})")
        if process.returncode == 99:
            break
        number += 1
    cases.check(not bad and 5 < number < LIMIT, f"{title}: each of {number - 1} failing calls is survived", *bad)


def main():
    strobe, program, library = map(os.path.abspath, sys.argv[1:4])
    cases = Cases()
    command = Command(strobe)
    for kind in ("sleeper", "spinner", "threads"):
        for words in ([], ["--no-clone"]):
            target = Disturbed(program, kind)
            ALL.add(target.pid)
            snapshots(cases, command, library, [target], " ".join([kind, *words]),
                      [str(target.pid), "-o", "x.core", *words])
            target.end()
    named = os.path.join(command.folder, f"pair{os.getpid()}")
    shutil.copy(program, named)
    pair = [Disturbed(named, "threads"), Disturbed(named, "sleeper")]
    ALL.update(target.pid for target in pair)
    snapshots(cases, command, library, pair, "two at once", ["--all-of", os.path.basename(named), "-o", "%p.core"])
    for target in pair:
        target.end()
    command.end()
    cases.end()


if __name__ == "__main__":
    main()
