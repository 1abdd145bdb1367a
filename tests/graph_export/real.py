#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Exports of a real process, whose graph its source tells.

usage: real.py STROBE EXPORTED MEMLAB_JS DEVTOOLS_JS
"""
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile

import tap
from browser import Browser, Files
from heapsnapshot import Snapshot

STROBE, PROGRAM = sys.argv[1:3]
FOLDER = tempfile.mkdtemp(prefix="strobe-real-")
COUNT = 300


def path(name):
    return os.path.join(FOLDER, name)


def heap(*words, status=0):
    done = subprocess.run([STROBE, "heap", path("snap"), *words], capture_output=True)
    tap.equal(done.returncode, status, "status of %r, which says %r" % (words, done.stderr))
    return done.stdout.decode("utf-8"), done.stderr.decode("utf-8", errors="replace")


def lines():
    with open(path("out.jsonl"), encoding="utf-8") as file:
        return [json.loads(line) for line in file][1:]


@tap.case("a process is caught, and its graph written in every format")
def catch():
    process = subprocess.Popen([PROGRAM, str(COUNT)], stdout=subprocess.PIPE)
    try:
        tap.equal(process.stdout.readline(), b"ready\n")
        subprocess.run([STROBE, "snap", str(process.pid), "-o", path("snap")], check=True, capture_output=True)
    finally:
        process.kill()
        process.wait()
    for name in ("out.db", "out.jsonl", "out.heapsnapshot", "out.folded"):
        said = json.loads(heap("export", "-o", path(name), "--json")[0])
        tap.equal((said["output"], said["bytes"]), (path(name), os.path.getsize(path(name))), name)
    heap("export", "-F", "heapsnapshot", "--leaked", "-o", path("leaks.heapsnapshot"))
    heap("export", "table", "-F", "dot", "-d", "2", "-o", path("out.dot"))
    heap("report", "-o", path("out.html"), "--title", "<b>of a test</b>")
    tap.equal(heap("export", "-F", "folded", "-o", "-")[0], open(path("out.folded"), encoding="utf-8").read(), "standard output")


@tap.case("a stored graph is written as one that was just built")
def stored():
    for name in ("jsonl", "heapsnapshot", "folded"):
        heap("export", "--no-store", "-F", name, "-o", path("built"))
        with open(path("built"), "rb") as built, open(path("out." + name), "rb") as other:
            assert built.read() == other.read(), name


@tap.case("what cannot be is refused")
def refused():
    for words in (["export"], ["export", "-o", path("x")], ["export", "-o", path("x.db"), "-d", "2"],
                  ["export", "-o", path("x.db"), "table"], ["export", "-F", "dot", "-o", path("x"), "-d", "0"],
                  ["export", "-F", "dot", "-o", "-", "--json"], ["report"], ["export", "-F", "sqlite", "-o", "-"]):
        assert heap(*words, status=1 if words[-1] == "-" else 2)[1].startswith("strobe: heap "), words
    heap("export", "no_such_name", "-F", "dot", "-o", path("x"), status=1)
    tap.equal([name for name in os.listdir(FOLDER) if name.startswith(("x", "."))], [], "files")


@tap.case("the database has the program's objects, and its edges by their names")
def database():
    db = sqlite3.connect(path("out.db"))
    counts = dict(db.execute("SELECT t.name, count(*) FROM objects o JOIN types t ON t.id = o.type_id"
                             " WHERE o.kind = 'block' AND o.reachable GROUP BY t.id"))
    tap.equal(counts["struct item"], COUNT, "items")
    tap.equal(counts["struct value"], COUNT + 1, "values")
    tap.equal(counts["struct table"], 1, "tables")
    edge = "SELECT count(*) FROM edges e JOIN named_objects a ON a.id = e.from_id JOIN named_objects b ON b.id = e.to_id" \
           " WHERE a.type = ? AND e.name = ? AND b.type = ? AND NOT e.guessed AND a.kind = 'block'"
    heads = min(8, COUNT // 2) + 1
    tap.equal(db.execute(edge, ("struct item", "->next", "struct item")).fetchone()[0], COUNT - heads, "->next")
    tap.equal(db.execute(edge, ("struct item", "->value", "struct value")).fetchone()[0], COUNT, "->value")
    tap.equal(db.execute(edge, ("struct value", "->peer", "struct value")).fetchone()[0], COUNT - heads, "->peer")
    tap.equal(db.execute(edge, ("struct table", "->slots[2]", "struct item")).fetchone()[0], 1, "->slots[2]")
    tap.equal(db.execute(edge, ("struct value", "->text", "char")).fetchone()[0], (COUNT + 2) // 3 + 1, "->text")
    offset = db.execute("SELECT DISTINCT e.offset FROM edges e WHERE e.name = '->slots[2]'").fetchall()
    tap.equal(offset, [(8 + 2 * 8,)], "offset of ->slots[2]")
    tap.equal(db.execute("SELECT count(*) FROM objects WHERE kind = 'block' AND NOT reachable AND size_bytes = 56").fetchone()[0],
              20, "lost blocks")
    names = [row[0] for row in db.execute("SELECT name FROM objects WHERE kind = 'thread'")]
    tap.equal(sorted(re.sub(r"\d+", "N", name) for name in names), ['thread N "</script>"&\\;"', 'thread N "exported"'], "threads")
    tap.equal(db.execute("SELECT r.kind, count(*) FROM roots r WHERE r.name IN ('table', 'list') GROUP BY 1 ORDER BY 1").fetchall(),
              [("global", 1), ("static", 1)])
    assert db.execute("SELECT count(*) FROM roots WHERE kind = 'local' AND name = 'mine'").fetchone()[0] == 1
    tap.equal(db.execute("SELECT count(*) FROM objects").fetchone()[0], len(lines()), "objects here and in JSON lines")
    tap.equal(db.execute("SELECT count(*) FROM edges").fetchone()[0], sum(len(one["references"]) for one in lines()))
    tap.equal(sorted(row[0] for row in db.execute("SELECT text FROM objects WHERE text LIKE 'text %'")),
              sorted("text %d </script>" % i for i in range(0, COUNT, 3)), "texts")
    tap.equal(sorted(one["text"] for one in lines() if one.get("text", "").startswith("text ")),
              sorted("text %d </script>" % i for i in range(0, COUNT, 3)), "texts in JSON lines")
    tap.equal(db.execute("SELECT allocator, name FROM arenas ORDER BY id").fetchone(), ("glibc", "main"), "arena")
    tap.equal(db.execute("SELECT count(*) FROM free_blocks WHERE arena NOT IN (SELECT id FROM arenas)").fetchone(), (0,))
    assert db.execute("SELECT count(*) FROM free_blocks WHERE state = 'top'").fetchone()[0] >= 1
    db.close()


def dominated(snapshot):
    """Retained sizes by iteration to a fixed point (Cooper, Harvey, Kennedy 2001)."""
    order, seen, stack = [], {0}, [(0, iter(snapshot.nodes[0]["edges"]))]
    while stack:
        node, edges = stack[-1]
        for edge in edges:
            to = edge["to_node"]
            if edge["type"] != "weak" and to not in seen:
                seen.add(to)
                stack.append((to, iter(snapshot.nodes[to]["edges"])))
                break
        else:
            stack.pop()
            order.append(node)
    rank = {node: index for index, node in enumerate(order)}
    before = {node: [] for node in order}
    for node in order:
        for edge in snapshot.nodes[node]["edges"]:
            if edge["type"] != "weak":
                before[edge["to_node"]].append(node)
    over, changed = {0: 0}, True
    while changed:
        changed = False
        for node in reversed(order[:-1]):
            best = None
            for a in before[node]:
                if a not in over:
                    continue
                b = best
                while b is not None and a != b:
                    a, b = (over[a], b) if rank[a] < rank[b] else (a, over[b])
                best = a
            if over.get(node) != best:
                over[node], changed = best, True
    retained = {node: snapshot.nodes[node]["self_size"] for node in order}
    for node in order[:-1]:
        retained[over[node]] += retained[node]
    return retained


@tap.case(".heapsnapshot: retained sizes are the graph's; texts are shown as such")
def heapsnapshot():
    snapshot, leaks = Snapshot(path("out.heapsnapshot")), Snapshot(path("leaks.heapsnapshot"))
    retained, with_leaks = dominated(snapshot), dominated(leaks)
    reachable = [one for one in lines() if one["reachable"]]
    tap.equal(len(snapshot.nodes), len(reachable) + 1, "nodes")
    ids = {}
    for place, one in enumerate(reachable, 1):
        tap.equal(retained[place], one["retained_bytes"], "retained of %r" % one)
        ids[snapshot.nodes[place]["id"]] = one["retained_bytes"]
    for place, node in enumerate(leaks.nodes):
        if node["id"] in ids and place > 0:
            tap.equal(with_leaks[place], ids[node["id"]], "retained with leaks of %r" % node)
    texts = [node["name"] for node in snapshot.nodes if node["type"] == "string"]
    for i in range(0, COUNT, 3):
        assert "text %d </script>" % i in texts, "text %d is missing" % i
    lost = next(node for node in leaks.nodes if node["name"] == "(leaked)")
    assert len(lost["edges"]) >= 10, lost


def retained_by_node(text):
    return [json.loads(line) for line in text.split("\n") if line.startswith('{"file"')][0]["nodes"]


@tap.case("memlab computes the same retained sizes")
def memlab():
    node = shutil.which("node")
    if not node or subprocess.run([node, "-e", "require.resolve('@memlab/heap-analysis')"], capture_output=True).returncode:
        raise tap.Skip("@memlab/heap-analysis is not installed")
    said = subprocess.run([node, sys.argv[3], path("out.heapsnapshot")], capture_output=True, check=True).stdout.decode("utf-8")
    found = retained_by_node(said)
    for row, one in zip(found[1:], [one for one in lines() if one["reachable"]]):
        tap.equal(row[2], one["retained_bytes"], "retained of %r" % one)


@tap.case("Chromium's DevTools computes the same retained sizes")
def devtools():
    with open(sys.argv[4], encoding="utf-8") as file:
        code = "".join(line for line in file if not line.startswith("//"))
    with Browser() as browser, Files(FOLDER) as files:
        page = browser.page()
        page.call("Page.setBypassCSP", enabled=True)
        page.open("http://127.0.0.1:%d/devtools/devtools_app.html" % browser.port)
        found = page.run("(%s)(%r, 1)" % (code, files.url + "out.heapsnapshot"))
        reachable = [one for one in lines() if one["reachable"]]
        tap.equal(found["count"], len(reachable) + 1, "nodes")
        for row, one in zip(found["nodes"][1:], reachable):
            tap.equal(row[2], one["retained_bytes"], "retained of %r" % one)


@tap.case("folded stacks weigh what the root retains; a list is one line")
def folded():
    with open(path("out.folded"), encoding="utf-8") as file:
        stacks = dict(line.rstrip("\n").rsplit(" ", 1) for line in file)
    tap.equal(sum(int(weight) for weight in stacks.values()), lines()[0]["retained_bytes"], "sum")
    # Values are held by their items, and by the values of the items before.
    assert any(stack.endswith("exported;table;struct table;struct item") for stack in stacks), "no line of the table's items"
    assert all(stack.count("struct item") <= 1 for stack in stacks), "a list is more than one line"


@tap.case("the neighbourhood of an expression is what the source says")
def dot():
    with open(path("out.dot"), encoding="utf-8") as file:
        text = file.read()
    assert re.search(r'label="struct table\\n0x[0-9a-f]+\\n\d+ bytes, retains \d+ bytes", penwidth=3', text), text
    assert 'label="table: struct table *' in text and 'label="->slots[14]"' in text and 'label="->value"' in text, text
    if shutil.which("dot"):
        drawn = subprocess.run(["dot", "-Tsvg", path("out.dot")], capture_output=True, check=True)
        tap.equal(drawn.stderr, b"")


@tap.case("the report shows it, and its texts do no harm")
def report():
    with open(path("out.html"), encoding="utf-8") as file:
        text = file.read()
    tap.equal(text.count("</script>"), 2, "ends of scripts")
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL).group(1))
    tap.equal({row["type"]: row["count"] for row in data["types"]}["struct item"], COUNT, "items")
    tap.equal(data["summary"]["leaked_bytes"], sum(leak["size"] for leak in data["leaks"]), "leaked")
    assert any("lost" in (leak["type"] or "") or leak["blocks"] >= 10 for leak in data["leaks"]), data["leaks"]
    assert data["arenas"] and sum(arena["allocated"] for arena in data["arenas"] if not arena["all"]) == \
        data["summary"]["allocated_bytes"], data["arenas"]
    assert os.path.getsize(path("out.html")) < 2 << 20
    with Browser() as browser:
        page = browser.page()
        page.call("Runtime.enable")
        page.call("Log.enable")
        page.open("file://" + path("out.html"))
        page.wait_for("document.querySelectorAll('.cell').length > 20")
        tap.equal(page.run("document.getElementById('title').textContent"), "<b>of a test</b>", "title")
        tap.equal(page.run("document.scripts.length"), 2, "scripts")
        assert "</script>" in page.run("document.querySelector('main').textContent"), "the thread's name"
        tap.equal([event for event in page.events if event["method"] in ("Runtime.exceptionThrown", "Log.entryAdded")], [], "complaints")
        if os.environ.get("STROBE_PICTURES"):
            page.picture(os.path.join(os.environ["STROBE_PICTURES"], "real-report.png"))


try:
    tap.run()
finally:
    shutil.rmtree(FOLDER)
