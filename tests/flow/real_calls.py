#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Records a program that calls in every way, and looks at the tree and the stacks. TAP.

usage: real_calls.py STROBE CXX SOURCE
"""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

STROBE, CXX, SOURCE = sys.argv[1:4]
LEAF, AFTER = ("leaf", "return"), ("after", "return")
# Calls of the program's own functions, as they stand in main(): (name, how it ended, calls in it...).
TREE = {
    "recursion": [("factorial", "return", ("factorial", "return", ("factorial", "return", ("factorial", "return", (
        "factorial", "return", ("factorial", "return"))))))],
    # What second() does happens in first()'s place.
    "tail_calls": [("first", "jump"), ("second", "return", LEAF), AFTER],
    "long_jump": [("middle", "unwound", ("jump", "unwound", LEAF)), AFTER],
    # To the level that had called setjmp(), not to the nearest.
    "jump_in_recursion": [("deep", "return", ("deep", "return", ("deep", "return", ("deep", "unwound", (
        "deep", "unwound", ("deep", "unwound"))), AFTER)))],
    "exceptions": [("passes", "unwound", ("thrower", "unwound", LEAF)), AFTER, LEAF],
    "signals": [("handler", "return", LEAF), AFTER],
    "jump_from_handler": [("jumping_handler", "unwound", LEAF), AFTER],
    "callbacks": [("compare", "return"), AFTER],
}
RESULTS = []


def check(title, problem):
    RESULTS.append(problem)
    for line in str(problem or "").splitlines():
        print("#", line)
    print("not ok" if problem else "ok", len(RESULTS), "-", title, flush=True)


def expect(title, ours, truth):
    check(title, None if ours == truth else f"{ours!r},\nexpected {truth!r}")


def own(call):
    """The call without those into the procedure linkage table; what stands below one belongs to its caller."""
    inside = []
    for inner in call["calls"]:
        inside += own(inner)
    name = call["function"]
    if name is None or "@plt" in name:
        return inside
    return [(name, "return" if call["end"] == "running" else call["end"], *inside)]


def walk(calls):
    for call in calls:
        yield call
        yield from walk(call["calls"])


def strobe(*words):
    return subprocess.run([STROBE, *(str(w) for w in words)], text=True, capture_output=True, check=False)


def check_tree(trace):
    got = json.loads(strobe("trace", "calls", trace, "--module", "calls", "--no-inlined", "--json").stdout)["threads"][0]
    main = next(c for c in walk(got["calls"]) if c["function"] == "main")
    below = {c["function"]: c for c in main["calls"]}
    for name, truth in TREE.items():
        ours = own(below[name])[0] if name in below else None
        expect(name.replace("_", " "), ours and (ours[1], list(ours[2:])), ("return", truth))
    kinds = {c["function"]: c["kind"] for c in walk(got["calls"])}
    expect("kinds", [kinds[n] for n in ("handler", "second", "leaf", "compare")], ["interrupt", "tail", "call", "call"])
    names = [c[0] for c in walk_own(own(below["contexts"]))]
    expect("contexts switch, and main() goes on", [names.count("leaf"), names.count("after"), names[0]],
           [2, 2, "contexts"])
    return below


def walk_own(calls):
    for call in calls:
        yield call
        yield from walk_own(call[2:])


def stack_at(trace, item):
    done = strobe("bt", f"{trace}@{item}", "--json")
    frames = json.loads(done.stdout)["threads"][0]["frames"]
    return [f["function"] for f in frames if not f["inlined"]]


def check_stacks(trace, below):
    """In the middle of things, with what gdb would show there."""
    def inside(name, within):
        return [c for c in walk(below[within]["calls"]) if c["function"] == name][-1]["last_id"]
    expect("a stack in recursion", stack_at(trace, inside("factorial", "recursion")),
           ["factorial"] * 6 + ["recursion", "main"])
    expect("a stack behind a tail call", stack_at(trace, inside("leaf", "tail_calls")),
           ["leaf", "second", "tail_calls", "main"])
    expect("a stack behind an exception", stack_at(trace, inside("after", "exceptions")),
           ["after", "exceptions", "main"])
    expect("a stack behind longjmp()", stack_at(trace, inside("after", "jump_in_recursion")),
           ["after", "deep", "deep", "deep", "jump_in_recursion", "main"])
    handler = stack_at(trace, inside("leaf", "signals"))
    expect("a stack in a signal handler", [handler[:2], handler[-2:]], [["leaf", "handler"], ["signals", "main"]])
    expect("a stack in a callback", [stack_at(trace, inside("compare", "callbacks"))[i] for i in (0, -2, -1)],
           ["compare", "callbacks", "main"])
    done = strobe("bt", trace)
    expect("a trace without a position says how to give one", [done.returncode, "is a trace: say which item" in done.stderr],
           [1, True])


def main():
    if not shutil.which(CXX):
        print(f"1..0 # SKIP {CXX} is not installed")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        program, trace = pathlib.Path(folder) / "calls", pathlib.Path(folder) / "calls.trace"
        subprocess.run([CXX, "-O2", "-g", "-o", program, SOURCE], check=True)
        done = strobe("record", "--method", "step", "--from", "main", "-o", trace, "--", program)
        expect("it is recorded", [done.returncode, trace.exists()], [0, True])
        if trace.exists():
            check_stacks(trace, check_tree(trace))
        else:
            print("#", done.stderr)
    print(f"1..{len(RESULTS)}")
    return 1 if any(RESULTS) else 0


if __name__ == "__main__":
    sys.exit(main())
