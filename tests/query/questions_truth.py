#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Asks every question about a program that knows its own heap. TAP.

usage: questions_truth.py STROBE CC SOURCE
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

STROBE, CC, SOURCE = sys.argv[1:4]
CONNS, ENTRIES, SLOTS, RING, LEAKED, HOLDERS, GROWN = 40, 300, 64, 9, 6, 32, 500
# Bytes that glibc gives for each.
NAME, TEXT, CONN, BUFFER, ENTRY, LARGE = 24, 56, 72, 120, 24, 2008
SLACK = 200  # a free piece that is a little larger is given whole
WHOLE_CONN = CONN + 4 * BUFFER + 2 * (NAME + TEXT)
ENVIRONMENT = {**os.environ, "DEBUGINFOD_URLS": "", "NO_COLOR": "1"}
RESULTS = []
STATE = {}


def run(*words, status=0):
    done = subprocess.run([STROBE, "heap", *map(str, words)], capture_output=True, text=True, timeout=100, check=False,
                          env=ENVIRONMENT)
    assert done.returncode == status, f"{words}: status {done.returncode}, not {status}: {done.stderr}"
    return done.stdout if status == 0 else done.stderr


def ask(*words, target="early", status=0):
    """The JSON of a question to one of the two snapshots."""
    done = subprocess.run([STROBE, "heap", STATE[target], *map(str, words), "--json"], capture_output=True, text=True,
                          timeout=100, check=False, env=ENVIRONMENT)
    assert done.returncode == status, f"{words}: status {done.returncode}, not {status}: {done.stderr}"
    return json.loads(done.stdout)


def truth(name):
    return STATE["truth"][name]


def address(name):
    return hex(truth(name))


def expect(ours, wanted):
    assert ours == wanted, f"{ours!r}, expected {wanted!r}"


def test_summary():
    summary = ask("summary")
    members = "objects edges guessed_edges roots allocated_bytes allocated_blocks reachable_bytes leaked_bytes leaked_blocks surrogates"
    assert set(members.split()) <= set(summary), set(members.split()) - set(summary)
    for surrogate in summary["surrogates"]:
        expect(set(surrogate), {"reason", "count"})
    expect(summary["leaked_blocks"], 2 * LEAKED)
    expect(summary["leaked_bytes"], LEAKED * (NAME + TEXT))
    expect(summary["allocated_bytes"], summary["reachable_bytes"] + summary["leaked_bytes"])
    expect(summary["unexplained_bytes"], 0)
    text = run(STATE["early"], "summary", "--no-store")
    assert "glibc" in text and "leaked" in text, text


def rows(answer, key="types"):
    return {row["type"]: row for row in answer[key]}


def test_histogram():
    types = rows(ask("histogram", "--reachable"))  # nothing says what the leaked ones are but their likeness
    names = 2 * (CONNS + 1) + RING + HOLDERS
    expect([types["struct name"][m] for m in ("count", "size_bytes")], [names, names * NAME])
    expect([types["struct conn"][m] for m in ("count", "size_bytes")], [CONNS + 1, (CONNS + 1) * CONN])
    expect([types["struct entry"][m] for m in ("count", "size_bytes")], [ENTRIES, ENTRIES * ENTRY])
    expect([types["struct table"]["count"], types["struct server"]["count"]], [1, 1])
    texts = 2 * (CONNS + 1) + RING
    expect(types["char"]["count"], 4 * (CONNS + 1) + texts + HOLDERS)
    expect(types["struct conn"]["retained_bytes"], (CONNS + 1) * WHOLE_CONN)
    expect(types["struct entry"]["retained_bytes"], ENTRIES * ENTRY)  # the connections are held elsewhere, too
    lost = ask("histogram", "--leaked")["types"]
    expect([sum(row["count"] for row in lost), sum(row["size_bytes"] for row in lost)], [2 * LEAKED, LEAKED * (NAME + TEXT)])
    sizes = [row["size_bytes"] for row in ask("histogram")["types"]]
    expect(sizes, sorted(sizes, reverse=True))
    text = run(STATE["early"], "histogram", "--limit", 1)
    assert "; 1 shown" in text and "struct entry" not in text, text


