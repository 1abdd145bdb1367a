#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The N-th allocation fails, N = 1, 2, 3, ... until a run needs fewer than N: the command answers with
what it has or one line, never with a signal.

usage: short_of_memory.py STROBE SERVER FAILING_MALLOC [MOST]   (MOST runs a verb: then N grows faster)
"""
import os
import subprocess
import sys
import tempfile

from demo_core import ROOT, Cases, make_demo_core

VERBS = [["info"], ["threads"], ["bt", "--locals", "--thread", "signal"], ["modules"],
         ["print", "*session", "--frame", "1"]]
# All of Strobe's own notes.
SNAPSHOT = os.path.join(ROOT, "fuzz", "corpus", "core", "snapshot-notes")
SNAPSHOT_VERBS = [["info", "--json"], ["fds"], ["maps"], ["threads"]]


def main():
    strobe, server, library = sys.argv[1:4]
    most = int(sys.argv[4]) if len(sys.argv) > 4 else 40
    cases = Cases()
    with tempfile.TemporaryDirectory(prefix="strobe-memory-") as folder:
        core = make_demo_core(server, folder)
        for core, verb in [(core, verb) for verb in VERBS] + [(SNAPSHOT, verb) for verb in SNAPSHOT_VERBS]:
            bad, number, runs = [], 1, 0
            while runs < 4 * most:
                environment = {**os.environ, "LD_PRELOAD": library, "FAIL_AT": str(number),
                               "FAIL_TOLD": "1", "DEBUGINFOD_URLS": ""}
                done = subprocess.run([strobe, verb[0], core, *verb[1:]], capture_output=True,
                                      check=False, timeout=60, env=environment)
                runs += 1
                if done.returncode == 99:
                    break
                if done.returncode not in (0, 1):
                    bad.append(f"allocation {number}: status {done.returncode}: "
                               f"{done.stderr.decode()[-200:]}")
                elif done.returncode == 1 and not done.stderr.strip():
                    bad.append(f"allocation {number}: failed without a word")
                number += 1 if runs < most else max(1, number // 10)
            cases.check(not bad, f"{verb[0]} of {os.path.basename(core)}: each of {runs} failing allocations is survived", *bad)
    cases.end()


if __name__ == "__main__":
    main()
