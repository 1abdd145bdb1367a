#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Structures within other objects are found, each once: those that a program says it has. TAP.

usage: embedded_truth.py STROBE SOURCE COMPILER...
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

STROBE, SOURCE, *COMPILER = sys.argv[1:]


def ask(core, *words):
    done = subprocess.run([STROBE, "heap", core, *words], capture_output=True, text=True, timeout=100, check=False,
                          env={**os.environ, "DEBUGINFOD_URLS": ""})
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


def expect(ours, wanted):
    assert ours == wanted, f"{ours!r}, expected {wanted!r}"


def find(core, *words):
    return json.loads(ask(core, "find", *words, "--limit", "0", "--no-values", "--json"))


def test_each_is_found_once(core, known):
    found = find(core, "slot", "where", "id == 77")
    addresses = [int(one["address"], 16) for one in found["objects"]]
    expect([hex(address) for address in sorted(set(known) - set(addresses))], [])
    expect([one for one in found["objects"] if int(one["address"], 16) not in known], [])
    expect(addresses, sorted(set(addresses)))
    expect(found["found"], len(known))


def test_places_are_told(core, known):
    for one in find(core, "slot", "where", "id == 77")["objects"]:
        address, place = int(one["address"], 16), known[int(one["address"], 16)]
        holder = one.get("holder")
        if place == "-":
            expect([one["address"], holder], [one["address"], None])
        elif place != "*":
            expect([one["address"], holder["place"]], [one["address"], place])
        if holder:
            assert int(holder["address"], 16) <= address and holder["type"], one


def test_of_what_has_them_too(core, known):
    rows = find(core, "row")
    expect([rows["found"], sum("holder" in one for one in rows["objects"])], [6, 2])
    expect({one["holder"]["place"] for one in rows["objects"] if "holder" in one}, {".rows[0]", ".rows[1]"})
    couples = find(core, "couple", "where", "first.id == 77 && second.key == first.key + 1")
    expect(couples["found"], 18)


def test_where_there_is_room_for_more_are_none(core, known):
    """Behind a vector's last, a deque's, in an optional and a variant that have none; the stack has others. What is told: a union's
    other reading, and one in what malloc rounded up by, behind an array that takes all."""
    stack = 0x7f << 40
    others = [one for one in find(core, "slot")["objects"] if int(one["address"], 16) not in known]
    expect([one["holder"]["place"] for one in others if int(one["address"], 16) < stack], [".inner.shifted", "->slots[6]"])


def test_a_person_reads_it(core, known):
    text = ask(core, "find", "slot", "where", "key == 1", "--no-values")
    assert "  in 0x" in text and "  global.rows[0].couples[0].first" in text, text


def main():
    tests = [(name[5:].replace("_", " "), test) for name, test in globals().items() if name.startswith("test_")]
    failed = False
    with tempfile.TemporaryDirectory() as directory:
        program = pathlib.Path(directory, "program")
        subprocess.run([*COMPILER, "-std=c++17", "-g", "-w", "-o", program, SOURCE], check=True)
        subprocess.run(["bash", "-c", "ulimit -c unlimited; echo 0x7f > /proc/self/coredump_filter; ./program"], cwd=directory,
                       check=False, capture_output=True)
        cores = [path for path in pathlib.Path(directory).iterdir() if path.name.startswith("core")]
        if not cores:
            print("1..0 # SKIP no core file: core_pattern sends it elsewhere")
            return False
        print(f"1..{len(tests)}")
        known = {}
        for line in pathlib.Path(directory, "known").read_text().splitlines():
            address, _, place = line.partition(" ")
            known[int(address, 16)] = place
        for number, (name, test) in enumerate(tests, 1):
            problem = None
            try:
                test(str(cores[0]), known)
            except (AssertionError, KeyError, IndexError) as error:
                problem = f"{type(error).__name__}: {error}"
            failed |= problem is not None
            for line in str(problem or "").splitlines()[:40]:
                print("#", line)
            print("not ok" if problem else "ok", number, "-", name, flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
