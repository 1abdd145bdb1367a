#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Bundles written as perf.data are read by perf script and by us: each address must be the same. TAP.

usage: compare_perf.py WRITE_PERF LIST_ADDRESSES TRACES
"""
import os
import shutil
import subprocess
import sys
import tempfile

CASES = [("rings of threads", "threads2", "thread"),
         ("rings of CPUs, cut by context switches", "mcpu", "cpu"),
         ("snapshots that overlap", "threads2", "snapshot"),
         ("a pipe", "threads2", "pipe")]
COUNTS = {5001: 306791, 5002: 306129}


def by_thread(lines):
    """{tid: [address, ...]}"""
    found = {}
    for line in lines:
        words = line.split()
        if len(words) == 2 and words[0].isdigit():
            found.setdefault(int(words[0]), []).append(int(words[1], 16))
    return found


def perf_addresses(path):
    """What perf's own decoder says."""
    pipe = path.endswith("pipe")
    with open(path, "rb") as data:
        done = subprocess.run(["perf", "script", "-i", "-" if pipe else path, "--itrace=i1i", "-F", "tid,ip"],
                              input=data.read() if pipe else b"", capture_output=True, check=False)
    return by_thread(done.stdout.decode().splitlines()), done.stderr.decode()


def compare(path, list_addresses):
    """Problems, none if all is the same."""
    truth, complaints = perf_addresses(path)
    done = subprocess.run([list_addresses, path], capture_output=True, text=True, check=False)
    ours = by_thread(done.stdout.splitlines())
    problems = [] if done.returncode == 0 else [done.stderr.strip()]
    if {tid: len(addresses) for tid, addresses in truth.items()} != COUNTS:
        problems.append("perf: " + str({t: len(a) for t, a in truth.items()}) + " " + complaints[-300:])
    for tid, expected in truth.items():
        got = ours.get(tid, [])
        if got == expected:
            continue
        at = next((i for i, (a, b) in enumerate(zip(got, expected)) if a != b), min(len(got), len(expected)))
        problems.append(f"thread {tid}: {len(got)} instructions, perf {len(expected)}; first other at {at}")
    return problems


def main():
    write_perf, list_addresses, traces = sys.argv[1:4]
    print(f"1..{len(CASES)}")
    for number, (title, folder, mode) in enumerate(CASES, 1):
        if not shutil.which("perf"):
            print(f"ok {number} - {title} # SKIP perf is not installed")
            continue
        with tempfile.TemporaryDirectory() as scratch:
            path = os.path.join(scratch, mode)
            bundle = os.path.join(traces, "synth", folder, "trace.json")
            subprocess.run([write_perf, bundle, path, mode], check=True)
            problems = compare(path, list_addresses)
        for problem in problems:
            print("#", problem.replace("\n", " "))
        print("not ok" if problems else "ok", number, "-", title)


if __name__ == "__main__":
    main()
