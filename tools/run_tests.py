#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs `meson test`, and tells failures, skips with their reasons, and one last line.

usage: run_tests.py BUILD_FOLDER ALLOWED_SKIPS [SUITE...]

Counts TAP cases, not programs. A program that crashes, times out or runs fewer cases than it
planned counts as one more failure. With CI=true a skip whose reason is not in ALLOWED_SKIPS
counts as failed.

Programs run side by side, and some look at times: one that fails is run once more, alone, and
that run counts. What failed in the first is told all the same, as "again".
"""
import json
import os
import re
import subprocess
import sys

TAP_LINE = re.compile(r"^(not ok|ok)\b\s*\d*\s*-?\s*(.*)$")
TAP_PLAN = re.compile(r"^1\.\.(\d+)")
SKIP = re.compile(r"#\s*skip\S*\s*(.*)$", re.I)


def read_tap(name, output):
    """The cases of one TAP program as (outcome, title, detail), and its plan."""
    cases, remarks, plan = [], [], None
    for line in output.splitlines():
        planned = TAP_PLAN.match(line)
        told = TAP_LINE.match(line)
        if planned:
            plan = int(planned.group(1))
            skip = SKIP.search(line)
            if plan == 0 and skip:
                cases.append(("skip", name, skip.group(1)))
        elif told:
            skip = SKIP.search(told.group(2))
            if skip:
                title = told.group(2)[: skip.start()].strip()
                cases.append(("skip", f"{name}: {title}", skip.group(1)))
            else:
                outcome = "pass" if told.group(1) == "ok" else "fail"
                cases.append((outcome, f"{name}: {told.group(2)}", "\n".join(remarks)))
            remarks = []
        elif line.startswith("Bail out!"):
            cases.append(("fail", f"{name}: {line}", "\n".join(remarks)))
        elif line.strip():
            remarks.append(line)
    return cases, plan


def read_program(test):
    """The cases of one test program."""
    name, output = test["name"].split(" / ")[-1], test.get("stdout") or ""
    errors = test.get("stderr") or ""
    tail = "\n".join((output + errors).splitlines()[-15:])
    result = test["result"]
    if not re.search(r"^1\.\.\d+", output, re.M):
        if result == "SKIP":
            return [("skip", name, tail.strip().splitlines()[-1] if tail.strip() else "no reason")]
        return [("pass" if result in ("OK", "EXPECTEDFAIL") else "fail", name, tail)]
    cases, plan = read_tap(name, output)
    told = len([c for c in cases if c[0] != "none"])
    failed = any(case[0] == "fail" for case in cases)
    if plan and told != plan:
        cases.append(("fail", f"{name}: {told} of {plan} planned cases ran ({result})", tail))
    elif result not in ("OK", "SKIP", "EXPECTEDFAIL") and not failed:
        cases.append(("fail", f"{name}: {result} (status {test.get('returncode')})", tail))
    return cases


def meson_test(folder, processes, name, *selection):
    """One run of programs; what each gave, as meson's log NAME has it."""
    log = os.path.join(folder, "meson-logs", f"{name}.json")
    if os.path.exists(log):
        os.remove(log)
    with open(os.path.join(folder, f"{name}-output.txt"), "wb") as output:
        subprocess.run(
            ["meson", "test", "-C", folder, "--no-rebuild", "--num-processes", str(processes)]
            + ["--logbase", name, *selection],
            stdout=output, stderr=subprocess.STDOUT, check=False,
        )
    if not os.path.exists(log):
        return []
    with open(log, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def tell_failure(word, title, detail):
    """A failed case, with what its program said before it."""
    print(f"{word:7} {title}")
    for line in detail.splitlines():
        print(f"        {line}")


def run_again(folder, test):
    """The program of `test` alone; its cases."""
    suite, name = test["name"].split(" / ", 1)
    tests = meson_test(folder, 1, "again", name, "--suite", suite.split(":")[-1].split("+")[0])
    return [case for again in tests if again["name"] == test["name"] for case in read_program(again)]


def judge(cases, allowed):
    """The cases, with skips that this machine should not need as failures."""
    for outcome, title, detail in cases:
        strict = os.environ.get("CI") == "true"
        if outcome == "skip" and strict and not any(r.search(detail) for r in allowed):
            outcome, detail = "fail", f"skipped, which this machine should not need: {detail}"
        yield outcome, title, detail


def main():
    folder, allowed_file = sys.argv[1:3]
    with open(allowed_file, encoding="utf-8") as lines:
        allowed = [re.compile(x.strip()) for x in lines if x.strip() and not x.startswith("#")]
    suites = [word for suite in sys.argv[3:] for word in ("--suite", suite)]
    count = {"pass": 0, "fail": 0, "skip": 0}
    tests = meson_test(folder, len(os.sched_getaffinity(0)), "testlog", *suites)
    for test in tests:
        cases = list(judge(read_program(test), allowed))
        if any(outcome == "fail" for outcome, _, _ in cases):
            again = list(judge(run_again(folder, test), allowed))
            for outcome, title, detail in cases if again else []:
                if outcome == "fail":
                    tell_failure("again", title, detail)
            cases = again or cases
        for outcome, title, detail in cases:
            count[outcome] += 1
            if outcome == "fail":
                tell_failure("FAILED", title, detail)
            elif outcome == "skip":
                print(f"skipped {title}: {detail}")
    if not tests:
        print("FAILED  no tests ran; see", os.path.join(folder, "testlog-output.txt"))
        count["fail"] += 1
    print(f"{count['pass']} passed, {count['fail']} failed, {count['skip']} skipped")
    return 1 if count["fail"] else 0


if __name__ == "__main__":
    sys.exit(main())
