# SPDX-License-Identifier: Apache-2.0
"""Measures building object graphs: rows of bench.py's part "graph".

Heaps of 10^5 to 10^7 blocks; STROBE_BENCH_BLOCKS="100000 1000000" chooses others. Memory is what the process held at the most,
less the pages of files that it had mapped then.
"""
import json
import os
import subprocess
import sys

from graph_measures import dominator_rows, reopen_row

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
WANTED_S = 8  # for 10^7 blocks with 3 * 10^7 edges
NODE_BYTES, EDGE_BYTES = 40, 8
BASE_MIB = 32  # the library, debug information, roots: not the graph's
DRGN_NODES = 1000000


def compile_programs(bench):
    """The program with the heap, and the one that builds its graph."""
    build = os.path.dirname(bench.strobe)
    subprocess.run(["gcc", "-O1", "-g", "-no-pie", "-o", bench.path("graph_heap"), os.path.join(HERE, "graph_heap.c")], check=True)
    subprocess.run(["gcc", "-O2", "-I" + os.path.join(ROOT, "include"), "-o", bench.path("graph_build"),
                    os.path.join(HERE, "graph_build.c"), "-L" + build, "-lstrobe", "-Wl,-rpath," + build], check=True)


def build_graph(bench, core, threads=0, rounds=2):
    """What graph_build tells, of the fastest round."""
    best = None
    for _ in range(rounds):
        text = subprocess.run([bench.path("graph_build"), core, str(threads)], check=True, text=True,
                              capture_output=True).stdout
        told = json.loads(text)
        if best is None or told["total_s"] < best["total_s"]:
            best = told
    return best


def drgn_rate(bench, core):
    """Nodes a second that drgn walks, or None."""
    told = subprocess.run(["/usr/bin/python3", os.path.join(HERE, "graph_drgn.py"), core, bench.path("graph_heap"),
                           str(DRGN_NODES)], text=True, capture_output=True, check=False)
    return float(told.stdout) if told.returncode == 0 else None


def shape_row(bench, make_core, shape, blocks):
    """A heap of one shape and size."""
    core = make_core(bench.path(f"graph-{shape}-{blocks}"), [bench.path("graph_heap"), str(blocks), shape])
    told = build_graph(bench, core)
    held = (told["peak_kib"] - told["file_kib"]) / 1024
    room = (told["nodes"] * NODE_BYTES + told["edges"] * EDGE_BYTES) / 2**20 + BASE_MIB
    good = told["blocks"] >= blocks and told["reachable"] == told["blocks"] and held <= room
    wanted = f"{room:.0f} MiB"
    if blocks == 10**7:
        good = good and told["total_s"] < WANTED_S
        wanted = f"< {WANTED_S} s, {wanted}"
    bench.row(f"graph: {shape}, {blocks} blocks", f"{told['total_s']:.2f} s, {held:.0f} MiB",
              f"{told['edges']} edges", wanted, good)
    return core, told


def walk_row(bench, core, told):
    """The list, by type, against drgn."""
    rate = told["nodes"] / told["following types"]["wall_s"]
    theirs = drgn_rate(bench, core)
    name = f"graph: typed walk of {told['nodes']} nodes"
    if theirs is None:
        print("# drgn is not installed (python3-drgn): Strobe is measured alone")
    bench.row(name, f"{rate / 1e6:.1f} M nodes/s", f"drgn {theirs / 1e6:.2f} M nodes/s" if theirs else "-",
              f"40 times: {rate / theirs:.0f}" if theirs else "-", not theirs or rate >= 40 * theirs)


def threads_row(bench, core):
    """What a second processor is good for."""
    one, all_of_them = build_graph(bench, core, 1)["total_s"], build_graph(bench, core)["total_s"]
    bench.row("graph: by one thread, by all", f"{one:.2f} s, {all_of_them:.2f} s", "-", f"{one / all_of_them:.2f} times", True)


def bench_graph(bench):
    """All rows of graphs."""
    make_core = sys.modules["__main__"].make_core
    compile_programs(bench)
    sizes = os.environ.get("STROBE_BENCH_BLOCKS", "100000 1000000 10000000")
    for blocks in map(int, sizes.split()):
        for shape in ("list", "random", "tree"):
            core, told = shape_row(bench, make_core, shape, blocks)
            if shape == "list":
                walk_row(bench, core, told)
            if shape == "random":
                threads_row(bench, core)
                reopen_row(bench, core, told["nodes"], told["edges"])
    dominator_rows(bench)
