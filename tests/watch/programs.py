#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`strobe watch` on programs of several kinds: C++, optimised, stripped, forking, stormed by signals. TAP on stdout.

usage: programs.py STROBE CC SOURCE_FOLDER
"""
import json
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import watching
from watching import CC, FOLDER, NO_HURRY, PATIENCE, SOURCES, STROBE, Session, Skip, Target, check_skip, count, line, told, variable, watch


def build(name, source, *flags):
    compiler = CC if source.endswith(".c") else shutil.which("c++") or shutil.which("g++")
    if not compiler:
        raise Skip("no C++ compiler")
    subprocess.run([compiler, "-g", "-o", FOLDER / name, SOURCES / source, *flags], check=True)
    return FOLDER / name


def truths():
    """a condition is true as in C: 2, 5 and a pointer are, 0 is not; one that fails is an error, and the program goes on"""
    program = build("truths", "optimised.c", "-O0")
    place = f"optimised.c:{line('optimised.c', 'FIRST')}"
    cases = {"2": True, "n * 0 + 5": True, "&n": True, "0": False, "n - n": False, "n / 0": False, "*(int *)0": False, "no_such": False}
    with Target(program) as target:
        for condition, fires in cases.items():
            tried = f"{place} if {condition}"
            # The other one is at the same place, and shows that it came by.
            results, said = watch(target.pid, tried, place, "--log", "x", "--status",
                                  until=lambda results: count(results, place) > 20 and count(results, tried) >= fires)
            assert (count(results, tried) > 0) == fires, (condition, said)
        for condition in ("n / 0", "*(int *)0", "no_such"):
            tried = f"{place} if {condition}"
            _, said = watch(target.pid, tried, place, "--log", "x", "--status", until=lambda results: count(results, place) > 20)
            assert next(row for row in said.splitlines() if f"{tried}:" in row and "errors" in row), said


def methods():
    """a C++ method, by line and by name: its class, `this` and its members"""
    program = build("shapes", "shapes.cc", "-O0")
    with Target(program) as target:
        results, said = watch(target.pid, f"shapes.cc:{line('shapes.cc', 'DEPOSIT')}", "--log",
                              "{this->id} {this->balance} {amount} {bank::Account::made}", "--snapshot", "-n", 1, "--hits", 1, *NO_HURRY)
        assert results, said
        result = results[0]
        number, balance, amount, made = result["log_msg"].split()
        assert number == "7" and int(balance) >= 100 and int(amount) in (0, 1, 2) and made == "1", result["log_msg"]
        frame = result["frames"][0]
        assert "deposit" in frame["function"] and frame["class"] and "Account" in frame["class"], frame
        this = result["variables"][variable(result, "this")["children"][0]["id"]]
        members = {child["name"]: child for child in this["children"]}
        assert result["variables"][members["id"]["id"]]["value"] == "7", members
        results, said = watch(target.pid, "bank::Account::deposit", "--log", "x", "--hits", 4)
        assert len(results) >= 4, said


def templates():
    """a line of a template is armed in each of its instances"""
    program = build("shapes", "shapes.cc", "-O0")
    with Target(program) as target:
        results, said = watch(target.pid, f"shapes.cc:{line('shapes.cc', 'BIGGEST')}", "--log", "{most}", "--status",
                              until=lambda results: len({r["log_msg"] for r in results}) > 1)
    assert {r["log_msg"] for r in results} == {"4", "1.5"}, (results, said)


def inlined():
    """a line of a method that is inlined, in an optimised program"""
    program = build("shapes-o2", "shapes.cc", "-O2")
    with Target(program) as target:
        results, said = watch(target.pid, f"shapes.cc:{line('shapes.cc', 'DEPOSIT')}", "-n", 1, "--hits", 1)
        assert results and "deposit" in results[0]["frames"][0]["function"], (results, said)
        _, said = watch(target.pid, f"shapes.cc:{line('shapes.cc', 'PEEK')}", "-T", 0.3, "--status")  # may be folded away
        assert "rejected" not in said and "pending" not in said, said


def optimised():
    """what the compiler removed is told as optimized_out, and what is there has its value"""
    program = build("optimised", "optimised.c", "-O2")
    with Target(program) as target:
        results, said = watch(target.pid, f"optimised.c:{line('optimised.c', 'GONE')}", "-w", "gone", "-w", "gone + 1", "-n", 1,
                              "--hits", 1, *NO_HURRY)
    assert results, said
    result = results[0]
    states = {v["name"]: result["variables"][v["id"]] for v in result["frames"][0]["variables"]}
    assert {"n", "unused", "gone", "kept"} <= set(states), states
    assert states["gone"]["state"] == "optimized_out" and states["gone"]["value"] == "<optimized out>", states
    # Never a number that is not true: unused is 2 in each call, kept is n + 1.
    assert states["unused"].get("state") == "optimized_out" or states["unused"]["value"] == "2", states
    if "state" not in states["n"] and "state" not in states["kept"]:
        assert int(states["kept"]["value"]) == int(states["n"]["value"]) + 1, states
    watches = {told["expression"]: told for told in result["watches"]}
    told = watches["gone"]
    assert "error" in told or result["variables"][told["value"]]["state"] == "optimized_out", (told, result["variables"])
    told = watches["gone + 1"]
    assert "optimized out" in told.get("error", ""), (told, result["variables"])


def stripped():
    """a stripped program, with debug information in a file beside it"""
    program = build("stripped", "optimised.c", "-O1")
    if not shutil.which("objcopy"):
        raise Skip("no objcopy")
    debug = FOLDER / "stripped.debug"
    subprocess.run(["objcopy", "--only-keep-debug", program, debug], check=True)
    subprocess.run(["objcopy", "--strip-all", f"--add-gnu-debuglink={debug}", program], check=True, cwd=FOLDER)
    place = f"optimised.c:{line('optimised.c', 'FIRST')}"
    with Target(program) as target:
        results, said = watch(target.pid, place, "--log", "{n}", "--hits", 3)
        assert len(results) >= 3 and all(r["log_msg"].isdigit() for r in results), (results, said)
    debug.unlink()
    with Target(program) as target:
        told(target.pid, "pending", place, "--log", "{n}")


def forks():
    """children of a fork are not watched, and not harmed"""
    program = build("lives", "lives.c", "-O1")
    results, said = watch("work", "--log", "x", "--set", "fire_count=-1", "--set", "fire_period=0", "--", program, "forks")
    assert "status 0" in said, said
    assert len(results) == 200 and len({r["pid"] for r in results}) == 1, (len(results), {r["pid"] for r in results})


def executed():
    """a program that replaces itself goes on; it is as it was when strobe is gone"""
    program = build("lives", "lives.c", "-O1")
    run = subprocess.run([STROBE, "watch", "--json", "work", "--log", "x", "--set", "fire_count=-1", "--set", "fire_period=0", "--",
                          program, "exec"], capture_output=True, text=True, timeout=2 * PATIENCE, check=False)
    check_skip(run.stderr)
    assert run.returncode == 0 and "status 0" in run.stdout, (run.returncode, run.stdout[-300:], run.stderr)
    results = [json.loads(text) for text in run.stdout.splitlines() if text.startswith("{")]
    assert 200 <= len(results) <= 500, len(results)


def storm():
    """signals rain on a program whose hits are in and out of its handler: none is lost, and none hurts"""
    program = build("lives", "lives.c", "-O1")
    results, said = watch("work", "--log", "x", "--set", "fire_count=-1", "--set", "fire_period=0", "--set", "sample=0.001", "--metric",
                          "calls", "--status", "--", program, "storm")
    assert "status 0" in said, said[-500:]
    assert results, said[-500:]


CASES = [truths, methods, templates, inlined, optimised, stripped, forks, executed, storm]

sys.exit(watching.main(CASES))
