#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Stages of `strobe watch`: how lines and calls end, in programs that do the same each time.

usage: stages.py STROBE CC SOURCE_FOLDER [CASE...]
"""
import json
import os
import re
import shutil
import signal
import subprocess
import sys

from watching import CC, FOLDER, PATIENCE, SOURCES, STROBE, Session, Skip, main, watch
import watching

ROUNDS = 8


def line(mark, source="staged.c"):
    return watching.line(source, mark)


def place(mark, source="staged.c"):
    return f"{source}:{line(mark, source)}"


def run(program, *arguments, rounds=ROUNDS, stage=None, whole=True):
    """Results of a program that is watched from its beginning to its end, which must be as without."""
    if stage:
        arguments += ("--set", f"stage={stage}")
    arguments += ("--set", "max_tp_process_time=60000")
    alone = subprocess.run([FOLDER / program, str(rounds)], capture_output=True, text=True, timeout=2 * PATIENCE, check=False)
    results, said = watch(*arguments, "--", FOLDER / program, rounds, status=3)
    assert alone.stdout.strip() in said.splitlines(), (alone.stdout, said)
    assert not whole or "not noticed" not in said, said
    return results


def linger(program, count, *arguments, rounds=ROUNDS, stage=None):
    """Results, `count` of them, of a program that stays until its hits are looked at: what they point to is there still."""
    if stage:
        arguments += ("--set", f"stage={stage}")
    more = ("-n", -1, "--set", "fire_period=0", "--set", "max_tp_process_time=60000")
    with Session(*arguments, *more, "--", FOLDER / program, rounds, environment={**os.environ, "LINGER": "1"}) as session:
        session.until(lambda results: len(results) >= count)
        os.kill(session.results()[0]["pid"], signal.SIGTERM)
        out = session.process.communicate(timeout=2 * PATIENCE)[0]
        assert session.process.returncode == 3 and (program.startswith("containers") or out.startswith(b"total")), (session.process.returncode, out, session.said())
        results = session.results()
    same(len(results), count)
    return results


def variables(result, frame=0):
    """Values of a frame's variables by name."""
    return {v["name"]: result["variables"][v["id"]]["value"] for v in result["frames"][frame]["variables"]}


def captured(result):
    """What was added at the end, by name."""
    return {w["expression"]: result["variables"][w["value"]] for w in result.get("watches", []) if w["source"] == "capture"}


def at(result):
    return result["frames"][0]["function"], result["frames"][0]["line"]


def same(one, two):
    assert one == two, (one, two)


def line_end():
    """a line ends at the next one of the same frame, with what is true then"""
    for program in ("staged0", "staged2"):
        results = run(program, place("PLAIN"), "--snapshot", "--set", "fire_period=0", "-n", -1, "--log", "{n} {changed}", stage="line_end")
        same(len(results), ROUNDS)
        for n, result in enumerate(results):
            function, where = at(result)
            assert function == "plain" and where in (line("AFTER PLAIN"), line("MEMBER"), line("RETURNS")), at(result)
            same(result["log_msg"], f"{n} {2 * n}")
            # It slept for 2 ms in a call that is not the line's end.
            assert 2000000 < result["duration_ns"] < 60e9 and "end" not in result["attributes"], result


def line_capture():
    """a capture of a line has its beginning, its duration and the variables that it changed"""
    results = run("staged0", place("PLAIN"), "--snapshot", "-n", -1, "--set", "fire_period=0", stage="line_capture")
    same(len(results), ROUNDS)
    for n, result in enumerate(results):
        same(at(result), ("plain", line("PLAIN")))
        same((variables(result)["n"], variables(result)["kept"], variables(result)["changed"]), (str(n), "5", "0"))
        changes = captured(result)
        same({name: value["value"] for name, value in changes.items()}, {"changed": str(2 * n)} if n else {})
        assert result["duration_ns"] > 2000000, result["duration_ns"]
    # A structure's member is the structure's.
    results = run("staged0", place("MEMBER"), "--snapshot", "-n", -1, "--set", "fire_period=0", stage="line_capture")
    for n, result in enumerate(results[1:], 1):
        changes = captured(result)
        same(list(changes), ["pair"])
        members = {child["name"]: result["variables"][child["id"]]["value"] for child in changes["pair"]["children"]}
        same(members, {"first": "5", "second": str(2 * n)})


