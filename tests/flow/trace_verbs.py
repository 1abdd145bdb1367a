#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs `strobe trace find`, `diff`, `cover`, `export`, `save` and `trim` on traces whose every address is known. TAP on stdout.

usage: trace_verbs.py STROBE TRACES

What is exported is held against the tree of `strobe trace calls`, and read by the tools that it is for.
"""
import collections
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

STROBE, TRACES = sys.argv[1], pathlib.Path(sys.argv[2])
FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="strobe-verbs-"))
CALLS1, THREADS2 = TRACES / "calls1/trace.json", TRACES / "threads2/trace.json"
TIDS = (5001, 5002)


class Skip(Exception):
    pass


def strobe(verb, *arguments, status=0):
    """Standard output of a run that ends with `status`."""
    run = subprocess.run([STROBE, "trace", verb, *map(str, arguments), "--index", ""], capture_output=True,
                         check=False, timeout=120)
    assert run.returncode == status, (verb, arguments, run.returncode, run.stderr)
    return (run.stdout if status == 0 else run.stderr).decode()


def document(verb, *arguments):
    return json.loads(strobe(verb, *arguments, "--json"))


def check(condition, *what):
    assert condition, what


ITEM = {"id", "time_ns", "position", "kind"}
PLACE = {"address", "module", "function", "inlined", "file", "line"}


def find():
    """hits in JSON have all members, in text the same ids; --limit, --count and --all-threads"""
    found = document("find", CALLS1, "quick", "--entry")["threads"]
    check(len(found) == 1 and found[0]["tid"] == 4242 and found[0]["count"] == 897, found[0]["count"])
    for hit in found[0]["found"]:
        check(set(hit) == ITEM | PLACE | {"last_id", "instructions"}, hit)
        check(hit["function"] == "quick" and hit["kind"] == "instruction" and hit["line"] == 7, hit)
        check(re.fullmatch(r"4242#%d@\w+" % hit["id"], hit["position"]), hit)
    text = strobe("find", CALLS1, "quick", "-e", "-n", "5")
    check([int(i) for i in re.findall(r"^    (\d+):", text, re.M)] ==
          [hit["id"] for hit in found[0]["found"][:5]], text)
    check("5 shown, there are more" in text, text)
    check("897 found in 306817 items" in strobe("find", CALLS1, "quick", "-e", "-c"))
    both = document("find", THREADS2, "fib", "-e", "--all-threads")["threads"]
    check([thread["tid"] for thread in both] == list(TIDS), both)
    one = document("find", THREADS2, "fib", "-e", "--thread", 5002)["threads"]
    check(one[0]["found"] == both[1]["found"])
    # A position, a time and an id lead to the same.
    third = found[0]["found"][2]
    for place in (third["id"], third["position"]):
        part = document("find", CALLS1, "quick", "-e", "--from", place)["threads"][0]
        check(part["found"][0] == third and not part["limited"], part)
        check(part["count"] == 895, part["count"])
    part = document("find", CALLS1, "quick", "-e", "--to", third["id"], "-b")["threads"][0]
    check(part["found"][0] == third and part["count"] == 3, part)
    part = document("find", CALLS1, "quick", "-e", "-n", 2)["threads"][0]
    check(part["count"] == 2 and part["limited"] and part["found"] == found[0]["found"][:2], part)
    steps = document("find", CALLS1, "fib -> quick -> vm")["threads"][0]["found"]
    check([step["function"] for step in steps[0]["steps"]] == ["fib", "quick", "vm"], steps)


def find_mistakes():
    """what cannot be found is told in one line, with the column marked"""
    lines = strobe("find", CALLS1, "fib -> nosuch", status=1).splitlines()
    check(lines == ["strobe: trace find: fib -> nosuch: no function 'nosuch'", "  fib -> nosuch", "         ^"], lines)
    check("no code is of that line" in strobe("find", CALLS1, "calls.c:999", status=1))
    check(strobe("find", CALLS1, status=2))


def diff():
    """differences in JSON and text; a trace does not differ from itself"""
    same = document("diff", CALLS1, CALLS1)["threads"][0]
    check(same["differences"] == [] and same["complete"] and same["common"] == 306791, same)
    check("no difference: 306791 equal instructions" in strobe("diff", CALLS1, CALLS1))
    parts = document("diff", THREADS2, THREADS2, "--thread", TIDS[0], "--other-thread", TIDS[1], "-n", 3)
    thread = parts["threads"][0]
    check(thread["count"] == 3 and thread["limited"] and not thread["complete"], thread)
    first = thread["differences"][0]
    check(first["common"] == 23 and first["met"], first)
    check(first["a"]["last_common"]["id"] == 24 == first["b"]["last_common"]["id"], first)
    check((first["a"]["count"], first["b"]["count"]) == (0, 1), first)
    check(first["a"]["next"] == [] and len(first["b"]["next"]) == 1, first)
    text = strobe("diff", THREADS2, THREADS2, "--thread", TIDS[0], "--other-thread", TIDS[1], "-n", 3)
    check(text.count("difference ") == 3 and "3 differences, and more" in text, text)
    pairs = document("diff", THREADS2, THREADS2, "--functions")["threads"]
    check([(p["tid_a"], p["tid_b"]) for p in pairs] == [(5001, 5001), (5002, 5002)], pairs)
    check(all(p["complete"] and p["count"] == 0 for p in pairs), pairs)


def cover():
    """a tracefile that lcov and genhtml take, with the numbers of the JSON"""
    info = FOLDER / "run.info"
    whole = document("cover", CALLS1)
    told = document("cover", CALLS1, "--lcov", info, "--test", "synth")
    check(whole == told)
    check((whole["lines_found"], whole["lines_hit"], whole["functions_hit"]) == (13, 13, 15), whole)
    check(whole["instructions"] == 306791 and whole["instructions_without_line"] == 6, whole)
    text = info.read_text()
    lines = dict(map(int, m) for m in re.findall(r"^DA:(\d+),(\d+)$", text, re.M))
    check(lines == {line["line"]: line["count"] for line in whole["files"][0]["lines"]}, lines)
    check(text.startswith("TN:synth\nSF:/src/calls.c\nFN:3,sys\n") and text.endswith("LF:13\nLH:13\nend_of_record\n"))
    check(strobe("cover", CALLS1, "--lcov", "-", "--test", "synth") == text)
    part = document("cover", CALLS1, "--to", 16000, "--executed")
    check(part["lines_hit"] < 13 and part["lines_found"] == 13, part)
    check(document("cover", CALLS1, "--source", "/nowhere")["files"] == [])
    check("fib:5" in strobe("cover", CALLS1, "--functions"))
    if not shutil.which("lcov"):
        raise Skip("lcov is not installed")
    summary = subprocess.run(["lcov", "--summary", info], capture_output=True, check=True, text=True)
    check("13 of 13 lines" in summary.stdout + summary.stderr, summary)
    subprocess.run(["genhtml", "--ignore-errors", "source", "-q", info, "-o", FOLDER / "html"], capture_output=True,
                   check=True)
    check((FOLDER / "html/index.html").exists())


def preorder(call, depth=0):
    """(function, first id, depth) of a call of `trace calls` and all in it."""
    yield call["function"], call["first_id"], depth
    for child in call["calls"]:
        yield from preorder(child, depth + 1)


def call_trees():
    """The calls of each thread of THREADS2."""
    return {tid: document("calls", THREADS2, "--thread", tid)["threads"][0]["calls"] for tid in TIDS}


def call_lists():
    return {tid: [entry for call in calls for entry in preorder(call)] for tid, calls in call_trees().items()}


def perfetto():
    """Chrome's trace events: the tree of calls, whole, in order, with growing times"""
    out = FOLDER / "events.json"
    told = document("export", THREADS2, "-o", out)
    events = json.loads(out.read_text())["traceEvents"]
    check(out.stat().st_size == told["bytes"] and out.stat().st_mode & 0o777 == 0o600, told)
    stacks, seen, last = collections.defaultdict(list), collections.defaultdict(list), collections.Counter()
    for event in events:
        tid = event["tid"]
        if event["ph"] == "B":
            seen[tid].append((event["name"], event["args"].get("id"), len(stacks[tid])))
            stacks[tid].append(event)
        elif event["ph"] == "E":
            check(stacks[tid].pop()["name"] == event["name"], event)
        if event["ph"] in "BEi":
            check(event["ts"] >= last[tid], event)
            last[tid] = event["ts"]
    check(not any(stacks.values()))
    check(dict(seen) == call_lists())
    check(told["calls"] == sum(map(len, seen.values())) and told["clock"] == "time", told)
    check(sum(event["ph"] == "i" for event in events) == told["events"] + told["errors"])
    names = {event["args"]["name"] for event in events if event["ph"] == "M"}
    check(names >= {"thread 5001", "thread 5002"}, names)