def test_top_and_retained():
    ring = RING * (NAME + TEXT) + HOLDERS * (NAME + LARGE)
    table = 24 + SLOTS * 8 + 8 + ENTRIES * ENTRY
    whole = 40 + CONNS * WHOLE_CONN + table + ring
    top = ask("top", "--blocks")["objects"]
    for one in top:
        assert {"address", "type", "size_bytes", "retained_bytes", "root"} <= set(one), one
    by_address = {one["address"]: one for one in ask("top", "--blocks", "--limit", 0)["objects"]}
    expect(by_address[address("server")]["retained_bytes"], whole)
    expect(by_address[address("first")]["retained_bytes"], CONNS * WHOLE_CONN)
    expect(by_address[address("fifth")]["retained_bytes"], (CONNS - 4) * WHOLE_CONN)
    expect(by_address[address("table")]["retained_bytes"], table)
    expect(by_address[address("loose")]["retained_bytes"], ring)
    expect(top[0]["address"], address("server"))
    assert top[0]["root"].endswith(" > server"), top[0]
    answer = ask("retained", address("table"), address("loose"))
    expect([answer["objects"], answer["retained_bytes"]], [2, table + ring])
    answer = ask("retained", "--type", "entry")
    expect([answer["objects"], answer["retained_bytes"]], [ENTRIES, ENTRIES * ENTRY])
    expect(ask("retained", "server->table->slots")["retained_bytes"], table - 24)
    text = run(STATE["early"], "top", "--type", "conn")
    assert text.count("struct conn ") == 2, text  # lists count once: the long one, and the spare


def test_dominators():
    tree = ask("dominators", "server", "--min-share", 0, "--depth", 2)["tree"]
    expect(tree["address"], address("server"))
    expect({child["address"] for child in tree["children"]}, {address("first"), address("table"), address("loose")})
    first = next(child for child in tree["children"] if child["address"] == address("first"))
    expect(first["chain"], CONNS - 1)
    each = ask("dominators", "server", "--min-share", 0, "--depth", 1000, "--children", 1000, "--whole-chains")["tree"]
    total, todo = 0, [each]
    while todo:
        node = todo.pop()
        total += node["size_bytes"]
        expect(node["retained_bytes"], node["size_bytes"] + sum(c["retained_bytes"] for c in node["children"]))
        expect(node["hidden"], 0)
        todo += node["children"]
    expect(total, tree["retained_bytes"])


def test_paths():
    paths = ask("path", address("fifth"))["paths"]
    expect(len(paths), 1)
    for step in paths[0]:
        assert {"from", "edge", "address", "type", "guessed"} <= set(step), step
        expect(step["guessed"], False)
    expect([step["edge"] for step in paths[0]], ["server", "", "->first", "->next", "->next", "->next", "->next"])
    expect(paths[0][-1]["address"], address("fifth"))
    expect(paths[0][-1]["type"], "struct conn")
    expect(paths[0][1]["from"], "server")
    expect(paths[0][2]["from"], address("server"))
    # The entry is the second of its slot; the other ways go through the ring, or there are none.
    expect([step["edge"] for step in ask("path", address("entry"))["paths"][0]][2:], ["->table", "->slots", "[7]", "->chain"])
    two = ask("path", "spare->names->next", "--count", 2, "--precise")["paths"]
    expect([[step["edge"] for step in path] for path in two], [["spare", "", "->names", "->next"]])
    # Two ways to the first connection: from the server, and from an entry of the table.
    ways = ask("path", "server->first", "--count", 3, "--precise")["paths"]
    expect([len(path) for path in ways], [3, 6, 6])
    expect(ways[1][-1]["edge"], "->conn")
    text = run(STATE["early"], "path", address("fifth"))
    assert text.startswith(f"{STATE['name']} > server > ->first > ->next (4 times)  {address('fifth')}"), text
    each = ask("path", "--type", "struct conn", "--each")["paths"]
    expect(len(each), CONNS + 1)
    lost = ask("leaks")["groups"][0]["addresses"][0]
    expect(ask("path", lost, status=1), {"paths": []})
    assert "leaked" in run(STATE["early"], "path", lost, status=1)
    assert "no object" in run(STATE["early"], "path", "0x10", status=1)
    assert "did you mean \"struct server\"" in run(STATE["early"], "path", "--type", "serve", status=1)


