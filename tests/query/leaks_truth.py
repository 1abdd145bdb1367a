#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs small programs under valgrind's leak check and under strobe, and compares the lost blocks. TAP.

usage: leaks_truth.py STROBE CC CXX C_SOURCE CXX_SOURCE

Valgrind's "definitely" and "indirectly lost" are the truth for `strobe heap PID leaks`: the same blocks, none missing, none
invented unless it is marked as guessed. Blocks are compared by size: valgrind knows what was asked for, strobe what glibc gave,
and each place in the programs asks for one size.
"""
import collections
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

STROBE, CC, CXX, C_SOURCE, CXX_SOURCE = sys.argv[1:6]
LOST = {"Leak_DefinitelyLost": "definite", "Leak_IndirectlyLost": "indirect", "Leak_PossiblyLost": "possible"}
# Where valgrind enters a cycle before it meets what leads into it, it calls both definitely lost.
ENTERED_INSIDE = {"ring_with_a_tail"}
ATTEMPTS = 3
RESULTS = []


def check(title, problem):
    RESULTS.append(problem)
    for line in str(problem or "").splitlines():
        print("#", line)
    print("not ok" if problem else "ok", len(RESULTS), "-", title, flush=True)


def given(asked):
    """Bytes that glibc gives for so many: 16 a step, less the header."""
    if asked >= 128 * 1024:  # mapped by itself, in whole pages
        return (asked + 16 + 4095) // 4096 * 4096 - 16
    return max((asked + 8 + 15) // 16 * 16 - 8, 24)


def ask_valgrind(program, name, directory):
    """{kind: Counter of sizes given}"""
    report = directory / "valgrind.xml"
    command = ["valgrind", "--leak-check=full", "--show-leak-kinds=all", "--leak-resolution=high", "--num-callers=30", "--run-libc-freeres=no",
               "--xml=yes", f"--xml-file={report}", str(program), name, "exit"]
    subprocess.run(command, check=True, capture_output=True, timeout=100)
    sizes = {kind: collections.Counter() for kind in LOST.values()}
    for error in xml.etree.ElementTree.parse(report).getroot().iter("error"):
        kind = LOST.get(error.findtext("kind"))
        if kind:
            total, blocks = int(error.findtext("xwhat/leakedbytes")), int(error.findtext("xwhat/leakedblocks"))
            direct = re.search(r"\(([\d,]+) direct", error.findtext("xwhat/text"))
            if direct:  # the others are records of their own
                total = int(direct[1].replace(",", ""))
            assert total % blocks == 0, f"{name}: blocks of several sizes at one place: {total} in {blocks}"
            sizes[kind][given(total // blocks)] += blocks
    return sizes


def ask_strobe(program, name):
    """(Counter of sizes, direct blocks, Counter of guessed ones' sizes)"""
    with subprocess.Popen([program, name], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            command = [STROBE, "heap", str(process.pid), "leaks", "--json", "--guessed", "--no-debuginfod"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
            assert done.returncode == 0, done.stderr
            answer = json.loads(done.stdout)
            sizes = {False: collections.Counter(), True: collections.Counter()}
            for group in answer["groups"]:
                if group["least_bytes"] == group["most_bytes"]:
                    sizes[group["guessed"]][group["least_bytes"]] += group["blocks"]
                else:  # one by one
                    for address in group["addresses"]:
                        sizes[group["guessed"]][size_at(process.pid, address)] += 1
            return sizes[False], answer["direct_blocks"], sizes[True]
        finally:
            process.kill()


def size_at(pid, address):
    done = subprocess.run([STROBE, "heap", str(pid), "show", address, "--json", "--no-debuginfod"], capture_output=True,
                          text=True, timeout=100, check=True)
    return json.loads(done.stdout)["size_bytes"]


def compare(program, name, directory):
    """Says what differs. A word may look like an address by chance: that is another word in another run."""
    truth = ask_valgrind(program, name, directory)
    lost = truth["definite"] + truth["indirect"]
    for _ in range(ATTEMPTS):
        ours, direct, guessed = ask_strobe(program, name)
        if not (lost - ours) & guessed:
            break
    problems = []
    if lost - ours - guessed:
        problems.append(f"missing: {dict(lost - ours - guessed)}")
    if (lost - ours) & guessed:
        problems.append(f"found, but only as guessed: {dict((lost - ours) & guessed)}")
    if ours - lost:
        problems.append(f"invented: {dict(ours - lost)}")
    if not problems and name not in ENTERED_INSIDE and direct != sum(truth["definite"].values()):
        problems.append(f"{direct} direct blocks, valgrind has {sum(truth['definite'].values())} definitely lost")
    return "\n".join(problems)


def main():
    if not shutil.which("valgrind"):
        print("1..0 # SKIP valgrind is not installed")
        return 0
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        programs = []
        for compiler, source, options in [(CC, C_SOURCE, "-O0"), (CC, C_SOURCE, "-O2"), (CXX, CXX_SOURCE, "-O1")]:
            program = directory / (pathlib.Path(source).name + options)
            subprocess.run([compiler, "-g", options, "-w", "-pthread", "-o", program, source], check=True)
            programs.append(program)
        cases = [(program, case) for program in programs
                 for case in subprocess.run([program], check=True, capture_output=True, text=True).stdout.split()]
        print(f"1..{len(cases)}")
        for program, case in cases:
            check(f"{program.name}: {case.replace('_', ' ')}", compare(program, case, directory))
    return any(RESULTS)


if __name__ == "__main__":
    sys.exit(main())
