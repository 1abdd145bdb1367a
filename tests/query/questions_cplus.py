#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Asks about classes, containers and shared pointers of C++. TAP.

usage: questions_cplus.py STROBE CXX SOURCE
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

STROBE, CXX, SOURCE = sys.argv[1:4]
SESSIONS, BOOKS, SHELF = 60, 4, 25
RESULTS = []


def ask(snapshot, *words):
    done = subprocess.run([STROBE, "heap", snapshot, *words, "--json"], capture_output=True, text=True, timeout=100, check=False,
                          env={**os.environ, "DEBUGINFOD_URLS": ""})
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return json.loads(done.stdout)


def expect(ours, wanted):
    assert ours == wanted, f"{ours!r}, expected {wanted!r}"


def test_objects_by_their_virtual_tables(snapshot):
    types = {row["type"]: row["count"] for row in ask(snapshot, "histogram")["types"]}
    expect(types["shop::book"], SESSIONS * BOOKS + 1)  # and one array of them
    assert "shop::item" not in types, types
    found = ask(snapshot, "find", "shop::book", "where", "price == 3 * pages && pages > 0")
    expect([found["found"], found["looked_at"]], [SESSIONS - 1, SESSIONS * BOOKS + SHELF])


def test_elements_of_a_vector(snapshot):
    found = ask(snapshot, "find", "shop::book", "where", "$.price >= 1010")
    expect([one["element"] for one in found["objects"]], list(range(10, SHELF)))
    addresses = [int(one["address"], 16) for one in found["objects"]]
    steps = {after - before for before, after in zip(addresses, addresses[1:])}
    expect(steps, {found["objects"][0]["size_bytes"]})


def test_objects_within_shared_pointers_blocks(snapshot):
    found = ask(snapshot, "find", "shop::session", "where", "id % 10 == 7")
    expect([found["found"], found["looked_at"]], [SESSIONS // 10, SESSIONS])
    expect({one["type"] for one in found["objects"]}, {"shop::session"})
    assert all("id = " in one["value"] for one in found["objects"]), found
    retained = ask(snapshot, "retained", "--type", "shop::session")
    expect(retained["objects"], SESSIONS)
    # Each: its block, the cart, four books with their names, a node of the map.
    expect(retained["retained_objects"], SESSIONS * (1 + 1 + 2 * BOOKS + 1))


def test_paths_through_containers(snapshot):
    session = ask(snapshot, "find", "shop::session", "where", "id == 7")["objects"][0]["address"]
    path = ask(snapshot, "path", session, "--precise")["paths"][0]
    expect(path[0]["edge"], "the_shop")
    expect(path[-1]["type"].split("<")[0], "std::_Sp_counted_ptr_inplace")
    shown = ask(snapshot, "show", session)
    edges = [edge["edge"] for edge in shown["references"]]
    assert any("cart" in edge for edge in edges) and any("notes" in edge for edge in edges), edges
    expect(shown["evidence"], "virtual table")


def test_nothing_is_leaked(snapshot):
    expect(ask(snapshot, "leaks")["groups"], [])


def test_strings(snapshot):
    groups = ask(snapshot, "duplicates", "--strings")["groups"]
    expect([groups[0]["text"], groups[0]["count"]], ["b" * 40, SESSIONS * BOOKS])


THING = """#pragma once
struct thing { virtual ~thing() {} virtual int kind() { return 1; } int number = 7; };
"""
LIBRARY = """#include "thing.h"
extern "C" __attribute__((visibility("default"))) void *make() { return new thing; }
"""
PROGRAM = """#include "thing.h"
#include <cstdio>
#include <unistd.h>
extern "C" void *make();
void *theirs[30], *ours[12];
int main() { for (void *&one : theirs) one = make(); for (void *&one : ours) one = new thing; puts("ready"); fflush(stdout); pause(); }
"""


def test_modules_by_virtual_tables(_):
    """Two modules have the class, and a table each."""
    with tempfile.TemporaryDirectory() as directory:
        for name, text in {"thing.h": THING, "library.cpp": LIBRARY, "program.cpp": PROGRAM}.items():
            pathlib.Path(directory, name).write_text(text)
        options = [CXX, "-g", "-O0", "-fvisibility=hidden"]
        subprocess.run([*options, "-shared", "-fPIC", "-o", "libthings.so", "library.cpp"], check=True, cwd=directory)
        subprocess.run([*options, "-o", "program", "program.cpp", "-L.", "-lthings", "-Wl,-rpath,$ORIGIN"], check=True, cwd=directory)
        snapshot = str(pathlib.Path(directory, "snapshot"))
        take(pathlib.Path(directory, "program"), snapshot)
        expect({row["type"]: row["count"] for row in ask(snapshot, "histogram")["types"] if row["type"] == "thing"}, {"thing": 42})
        modules = {row["module"]: row["count"] for row in ask(snapshot, "histogram", "--by", "module")["modules"]}
        expect([modules.get("libthings.so"), modules.get("program")], [30, 12])


def take(program, snapshot):
    with subprocess.Popen([program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        subprocess.run([STROBE, "snap", str(process.pid), "-o", snapshot, "--quiet"], check=True, capture_output=True)
        process.kill()


def main():
    tests = [(name[5:].replace("_", " "), test) for name, test in globals().items() if name.startswith("test_")]
    print(f"1..{len(tests)}")
    with tempfile.TemporaryDirectory() as directory:
        program, snapshot = pathlib.Path(directory, "shop"), str(pathlib.Path(directory, "shop.core"))
        subprocess.run([CXX, "-g", "-O0", "-w", "-o", program, SOURCE], check=True)
        take(program, snapshot)
        for number, (name, test) in enumerate(tests, 1):
            problem = None
            try:
                test(snapshot)
            except (AssertionError, KeyError, IndexError) as error:
                problem = f"{type(error).__name__}: {error}"
            RESULTS.append(problem)
            for line in str(problem or "").splitlines()[:40]:
                print("#", line)
            print("not ok" if problem else "ok", number, "-", name, flush=True)
    return any(RESULTS)


if __name__ == "__main__":
    sys.exit(main())
