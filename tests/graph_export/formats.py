#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Exports of graphs that were filled by hand, read by other means than the ones that wrote them.

usage: formats.py HAND_EXPORTS MEMLAB_JS GRAPH_SQLITE_MD
"""
import collections
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile

import tap
from hand_truth import NAMES, NONE, Truth, match
from heapsnapshot import Snapshot

FOLDER = tempfile.mkdtemp(prefix="strobe-formats-")


def path(name, suffix):
    return os.path.join(FOLDER, "%s.%s" % (name, suffix))


def each(check):
    for name in NAMES:
        try:
            check(name, Truth(FOLDER, name))
        except AssertionError as error:
            raise AssertionError("%s: %s" % (name, error)) from error


@tap.case("all graphs are written in all formats")
def write():
    subprocess.run([sys.argv[1], FOLDER], check=True)
    tap.equal(len([name for name in os.listdir(FOLDER) if name.endswith(".truth")]), len(NAMES), "graphs")
    tap.equal(Truth(FOLDER, "huge").nodes[0]["retained"], 8 + 0xffffffff + 0x100000000 + 0x312345678, "of the huge one")


@tap.case("JSON lines have every node and every edge")
def json_lines():
    def check(name, truth):
        with open(path(name, "jsonl"), encoding="utf-8") as file:
            lines = [json.loads(line) for line in file]
        tap.equal((lines[0]["kind"], lines[0]["nodes"], lines[0]["edges"]), ("graph", len(truth.nodes), len(truth.edges)))
        tap.equal([line["id"] for line in lines[1:]], list(range(len(truth.nodes))), "ids")
        edges = []
        for line, node in zip(lines[1:], truth.nodes):
            tap.equal(line["size_bytes"], node["size"], "size_bytes")
            tap.equal(line["retained_bytes"], node["retained"], "retained_bytes")
            tap.equal(line["dominator"], None if node["idom"] == NONE else node["idom"], "dominator")
            tap.equal(int(line["reachable"]), node["reachable"], "reachable")
            tap.equal(line["type"], node["type"], "type")
            if node["name"] is not None:
                tap.equal(line["name"], node["name"], "name")
            edges += [(line["id"], edge["to"], int(edge.get("guessed", False))) for edge in line["references"]]
        tap.equal(sorted(edges), sorted(truth.edges), "edges")
    each(check)


@tap.case("the database has every node and every edge, and SQLite finds it sound")
def database():
    def check(name, truth):
        db = sqlite3.connect(path(name, "db"))
        tap.equal(db.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
        tap.equal(db.execute("PRAGMA foreign_key_check").fetchall(), [])
        rows = db.execute("SELECT o.reachable, ifnull(o.dominator, -1), o.size_bytes, o.retained_bytes, t.name, o.name"
                          " FROM objects o LEFT JOIN types t ON t.id = o.type_id ORDER BY o.id").fetchall()
        tap.equal(len(rows), len(truth.nodes), "objects")
        for row, node in zip(rows, truth.nodes):
            tap.equal(row[:5], (node["reachable"], node["idom"], node["size"], node["retained"], node["type"]), "row")
            tap.equal(row[5] if node["name"] is not None else None, node["name"], "name")
        tap.equal(sorted(db.execute("SELECT from_id, to_id, guessed FROM edges").fetchall()), sorted(truth.edges))
        tap.equal(dict(db.execute("SELECT * FROM meta"))["nodes"], len(truth.nodes), "meta")
        db.close()
    each(check)
    db = sqlite3.connect(path("small", "db"))
    tap.equal(db.execute("SELECT reason, hex FROM surrogates JOIN named_objects USING (id) ORDER BY id").fetchall(),
              [("unmapped", "0xdead0000"), ("freed", "0x1002000")])
    tap.equal(db.execute("SELECT * FROM free_blocks").fetchall(),
              [(0x1003000, 64, 0, "free"), (0x1003100, 24, 1, "cached")])
    tap.equal(db.execute("SELECT kind, name, parent FROM roots WHERE kind = 'frame'").fetchall(),
              [("frame", "serve:120", 13)])
    db.close()


@tap.case("the document's queries run, and tell what is true")
def queries():
    with open(sys.argv[3], encoding="utf-8") as file:
        found = re.findall(r"```sql\n(.*?)```", file.read(), re.DOTALL)
    db = sqlite3.connect(path("small", "db"))
    rows = [db.execute(query).fetchall() for query in found]
    db.close()
    check_rows(rows)


def check_rows(rows):
    tap.equal(len(rows), 10, "queries")
    tap.equal(rows[0], [("struct list", 7, 168), ("struct pair", 1, 80)])
    tap.equal(rows[1][:2], [("0x1000100", "struct pair", 80, 120), ("0x1000000", "struct list", 24, 72)])
    tap.equal(rows[2], [("struct list", 24, 4, 96)])
    tap.equal(sorted(rows[3]), [("0x1000020", "struct list", "", 0), ("0x1000300", "(untyped)", "", 1)])
    tap.equal([row[1:] for row in rows[4]][1:], [(None, 224), ("0x404008", 144), ("0x1000100", 120), ("0x1000200", 40)])
    tap.equal(rows[5], [(None, None, "serve:120", 56)])
    tap.equal(sorted(rows[6]), [("0x1000040", "struct list", "", "0xdead0000", "unmapped"),
                                ("0x1000200", "(untyped)", "", "0x1002000", "freed")])
    tap.equal(rows[7][0], ("0x1000300", "(untyped)", 3))
    tap.equal(rows[8], [])  # nothing here can be read
    tap.equal(rows[9], [(64, "free", 1, 64), (24, "cached", 1, 24)])


def folded(name, suffix):
    sums = collections.Counter()
    with open(path(name, suffix), encoding="utf-8", errors="replace", newline="\n") as file:
        for line in file:
            stack, weight = line.rstrip("\n").rsplit(" ", 1)
            assert stack not in sums, "%r is there twice" % stack
            sums[stack] += int(weight)
    return sums


@tap.case("folded stacks weigh what the root retains, and what leaked")
def folded_stacks():
    def check(name, truth):
        tap.equal(sum(folded(name, "folded").values()), truth.nodes[0]["retained"], "sum")
        leaked = sum(node["size"] for node in truth.nodes if not node["reachable"])
        with_leaks = folded(name, "leaks.folded")
        tap.equal(sum(with_leaks.values()), truth.nodes[0]["retained"] + leaked, "sum with leaks")
        tap.equal(sum(weight for stack, weight in with_leaks.items() if ";(leaked)" in stack), leaked, "leaks")
    each(check)
    small = folded("small", "folded")
    root = min(small, key=len).split(";")[0]
    # What a variable and a guess both lead to is the variable's.
    tap.equal(small, {root + ";prog;head": 8, root + ";prog;head;struct list": 72, root + ";prog;.bss": 24,
                      root + ";prog;.bss;struct pair []": 80, root + ";prog;.bss;struct pair [];(untyped, 40 bytes)": 40,
                      root + ";thread 12 \"worker\";serve:120;(untyped, 56 bytes)": 56})


@tap.case("Graphviz draws every neighbourhood")
def graphviz():
    if not shutil.which("dot"):
        raise tap.Skip("graphviz is not installed")

    def check(name, truth):
        drawn = subprocess.run(["dot", "-Tjson", path(name, "dot")], capture_output=True, check=True)
        tap.equal(drawn.stderr, b"", "what dot says")
        graph = json.loads(drawn.stdout.decode("utf-8"))
        reached = {edge[0] for edge in truth.edges} | {edge[1] for edge in truth.edges}
        boxes = {int(node["name"][1:]): node for node in graph.get("objects", [])}
        edges = sorted((int(graph["objects"][edge["tail"]]["name"][1:]), int(graph["objects"][edge["head"]]["name"][1:]),
                        int(edge.get("style") == "dashed")) for edge in graph.get("edges", []))
        tap.equal(edges, sorted(edge for edge in truth.edges if edge[0] in boxes and edge[1] in boxes), "edges")
        if name in ("small", "hostile"):
            wanted = {index for index in reached if index not in (11, 12)} if name == "small" else reached
            tap.equal(set(boxes), wanted, "nodes")
    each(check)
    with open(path("small", "dot"), encoding="utf-8") as file:
        tap.equal(file.read().count("style=dotted"), 2, "surrogates")


def check_snapshot(name, truth, suffix, with_unreachable):
    snapshot = Snapshot(path(name, suffix))
    places = match(snapshot, truth, with_unreachable)
    for i, place in places.items():
        node, row = truth.nodes[i], snapshot.nodes[place]
        tap.equal(row["self_size"], min(node["size"], 0xffffffff), "self_size")
        if node["reachable"]:
            tap.equal(snapshot.retained(place), node["retained"], "retained of %d" % i)
        edges = [edge["to_node"] for edge in row["edges"]][:sum(edge[0] == i for edge in truth.edges)]
        tap.equal(edges, [places[edge[1]] for edge in truth.edges if edge[0] == i], "edges of %d" % i)
        if node["type"] and not node["name"]:
            assert row["name"] in (node["type"], node["type"] + " []"), row
            tap.equal(row["type"], "object", "type")
    reached = snapshot.reached()
    tap.equal(len(reached), len(snapshot.nodes), "reached")  # DevTools wants no orphans
    return snapshot


@tap.case(".heapsnapshot: nodes, edges and retained sizes are the graph's")
def heapsnapshots():
    each(lambda name, truth: check_snapshot(name, truth, "heapsnapshot", False))


@tap.case(".heapsnapshot with leaks: they change nothing else")
def heapsnapshots_with_leaks():
    each(lambda name, truth: check_snapshot(name, truth, "leaks.heapsnapshot", True))
    snapshot = Snapshot(path("small", "leaks.heapsnapshot"))
    leaked = next(node for node in snapshot.nodes if node["name"] == "(leaked)")
    tap.equal(len(leaked["edges"]), 2, "heads of leaks")


@tap.case(".heapsnapshot: an object keeps its id from one to the next")
def stable_ids():
    ids = [{node["id"] for node in Snapshot(path("small", suffix)).nodes}
           for suffix in ("heapsnapshot", "leaks.heapsnapshot")]
    tap.equal(ids[0] - ids[1], set(), "ids that changed")


@tap.case("memlab computes the same retained sizes")
def memlab():
    node = shutil.which("node")
    probe = node and subprocess.run([node, "-e", "require.resolve('@memlab/heap-analysis')"], capture_output=True)
    if not node or probe.returncode:
        raise tap.Skip("@memlab/heap-analysis is not installed")
    files = [path(name, suffix) for name in NAMES for suffix in ("heapsnapshot", "leaks.heapsnapshot")]
    said = subprocess.run([node, sys.argv[2]] + files, capture_output=True, check=True).stdout.decode("utf-8")
    found = {}
    for line in said.split("\n"):
        if '{"file"' in line:
            one = json.loads(line[line.index('{"file"'):])
            found[one["file"]] = one["nodes"]
    tap.equal(len(found), len(files), "files that memlab read")
    for file, nodes in found.items():
        name, suffix = os.path.basename(file).split(".", 1)
        truth, snapshot = Truth(FOLDER, name), Snapshot(file)
        tap.equal(len(nodes), len(snapshot.nodes), file + ": nodes")
        for i, place in match(snapshot, truth, "leaks" in suffix).items():
            if truth.nodes[i]["reachable"]:
                tap.equal(nodes[place][2], truth.nodes[i]["retained"], "%s: retained of %d" % (file, i))


@tap.case("no temporary file is left")
def nothing_left():
    tap.equal([name for name in os.listdir(FOLDER) if name.startswith(".")], [])
    shutil.rmtree(FOLDER)


tap.run()
