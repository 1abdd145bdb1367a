#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`strobe watch` on a program whose every value is known. TAP on stdout.

usage: watch.py STROBE CC SOURCE_FOLDER
"""
import json
import pathlib
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import watching
from watching import CC, FOLDER, NO_HURRY, PATIENCE, SOURCES, STROBE, Session, check_skip, code, count, told, until, variable, watch


def line(mark):
    return watching.line("watched.c", mark)


def place(mark="SERVE"):
    return f"watched.c:{line(mark)}"


class Target(watching.Target):
    def __init__(self, *arguments, **named):
        super().__init__(FOLDER / "watched", *arguments, **named)


def points(name, *rows):
    """A file of tracepoints that collect no snapshot and fire without a limit, unless they say otherwise."""
    path = FOLDER / name
    collect = [", snapshot: no_collect" * ("snapshot:" not in row) for row in rows]
    path.write_text("".join(f"- {{path: watched.c, line: {line('SERVE')}, fire_period: 0, {row}{more}}}\n" for row, more in zip(rows, collect)))
    return path


def numbers(results, name):
    return [int(r["log_msg"]) for r in results if r["tracepoint"] == name]


def logs():
    """a log line has each expression's value: locals, members, thread-locals, statics, floating point"""
    with Target() as target:
        results, _ = watch(target.pid, f"watched.c:{line('SERVE')} if n % 10 == 3 && request->user->age == 30", "--log",
                           "{n} {{x}} {request->user->name} {request->tag} {request->weight * 2} {request->id - n} {of_this_thread}",
                           "--hits", 3)
    for result in results[:3]:
        assert result["kind"] == "log" and result["thread"]["name"] == "watched", result
        n, brace, name, tag, weight, zero, mine = result["log_msg"].split()
        assert int(n) % 10 == 3 and brace == "{x}" and name == "alice" and tag == "tag", result["log_msg"]
        assert float(weight) == 3 and zero == "0" and int(mine) == int(n) % 7, result["log_msg"]
    assert len({r["context"] for r in results}) == len(results)


def snapshots():
    """a snapshot has frames, variables once by identity, cycles, limits, watches good and bad"""
    with Target() as target:
        results, _ = watch(target.pid, f"watched.c:{line('SERVE')}", "-n", 1, "--hits", 1, *NO_HURRY, "-w", "request->user->age + 1",
                           "-w", "nonsense", "--set", "frame_type=all_frame", "--set", "max_collection_size=5")
    result = results[0]
    assert result["kind"] == "snapshot" and [f["function"] for f in result["frames"]][:2] == ["serve", "work"], result
    assert result["frames"][0]["line"] == line("SERVE") and result["frames"][0]["app_frame"] is True
    n, local = int(variable(result, "n")["value"]), int(variable(result, "local")["value"])
    assert local == 2 * n + 1, (n, local)
    variables = result["variables"]
    pointer = variable(result, "request")
    request = variables[pointer["children"][0]["id"]]
    members = {child["name"]: variables[child["id"]] for child in request["children"]}
    assert members["tag"]["value"] == "tag" and members["list"]["value"] == "Size: 40", members
    assert len(members["list"]["children"]) == 5 and members["list"]["truncated"] is True, members["list"]
    assert members["bytes"]["type"] == "unsigned char [4]", members["bytes"]
    # The cycle ends at the object that is there already; the caller's local is the same object.
    itself = members["self"]["children"][0]["id"]
    assert itself == pointer["children"][0]["id"], (itself, pointer)
    assert any(v["name"] == "request" and v["id"] == itself for v in result["frames"][1]["variables"]), result["frames"][1]
    watches = {w["expression"]: w for w in result["watches"]}
    assert variables[watches["request->user->age + 1"]["value"]]["value"] == "31"
    assert "value" not in watches["nonsense"] and "nonsense" in watches["nonsense"]["error"], watches["nonsense"]


