#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`trace dump`, `trace info` and `trace step` on traces whose every instruction is known. TAP on stdout.

usage: trace_dump.py STROBE TRACES

Counts and addresses are what TRACES/README.md says; motions of `trace step` are compared with a plain walk over
the dumped list.
"""
import json
import os
import re
import subprocess
import sys
import tempfile

STROBE, TRACES = sys.argv[1:3]
CALLS1 = os.path.join(TRACES, "calls1", "trace.json")
LOOP = os.path.join(TRACES, "loop", "trace.json")
GARBLED = os.path.join(TRACES, "faulty", "garbled.json")
THREADS2 = os.path.join(TRACES, "threads2", "trace.json")
STATE = None


def run(*words, status=0, text=None):
    """(stdout, stderr) of a verb that exits with `status`."""
    done = subprocess.run([STROBE, "trace", *words, "--index", ""], input=text, capture_output=True, text=True,
                          check=False, timeout=120, env={**os.environ, "XDG_STATE_HOME": STATE})
    assert done.returncode == status, (words, done.returncode, done.stderr)
    return done.stdout, done.stderr


def dump(*words):
    """The items of a dump."""
    return json.loads(run("dump", *words, "--json")[0])


def lines(*words):
    """The lines of a dump that are items."""
    return [line for line in run("dump", *words)[0].splitlines() if re.match(r"    \d+: ", line)]


def ids(items):
    """Their ids."""
    return [item["id"] for item in items]


def test_counts_and_ends():
    everything = dump(LOOP, "--all", "--forwards")
    addresses = [item["loadAddress"] for item in everything]
    assert len(addresses) == 55 and addresses[0] == "0x401027" and addresses[-1] == "0x401035"
    assert dump(LOOP, "--all") == everything[::-1]
    assert len(dump(CALLS1)) == 20 and dump(CALLS1)[0]["loadAddress"] == "0x401013"
    assert len(dump(CALLS1, "-c", "7")) == 7 and dump(CALLS1, "-c", "0") == []


def test_skip_and_id_count_items():
    with_events = dump(LOOP, "-f", "-e", "-a")
    assert ids(with_events) == list(range(len(with_events)))
    assert ids(dump(LOOP, "-f", "-i", "10", "-s", "3", "-c", "4")) == [13, 14, 15, 16]
    assert ids(dump(LOOP, "-i", "10", "-s", "3", "-c", "4")) == [7, 6, 5, 4]
    assert run("dump", LOOP, "-s", "1000")[0] == "thread #1: tid = 4242\n    no more data\n"
    assert "no item 1000" in run("dump", LOOP, "-i", "1000", status=1)[1]
    assert "not a number" in run("dump", LOOP, "-s", "-1", status=2)[1]


def test_forms_agree():
    items = dump(CALLS1, "-f", "-e", "-t", "-k", "-c", "500")
    pretty = json.loads(run("dump", CALLS1, "-f", "-e", "-t", "-k", "-c", "500", "-J")[0])
    assert pretty == items
    text = lines(CALLS1, "-f", "-e", "-t", "-k", "-c", "500")
    assert len(text) == len(items)
    for item, line in zip(items, text):
        assert line.startswith(f"    {item['id']}: [{float(item['timestamp_ns']):.3f} ns] "), (item, line)
        if "loadAddress" in item:
            assert f" 0x{int(item['loadAddress'], 16):016x}    {item['controlFlowKind']}" in line
            assert item["mnemonic"] in line
        else:
            assert "(event) " + item["event"] in line
    raw = lines(CALLS1, "-f", "-r", "-c", "500")
    assert raw == [f"    {item['id']}: 0x{int(item['loadAddress'], 16):016x}" for item in items
                   if "loadAddress" in item]


def test_times_grow():
    times = [float(item["timestamp_ns"]) for item in dump(CALLS1, "-f", "-t", "-r", "-c", "5000")]
    assert times == sorted(times) and times[-1] > times[0]


def test_only_events_and_errors():
    events = dump(CALLS1, "-E", "-f", "-c", "1")
    assert len(events) > 20 and all("event" in item for item in events)
    errors = [item for item in dump(GARBLED, "-E", "-f") if "error" in item]
    assert errors
    text = run("dump", GARBLED, "-f", "-a", "-r")[0].splitlines()
    at = text.index("    ...missing instructions")
    assert "(error)" in text[at + 1]


def test_ranges_and_positions():
    assert ids(dump(LOOP, "--from", "10", "--to", "14")) == [10, 11, 12, 13, 14]
    assert ids(dump(LOOP, "--to", "14", "-c", "3")) == [14, 13, 12]
    assert ids(dump(LOOP, "--from", "50", "-c", "3")) == [50, 51, 52]
    timed = dump(CALLS1, "--from", "10us", "--to", "10.1us", "-t")
    assert timed and all(10000 <= float(item["timestamp_ns"]) <= 10100 for item in timed)
    place = json.loads(run("step", CALLS1, "--at", "10us", "--json", text="")[0])
    assert place["id"] == timed[0]["id"]
    assert ids(dump(CALLS1, "-p", place["position"], "-f", "-c", "2"))[0] == place["id"]
    assert "exclude" in run("dump", LOOP, "-i", "3", "-C", status=2)[1]


def test_continue():
    first, second = dump(LOOP, "-f", "-c", "5"), dump(LOOP, "-C", "-c", "5")
    assert ids(first + second) == ids(dump(LOOP, "-f", "-c", "10"))
    run("dump", LOOP, "-f", "-a")
    assert run("dump", LOOP, "-C")[0] == "thread #1: tid = 4242\n    no more data\n"
    assert "no earlier dump" in run("dump", os.path.join(TRACES, "dso", "trace.json"), "-C", status=1)[1]


def test_file_is_whole_and_private():
    path = os.path.join(STATE, "out")
    assert run("dump", LOOP, "-a", "-F", path)[0] == ""
    with open(path, encoding="utf-8") as file:
        assert file.read() == run("dump", LOOP, "-a")[0]
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert sorted(os.listdir(STATE)) == ["out", "strobe"]


def test_threads():
    one = dump(THREADS2, "--thread", "5001", "-r", "-c", "1")
    two = dump(THREADS2, "--thread", "5002", "-r", "-c", "1")
    assert one[0]["loadAddress"] == two[0]["loadAddress"] == "0x401013" and one != two
    assert "there is none" in run("dump", THREADS2, "--thread", "1", status=1)[1]


def test_info():
    told = json.loads(run("info", CALLS1, "--json")[0])
    thread = told["threads"][0]
    assert thread["instructions"] == 306791 and thread["tid"] == 4242 and thread["errors"] == {}
    assert thread["items"] == thread["instructions"] + sum(thread["events"].values())
    assert thread["events"]["trace synchronization point"] == 11
    assert set(thread) >= {"raw_bytes", "index_bytes", "first_time_ns", "last_time_ns", "cpus"}
    assert "Total number of trace items: " + str(thread["items"]) in run("info", CALLS1)[0]
    assert len(json.loads(run("info", THREADS2, "--json")[0])["threads"]) == 2
    assert len(json.loads(run("info", THREADS2, "--json", "--thread", "5002")[0])["threads"]) == 1


def stacks(items):
    """Of each instruction, the ids of the calls around it, by a plain walk: the truth for `step`."""
    stack, found, pushed = [], [], []
    for at, item in enumerate(items):
        found.append(tuple(stack))
        if item["controlFlowKind"] == "call":
            stack.append(item["id"])
            pushed.append(at)
        elif item["controlFlowKind"] == "return" and stack:
            stack.pop()
            pushed.pop()
    return found


def positions(trace, *commands):
    """The ids of the places that the prompt shows."""
    out = run("step", trace, "--json", text="\n".join(commands) + "\n")[0]
    return [json.loads(line)["id"] for line in out.splitlines()]


def test_step_against_a_plain_walk():
    items = dump(CALLS1, "-f", "-k", "-c", "60000")
    depth = [len(stack) for stack in stacks(items)]
    checked = 0
    for at in (16500, 16700, 17003, 19001):
        here = next(i for i, item in enumerate(items) if item["id"] >= at)
        later, earlier = range(here + 1, len(items)), range(here - 1, -1, -1)
        kinds = [item["controlFlowKind"] for item in items]
        for command, where in (("finish", (i for i in later if depth[i] < depth[here])),
                               ("back-finish", (i for i in earlier if depth[i] < depth[here])),
                               ("call", (i for i in later if kinds[i] == "call")),
                               ("back-call", (i for i in earlier if kinds[i] == "call")),
                               ("return", (i for i in later if kinds[i] == "return")),
                               ("back-return", (i for i in earlier if kinds[i] == "return")),
                               ("si 7", iter([here + 7])), ("bsi 7", iter([here - 7]))):
            target = next(where, None)
            if target is not None:
                came_to = positions(CALLS1, f"goto {items[here]['id']}", command)[-1]
                assert came_to == items[target]["id"], (at, command, came_to, items[target]["id"])
                checked += 1
    assert checked > 25


def test_next_stays_in_its_frame():
    items = dump(CALLS1, "-f", "-k", "-c", "25000")
    found = stacks(items)
    where = {item["id"]: i for i, item in enumerate(items)}
    ids_seen = positions(CALLS1, "goto 16410", *["next"] * 3)[1:]
    depths = [len(found[where[i]]) for i in ids_seen if i in where]
    assert depths == sorted(depths, reverse=True), (ids_seen, depths)
    there = positions(CALLS1, "goto 16419", "next", "back-next")
    assert there[-1] <= there[-2]


def test_where_is_the_row_of_open_calls():
    items = dump(CALLS1, "-f", "-k", "-c", "25000")
    for at in (16530, 20001):
        here = next(i for i, item in enumerate(items) if item["id"] >= at)
        out = run("step", CALLS1, "--json", "-x", f"goto {items[here]['id']}", "-x", "where")[0]
        frames = json.loads(out.splitlines()[-1])["frames"]
        assert [frame["id"] for frame in frames[1:]] == list(stacks(items)[here])[::-1], at


def test_prompt():
    out, errors = run("step", CALLS1, text="begin\nfind fib\nwhere\n\nfoo\ngoto 99999999\nx 2\ndump 3\n\ninfo\nhelp\n",
                      status=1)
    assert out.count("frame #0: calls`fib") == 2 # the empty line is the command before
    assert "no command 'foo'" in errors and "no item 99999999" in errors
    assert " => 0x" in out and "position: 4242#" in out and "back-finish bf" in out
    assert run("step", CALLS1, "-x", "begin", "-x", "bsi")[0].count("the trace begins here") == 1
    assert "missing" in run("step", GARBLED, "-x", "begin", "-x", "find errors", "-x", "bsi", "-x", "si")[0]


def main():
    global STATE
    tests = [(name[5:].replace("_", " "), test) for name, test in globals().items() if name.startswith("test_")]
    print(f"1..{len(tests)}")
    failed = False
    for number, (name, test) in enumerate(tests, 1):
        with tempfile.TemporaryDirectory() as STATE:
            try:
                test()
                print(f"ok {number} - {name}", flush=True)
            except (AssertionError, json.JSONDecodeError, KeyError, IndexError, ValueError, StopIteration,
                    subprocess.SubprocessError) as error:
                failed = True
                print("#", type(error).__name__, str(error)[:1000].replace("\n", " "))
                print(f"not ok {number} - {name}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
