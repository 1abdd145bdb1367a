#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Records a program instruction by instruction, and looks at what was recorded. TAP on stdout.

usage: two_runs.py STROBE CC SOURCE

- lines executed, and how often, against gcov's counts of the same program;
- two runs that differ in one condition: where they part and meet again, wherever the program was loaded.
"""
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

STROBE, CC, SOURCE = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2], pathlib.Path(sys.argv[3]).resolve()
FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="strobe-runs-"))
LINES = SOURCE.read_text().splitlines()


class Skip(Exception):
    pass


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, check=False, text=True, cwd=FOLDER,
                          timeout=200)
    assert done.returncode == 0, (command, done.returncode, done.stdout[-500:], done.stderr[-500:])
    return done.stdout


def record(name, program, *arguments):
    run(STROBE, "record", "--method", "step", "--from", "main", "--force", "-q", "-o", FOLDER / name, "--", program,
        *arguments)
    return FOLDER / name


def line_of(text):
    """Number of the only line that holds `text`."""
    found = [number for number, line in enumerate(LINES, 1) if text in line]
    assert len(found) == 1, (text, found)
    return found[0]


def gcov_counts():
    """Executions of each line, as gcov counts them."""
    run(CC, "-O0", "-g", "--coverage", "-o", "counted", SOURCE)
    run(FOLDER / "counted", 3)
    counts = {}
    for line in run("gcov", "-t", "-o", ".", "counted-two_runs.gcda").splitlines():
        match = re.match(r"\s*(\S+?)\*?:\s*(\d+):", line)
        if match and match[1] != "-" and int(match[2]):
            counts[int(match[2])] = 0 if match[1][0] in "#=" else int(match[1])
    return counts


def our_counts(level):
    program = FOLDER / f"plain{level}"
    run(CC, level, "-g", "-o", program, SOURCE)
    trace = record(f"cover{level}", program, 3)
    text = run(STROBE, "trace", "cover", trace, "--source", "two_runs.c", "--lcov", "-")
    return {int(line): int(count) for line, count in re.findall(r"^DA:(\d+),(\d+)$", text, re.M)}


def coverage():
    """lines are counted as gcov counts them"""
    if not shutil.which("gcov"):
        raise Skip("gcov is not installed")
    expected = gcov_counts()
    for level in ("-O0", "-Og", "-O2"):
        found = our_counts(level)
        both = expected.keys() & found.keys()
        assert len(both) > 20, (level, both)
        differ = [line for line in sorted(both) if bool(expected[line]) != bool(found[line])]
        assert not differ, (level, differ)
        # Optimised code does a line's work in fewer instructions, or none.
        counts = [(line, expected[line], found[line]) for line in sorted(both)
                  if level != "-O2" and expected[line] != found[line]]
        assert not counts, (level, counts)


def place(item):
    return item and (item["function"], item["line"])


def difference():
    """two runs part at the condition, and meet behind it, wherever they were loaded"""
    program = FOLDER / "program"
    run(CC, "-O0", "-g", "-fPIE", "-pie", "-o", program, SOURCE)
    traces = [record("a", program, 1), record("b", program, 3)]
    told = json.loads(run(STROBE, "trace", "diff", *traces, "--json", "-n", 1))["threads"][0]
    first = told["differences"][0]
    condition, last = line_of("argc > 1 &&"), line_of("used = 1;")
    assert first["met"] and first["a"]["count"] == 0, first
    assert place(first["a"]["last_common"]) == place(first["b"]["last_common"]) == ("main", condition), first
    assert [place(item) for item in first["b"]["next"]] == [("main", last - 1), ("main", last)], first
    assert place(first["a"]["again"]) == place(first["b"]["again"]) == ("main", last + 2), first
    calls = json.loads(run(STROBE, "trace", "diff", *traces, "--json", "--functions"))["threads"][0]
    assert calls["common"] > 50, calls
    same = json.loads(run(STROBE, "trace", "diff", traces[0], record("c", program, 1), "--json"))["threads"][0]
    assert same["count"] == 0 and same["complete"], same


def events():
    """what was recorded besides instructions is found, and exported"""
    program = FOLDER / "program"
    trace = record("events", program, 1)
    calls = json.loads(run(STROBE, "trace", "find", trace, "event:system call", "--json"))["threads"][0]["found"]
    assert any(hit["text"].startswith("write(") for hit in calls), calls
    run(STROBE, "trace", "export", trace, "-o", FOLDER / "out.json")
    names = [event["name"] for event in json.loads((FOLDER / "out.json").read_text())["traceEvents"]]
    assert names.count("system call") == sum(hit["event"] == "system call" for hit in calls), names
    assert "main" in names and names.count("factorial") == 2 * 28, names.count("factorial")


def main():
    cases = [coverage, difference, events]
    print(f"1..{len(cases)}")
    failed = False
    for number, case in enumerate(cases, 1):
        try:
            case()
            print(f"ok {number} - {case.__doc__}", flush=True)
        except Skip as reason:
            print(f"ok {number} - {case.__doc__} # SKIP {reason}", flush=True)
        except Exception as reason:  # pylint: disable=broad-except
            failed = True
            print(f"not ok {number} - {case.__doc__}\n# {type(reason).__name__}: {str(reason)[:2000]!r}", flush=True)
    shutil.rmtree(FOLDER, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