def test_leaks():
    answer = ask("leaks")
    for group in answer["groups"]:
        assert {"type", "blocks", "size_bytes", "addresses"} <= set(group), group
        expect(len(group["addresses"]), group["blocks"])
    names, texts = answer["groups"]  # by type, or by size and shape
    expect([names[m] for m in ("blocks", "size_bytes", "direct_blocks", "held_blocks", "held_bytes")],
           [LEAKED, LEAKED * NAME, LEAKED, LEAKED, LEAKED * TEXT])
    expect([texts[m] for m in ("blocks", "size_bytes", "direct_blocks")], [LEAKED, LEAKED * TEXT, 0])
    assert (names["type"], names["pattern"]) in [("struct name", None), (None, "pointers at +0x0")], names
    assert (texts["type"], texts["pattern"]) in [("char", None), (None, "text")], texts
    run(STATE["early"], "leaks", "--max-leaked", "1k")
    assert "--max-leaked 100" in run(STATE["early"], "leaks", "--max-leaked", 100, status=1)
    assert "--max-leaked 100" in run(STATE["early"], "summary", "--max-leaked", 100, status=1)


def test_free():
    answer = ask("free")
    main = next(arena for arena in answer["arenas"] if arena["arena"] == "main")
    blocks = main["allocated_blocks"]
    # mallinfo counts headers, and what a thread's cache has as in use.
    expect(main["mapped_bytes"], truth("arena_bytes"))
    headers = 8 * (blocks + main["cached_blocks"])
    assert abs(main["top_bytes"] - truth("top_bytes")) <= 16, (main["top_bytes"], truth("top_bytes"))
    free = main["free_bytes"] + 8 * main["free_blocks"] + main["top_bytes"]
    assert abs(free - truth("free_bytes")) <= 64, (free, truth("free_bytes"))
    in_use = main["allocated_bytes"] + main["cached_bytes"] + headers
    assert 0 <= truth("in_use_bytes") - in_use < 1024, (in_use, truth("in_use_bytes"))  # the cache's own block
    assert main["free_blocks"] >= HOLDERS - 7, main  # seven of these may be cached
    expect(sum(row["blocks"] for row in main["free_sizes"]), main["free_blocks"] + main["cached_blocks"] + main["fastbin_blocks"])
    assert 0 <= main["fragmentation"] < 1, main
    assert "main" in run(STATE["early"], "free", "--sizes")


def test_duplicates():
    answer = ask("duplicates", "--strings", "--min-size", 4, "--addresses")
    texts = {group["text"]: group for group in answer["groups"]}
    expect({text: group["count"] for text, group in texts.items() if len(text) < 200},
           {"a name that all of them have": CONNS + 1, "another name that all have": CONNS + 1, "ring": RING, "lost": LEAKED})
    large = texts["x" * 256]
    expect([large["count"], large["content_bytes"], large["wasted_bytes"]], [HOLDERS, 1999, (HOLDERS - 1) * LARGE])
    expect(answer["groups"][0]["text"], "x" * 256)
    assert address("text") in texts["another name that all have"]["addresses"]
    blocks = ask("duplicates")["groups"]
    expect([blocks[0]["count"], blocks[0]["wasted_bytes"]], [HOLDERS, (HOLDERS - 1) * LARGE])