def exact():
    """every hit of eight threads counts, and fire_count is exact among them"""
    # Without stacks all hits find room, however late they are handled.
    run = [STROBE, "watch", place(), "--log", "{n}", "--json", "--status", "--set", "stack_type=no_stack", "--", FOLDER / "watched", "200", "8"]
    result = subprocess.run(run, capture_output=True, text=True, timeout=2 * PATIENCE, check=False)
    check_skip(result.stderr)
    assert result.returncode == 3, (result.returncode, result.stderr)
    lines = result.stdout.splitlines()
    assert lines.count("output is the program's own") == 1
    logs = [row for row in (json.loads(text) for text in lines if text.startswith("{")) if row["kind"] == "log"]
    seen = [int(row["log_msg"]) for row in logs]
    assert sorted(seen) == sorted(list(range(200)) * 8), len(seen)
    for limit in (1, 5):
        path = points("exact.yaml", f"id: few, log_msg: x, fire_count: {limit}", "id: all, log_msg: x, fire_count: -1")
        with Target(1000000, 8) as target, Session(target.pid, "-f", path, "--status") as session:
            session.until(lambda results: count(results, "few") >= limit and count(results, "all") > 200)
            results, said = session.end()
        assert count(results, "few") == limit and "few: used up" in said, (count(results, "few"), said)


def periods():
    """fire_period, samples, counts of a thread and of a value"""
    all_of_them = "id: all, log_msg: x, fire_count: -1"
    with Target(1000000, 3) as target:
        results, _ = watch(target.pid, place(), "--log", "x", "--period", 200, until=lambda results: len(results) >= 5)
        gaps = [b["time_ns"] - a["time_ns"] for a, b in zip(results, results[1:])]
        assert min(gaps) >= 200000000, gaps
        path = points("thread.yaml", "id: thread, log_msg: x, thread_fire_count: 2, fire_count: -1", all_of_them)
        results, _ = watch(target.pid, "-f", path, until=lambda results: count(results, "thread") >= 6 and count(results, "all") > 100)
        assert count(results, "thread") == 6, results
        path = points("value.yaml", "id: value, log_msg: '{n % 5}', value_key: n % 5, value_fire_count: 2, fire_count: -1", all_of_them)
        results, _ = watch(target.pid, "-f", path, until=lambda results: count(results, "value") >= 10 and count(results, "all") > 100)
        values = sorted(r["log_msg"] for r in results if r["tracepoint"] == "value")
        assert values == sorted("0011223344"), values
        path = points("sample.yaml", "id: sample, log_msg: x, sample: 0.25, fire_count: -1", all_of_them)
        results, _ = watch(target.pid, "-f", path, until=lambda results: count(results, "all") >= 2000)
        share = count(results, "sample") / count(results, "all")
        assert 0.2 < share < 0.3, share
        path = points("window.yaml", "id: later, log_msg: x, window_start: 4000000000, fire_count: -1",
                      "id: earlier, log_msg: x, window_end: 1, fire_count: -1", all_of_them)
        with Session(target.pid, "-f", path, "--status") as session:
            session.until(lambda results: count(results, "all") > 50)
            results, said = session.end()
        assert count(results, "all") == len(results) and said.count(" 0 hits") == 2, said


