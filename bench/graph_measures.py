# SPDX-License-Identifier: Apache-2.0
"""Measures dominators of graphs of several shapes and sizes, and opening a stored graph again: rows of the part "graph".

From 3x10^5 to 3x10^7 edges; STROBE_BENCH_EDGES=300000000 goes on to 3x10^8, in 8 GiB of memory.
"""
import os
import subprocess

from trace import LIBRARIES

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
WANTED_S = 5 # for a tree with cross edges of 10^7 nodes and 3x10^7 edges; an untuned one took 8.5 s
NODE_BYTES = 20
REOPEN_S = 0.05


def dominator_rows(bench):
    """A row for each shape and size."""
    program = bench.path("graph_dominators")
    subprocess.run(["gcc", "-O2", "-D_GNU_SOURCE", f"-I{ROOT}/include", f"-I{ROOT}/src", "-o", program,
                    os.path.join(HERE, "graph_dominators.c"),
                    os.path.join(os.path.dirname(bench.strobe), "libstrobe_objects.a"),
                    *LIBRARIES], check=True)
    told = subprocess.run([program, os.environ.get("STROBE_BENCH_EDGES", "30000000")], check=True, text=True,
                          capture_output=True).stdout
    for line in told.splitlines():
        shape, (nodes, edges, seconds, _, rate, _, held, _) = line[:26].strip(), line[26:].split()
        large = int(nodes) >= 10**6 # below, pages of 2 MiB count more
        good = (not large or float(held) <= NODE_BYTES) and (int(edges) > 3 * 10**7 or float(seconds) < WANTED_S)
        bench.row(f"dominators: {shape}, {nodes} nodes", f"{float(seconds):.3f} s, {rate} ns an edge",
                  f"{edges} edges", f"< {WANTED_S} s, {NODE_BYTES} bytes a node: {held}" if large else "", good)


def reopen_row(bench, core, nodes, edges):
    """Opening the stored graph of a core."""
    build = os.path.dirname(bench.strobe)
    program = bench.path("graph_reopen")
    subprocess.run(["gcc", "-O2", "-I" + os.path.join(ROOT, "include"), "-o", program, os.path.join(HERE, "graph_reopen.c"),
                    "-L" + build, "-lstrobe", "-Wl,-rpath," + build], check=True)
    told = subprocess.run([program, core, core + ".graph"], check=True, text=True, capture_output=True).stdout
    first, again, used = map(float, told.split())
    bench.row(f"graph: opened again, {nodes} nodes", f"{again * 1e3:.1f} ms ({used * 1e3:.1f} ms of processors)",
              f"{edges} edges; at first {first:.2f} s", f"{REOPEN_S * 1e3:.0f} ms", again < REOPEN_S)
