#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the heap says of CPython's small objects, and what sys._debugmallocstats() says. TAP on stdout.

usage: python.py HEAP_SUMS SHOW_BLOCKS

Every python3.8 to python3.13 that is found is asked; blocks in use and their bytes must be the same to the last one,
and objects whose addresses the interpreter tells must be allocated blocks.
"""
import glob
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "scenario"))
from demo_core import Cases  # noqa: E402

PROGRAM = """
import gc, signal, sys
class Node:
    def __init__(self, i):
        self.i, self.text, self.list, self.dict = i, str(i) * 3, [i, str(i)], {i: "x"}
keep = [Node(i) for i in range(20000)]
for i in range(0, len(keep), 3):
    keep[i] = None
data = [bytes(i % 600) for i in range(20000)]
del data[::2]
floats = [i + 0.5 for i in range(20000)]
del floats[5000:15000]
gc.collect()
gc.disable()
with open(sys.argv[1], "w") as file:
    for item in data + floats:
        if sys.getsizeof(item) <= 512:
            file.write(f"{id(item):#x} {sys.getsizeof(item)}\\n")
del item, file
stats, wait = sys._debugmallocstats, signal.pause
stats()
wait()
"""


def pythons():
    """Programs that run, one a version."""
    folders = ["/usr/bin", *os.environ.get("PATH", "").split(":")]
    root = os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv"))
    folders += glob.glob(os.path.join(root, "versions", "3.*", "bin"))
    known = {}
    for folder in folders:
        for minor in range(8, 14):
            path = os.path.join(folder, f"python3.{minor}")
            if "shims" in path or not os.path.exists(path):
                continue
            done = subprocess.run([path, "-c", "import sys; print(sys.version.split()[0])"], text=True,
                                  capture_output=True, check=False)
            if done.returncode == 0:
                known.setdefault(done.stdout.strip(), path)
    return sorted(known.items())


def told(path):
    """(blocks, bytes) in use by the interpreter's own statistics; None if they are not whole yet."""
    text = pathlib.Path(path).read_text(encoding="utf-8")
    size = re.search(r"^# bytes in allocated blocks += +([\d,]+)$", text, re.M)
    end = re.search(r"^Total +=|^# bytes lost to arena alignment", text, re.M)
    if not size or not end or "free PyDict" not in text and "free PyTuple" not in text and "free PyFloat" not in text:
        return None
    classes = re.search(r"^-----.*\n((?: +\d+ +\d+ +\d+ +\d+ +\d+\n)+)", text, re.M)[1]
    return sum(int(line.split()[3]) for line in classes.splitlines()), int(size[1].replace(",", ""))


def check_objects(cases, version, show_blocks, pid, path):
    done = subprocess.run([show_blocks, str(pid)], text=True, capture_output=True, check=True)
    blocks = {int(m[1], 16): (int(m[2]), m[3])
              for m in re.finditer(r"^block (0x[0-9a-f]+) (\d+) (\w+)", done.stdout, re.M)}
    wrong, count = [], 0
    for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines():
        address, size = int(line.split()[0], 16), int(line.split()[1])
        block = blocks.get(address)
        count += 1
        if not block or block[1] != "allocated" or not size <= block[0] < size + 16:
            wrong.append((hex(address), size, block))
    cases.check(count > 10000 and not wrong, f"Python {version}: its objects are allocated blocks", count, wrong[:20])


def check(cases, version, python, programs, folder):
    heap_sums, show_blocks = programs
    stats, objects = os.path.join(folder, "stats"), os.path.join(folder, "objects")
    with open(stats, "w", encoding="utf-8") as errors:
        child = subprocess.Popen([python, "-I", "-c", PROGRAM, objects], stderr=errors)
    try:
        for _ in range(600):
            time.sleep(0.05)
            if told(stats):
                break
        time.sleep(0.3)
        blocks, size = told(stats)
        text = subprocess.run([heap_sums, str(child.pid)], text=True, capture_output=True, check=True).stdout
        ours = re.search(r"^pymalloc allocated (\d+) (\d+)$", text, re.M)
        cases.check(ours and (int(ours[1]), int(ours[2])) == (blocks, size) and "\ndamage 0\n" in text,
                    f"Python {version}: {blocks} blocks of {size} bytes in use", text)
        cases.check(re.search(rf"^# pymalloc {re.escape('.'.join(version.split('.')[:2]))}", text, re.M),
                    f"Python {version}: its version is told", text)
        check_objects(cases, version, show_blocks, child.pid, objects)
    finally:
        child.kill()
        child.wait()


def main():
    cases = Cases()
    found = pythons()
    if not found:
        print("1..0 # SKIP no Python of 3.8 to 3.13 is installed")
        return 0
    for version, python in found:
        with tempfile.TemporaryDirectory() as folder:
            check(cases, version, python, sys.argv[1:3], folder)
    return cases.end()


sys.exit(main())