def calls():
    """a call is matched with its own return, in recursion and among threads; spans; metrics"""
    def depth(result):
        return int(variable(result, "n")["value"])

    def kinds(results, kind):
        return [r for r in results if r["kind"] == kind]

    # So slow that no hit is lost, which could not be matched.
    with Target(1000000, 4, environment={"PAUSE_US": "40000"}) as target:
        results, _ = watch(target.pid, "deep", "--stage", "method_capture", "--snapshot", *NO_HURRY,
                           until=lambda results: len(results) >= 40 and {depth(r) for r in results} >= {0, 1, 2, 3})
        for result in (r for r in results if "end" not in r["attributes"]):  # without calls that the session did not see to their end
            captured = next(w for w in result["watches"] if w["source"] == "capture")
            request = result["variables"][variable(result, "request")["children"][0]["id"]]
            identity = next(c["id"] for c in request["children"] if c["name"] == "id")
            returned = int(result["variables"][captured["value"]]["value"])
            assert returned == int(result["variables"][identity]["value"]) + depth(result), (returned, depth(result))
            assert result["duration_ns"] > 0
        assert {depth(r) for r in results} == {0, 1, 2, 3}
        results, _ = watch(target.pid, "serve", "--span", "--metric", "sum=n", "--metric", "calls",
                           until=lambda results: len(kinds(results, "span")) > 5 and len(kinds(results, "metric")) > 10)
        assert all(s["name"] == "serve" and 0 < s["duration_ns"] < PATIENCE * 1e9 for s in kinds(results, "span"))
        metrics = [m["metric"] for m in kinds(results, "metric")]
        assert {m["name"] for m in metrics} == {"sum", "calls"}
        assert all(m["value"] == 1 for m in metrics if m["name"] == "calls")


def places():
    """inlined copies, lines without code, unknown files: each says where it is, or why not"""
    with Target() as target:
        results, said = watch(target.pid, place("INLINED"), "--log", "{n} {doubled}", "--hits", 2)
        assert results and "error" not in said, said
        told(target.pid, "moved to line", f"watched.c:{line('SERVE') - 9}", "--log", "x")
        with Session(target.pid, "nowhere.c:12", "no_such_function", "--log", "x") as session:
            session.until(lambda _: session.said().count("pending") == 2)
            session.end()
        told(target.pid, "pending", f"tests/other/watched.c:{line('SERVE')}", "--log", "x")
        _, said = watch(target.pid, "serve", "--set", "span=line", status=1)
        assert "span line goes with the stages of a line" in said, said
        _, said = watch(target.pid, "serve", "--set", "stage=sideways", status=1)
        assert "stage" in said and "sideways" in said, said
        _, said = watch(target.pid, "serve", "--set", "colour=blue", status=1)
        assert "colour" in said, said


def late():
    """a place in a library that is not there yet is armed when it comes"""
    with Target(10, 1, FOLDER / "liblate.so") as target, Session(target.pid, "late", "--log", "{n}") as session:
        session.until_said("pending")
        target.process.send_signal(signal.SIGUSR1)
        session.until(lambda results: len(results) >= 3)
        session.end()


CONFIG = """
- id: one
  path: watched.c
  line: LINE
  log_msg: "one {n}"
  snapshot: no_collect
  fire_count: 3
  fire_period: 0
- id: two
  method_name: serve
  metrics:
    - name: served
      type: counter
      labels: {who: "{request->user->name}", fixed: text}
  actions: [no_snapshot]
  fire_count: -1
  fire_period: 0
"""


def configuration():
    """a file is read again when it changes: wrong entries are told with their line, unchanged ones keep their counts"""
    path = FOLDER / "points.yaml"
    text = CONFIG.replace("LINE", str(line("SERVE")))
    path.write_text(text)
    with Target() as target, Session(target.pid, "-f", path, "--status") as session:
        session.until(lambda results: count(results, "one") >= 3 and count(results, "two") > 100)
        path.write_text(text + "- id: three\n  path: watched.c\n  line: never\n- id: four\n  method_name: deep\n  log_msg: four\n"
                        "  snapshot: no_collect\n  colour: blue\n- id: five\n  method_name: deep\n  snapshot: no_collect\n"
                        "  log_msg: five {n}\n  fire_count: 2\n  fire_period: 0\n")
        session.until(lambda results: count(results, "five") >= 2)
        path.write_text("{ this is: [no yaml")
        session.until_said("the tracepoints stay as they were")
        so_far = count(session.results(), "two")
        session.until(lambda results: count(results, "two") > so_far + 100)
        results, told_in_all = session.end(by=signal.SIGTERM)
    by = {name: [r for r in results if r["tracepoint"] == name] for name in ("one", "two", "three", "four", "five")}
    assert len(by["one"]) == 3 and len(by["five"]) == 2 and not by["three"] and not by["four"], {k: len(v) for k, v in by.items()}
    assert by["two"][0]["metric"]["labels"] == {"who": "alice", "fixed": "text"}, by["two"][:1]
    first = len(text.splitlines()) + 1
    assert f"points.yaml:{first + 2}: line is no line number" in told_in_all, told_in_all
    assert f"points.yaml:{first + 3}: no argument is called 'colour'" in told_in_all, told_in_all
    assert "one: used up" in told_in_all, told_in_all


