#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What it takes to write the graph of a process with a million objects in every format.

usage: graph_export.py --build BUILD [--items N]   (an item is 2 1/3 objects; default: 450000)
"""
import argparse
import json
import os
import subprocess
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True)
    parser.add_argument("--items", type=int, default=450000)
    given = parser.parse_args()
    build = os.path.abspath(given.build)
    with tempfile.TemporaryDirectory(prefix="strobe-bench-") as folder:
        program, bench, snapshot = (os.path.join(folder, name) for name in ("exported", "bench", "snap"))
        subprocess.run(["cc", "-g", "-O0", "-D_GNU_SOURCE", "-pthread", "-o", program,
                        os.path.join(ROOT, "tests", "graph_export", "exported.c")], check=True)
        subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", "-I", os.path.join(ROOT, "include"), "-o", bench,
                        os.path.join(HERE, "graph_export.c"), "-L", build, "-lstrobe", "-Wl,-rpath," + build], check=True)
        process = subprocess.Popen([program, str(given.items)], stdout=subprocess.PIPE)
        try:
            process.stdout.readline()
            subprocess.run([os.path.join(build, "strobe"), "snap", str(process.pid), "-o", snapshot], check=True,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        finally:
            process.kill()
            process.wait()
        told = subprocess.run([bench, snapshot, folder], check=True, capture_output=True, text=True).stdout
    rows = [json.loads(line) for line in told.splitlines()]
    print("%d objects, %d edges; memory before: %.0f MiB" % (rows[0]["nodes"], rows[0]["edges"], rows[0]["peak_kib"] / 1024))
    print("| Format | s | CPU s | MB | peak MiB |\n|---|---|---|---|---|")
    for row in rows[1:]:
        print("| %s | %.2f | %.2f | %.1f | %.0f |" % (row["format"], row["wall_s"], row["cpu_s"], row["bytes"] / 1e6,
                                                    row["peak_kib"] / 1024))


main()