def perfetto_filters():
    """--max-depth, --min-duration and --no-inlined leave out what they say, and nothing else"""
    def written(*arguments):
        out = FOLDER / "part.json"
        strobe("export", CALLS1, "-o", out, *arguments)
        stack, calls = [], []
        for event in json.loads(out.read_text())["traceEvents"]:
            if event["ph"] == "B":
                stack.append((event["args"]["id"], event["name"], event["ts"], event["cat"], len(stack)))
            elif event["ph"] == "E":
                first, name, start, kind, depth = stack.pop()
                calls.append((first, name, round(event["ts"] - start, 3), kind, depth))
        return sorted(calls)
    every = written()
    check(written("--max-depth", 3) == [call for call in every if call[4] < 3])
    check([c[:2] for c in written("--no-inlined")] == [c[:2] for c in every if c[3] == "call"])
    shorter = [call for call in every if call[2] > 1.0005]
    check(10 < len(shorter) < len(every), len(shorter))
    check(written("--min-duration", "1us") == [call for call in every if call[2] >= 1])
    check(written("--no-events") == every)


def folded():
    """folded stacks: weights add up to all instructions, stack by stack as the calls say"""
    out = FOLDER / "stacks"
    strobe("export", THREADS2, "-f", "folded", "-o", out)
    stacks = {}
    for line in out.read_text().splitlines():
        stack, weight = line.rsplit(" ", 1)
        check(stack not in stacks, stack)
        stacks[stack] = int(weight)
    expected = collections.Counter()

    def add(call, path):
        path = path + [call["function"]]
        expected[";".join(path)] += call["instructions"] - sum(c["instructions"] for c in call["calls"])
        for child in call["calls"]:
            add(child, path)
    for calls in call_trees().values():
        for call in calls:
            add(call, [])
    check(stacks == {stack: n for stack, n in expected.items() if n}, len(stacks), len(expected))
    times = strobe("export", THREADS2, "-f", "folded", "-o", "-", "--by", "time")
    check(abs(sum(int(line.rsplit(" ", 1)[1]) for line in times.splitlines()) - 204309) < 100, times)