def several():
    """several tracepoints at one place each have all variables, one context, and limits of their own"""
    path = points("several.yaml", *(f"id: p{i}, snapshot: collect, fire_count: {i + 1}, max_tp_process_time: 60000" for i in range(3)), "id: all, log_msg: x, fire_count: -1")
    with Target() as target:
        results, _ = watch(target.pid, "-f", path, until=lambda results: len(results) >= 6 + 50)
    results = [r for r in results if r["tracepoint"] != "all"]
    assert [r["tracepoint"] for r in results] == ["p0", "p1", "p2", "p1", "p2", "p2"], [r["tracepoint"] for r in results]
    assert len({r["context"] for r in results[:3]}) == 1 and len({r["context"] for r in results}) == 3
    for result in results:
        assert variable(result, "n")["value"].isdigit() and len(result["variables"]) > 10


def triggers():
    """one tracepoint arms another; the last results are kept until a condition holds"""
    path = points("triggers.yaml", "id: armed, log_msg: '{n}', enabled: 'false', fire_count: 2",
                  "id: arms, log_msg: '{n}', condition: n % 50 == 0, arms: armed, fire_count: 1",
                  "id: keeps, log_msg: '{n}', fire_count: -1, keep_last: 4, keep_until: n % 100 == 99")
    with Target() as target:
        results, _ = watch(target.pid, "-f", path, until=lambda results: count(results, "keeps") >= 8 and
                           count(results, "armed") >= 2)
    seen = {name: numbers(results, name) for name in ("armed", "arms", "keeps")}
    assert len(seen["arms"]) == 1 and seen["arms"][0] % 50 == 0, seen
    assert len(seen["armed"]) == 2, seen
    # The first time there may be fewer.
    assert len(seen["keeps"]) >= 8 and {n % 100 for n in seen["keeps"]} == {96, 97, 98, 99}, seen["keeps"]
    assert [n % 100 for n in seen["keeps"][-4:]] == [96, 97, 98, 99], seen["keeps"]


CONDITIONS = {
    "request->bytes[1] == 255 && n < 7": lambda n: n < 7,
    "n % 3 == 1 && n > 190": lambda n: n % 3 == 1 and n > 190,
    "-n < -195": lambda n: n > 195,
    "(n ^ 5) == 2 || !(n - 17)": lambda n: n in (7, 17),
    "request->list[n - 1] == 2 && n < 5": lambda n: n == 2,
    "n >> 3 == 4": lambda n: n >> 3 == 4,
    "request->user->name[0] == 'a' && n == request->id && *&n == 9": lambda n: n == 9,
    "n * 2000000000 < 0 && n < 6": lambda n: n < 6 and (n * 2000000000 & 0x80000000) != 0,
    "n - 4u > 4294967293u": lambda n: n in (2, 3),
    "~n == -8": lambda n: n == 7,
    "request->self->self->user->age == 30 && n == 11": lambda n: n == 11,
    "(char)(n + 125) < 0 && n < 5": lambda n: n in (3, 4),
    "request->weight > 1.4 && n == 4": lambda n: n == 4,
    "(int)sizeof(int) * n == 40": lambda n: n == 10,
    "local == 2 * n + 1 && n <= 1": lambda n: n <= 1,
    "((struct request *)0)->id == 0": lambda n: False,
}


