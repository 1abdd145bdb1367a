#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Arms every statement of a program by jumps, while the program's own tests run, and says which method took how many.

usage: coverage.py --build BUILD --program PROGRAM [--at PATH] [--shards N] [--modes false,record] [--same]
                   [--ignore REGEX] [--parent NAME] COMMAND...

PROGRAM has debug information; its statements are the is_stmt rows of readelf's line table. COMMAND runs its tests; {} in it, and
the environment's COVERED, stand for a script that starts PROGRAM with one shard of the statements armed: every N-th, so that
neighbours are not in each other's way. --at: the script takes this path (PROGRAM has to be elsewhere). The judge: COMMAND ends as
it does with nothing armed, and with --same prints the same lines, numbers and those that match --ignore aside. --parent: only
what a program of that name starts is armed. First each statement is armed alone, and the shares told.
"""
import argparse
import collections
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time


def statements(program):
    """Addresses of the is_stmt rows, sorted."""
    told = subprocess.run(["readelf", "-W", "--debug-dump=decodedline", program], check=True, text=True,
                          errors="replace", capture_output=True).stdout
    found = set()
    for line in told.splitlines():
        words = line.split()
        address = next((w for w in words[2:4] if w.startswith("0x")), None)
        if address and words[-1] == "x" and "END" not in words:
            found.add(int(address, 16))
    return sorted(found)


class Coverage:
    """One program, its statements, and where reports go."""

    def __init__(self, options):
        self.options = options
        self.folder = tempfile.mkdtemp(prefix="coverage-")
        tests = os.path.join(os.path.abspath(options.build), "tests", "agent")
        subprocess.run(["ninja", "-C", options.build, "tests/agent/bench_coverage",
                        "tests/agent/libcoverage_gate.so"], check=True, stdout=subprocess.DEVNULL)
        self.tool = os.path.join(tests, "bench_coverage")
        self.gate = os.path.join(tests, "libcoverage_gate.so")
        self.program = os.path.realpath(options.program)
        self.sites = os.path.join(self.folder, "sites")
        self.script = options.at or os.path.join(self.folder, os.path.basename(self.program))
        found = statements(self.program)
        with open(self.sites, "w", encoding="utf-8") as file:
            file.writelines(f"{a:x}\n" for a in found)
        print(f"{self.program}: {len(found)} statements' addresses")

    def write_script(self, mode, shard, report):
        """What stands for the program."""
        plain = start = f'exec {shlex.quote(self.program)} "$@"\n'
        if mode:
            start = (f"export STROBE_COVERAGE_GATE={self.gate}\n"
                     f"exec {self.tool} {self.sites} {report} {mode} {shard} {self.program} \"$@\"\n")
            if self.options.parent:
                start = (f'read name < /proc/$PPID/comm\n[ "$name" = {self.options.parent} ] || {plain}' + start)
        with open(self.script + ".new", "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\n" + start)
        os.chmod(self.script + ".new", 0o755)
        os.replace(self.script + ".new", self.script)

    def run(self, mode, shard):
        """(exit status, lines counted, seconds, reports) of the tests."""
        report = os.path.join(self.folder, f"report-{mode}-{shard.replace('/', '-')}")
        self.write_script(mode, shard, report)
        start = time.monotonic()
        done = subprocess.run([w.replace("{}", self.script) for w in self.options.command], check=False,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              env={**os.environ, "COVERED": self.script})
        seconds = time.monotonic() - start
        text = done.stdout.decode(errors="replace")
        with open(report + ".out", "w", encoding="utf-8") as file:
            file.write(text)
        lines = collections.Counter(re.sub(r"[0-9]+", "N", line) for line in text.splitlines()
                                    if not re.search(self.options.ignore, line))
        time.sleep(1) # the last reports
        reports = []
        if mode and os.path.exists(report):
            with open(report, encoding="utf-8") as file:
                reports = [json.loads(line) for line in file]
        return done.returncode, lines, seconds, reports

    def tell_shares(self):
        """Each alone, in processes that wait to be started."""
        kinds = collections.Counter()
        for shard in range(self.options.shards):
            report = os.path.join(self.folder, f"single-{shard}")
            subprocess.run([self.tool, self.sites, report, "single", f"{shard}/{self.options.shards}",
                            self.program, "--version"], check=False, stdin=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                           env={**os.environ, "STROBE_COVERAGE_GATE": self.gate})
            while not os.path.exists(report):
                time.sleep(0.1)
            with open(report, encoding="utf-8") as file:
                kinds.update(json.load(file)["kinds"])
        total = sum(kinds.values())
        for name, count in kinds.most_common():
            print(f"  {100 * count / total:6.2f} %  {name}")
        sys.stdout.flush()

    def judge(self):
        """All shards; how many of the runs were not as they should be."""
        shards, wrong = self.options.shards, 0
        status, wanted, seconds, _ = self.run(None, "0/1")
        _, again, _, _ = self.run(None, "0/1") if self.options.same else (0, wanted, 0, 0)
        noise = (wanted - again) + (again - wanted)
        print(f"nothing armed: {seconds:.0f} s, exit status {status}")
        for mode in self.options.modes.split(","):
            for shard in range(shards):
                got, lines, seconds, reports = self.run(mode, f"{shard}/{shards}")
                other = (wanted - lines) + (lines - wanted) if self.options.same else {}
                other = [line for line in other if line not in noise]
                good = got == status and not other and reports
                wrong += not good
                print(f"{mode} {shard}/{shards}: {'as it should' if good else 'WRONG'}, {seconds:.0f} s, "
                      f"{len(reports)} processes, {sum(r['sites'] for r in reports)} armings, "
                      f"{sum(r['hits'] for r in reports)} hits, "
                      f"{sum(r['uprobe_hits'] for r in reports)} by uprobes", *other[:9], sep="\n    ")
                sys.stdout.flush()
        return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--program", required=True)
    parser.add_argument("--at")
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--modes", default="false,record")
    parser.add_argument("--same", action="store_true")
    parser.add_argument("--parent")
    parser.add_argument("--ignore", default="$.")
    parser.add_argument("--no-shares", action="store_true")
    parser.add_argument("command", nargs="*")
    options = parser.parse_args()
    coverage = Coverage(options)
    if not options.no_shares:
        coverage.tell_shares()
    wrong = coverage.judge() if options.command else 0
    print(f"reports: {coverage.folder}" if wrong else "all as it should be")
    if not wrong:
        shutil.rmtree(coverage.folder)
    return wrong != 0


if __name__ == "__main__":
    sys.exit(main())
