#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Captures of the first process of a PID namespace, as most containers have: TAP on stdout.

It would adopt what its descendants leave behind, and a clone is nobody's child elsewhere (docs/decisions/0007).

usage: init.py STROBE TARGET
"""
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

STROBE, TARGET = sys.argv[1:3]
KILLS = 40


def children(pid):
    """(id, state) of each child of `pid`."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text(encoding="utf-8", errors="replace").rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append((int(path.parent.name), fields[0]))
    return found


def strobe(*words):
    run = subprocess.run([STROBE, *map(str, words), "--json"], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


class Target:
    """One in a namespace of its own; `pid` as we see it."""

    def __init__(self):
        self.process = subprocess.Popen(["unshare", "--pid", "--fork", TARGET], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.ready = self.process.stdout.readline().strip() == "ready"
        self.pid = children(self.process.pid)[0][0] if self.ready else 0

    def end(self):
        """All that it was told."""
        return self.process.communicate("", timeout=60)[0]


def check_taken(pid, name):
    value = {one["expression"]: int(one["value"]) for one in strobe("print", name, "turns", "twin")["values"]}
    assert 0 <= value["turns"] - value["twin"] <= 1, value
    return value["turns"]


def to_a_file(pid, folder):
    """its clone is none of its children for wait, and nothing of it is left"""
    turns = []
    for _ in range(3):
        taken = strobe("snap", pid, "-o", f"{folder}/init.core")
        assert taken["method"] == "clone", taken
        assert children(pid) == [], children(pid)
        turns.append(check_taken(pid, f"{folder}/init.core"))
    assert turns == sorted(set(turns)), turns


def held(pid, _):
    """nor of one that was held"""
    assert strobe("snap", pid, "--hold", "init")["method"] == "clone"
    assert len(children(pid)) == 1
    check_taken(pid, "@init")
    subprocess.run([STROBE, "held", "drop", "init"], check=True)
    assert children(pid) == [], children(pid)


def killed(pid, folder):
    """when strobe is killed, nothing of it lives on"""
    for number in range(KILLS):
        process = subprocess.Popen([STROBE, "snap", str(pid), "-o", f"{folder}/killed.core"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(random.uniform(0, 0.1))
        process.kill()
        process.wait()
        deadline = time.monotonic() + 60
        while any(state not in "ZX" for _, state in children(pid)) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert all(state in "ZX" for _, state in children(pid)), (number, children(pid))
    check_taken(pid, pid)


def ended(strobe_held, target):
    """a copy that is held does not hold up the end of its namespace"""
    strobe("snap", target.pid, "--hold", strobe_held)
    told = target.end()
    assert not told, told
    assert target.process.returncode == 0, target.process.returncode
    deadline = time.monotonic() + 60
    while strobe("held")["held"] and time.monotonic() < deadline:
        time.sleep(0.01)
    assert strobe("held")["held"] == []


def tell(number, title, case, *arguments):
    try:
        case(*arguments)
        print(f"ok {number} - {title}")
    except (AssertionError, subprocess.SubprocessError) as problem:
        print(*(f"# {text}" for text in str(problem).splitlines()), sep="\n")
        print(f"not ok {number} - {title}")


def main():
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_RUNTIME_DIR"] = folder
        target = Target()
        if not target.ready:
            print("1..0 # SKIP a PID namespace is refused")
            return
        for number, case in enumerate((to_a_file, held, killed), 1):
            tell(number, case.__doc__, case, target.pid, folder)
        tell(4, ended.__doc__ + ", and it was told of no child", ended, "last", target)
        print("1..4")


if __name__ == "__main__":
    main()