def ctf():
    """Common Trace Format: babeltrace2 reads every call and return, in order"""
    out = FOLDER / "ctf"
    told = document("export", THREADS2, "-f", "ctf", "-o", out)
    check(sorted(p.name for p in out.iterdir()) == ["metadata", "stream_5001", "stream_5002"])
    check(sum(p.stat().st_size for p in out.iterdir()) == told["bytes"], told)
    check("something in it" in strobe("export", THREADS2, "-f", "ctf", "-o", out, status=1))
    if not shutil.which("babeltrace2"):
        raise Skip("babeltrace2 is not installed")
    text = subprocess.run(["babeltrace2", out], capture_output=True, check=True, text=True)
    check(text.stderr == "", text.stderr)
    seen, returns = collections.defaultdict(list), 0
    for line in text.stdout.splitlines():
        call = re.search(r"call: \{ tid = (\d+) \}, \{ function = \"(.*?)\".* depth = (\d+),.* item = (\d+) \}", line)
        if call:
            seen[int(call[1])].append((call[2], int(call[4]), int(call[3])))
        returns += " return: " in line
    check(dict(seen) == call_lists())
    check(returns == told["calls"] == sum(map(len, seen.values())), returns)
    check(len(text.stdout.splitlines()) == 2 * told["calls"] + told["events"] + told["errors"])