def recursion():
    """in recursion each line ends with its own frame, inner ones first"""
    results = run("staged0", place("RECURSIVE"), "--snapshot", "-n", -1, "--set", "fire_period=0", stage="line_capture", rounds=3)
    same(len(results), 9)
    for i, result in enumerate(results):
        n = i % 3 + 1
        same(variables(result)["n"], str(n))
        changes = {name: value["value"] for name, value in captured(result).items()}
        same(changes, {"sum": str(n * (n + 1) // 2)} if n > 1 else {})
    for inner, outer in zip(results, results[1:]):
        assert outer["time_ns"] < inner["time_ns"] or variables(outer)["n"] == "1", (inner, outer)
        assert outer["duration_ns"] > inner["duration_ns"] or variables(outer)["n"] == "1"
    # Stacks are whole, also through calls whose return is awaited.
    results = run("staged0", "recursive", "--snapshot", "-n", -1, "--set", "fire_period=0", stage="method_capture", rounds=3)
    same([[f["function"] for f in r["frames"]] for r in results], [["recursive"] * (4 - i % 4) + ["main"] for i in range(12)])


def loops():
    """a line with a loop in it ends once where it is left at the end of the loop, or at each round if it begins in the loop"""
    results = run("staged0", place("LOOP"), "--span", "--set", "span=line", "-n", -1, "--set", "fire_period=0")
    same([r["kind"] for r in results], ["span"] * ROUNDS)
    for result in results:
        assert result["name"] == f"staged.c#{line('LOOP')}" and result["duration_ns"] > 6000000, result
    results = run("staged2", place("LOOP"), "--span", "--set", "span=line", "-n", -1, "--set", "fire_period=0")
    assert len(results) in (ROUNDS, 3 * ROUNDS), len(results)
    assert all("end" not in r["attributes"] for r in results), results
    total = sum(r["duration_ns"] for r in results)
    assert total > 6000000 * ROUNDS, total


def branches():
    """a switch ends where its cases begin"""
    for program in ("staged0", "staged2"):
        results = run(program, place("SWITCH"), "--snapshot", "-n", -1, "--set", "fire_period=0", stage="line_capture")
        same([variables(r).get("n") for r in results], [str(n) for n in range(ROUNDS)])
        assert all("end" not in r["attributes"] and r["duration_ns"] > 0 for r in results), results
    results = run("staged0", place("CASE 1"), "--snapshot", "-n", -1, "--set", "fire_period=0", stage="line_end")
    same([variables(r)["n"] for r in results], ["1", "5"])


def jumps():
    """longjmp() ends the lines and calls that it leaves, when the thread goes on"""
    results = run("staged0", place("JUMPS"), "--snapshot", "-n", -1, "--set", "fire_period=0", stage="line_end")
    same([variables(r)["before"] for r in results], [str(n) for n in range(ROUNDS)])
    same([at(r)[1] == line("STAYED") for r in results], [n % 2 == 0 for n in range(ROUNDS)])
    results = run("staged0", "jump", "--span", "-n", -1, "--set", "fire_period=0")
    same([r["attributes"].get("end") for r in results[:-1]], [None, "left without a return"] * (ROUNDS // 2 - 1) + [None])
    assert results[-1]["attributes"]["end"] in ("its thread ended", "the session ended"), results[-1]
    # With the caller's own end seen, that is when it is known.
    path, output = FOLDER / "jumps.yaml", FOLDER / "jumps.jsonl"
    path.write_text("".join(f"- {{id: {name}, method_name: {name}, span: method, fire_count: -1, fire_period: 0, snapshot: no_collect}}\n"
                            for name in ("jump", "jumped")))
    run("staged0", "-f", path, "-o", output)
    results = [json.loads(text) for text in output.read_text().splitlines()]
    for n in range(0, ROUNDS, 2):
        pairs = [(r["name"], r["attributes"].get("end")) for r in results[2 * n:2 * n + 4]]
        same(pairs, [("jump", None), ("jumped", None), ("jump", "left without a return"), ("jumped", None)])


def tails():
    """what a function returns that ends in a jump to another is what that one returns"""
    for program in ("staged0", "staged2"):
        results = run(program, "tail", "--snapshot", "-n", -1, "--set", "fire_period=0", stage="method_capture")
        same([captured(r)["return"]["value"] for r in results], [str(3 * n + 1000) for n in range(ROUNDS)])
        assert all(r["duration_ns"] > 1000000 for r in results), results
    results = run("staged0", "indirect", "--snapshot", "-n", -1, "--set", "fire_period=0", stage="method_capture")
    same([captured(r)["return"]["value"] for r in results], [str(n + 1000) for n in range(ROUNDS)])
    # Where the jump leads is only known when it is there.
    results = run("staged2", "indirect", "--snapshot", "-n", -1, "--set", "fire_period=0", stage="method_capture")
    for result in results:
        # Of a program that has ended meanwhile the pointer cannot be read any more.
        assert captured(result) == {} and result["attributes"]["end"] in ("went on in last by a jump", "went on in another function by a jump"), result


def inlines():
    """calls that are inlined have an end, too"""
    for program in ("staged0", "staged2"):
        results = run(program, "inlined", "--span", "-n", -1, "--set", "fire_period=0")
        same([(r["name"], r["attributes"].get("end")) for r in results], [("inlined", None)] * ROUNDS)
        assert all(r["duration_ns"] > 2000000 for r in results), results
        results = run(program, place("INLINED"), "--log", "{n}", "-n", -1, "--set", "fire_period=0", stage="line_end")
        assert len(results) == ROUNDS, results


def next_line(program, mark):
    """Where gdb's `next` leads to from the line."""
    shown = subprocess.run(["gdb", "-q", "-nx", "-batch", "-ex", "set debuginfod enabled off", "-ex", f"tbreak {place(mark)}", "-ex",
                            f"run {ROUNDS} > /dev/null", "-ex", "next", "-ex", "info line *$pc", FOLDER / program], capture_output=True,
                           text=True, timeout=4 * PATIENCE, check=False)
    found = re.findall(r"^Line (\d+) of", shown.stdout, re.M)
    assert found, (shown.stdout, shown.stderr)
    return int(found[-1])


def debugger():
    """lines end where gdb's `next` stops"""
    if not shutil.which("gdb"):
        raise Skip("there is no gdb")
    wrong = []
    for program, marks in (("staged0", ("PLAIN", "AFTER PLAIN", "MEMBER", "SWITCH", "CASE 0", "LOOP", "TAIL", "JUMPS", "CALLS INLINED")),
                           ("staged2", ("PLAIN", "CASE 1", "JUMPS"))):
        for mark in marks:
            results = run(program, place(mark), "--snapshot", "-n", 1, stage="line_end")
            expected = next_line(program, mark)
            if not results or at(results[0])[1] != expected:
                wrong.append((program, mark, expected, results and at(results[0])))
    assert not wrong, wrong


def survives():
    """exceptions pass calls and lines whose ends are awaited: the program does what it does alone"""
    for program in ("thrown0", "thrown2"):
        for arguments in (("thrower",), ("middle",), ("catcher",), (place("MIDDLE", "thrown.cc"),), (place("TRIES", "thrown.cc"),)):
            kind = "line" if ":" in arguments[0] else "method"
            results = run(program, *arguments, "--span", "--set", f"span={kind}", "-n", -1, "--set", "fire_period=0", rounds=110)
            assert len(results) >= 100, (arguments, len(results))


def thrown_by(n):
    """What thrower() throws in round `n`: type and text."""
    return {0: (None, None), 1: ("shop::Refused", f"refused {n}"), 2: ("int", None), 3: ("char const*", "a text")}[n % 4]


def told(result):
    attributes = result["attributes"]
    return attributes.get("end"), attributes.get("exception.type"), attributes.get("exception.message")


def check_outcomes(results, rounds):
    """Calls of a function that what thrower() throws leaves."""
    same(len(results), rounds)
    for n, result in enumerate(results):
        kind, text = thrown_by(n)
        same(told(result), ("exception", kind, text) if kind else (None, None, None))
        outcome = captured(result)
        same(list(outcome), ["exception" if kind else "return"])
        value = outcome["exception" if kind else "return"]["value"]
        if kind:
            same(value, text if text else str(n * 10))


def outcomes():
    """calls that an exception leaves have it as their outcome, and nobody else: neither those that catch it nor those outside"""
    for program in ("thrown0", "thrown2"):
        for function in ("thrower", "middle"):
            check_outcomes(linger(program, 24, function, "--snapshot", stage="method_capture", rounds=24), 24)
        # It catches them, and throws the first kind on from 100 on.
        for n, result in enumerate(linger(program, 112, "catcher", "--snapshot", stage="method_capture", rounds=112)):
            again = n >= 100 and n % 4 == 1
            same(told(result), ("exception", "shop::Refused", f"refused {n}") if again else (None, None, None))
        results = linger(program, 112, "outer", "--snapshot", stage="method_capture", rounds=112)
        assert all(told(r) == (None, None, None) for r in results), results
    # What is collected at the end is of the function, not of the unwinder.
    results = linger("thrown0", 8, "middle", "--snapshot", stage="method_end", rounds=8)
    same([r["frames"][0]["function"] for r in results], ["middle"] * 8)
    same([variables(r)["n"] for r in results], [str(n) for n in range(8)])


def lines_thrown():
    """an exception ends the lines of the frames that it leaves, and of the one that catches it"""
    for mark in ("MIDDLE", "TRIES"):
        results = linger("thrown0", 16, place(mark, "thrown.cc"), "--span", "--set", "span=line", rounds=16)
        same([told(r)[1:] for r in results], [thrown_by(n) for n in range(16)])
    # A throw is a line's end, too.
    results = linger("thrown0", 4, place("THROWS", "thrown.cc"), "--span", "--set", "span=line", rounds=16)
    same([told(r) for r in results], [("exception", "shop::Refused", f"refused {n}") for n in (1, 5, 9, 13)])


def exceptions():
    """exceptions are events of the functions and lines that they come up in, each once"""
    throws = [n for n in range(16) if n % 4]
    for program in ("thrown0", "thrown2"):
        for function in ("thrower", "middle", "catcher"):
            results = linger(program, 12, function, "--snapshot", "--log", "{n}", stage="method_exception", rounds=16)
            same([int(r["log_msg"]) for r in results], throws)
            for n, result in zip(throws, results):
                same(result["frames"][0]["function"], function)
                same(captured(result)["exception"]["value"], thrown_by(n)[1] or str(10 * n))
    for mark, expected in (("MIDDLE", throws), ("THROWS", [1, 5, 9, 13])):
        results = linger("thrown0", len(expected), place(mark, "thrown.cc"), "--log", "{n}", stage="line_exception", rounds=16)
        same([int(r["log_msg"]) for r in results], expected)
    same(run("thrown0", place("TRIED", "thrown.cc"), "--log", "{n}", stage="line_exception", rounds=16), [])
    # A condition is of the frame that it comes through; thrown again it is another event.
    expected = [n for n in range(97, 112) for _ in range(2 if n >= 100 and n % 4 == 1 else 1) if n % 4]
    results = linger("thrown0", len(expected), "catcher", "--log", "{n}", "--set", "condition=n >= 97", stage="method_exception", rounds=112)
    same([int(r["log_msg"]) for r in results], expected)


def shared_library():
    """the same with the C++ library as it comes, in a program that runs already"""
    process = subprocess.Popen([FOLDER / "shared", "1000000"], stdout=subprocess.DEVNULL)
    try:
        results, _ = watch(process.pid, "middle", "--snapshot", "--stage", "method_capture", "-n", -1, "--set", "fire_period=0", until=lambda
                           results: {told(r)[1] for r in results} >= {None, "shop::Refused", "int", "char const*"})
        texts = {told(r)[2] for r in results if told(r)[1] == "shop::Refused"}
        assert texts and all(re.fullmatch(r"refused \d+", text) for text in texts), texts
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


def finished(names):
    """What gdb's `finish` says that each function returns."""
    commands = []
    for name in names:
        commands += ["-ex", f"tbreak {name}", "-ex", "continue" if commands else "run > /dev/null", "-ex", f"echo <{name}>\\n", "-ex", "finish"]
    shown = subprocess.run(["gdb", "-q", "-nx", "-batch", "-ex", "set debuginfod enabled off", "-ex", "set disable-randomization on",
                            *commands, FOLDER / "returned"], capture_output=True, text=True, timeout=4 * PATIENCE, check=False).stdout
    parts = re.split(r"^<(\w+)>\n", shown, flags=re.M)
    values = {name: re.search(r"^Value returned is \$\d+ = (.*?)\n(?=\S|$)", text, re.M | re.S) for name, text in zip(parts[1::2], parts[2::2])}
    return {name: found and found[1].split("\n")[0] for name, found in values.items()}


def returned():
    """what a function returns has its type, and the value that gdb's `finish` tells"""
    source = (SOURCES / "returned.cc").read_text(encoding="utf-8")
    names = re.findall(r"^RETURNS\(.*?, (returns_\w+),", source, re.M) + ["returns_nothing"]
    path, output = FOLDER / "returned.yaml", FOLDER / "returned.jsonl"
    path.write_text("".join(f"- {{id: {name}, method_name: {name}, stage: method_capture}}\n" for name in names))
    run("returned", "-f", path, "-o", output)
    results = {r["tracepoint"]: captured(r) for r in map(json.loads, output.read_text().splitlines())}
    same(sorted(results), sorted(names))
    same(results["returns_nothing"], {})
    values = {name: results[name]["return"]["value"] for name in names[:-1]}
    # The kernel's probes do not tell vector registers: such values are said not to be there.
    for name in ("double", "float", "long_double"):
        same(results["returns_" + name]["return"].get("state"), "unreadable")
    assert values["returns_mixed"].startswith("{a = 3, b = <unreadable") and values["returns_mixed_too"].startswith("{a = 3, b = <unreadable"), values
    assert values["returns_pointer"].endswith(" <number>"), values["returns_pointer"]
    assert values["returns_nested"].startswith("{a = {a = 3, b = 3}, b = 0x"), values["returns_nested"]
    same(values["returns_int128"], str((5 << 64) + 3))  # gdb 13 says 0
    if not shutil.which("gdb"):
        raise Skip("there is no gdb")
    expected, wrong = finished(names[:-1]), []
    for name in names[:-1]:
        if re.search("double|float|mixed|pointer|nested|int128", name):
            continue
        if values[name] != expected.get(name):
            wrong.append((name, values[name], expected.get(name)))
    assert not wrong, wrong


def record():
    """a trace begins at a hit, or the result says why not; the program goes on as without"""
    path = FOLDER / "hit.trace"
    results = run("staged0", "plain", "--snapshot", "-n", 1, "--set", f"record={path}", rounds=200)
    attributes = results[0]["attributes"]
    if "error" in attributes:
        assert attributes["error"].startswith(f"record {path}: ") and len(attributes["error"]) > len(f"record {path}: "), attributes
        assert not path.exists()
        return
    same(attributes["record"], str(path))
    shown = subprocess.run([STROBE, "trace", "info", path], capture_output=True, text=True, check=True, timeout=PATIENCE).stdout
    assert "staged0" in shown, shown


def containers():
    """a std::string is its text, a std::vector its elements, as far as the limits go"""
    place_of = place("SERVE", "containers.cc")
    watches = [word for expression in ("names", "paths", "bits") for word in ("--watch", expression)]
    for level in "02":
        results = linger("containers" + level, 2, place_of, "--snapshot", *watches)
        known = results[0]["variables"]
        of_first = {v["name"]: known[v["id"]] for v in results[0]["frames"][0]["variables"]}
        watched = {w["expression"]: known[w["value"]] for w in results[0]["watches"]}

        def children(variable):
            return [(child["name"], known[child["id"]]["value"]) for child in variable["children"]]
        same(of_first["text"]["value"], "brief")
        more = known[of_first["more"]["children"][0]["id"]]
        assert more["value"] == "w" * 1024 and more["truncated"] and not more["children"], more
        same(of_first["numbers"]["value"], "Size: 25")
        same(children(of_first["numbers"]), [(f"[{i}]", str(i * i)) for i in range(10)])
        assert of_first["numbers"]["truncated"]
        same(children(watched["names"]), [("[0]", "one"), ("[1]", "a name of more than sixteen bytes"), ("[2]", "")])
        assert not watched["names"]["truncated"]
        first, second = (known[child["id"]] for child in watched["paths"]["children"])
        same((first["value"], second["value"]), ("Size: 2", "Size: 0"))
        same(children(known[first["children"][1]["id"]]), [("x", "3"), ("y", "4")])
        assert "_M_impl" in watched["bits"]["value"], watched["bits"]  # of bits: the members that it has
        of_second = {v["name"]: results[1]["variables"][v["id"]] for v in results[1]["frames"][0]["variables"]}
        same((of_second["text"]["value"], of_second["numbers"]["value"], of_second["numbers"]["children"]), ("", "Size: 0", []))


CASES = [line_end, line_capture, recursion, loops, branches, jumps, tails, inlines, debugger, survives, outcomes, lines_thrown, exceptions, shared_library, returned, record, containers]


def prepare():
    for level in "02":
        subprocess.run([CC, "-g", "-O" + level, "-o", FOLDER / ("staged" + level), SOURCES / "staged.c"], check=True)
        subprocess.run(["c++", "-g", "-O" + level, "-static-libstdc++", "-static-libgcc", "-o", FOLDER / ("thrown" + level),
                        SOURCES / "thrown.cc"], check=True)
        subprocess.run(["c++", "-g", "-O" + level, "-o", FOLDER / ("containers" + level), SOURCES / "containers.cc"], check=True)
    subprocess.run(["c++", "-g", "-O1", "-o", FOLDER / "returned", SOURCES / "returned.cc"], check=True)
    subprocess.run(["c++", "-g", "-O1", "-o", FOLDER / "shared", SOURCES / "thrown.cc"], check=True)


sys.exit(main(CASES, prepare))
