#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`strobe watch` on a program whose every value is known. TAP on stdout.

usage: watch.py STROBE CC SOURCE_FOLDER
"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

STROBE, CC, SOURCES = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="strobe-watch-"))
SOURCE = (SOURCES / "watched.c").read_text(encoding="utf-8").splitlines()


class Skip(Exception):
    pass


def line(mark):
    """The line that ends with // MARK."""
    return next(i for i, text in enumerate(SOURCE, 1) if text.endswith("// " + mark))


class Target:
    """The program, running; it must end by itself with status 3, or by SIGTERM in order."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen([FOLDER / "watched", *map(str, arguments)], stdout=subprocess.PIPE)
        time.sleep(0.1)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            self.process.kill()
            self.process.wait()
            return
        self.process.send_signal(signal.SIGTERM)
        output = self.process.communicate(timeout=20)[0]
        assert self.process.returncode == 3, self.process.returncode
        assert output == b"output is the program's own\n", output

    @property
    def pid(self):
        return str(self.process.pid)


def watch(*arguments, timeout=30, status=0):
    """Results, and what was said."""
    run = subprocess.run([STROBE, "watch", "--json", *map(str, arguments)], capture_output=True, text=True, timeout=timeout,
                         check=False)
    if run.returncode == 1 and ("CAP_BPF" in run.stderr or "uprobe_multi" in run.stderr):
        raise Skip(run.stderr.strip())
    assert run.returncode == status, (run.returncode, run.stderr, run.stdout)
    return [json.loads(text) for text in run.stdout.splitlines() if text.startswith("{")], run.stderr


def value(result, name):
    """A variable of frame 0."""
    frame = result["frames"][0]
    return result["variables"][next(v["id"] for v in frame["variables"] if v["name"] == name)]


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
        results, _ = watch(target.pid, f"watched.c:{line('SERVE')}", "-n", 1, "--hits", 1, "-w", "request->user->age + 1",
                           "-w", "nonsense", "--set", "frame_type=all_frame", "--set", "max_collection_size=5")
    result = results[0]
    assert result["kind"] == "snapshot" and [f["function"] for f in result["frames"]][:2] == ["serve", "work"], result
    assert result["frames"][0]["line"] == line("SERVE") and result["frames"][0]["app_frame"] is True
    n, local = int(value(result, "n")["value"]), int(value(result, "local")["value"])
    assert local == 2 * n + 1, (n, local)
    variables = result["variables"]
    pointer = value(result, "request")
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
    run = [STROBE, "watch", f"watched.c:{line('SERVE')}", "--log", "{n}", "--json", "--status", "--", FOLDER / "watched", "200", "8"]
    result = subprocess.run(run, capture_output=True, text=True, timeout=60, check=False)
    if "CAP_BPF" in result.stderr or "uprobe_multi" in result.stderr:
        raise Skip(result.stderr.strip())
    assert result.returncode == 3, (result.returncode, result.stderr)
    lines = result.stdout.splitlines()
    assert lines.count("output is the program's own") == 1
    numbers = [int(json.loads(text)["log_msg"]) for text in lines if text.startswith("{")]
    assert sorted(numbers) == sorted(list(range(200)) * 8), len(numbers)
    for count in (1, 5):
        with Target(1000000, 8) as target:
            results, said = watch(target.pid, f"watched.c:{line('SERVE')}", "--log", "x", "-n", count, "-T", 1, "--status")
        assert len(results) == count and "used up" in said, (len(results), said)


def periods():
    """fire_period, samples, counts of a thread and of a value"""
    place = f"watched.c:{line('SERVE')}"
    with Target(1000000, 3) as target:
        results, _ = watch(target.pid, place, "--log", "x", "--period", 200, "-T", 1.5)
        assert len(results) >= 4, len(results)
        gaps = [b["time_ns"] - a["time_ns"] for a, b in zip(results, results[1:])]
        assert min(gaps) >= 200000000, gaps
        results, _ = watch(target.pid, place, "--log", "x", "--set", "thread_fire_count=2", "-T", 1)
        assert len(results) == 6, len(results)
        results, _ = watch(target.pid, place, "--log", "{n % 5}", "--set", "value_key=n % 5", "--set", "value_fire_count=2", "-T", 1)
        assert sorted(r["log_msg"] for r in results) == sorted("0011223344"), [r["log_msg"] for r in results]
        results, _ = watch(target.pid, place, "--log", "x", "--set", "window_start=4000000000", "-T", 0.5)
        assert not results
        results, said = watch(target.pid, place, "--log", "x", "--set", "window_end=1", "-T", 0.5, "--status")
        assert not results and " 0 hits" in said, said


def calls():
    """a call is matched with its own return, in recursion and among threads; spans; metrics"""
    with Target(1000000, 4) as target:
        results, _ = watch(target.pid, "deep", "--stage", "method_capture", "--snapshot", "--hits", 40)
        seen = set()
        for result in results:
            n = int(value(result, "n")["value"])
            captured = next(w for w in result["watches"] if w["source"] == "capture")
            request = result["variables"][value(result, "request")["children"][0]["id"]]
            identity = next(c["id"] for c in request["children"] if c["name"] == "id")
            returned = int(result["variables"][captured["value"]]["value"])
            assert returned == int(result["variables"][identity]["value"]) + n, (returned, n)
            assert result["duration_ns"] > 0
            seen.add(n)
        assert seen == {0, 1, 2, 3}, seen
        results, _ = watch(target.pid, "serve", "--span", "--metric", "sum=n", "--metric", "calls", "--hits", 30)
        kinds = {kind: [r for r in results if r["kind"] == kind] for kind in ("span", "metric")}
        assert all(s["name"] == "serve" and 0 < s["duration_ns"] < 5e9 for s in kinds["span"]) and kinds["span"]
        assert {m["metric"]["name"] for m in kinds["metric"]} == {"sum", "calls"}
        assert all(m["metric"]["value"] == 1 for m in kinds["metric"] if m["metric"]["name"] == "calls")


def places():
    """inlined copies, lines without code, unknown files: each says where it is, or why not"""
    with Target() as target:
        results, said = watch(target.pid, f"watched.c:{line('INLINED')}", "--log", "{n} {doubled}", "--hits", 2)
        assert results and "error" not in said, said
        _, said = watch(target.pid, f"watched.c:{line('SERVE') - 9}", "--log", "x", "-T", 0.3, "--status")
        assert "moved to line" in said, said
        _, said = watch(target.pid, "nowhere.c:12", "no_such_function", "--log", "x", "-T", 0.3)
        assert said.count("pending") == 2, said
        _, said = watch(target.pid, f"tests/other/watched.c:{line('SERVE')}", "--log", "x", "-T", 0.3)
        assert "pending" in said, said
        _, said = watch(target.pid, "watched.c:30", "--set", "stage=line_end", "-T", 0.3, "--status")
        assert "rejected" in said and "end of a line" in said, said
        _, said = watch(target.pid, "serve", "--set", "stage=sideways", status=1)
        assert "stage" in said and "sideways" in said, said
        _, said = watch(target.pid, "serve", "--set", "colour=blue", status=1)
        assert "colour" in said, said


def late():
    """a place in a library that is not there yet is armed when it comes"""
    process = subprocess.Popen([FOLDER / "watched", "10", "1", FOLDER / "liblate.so"], stdout=subprocess.DEVNULL)
    try:
        results, said = watch(process.pid, "late", "--log", "{n}", "--hits", 3, timeout=20)
        assert len(results) >= 3 and "pending" in said, (results, said)
    finally:
        process.kill()
        process.wait()


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
    path, output = FOLDER / "points.yaml", FOLDER / "results.jsonl"
    text = CONFIG.replace("LINE", str(line("SERVE")))
    path.write_text(text)
    with Target() as target, open(FOLDER / "said", "w+", encoding="utf-8") as said:
        process = subprocess.Popen([STROBE, "watch", target.pid, "-f", path, "-o", output, "--status"], stderr=said)
        time.sleep(1.5)
        path.write_text(text + "- id: three\n  path: watched.c\n  line: never\n- id: four\n  method_name: deep\n  log_msg: four\n"
                        "  snapshot: no_collect\n  colour: blue\n- id: five\n  method_name: deep\n  snapshot: no_collect\n"
                        "  log_msg: five {n}\n  fire_count: 2\n  fire_period: 0\n")
        time.sleep(1.5)
        path.write_text("{ this is: [no yaml")
        time.sleep(1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        said.seek(0)
        told = said.read()
    if "CAP_BPF" in told or "uprobe_multi" in told:
        raise Skip(told.strip())
    results = [json.loads(text) for text in output.read_text().splitlines()]
    by = {name: [r for r in results if r["tracepoint"] == name] for name in ("one", "two", "three", "four", "five")}
    assert len(by["one"]) == 3 and len(by["five"]) == 2 and not by["three"] and not by["four"], {k: len(v) for k, v in by.items()}
    assert len(by["two"]) > 500 and by["two"][0]["metric"]["labels"] == {"who": "alice", "fixed": "text"}, by["two"][:1]
    first = len(text.splitlines()) + 1
    assert f"points.yaml:{first + 2}: line is no line number" in told, told
    assert f"points.yaml:{first + 3}: no argument is called 'colour'" in told, told
    assert "the tracepoints stay as they were" in told, told
    assert "one: used up" in told, told


def several():
    """several tracepoints at one place each have all variables, one context, and limits of their own"""
    path, output = FOLDER / "several.yaml", FOLDER / "several.jsonl"
    path.write_text("".join(f"- {{id: p{i}, path: watched.c, line: {line('SERVE')}, fire_count: {i + 1}, fire_period: 0}}\n"
                            for i in range(3)))
    with Target() as target:
        run = subprocess.run([STROBE, "watch", target.pid, "-f", path, "-o", output, "-T", "1.5"], capture_output=True, text=True,
                             check=False)
    if "CAP_BPF" in run.stderr or "uprobe_multi" in run.stderr:
        raise Skip(run.stderr.strip())
    results = [json.loads(text) for text in output.read_text().splitlines()]
    assert [r["tracepoint"] for r in results] == ["p0", "p1", "p2", "p1", "p2", "p2"], [r["tracepoint"] for r in results]
    assert len({r["context"] for r in results[:3]}) == 1 and len({r["context"] for r in results}) == 3
    for result in results:
        assert value(result, "n")["value"].isdigit() and len(result["variables"]) > 10


def triggers():
    """one tracepoint arms another; the last results are kept until a condition holds"""
    path, output = FOLDER / "triggers.yaml", FOLDER / "triggers.jsonl"
    place = f"path: watched.c, line: {line('SERVE')}, snapshot: no_collect, fire_period: 0"
    path.write_text(f"- {{id: armed, {place}, log_msg: '{{n}}', enabled: 'false', fire_count: 2}}\n"
                    f"- {{id: arms, {place}, log_msg: '{{n}}', condition: n % 50 == 0, arms: armed}}\n"
                    f"- {{id: keeps, {place}, log_msg: '{{n}}', fire_count: -1, keep_last: 4, keep_until: n % 100 == 99}}\n")
    with Target() as target:
        run = subprocess.run([STROBE, "watch", target.pid, "-f", path, "-o", output, "-T", "2"], capture_output=True, text=True,
                             check=False)
    if "CAP_BPF" in run.stderr or "uprobe_multi" in run.stderr:
        raise Skip(run.stderr.strip())
    results = [json.loads(text) for text in output.read_text().splitlines()]
    numbers = {name: [int(r["log_msg"]) for r in results if r["tracepoint"] == name] for name in ("armed", "arms", "keeps")}
    assert numbers["arms"] and numbers["arms"][0] % 50 == 0, numbers
    assert len(numbers["armed"]) == 2, numbers
    # The first time there may be fewer.
    assert len(numbers["keeps"]) >= 8 and {n % 100 for n in numbers["keeps"]} == {96, 97, 98, 99}, numbers["keeps"]
    assert [n % 100 for n in numbers["keeps"][-4:]] == [96, 97, 98, 99], numbers["keeps"]


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
    wrong, place = [], f"watched.c:{line('SERVE')} if "
    for condition, expected in CONDITIONS.items():
        run = subprocess.run([STROBE, "watch", place + condition, "--log", "{n}", "--json", "--", FOLDER / "watched", "200", "1"],
                             capture_output=True, text=True, timeout=60, check=False)
        if run.returncode == 1 and ("CAP_BPF" in run.stderr or "uprobe_multi" in run.stderr):
            raise Skip(run.stderr.strip())
        numbers = [int(json.loads(text)["log_msg"]) for text in run.stdout.splitlines() if text.startswith("{")]
        if run.returncode != 3 or numbers != [n for n in range(200) if expected(n)]:
            wrong.append(("uprobe", condition, run.returncode, numbers[:20], run.stderr))
    with Target() as target:
        for condition, expected in CONDITIONS.items():
            results, said = watch(target.pid, "--engine", "agent", place + condition, "--log", "{n}", "-T", 1)
            numbers = {int(result["log_msg"]) for result in results}
            if numbers != {n for n in range(200) if expected(n)}:
                wrong.append(("agent", condition, sorted(numbers)[:20], said))
    assert not wrong, wrong


def mixed():
    """a jump gives way where a return is awaited, and the function is as it was afterwards"""
    path, output = FOLDER / "mixed.yaml", FOLDER / "mixed.jsonl"
    more = "snapshot: no_collect, fire_count: -1, fire_period: 0"
    with Target() as target:
        for span in ("", f"- {{id: span, method_name: deep, span: method, {more}}}\n", ""):
            path.write_text(f"- {{id: call, method_name: deep, log_msg: '{{n}}', {more}}}\n" + span)
            output.write_text("")
            run = subprocess.run([STROBE, "watch", target.pid, "--engine", "agent", "-f", path, "-o", output, "-T", "0.7"],
                                 capture_output=True, text=True, check=False)
            if "CAP_BPF" in run.stderr or "uprobe_multi" in run.stderr:
                raise Skip(run.stderr.strip())
            assert run.returncode == 0, run
            results = [json.loads(text) for text in output.read_text().splitlines()]
            logs = [r["log_msg"] for r in results if r["tracepoint"] == "call"]
            spans = [r for r in results if r["kind"] == "span"]
            assert len(logs) > 50 and set(logs) == {"0", "1", "2", "3"}, logs[:20]
            assert bool(spans) == bool(span) and all(s["name"] == "deep" for s in spans), (span, len(spans))
            assert target.process.poll() is None


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
    def code(pid):
        with open(f"/proc/{pid}/maps", encoding="utf-8") as maps:
            start, end = next(text.split()[0].split("-") for text in maps if "r-xp" in text and text.endswith("/watched\n"))
        with open(f"/proc/{pid}/mem", "rb") as memory:
            memory.seek(int(start, 16))
            return memory.read(int(end, 16) - int(start, 16))

    with Target(1000000, 4) as target:
        before = code(target.pid)
        for i in range(25):
            process = subprocess.Popen([STROBE, "watch", target.pid, "serve", "deep", f"watched.c:{line('DEEP')}", "--log", "{n}"],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(0.01 * (i % 25))
            process.kill()
            process.wait()
            assert target.process.poll() is None
        for _ in range(100):
            if code(target.pid) == before:
                break
            time.sleep(0.05)
        assert code(target.pid) == before


def refusals():
    """what cannot be watched is told in one line"""
    _, said = watch("999999999", "main", status=1)
    assert "no process" in said and said.count("\n") == 1, said
    _, said = watch("serve", "--", "/no/such/program", status=1)
    assert "no program" in said, said
    _, said = watch("1x", "main", status=2)
    assert "no process id" in said, said


CASES = [logs, snapshots, exact, periods, calls, places, late, configuration, several, triggers, conditions, mixed, snap, killed, refusals]


def main():
    subprocess.run([CC, "-g", "-O0", "-pthread", "-o", FOLDER / "watched", SOURCES / "watched.c", "-ldl"], check=True)
    subprocess.run([CC, "-g", "-O0", "-fPIC", "-shared", "-o", FOLDER / "liblate.so", SOURCES / "late.c"], check=True)
    print(f"1..{len(CASES)}")
    failed = False
    for number, case in enumerate(CASES, 1):
        try:
            case()
            print(f"ok {number} - {case.__doc__}", flush=True)
        except Skip as skip:
            print(f"ok {number} - {case.__doc__} # SKIP {skip}", flush=True)
        except (AssertionError, subprocess.SubprocessError, StopIteration, KeyError, ValueError, IndexError, OSError) as error:
            failed = True
            print(f"not ok {number} - {case.__doc__}\n# {type(error).__name__}: {str(error)[:2000]}", flush=True)
    shutil.rmtree(FOLDER)
    return failed


sys.exit(main())