def test_find():
    found = ask("find", "struct conn", "where", "state == 3 && refs > 1")
    wanted = sum(1 for i in range(CONNS) if i % 5 == 3 and i % 3 > 1)
    expect([found["found"], found["looked_at"], len(found["objects"])], [wanted, CONNS + 1, wanted])
    for one in found["objects"]:
        assert "state = 3, refs = 2" in one["value"], one
    expect(ask("find", "entry")["found"], ENTRIES)
    expect(ask("find", "entry", "where", "$.key == 7")["objects"][0]["element"], 0)
    expect(ask("find", "entry", "where", "key % 2 && conn == server->first")["found"], ENTRIES // 2)
    expect(ask("find", "entry", "where", "chain->key == 7")["found"], 1)
    assert ask("find", "entry", "where", "chain->key == 7")["unreadable"] == SLOTS
    assert "no symbol \"statte\"" in run(STATE["early"], "find", "conn", "where", "statte == 3", status=1)
    assert "where" in run(STATE["early"], "find", "conn", "state == 3", status=2)
    assert "\n3 of 41 objects" in run(STATE["early"], "find", "conn", "where", "state == 3 && refs > 1")


def test_show():
    shown = ask("show", "spare")
    expect([shown["type"], shown["size_bytes"], shown["retained_bytes"]], ["struct conn", CONN, WHOLE_CONN])
    assert shown["value"].startswith("{next = 0x0, previous = 0x0, buffers = {"), shown["value"]
    expect([edge["edge"] for edge in shown["references"]], [f"->buffers[{i}]" for i in range(4)] + ["->names"])
    # Its buffers begin with its address: whether that is followed, they are guesses.
    expect([edge["object"]["name"] for edge in shown["referrers"] if not edge["guessed"]], ["spare"])
    expect(shown["dominator"]["name"], "spare")
    expect(shown["evidence"], "pointer")
    middle = ask("show", hex(truth("spare") + 20))  # within it
    expect(middle["address"], address("spare"))
    first = ask("show", "server->first", "--limit", 5)
    assert first["referrer_count"] in (ENTRIES + 2, ENTRIES + 6), first["referrer_count"]  # server, previous, entries; buffers
    expect(len(first["referrers"]), 5)
    text = run(STATE["early"], "show", "spare")
    assert "path: " in text and "refers to:" in text and "->names" in text, text


def test_roots():
    roots = {root["name"]: root for root in ask("roots")["roots"] if root["kind"] == "variable"}
    expect(roots["spare"]["retained_bytes"], 8 + WHOLE_CONN)
    expect(roots["spare"]["of"], STATE["name"])
    expect(roots["server"]["references"], 1)


def test_suspects():
    suspects = ask("suspects")["suspects"]
    objects = {(one["accumulation"] or one["object"])["address"]: one for one in suspects if one["kind"] == "object"}
    assert address("first") in objects and address("loose") in objects, suspects
    first = objects[address("first")]
    expect([first["children"], first["child_type"], first["retained_bytes"]], [CONNS, "struct conn", CONNS * WHOLE_CONN])
    assert sum(one["share"] for one in suspects) <= 1.001, suspects
    assert "--max-share 10%" in run(STATE["early"], "suspects", "--max-share", "10%", status=1)
    run(STATE["early"], "suspects", "--max-share", "0.99")


def test_growth():
    suspects = ask("suspects", "--before", STATE["early"], target="late")["suspects"]
    expect(len(suspects), 1)
    expect((suspects[0]["accumulation"] or {}).get("address"), address("slots"))
    assert 0 <= suspects[0]["explained_bytes"] - GROWN * ENTRY < SLACK, suspects[0]
    # What grew: the entries, and one connection with what it holds.
    growth = GROWN * ENTRY + WHOLE_CONN
    answer = ask("diff", STATE["late"])
    assert 0 <= answer["allocated_after"] - answer["allocated_before"] - growth < SLACK, answer
    types = rows(answer)
    expect([types["struct entry"][m] for m in ("count_before", "count_after", "new_count", "gone_count")],
           [ENTRIES, ENTRIES + GROWN, GROWN, 0])
    expect(types["struct conn"]["new_count"], 1)
    expect(types["char"]["new_count"], 6)
    expect(answer["types"][0]["type"], "struct entry")
    expect(answer["grown"][0]["address"], address("slots"))
    assert answer["grown"][0]["path"].endswith("server > ->table > ->slots"), answer["grown"][0]
    assert "--max-growth 1k" in run(STATE["early"], "diff", STATE["late"], "--max-growth", "1k", status=1)
    run(STATE["early"], "diff", STATE["late"], "--max-growth", growth + SLACK)
    same = ask("diff", STATE["early"])
    expect([same["types"], same["grown"]], [[], []])


def test_errors_write_no_document():
    for words in (["find", "conn", "where", "statte == 3"], ["find", "nothing_like_it"], ["path", "0x10"], ["dominators", "0x10"],
                  ["path", "--type", "nothing_like_it"], ["show", "0x10"], ["retained", "nowhere"]):
        done = subprocess.run([STROBE, "heap", STATE["early"], *words, "--json"], capture_output=True, text=True, timeout=100,
                              check=False, env=ENVIRONMENT)
        expect([done.returncode, done.stdout, done.stderr != ""], [1, "", True])


def test_usage():
    assert "the target comes first: strobe heap TARGET leaks" in run("leaks", STATE["early"], status=2)
    assert "which verb?" in run(STATE["early"], "--json", status=2)
    assert "heap bogus" in run(STATE["early"], "bogus", status=2)
    assert "say which" in run(STATE["early"], "path", status=2)
    assert "no part" in run(STATE["early"], "suspects", "--min-share", "7", status=2)
    assert "--max-growth goes with --before" in run(STATE["early"], "suspects", "--max-growth", "1", status=2)


def test_stored_graph():
    """The second opening answers the same; no option and no file leave anything behind."""
    assert pathlib.Path(STATE["early"] + ".graph").exists()
    assert ask("summary")["allocators"] is None
    stored = ask("summary", "--verbose")
    built = ask("summary", "--no-store")
    expect([stored.pop("stored"), built.pop("stored")], [True, False])
    expect(stored, built)
    for verb in ("histogram", "leaks", "free"):
        expect(ask(verb), ask(verb, "--no-store"))
    one, four = ask("top", "--no-store", "--threads", 1), ask("top", "--no-store", "--threads", 4)
    expect(one, four)


def prepare(directory):
    program = directory / "questions"
    subprocess.run([CC, "-g", "-O1", "-fno-omit-frame-pointer", "-w", "-o", program, SOURCE], check=True)
    STATE["name"] = program.name
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        for name in ("early", "late"):
            told = json.loads(process.stdout.readline())
            if name == "early":
                STATE["truth"] = told
            STATE[name] = str(directory / f"{name}.core")
            wait_for_read(process.pid)
            subprocess.run([STROBE, "snap", str(process.pid), "-o", STATE[name], "--quiet"], check=True, capture_output=True)
            process.stdin.write("x")
            process.stdin.flush()


def wait_for_read(pid):
    for _ in range(100000):
        state = re.match(r"\d+ \(.*\) (\w)", pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii"))
        if state[1] == "S":
            return


def main():
    tests = [(name[5:].replace("_", " "), test) for name, test in globals().items() if name.startswith("test_")]
    print(f"1..{len(tests)}")
    with tempfile.TemporaryDirectory() as directory:
        prepare(pathlib.Path(directory))
        for number, (name, test) in enumerate(tests, 1):
            problem = None
            try:
                test()
            except (AssertionError, KeyError, IndexError, StopIteration, ValueError) as error:
                problem = f"{type(error).__name__}: {error}"
            RESULTS.append(problem)
            for line in str(problem or "").splitlines()[:40]:
                print("#", line)
            print("not ok" if problem else "ok", number, "-", name, flush=True)
    return any(RESULTS)


if __name__ == "__main__":
    sys.exit(main())