def export_mistakes():
    """exports that cannot be made leave nothing behind"""
    check("--output" in strobe("export", CALLS1, status=2))
    check("--by goes with" in strobe("export", CALLS1, "-o", FOLDER / "x", "--by", "time", status=2))
    check("/no/where" in strobe("export", CALLS1, "-o", "/no/where/x", status=1))
    check("/no/where" in strobe("export", CALLS1, "-f", "ctf", "-o", "/no/where/x", status=1))
    check(not (FOLDER / "x").exists())


def save():
    """what is saved is the same trace; what is trimmed holds what was asked for"""
    told = document("save", CALLS1, FOLDER / "saved")
    check(told["threads"] == 1 and told["packet_bytes"] == 21838 and told["first_id"] is None, told)
    saved = FOLDER / "saved/trace.json"
    check(document("find", saved, "quick", "-e")["threads"][0]["count"] == 897)
    same = document("diff", CALLS1, saved)["threads"][0]
    check(same["count"] == 0 and same["common"] == 306791, same)
    check(strobe("save", CALLS1, FOLDER / "saved", status=1))
    part = document("trim", CALLS1, FOLDER / "part", "--from", 100000, "--to", 120000)
    check(part["first_id"] <= 100000 and part["last_id"] >= 120000, part)
    check(part["last_id"] - part["first_id"] < 100000, part)
    kept = document("find", FOLDER / "part/trace.json", "0x401000+4096")["threads"][0]["found"]
    check(sum(hit["instructions"] for hit in kept) > 20000)
    one = document("save", THREADS2, FOLDER / "one", "--thread", 5002)
    check(one["threads"] == 1 and one["packet_bytes"] == (TRACES / "threads2/5002.pt").stat().st_size, one)
    early = document("trim", THREADS2, FOLDER / "early", "--to", "20us")
    check(early["threads"] == 2, early)
    check("--from" in strobe("trim", CALLS1, FOLDER / "none", status=2))
    check("later" in strobe("trim", CALLS1, FOLDER / "none", "--from", "2us", "--to", "1us", status=2))
    check(not (FOLDER / "none").exists())


def damaged():
    """a trace with errors in it: they are found, exported, and no call is lost"""
    garbled = TRACES / "faulty/garbled.json"
    errors = document("find", garbled, "errors")["threads"][0]
    check(errors["count"] >= 1 and all(hit["kind"] == "error" and hit["error"] for hit in errors["found"]), errors)
    out = FOLDER / "garbled.json"
    told = document("export", garbled, "-o", out)
    check(told["errors"] == errors["count"], told)
    check(told["calls"] == sum(e["ph"] == "B" for e in json.loads(out.read_text())["traceEvents"]))
    empty = TRACES / "faulty/empty.json"
    check(document("find", empty, "errors")["threads"][0]["count"] <= 1)
    check(document("cover", empty)["lines_hit"] == 0)
    check(document("diff", empty, empty)["threads"][0]["count"] == 0)
    check(document("export", empty, "-o", FOLDER / "empty.json")["calls"] == 0)


def main():
    cases = [find, find_mistakes, diff, cover, perfetto, perfetto_filters, folded, ctf, export_mistakes, save, damaged]
    print(f"1..{len(cases)}")
    failed = False
    for number, case in enumerate(cases, 1):
        name = case.__doc__.splitlines()[0]
        try:
            case()
            print(f"ok {number} - {name}", flush=True)
        except Skip as reason:
            print(f"ok {number} - {name} # SKIP {reason}", flush=True)
        except Exception as reason:  # pylint: disable=broad-except
            failed = True
            print(f"not ok {number} - {name}\n# {type(reason).__name__}: {str(reason)[:2000]!r}", flush=True)
    shutil.rmtree(FOLDER, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
