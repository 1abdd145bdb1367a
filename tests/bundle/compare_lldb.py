#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What is saved is loaded by LLDB, which finds the same addresses in it as we do. TAP.

usage: compare_lldb.py SAVE_TRACE LIST_ADDRESSES TRACES
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

LLDB = "lldb-22"
# Title, bundle, part (thread, first, last), whether LLDB finds all: of CPUs it hands out whole PSBs, and so
# loses what is not at their borders.
CASES = [("all of one thread", "calls1/trace.json", None, True),
         ("two threads", "threads2/trace.json", None, True),
         ("shared objects", "dso/trace.json", None, True),
         ("a part", "calls6/trace.json", ("4242", "700000", "730000"), True),
         ("a part at the end", "threads2/trace.json", ("5002", "300000", "306000"), True),
         ("CPUs", "mcpu/trace.json", None, False),
         ("a part of CPUs", "mcpu/trace.json", ("5001", "100000", "150000"), False),
         ("a kernel", "mcpu/trace_kernel.json", None, True)]
ADDRESS = re.compile(r"^ +\d+: (0x[0-9a-f]{16})$")


def lldb_addresses(folder, threads):
    """Addresses by thread, in the order of threads, and all that was printed."""
    command = [LLDB, "--no-lldbinit", "-b", "-o", f"trace load {folder}/trace.json"]
    for index in range(1, threads + 1):
        command += ["-o", f"script print('thread {index}')",
                    "-o", f"thread trace dump instructions {index} --raw --forwards --count 10000000"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    found = []
    for line in done.stdout.splitlines():
        match = ADDRESS.match(line)
        if line.startswith("thread #"):
            found.append([])
        elif match and found:
            found[-1].append(int(match[1], 16))
    return found, done.stdout[-400:] + done.stderr[-400:]


def our_addresses(list_addresses, folder):
    done = subprocess.run([list_addresses, folder], capture_output=True, text=True, check=True)
    found = {}
    for line in done.stdout.splitlines():
        tid, address = line.split()
        found.setdefault(tid, []).append(int(address, 16))
    return list(found.values())


def compare(folder, list_addresses, exact):
    ours = our_addresses(list_addresses, folder)
    theirs, output = lldb_addresses(folder, len(ours))
    if len(theirs) != len(ours):
        return [f"LLDB shows {len(theirs)} threads of {len(ours)}: {output}"]
    problems = []
    for index, (mine, other) in enumerate(zip(ours, theirs)):
        # LLDB loses the last instruction of a trace that is cut, and follows no code it does not have.
        if exact and mine != other and mine[:-1] != other and mine[:len(other)] != other:
            problems.append(f"thread {index}: {len(mine)} addresses, LLDB {len(other)}")
        if exact and len(other) < len(mine) - 40:
            problems.append(f"thread {index}: LLDB has only {len(other)} of {len(mine)}")
        if not other:
            problems.append(f"thread {index}: LLDB shows nothing: {output}")
    return problems


def main():
    save_trace, list_addresses, traces = sys.argv[1:4]
    print(f"1..{len(CASES)}")
    for number, (title, bundle, part, exact) in enumerate(CASES, 1):
        if not shutil.which(LLDB):
            print(f"ok {number} - {title} # SKIP lldb is not installed")
            continue
        with tempfile.TemporaryDirectory() as scratch:
            folder = os.path.join(scratch, "saved")
            subprocess.run([save_trace, os.path.join(traces, "synth", bundle), folder, *(part or ())],
                           check=True, stdout=subprocess.DEVNULL)
            problems = compare(folder, list_addresses, exact)
        for problem in problems:
            print("#", problem.replace("\n", " "))
        print("not ok" if problems else "ok", number, "-", title)


if __name__ == "__main__":
    main()
