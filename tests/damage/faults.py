#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Faults outside Strobe: elfutils crashes or spins, files are cut short while they are read.

faults.py STROBE LIBRARY: LIBRARY is faulty.c, to be preloaded. Every run must end with exit status 1
and one line that names the file. Tells TAP.
"""
import os
import shutil
import subprocess
import sys
import tempfile

from damage import make_core, verb_line

TIME_LIMIT = 60


def run(argv, library, settings):
    environment = dict(os.environ, LD_PRELOAD=library, **settings)
    return subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          errors="replace", stdin=subprocess.DEVNULL, env=environment,
                          timeout=TIME_LIMIT)


class Tests:
    def __init__(self, strobe, library, folder):
        self.strobe, self.library, self.folder = strobe, library, folder
        self.number = self.failed = 0
        self.program, self.core = make_core(folder)

    def check(self, name, verb, settings, file, words):
        """One run of `verb`: status 1, one line, which names `file` and says `words`."""
        problem = None
        try:
            done = run(verb_line(self.strobe, verb, self.core), self.library, settings)
            lines = done.stderr.splitlines()
            start = "strobe: %s: %s: " % (" ".join(verb[:2]) if verb[0] == "mem" else verb[0], file)
            if done.returncode != 1:
                problem = "exit status %d, stderr %r" % (done.returncode, done.stderr[:300])
            elif len(lines) != 1 or not lines[0].startswith(start) or words not in lines[0]:
                problem = "stderr is %r" % done.stderr[:300]
        except subprocess.TimeoutExpired:
            problem = "did not end within %d s" % TIME_LIMIT
        self.number += 1
        self.failed += bool(problem)
        if problem:
            print("# " + problem)
        print("%s %d - %s" % ("not ok" if problem else "ok", self.number, name))

    def check_cut(self, name, verb, file, mapped):
        """`file` is cut after it has been mapped for the `mapped`th time; it is put back then."""
        kept = os.path.join(self.folder, "kept")
        shutil.copy2(file, kept)
        self.check(name, verb, {"CUT": file, "CUT_AT": str(mapped)}, file, "cut short")
        shutil.copy2(kept, file)


def main():
    strobe, library = (os.path.abspath(path) for path in sys.argv[1:3])
    with tempfile.TemporaryDirectory(prefix="strobe-faults-") as folder:
        tests = Tests(strobe, library, os.path.realpath(folder))
        if tests.core is None:
            print("1..0 # SKIP no core file appeared: kernel.core_pattern is %s"
                  % open("/proc/sys/kernel/core_pattern").read().strip())
            return 0
        for fault, words in (("segv", "SIGSEGV"), ("abort", "SIGABRT"), ("fpe", "SIGFPE"),
                             ("loop", "took too long")):
            tests.check("elfutils: " + fault, ["bt", "--locals"],
                        {"FAULT": fault, "FAULT_SIZE": str(os.path.getsize(tests.program))},
                        tests.program, words)
        for verb in (["info"], ["bt"], ["maps"], ["regs"], ["mem", "search", "--text", "second"],
                     ["print", "first"]):
            tests.check_cut("the core is cut short under " + " ".join(verb), verb, tests.core, 1)
        tests.check_cut("the program is cut short under bt", ["bt"], tests.program, 1)
        tests.check_cut("the same when libelf has it", ["bt"], tests.program, 2)
        tests.check_cut("the same under sym", ["sym", "main"], tests.program, 2)
        print("1..%d" % tests.number)
        return 1 if tests.failed else 0


if __name__ == "__main__":
    sys.exit(main())