def conditions():
    """conditions mean the same wherever they are evaluated: by the kernel, by jumps, outside"""
    wrong = []
    for condition, expected in CONDITIONS.items():
        run = subprocess.run([STROBE, "watch", f"{place()} if {condition}", "--log", "{n}", "--json", "--", FOLDER / "watched", "200", "1"],
                             capture_output=True, text=True, timeout=2 * PATIENCE, check=False)
        check_skip(run.stderr)
        seen = [int(json.loads(text)["log_msg"]) for text in run.stdout.splitlines() if text.startswith("{")]
        if run.returncode != 3 or seen != [n for n in range(200) if expected(n)]:
            wrong.append(("program", condition, run.returncode, seen[:20], run.stderr))
    clock = f"{place('BEFORE')} if n == 0"
    with Target() as target:
        for engine in ("agent", "uprobe"):
            for condition, expected in CONDITIONS.items():
                tried = f"{place()} if {condition}"
                # Between two of the clock's, each number comes by.
                results, said = watch(target.pid, "--engine", engine, tried, clock, "--log", "{n}",
                                      until=lambda results: count(results, clock) >= 2)
                if set(numbers(results, tried)) != {n for n in range(200) if expected(n)}:
                    wrong.append((engine, condition, numbers(results, tried)[:20], said))
    assert not wrong, wrong


def mixed():
    """a jump gives way where a return is awaited, and the function is as it was afterwards"""
    more = "snapshot: no_collect, fire_count: -1, fire_period: 0"
    path = FOLDER / "mixed.yaml"
    with Target() as target:
        before = code(target.pid, "watched")
        for span in ("", f"- {{id: span, method_name: deep, span: method, {more}}}\n", ""):
            path.write_text(f"- {{id: call, method_name: deep, log_msg: '{{n}}', {more}}}\n" + span)
            results, _ = watch(target.pid, "--engine", "agent", "-f", path,
                               until=lambda results: count(results, "call") > 50 and len(set(numbers(results, "call"))) > 3 and
                               count(results, "span") >= (5 if span else 0))
            assert set(numbers(results, "call")) == {0, 1, 2, 3}, results[:20]
            assert all(r["name"] == "deep" for r in results if r["kind"] == "span")
            assert target.process.poll() is None
        until(lambda: code(target.pid, "watched") == before, "the code to be as it was")


def snap():
    """the whole process in a file at a hit"""
    with Target() as target:
        results, _ = watch(target.pid, f"watched.c:{line('SERVE')}", "--log", "x", "-n", 1, "--hits", 1, "--set",
                           f"snap={FOLDER}/hit-%n.core")
        assert results
    path = FOLDER / "hit-1.core"
    shown = subprocess.run([STROBE, "print", path, "total"], capture_output=True, text=True, check=True)
    assert int(shown.stdout) > 0, shown


def killed():
    """strobe killed at any moment: the program goes on, with the code it had"""
    with Target(1000000, 4) as target:
        before = code(target.pid, "watched")
        for i in range(25):
            process = subprocess.Popen([STROBE, "watch", target.pid, "serve", "deep", place("DEEP"), "--log", "{n}"],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(0.01 * i)
            process.kill()
            process.wait()
            assert target.process.poll() is None
        until(lambda: code(target.pid, "watched") == before, "the code to be as it was")


def refusals():
    """what cannot be watched is told in one line"""
    _, said = watch("999999999", "main", status=1)
    assert "no process" in said and said.count("\n") == 1, said
    _, said = watch("serve", "--", "/no/such/program", status=1)
    assert "no program" in said, said
    _, said = watch("1x", "main", status=2)
    assert "no process id" in said, said


CASES = [logs, snapshots, exact, periods, calls, places, late, configuration, several, triggers, conditions, mixed, snap, killed, refusals]


def prepare():
    subprocess.run([CC, "-g", "-O0", "-pthread", "-o", FOLDER / "watched", SOURCES / "watched.c", "-ldl"], check=True)
    subprocess.run([CC, "-g", "-O0", "-fPIC", "-shared", "-o", FOLDER / "liblate.so", SOURCES / "late.c"], check=True)


sys.exit(watching.main(CASES, prepare))
