# SPDX-License-Identifier: Apache-2.0
"""`strobe diff` on pairs of cores that gdb makes of a program with known changes.

usage: diff_cores.py STROBE SOURCE STATICS

The truth about bytes is a comparison of the cores' segments here; about values, what gdb prints on
each of both cores.
"""
import json
import os
import pathlib
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "scenario"))
from demo_core import Cases  # noqa: E402

STROBE, SOURCE, STATICS = sys.argv[1:4]
PROGRAM = tempfile.mkdtemp() + "/program"
GDB = ["gdb", "-nx", "-batch", "-iex", "set debuginfod enabled off", "-iex", "set print elements 32"]
MERGE = 8


def make_cores(folder, names, randomize=False, program=PROGRAM):
    """Cores of one run at both checkpoints; False where gdb cannot run programs."""
    words = ["-ex", "set disable-randomization off"] if randomize else []
    words += ["-ex", "break checkpoint", "-ex", "run"]
    for name in names:
        words += ["-ex", f"generate-core-file {name}", "-ex", "continue"]
    subprocess.run([*GDB, *words, program], cwd=folder, check=False, capture_output=True, timeout=120)
    return all((folder / name).exists() for name in names)


def segments(path):
    """{(start, end): bytes} of a core's segments that have contents."""
    data = path.read_bytes()
    offset, = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    found = {}
    for i in range(count):
        kind, _, at, start, _, held, memory, _ = struct.unpack_from("<IIQQQQQQ", data, offset + i * size)
        if kind == 1 and held:
            found[(start, start + held)] = data[at:at + held]
            assert held <= memory
    return found


def changed_ranges(a, b, start):
    """[(start, end, changed)] of two byte strings, as the manual defines it."""
    found = []
    if a == b:
        return found
    for page in range(0, len(a), 4096):
        if a[page:page + 4096] == b[page:page + 4096]:
            continue
        for i in range(page, min(page + 4096, len(a))):
            if a[i] == b[i]:
                continue
            if found and start + i - found[-1][1] < MERGE:
                found[-1] = (found[-1][0], start + i + 1, found[-1][2] + 1)
            else:
                found.append((start + i, start + i + 1, 1))
    return found


def slow_comparison(first, second):
    """Ranges of all that stands in both cores; the segments are mappings."""
    found = []
    for (a_start, a_end), a in segments(first).items():
        for (b_start, b_end), b in segments(second).items():
            start, end = max(a_start, b_start), min(a_end, b_end)
            if start < end:
                found += changed_ranges(a[start - a_start:end - a_start], b[start - b_start:end - b_start], start)
    return sorted(found)


def diff(*words, check=True):
    """The document of strobe diff --json."""
    done = subprocess.run([STROBE, "diff", "--json", "--no-debuginfod", *map(str, words)], capture_output=True,
                          text=True, check=False, timeout=300)
    if check and done.returncode != 0:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout)


def text(*words):
    """(status, output, errors) of strobe diff."""
    done = subprocess.run([STROBE, "diff", "--no-debuginfod", *map(str, words)], capture_output=True, text=True,
                          check=False, timeout=300)
    return done.returncode, done.stdout, done.stderr


def gdb_values(core, names):
    """What gdb prints for each of the expressions."""
    words = [x for name in names for x in ("-ex", f"print {name}")]
    done = subprocess.run([*GDB, *words, PROGRAM, core], capture_output=True, text=True, check=False, timeout=120)
    # A pointer alone has its type in front.
    return re.findall(r"^\$\d+ = (?:\([^)]* \*\) )?(.*)$", done.stdout, re.M)


EXPECTED = {
    "server.name", "server.stats.requests", "server.stats.flag", "server.u", "server.inner", "server.many[2].load",
    "table[17].id", "table[17].next", "table[18].name", "numbers[30]@5", "numbers[80]", "text[1000]@11",
    "matrix[1][3]", "Derived::count", "ns::object.derived_member", "ns::object.base_member", "color",
    "big[1000000]", "bump::calls", "moved",
}


def check_globals(cases, document, cores):
    """Names, and values as gdb prints them."""
    program = os.path.basename(PROGRAM)
    found = {g["name"]: g for g in document["globals"]
             if g["module"] == program and g["kind"] == "variable" and "tid" not in g}
    missing = EXPECTED - set(found)
    cases.check(not missing, "all variables that the program changes are named", missing, sorted(found))
    cases.check("ns::unchanged" not in found, "an unchanged one is not")
    # gdb has no slices of text with '@' that read alike; "bump" is overloaded by nothing.
    names = sorted(EXPECTED & set(found))
    for side, core in (("old", cores[0]), ("new", cores[1])):
        truth = gdb_values(core, [n.replace("moved", "(long)moved") if n == "moved" else n for n in names])
        told = [found[n][side] if n != "moved" else str(int(found[n][side], 16)) for n in names]
        wrong = [(n, t, g) for n, t, g in zip(names, told, truth) if t != g]
        cases.check(len(truth) == len(names) and not wrong, f"gdb prints the same {side} values", wrong,
                    len(truth), len(names))
    changed = {(g["name"], g["old"], g["new"]) for g in document["globals"] if g.get("tid")
               and g["module"] == program}
    wanted = {("tls_counter", "5", "6"), ("tls_stats.errors", "0", "3"), ("tls_counter", "5", "100")}
    cases.check(changed == wanted, "thread-locals, in each thread", changed)
    variables = len({(g["variable"], g.get("tid")) for g in document["globals"] if g["kind"] == "variable"})
    cases.check(document["totals"]["globals"]["variables"] == variables, "variables are counted")
    fields = sum(g["kind"] == "variable" for g in document["globals"])
    cases.check(document["totals"]["globals"]["fields"] == fields, "so are their parts")


def check_memory(cases, document, cores):
    """Ranges, against the slow comparison."""
    truth = slow_comparison(*cores)
    told = [(int(r["start"], 16), int(r["end"], 16), r["changed_bytes"]) for r in document["ranges"]]
    cases.check(told == truth, "byte ranges are those of a slow comparison",
                [x for x in told if x not in truth], [x for x in truth if x not in told])
    totals = document["totals"]["memory"]
    cases.check(totals["ranges"] == len(truth) and totals["changed_bytes"] == sum(t[2] for t in truth),
                "they are counted", totals)
    places = {(r.get("function"), r.get("variable")) for r in document["ranges"]}
    cases.check({("main", "local"), ("main", "buffer[3]")} <= places, "locals on the stack are named", places)
    cases.check(any(r["mapping"] == "[heap]" for r in document["ranges"]), "the heap is named")
    bytes_told = [r for r in document["ranges"] if r["old"] == r["new"] and r["changed_bytes"]]
    cases.check(not [r for r in bytes_told if len(r["old"]) < 128], "old and new bytes differ", bytes_told)


def check_mappings(cases, document):
    """mremap, mprotect."""
    told = [(m["change"], int(m["end"], 16) - int(m["start"], 16)) for m in document["mappings"]]
    cases.check(("moved", 2 << 20) in told, "what mremap moved and grew has moved", told)
    cases.check(("permissions", 8192) in told, "mprotect changed permissions", told)


def check_threads(cases, document):
    """One came, one went, one stayed."""
    told = [t["change"] for t in document["threads"]]
    cases.check(told.count("added") == 1 and told.count("removed") == 1, "threads come and go", told)
    added, = [t for t in document["threads"] if t["change"] == "added"]
    cases.check(added["old"] is None and added["new"]["pc"].startswith("0x"), "a new one says where it is")
    tids = {r["tid"] for r in document["registers"]}
    gone = {t["tid"] for t in document["threads"] if t["change"] != "changed"}
    cases.check(tids and not tids & gone, "registers are of threads in both")
    for register in document["registers"]:
        if register["old"] == register["new"]:
            cases.check(False, "registers told have changed", register)
    cases.check(any(r["name"] == "rdi" and (r["old"], r["new"]) == ("0x1", "0x2") for r in document["registers"]),
                "an argument register has its old and new value")


def check_text(cases, cores, document):
    """The summary is exact, whatever is shown."""
    status, whole, _ = text("--limit", 0, *cores)
    _, short, _ = text("--limit", 2, *cores)
    cases.check(status == 0 and whole.splitlines()[0] == short.splitlines()[0], "a limit does not change the summary")
    cases.check(" 1 came, 1 went" in short.splitlines()[0] and
                f"{document['totals']['memory']['ranges']} ranges" in short.splitlines()[0], "it counts", short)
    cases.check("more\n" in short and "more\n" not in whole, "what is not shown is said to be more")
    cases.check("server.stats.requests  1 -> 77" in whole, "values are shown")
    cut = diff("--limit", 1, *cores)
    cases.check(len(cut["ranges"]) == 1 and cut["totals"] == document["totals"], "nor that of JSON")
    only = diff("--maps", *cores)
    cases.check("mappings" in only and "ranges" not in only and "memory" not in only["totals"],
                "sections are left out that were not asked for")
    some = document["ranges"][3]
    part = diff("--memory", "--range", f"{some['start']}-{some['end']}", *cores)
    cases.check(part["ranges"] == [some], "a range of memory", part["ranges"], some)
    tid = document["registers"][0]["tid"]
    one = diff("--registers", "--thread", tid, *cores)
    cases.check({r["tid"] for r in one["registers"]} == {tid}, "a thread")
    status, _, errors = text("--thread", 1, *cores)
    cases.check(status == 1 and "no thread 1" in errors, "a thread that is in neither is an error", errors)
    status, _, errors = text("--range", "5-5", *cores)
    cases.check(status != 0 and errors.count("\n") == 1, "an empty range is an error", errors)
    status, whole, _ = text(cores[0], cores[0])
    cases.check(status == 0 and "0 pages changed" in whole and "MEMORY" not in whole, "a core equals itself")


def check_other_process(cases, folder):
    """Another process of the program, at other addresses: globals are compared all the same."""
    if not make_cores(folder, ["c.core", "d.core"], randomize=True):
        return
    document = diff(folder / "a.core", folder / "d.core")
    names = {g["name"]: (g["old"], g["new"]) for g in document["globals"] if g["module"] == os.path.basename(PROGRAM)}
    cases.check(names.get("server.stats.requests") == ("1", "77") and names.get("color") == ("RED", "GREEN"),
                "globals are compared wherever the program lies")
    cases.check(document["same_program"] and not document["same_process"], "it is another process of the program")
    cases.check(any(m["change"] == "moved" and m["new"]["path"] == "[stack]" for m in document["mappings"]) or
                document["a"]["pid"] == document["b"]["pid"], "its stack is elsewhere")
    sleep = folder / "sleep.core"
    subprocess.run([*GDB, "-ex", "starti", "-ex", f"generate-core-file {sleep}", "-ex", "kill", "/bin/sleep"],
                   check=False, capture_output=True, timeout=60)
    status, _, errors = text(folder / "a.core", sleep)
    cases.check(status == 0 and "different programs" in errors, "different programs are compared with a warning", errors)


def check_damage(cases, folder, cores):
    """Damaged files: an answer or one line, never a crash."""
    good = cores[1].read_bytes()
    chance = random.Random(7)
    bad = folder / "bad.core"
    statuses = set()
    for i in range(16):
        data = bytearray(good)
        if i % 2:
            del data[chance.randrange(len(data)):]
        else:
            for _ in range(60):
                data[chance.randrange(min(len(data), 20000))] = chance.randrange(256)
        bad.write_bytes(data)
        for pair in ((cores[0], bad), (bad, cores[0])):
            status, _, _ = text(*pair)
            statuses.add(status)
    cases.check(statuses <= {0, 1}, "damaged cores end in an answer or an error", statuses)


def check_statics(cases, folder):
    """Statics of one name in two files, with whole and split debug information, and with none."""
    for option in ("-gdwarf-5", "-gdwarf-4", "-gsplit-dwarf"):
        program, cores = folder / "statics", [folder / "e.core", folder / "f.core"]
        compiler = ["gcc", "-g", option, "-O0", "-c"]
        subprocess.run([*compiler, STATICS, "-o", "one.o"], check=True, cwd=folder)
        subprocess.run([*compiler, "-DOTHER", STATICS, "-o", "two.o"], check=True, cwd=folder)
        subprocess.run(["gcc", "one.o", "two.o", "-Wl,--build-id", "-o", program], check=True, cwd=folder)
        make_cores(folder, ["e.core", "f.core"], program=program)
        told = sorted((g["name"], g["old"].split()[-1], g["new"].split()[-1], bool(g["file"]))
                      for g in diff("--globals", *cores)["globals"] if g["module"] == "statics" and g["name"])
        wanted = [("counter", "1", "2", True), ("counter", "100", "200", True), ("exported", "7", "8", False),
                  ("filler[5]", "'\\000'", "'\\001'", True), ("name", '"before"', '"b"', False), ("pairs[1].second", "4", "44", False),
                  ("wave[63]", "0", "0.5", False)]
        cases.check(told == wanted, f"statics and globals, {option}", told)
    subprocess.run(["strip", "-g", program], check=True)
    told = {(g["kind"], g["name"], g["offset"], g["old"], g["new"]) for g in diff("--globals", *cores)["globals"]
            if g["module"] == "statics" and g["name"]}
    wanted = {("symbol", "counter", 0, "01", "02"), ("symbol", "counter", 0, "64", "c8"),
              ("symbol", "exported", 0, "07", "08"), ("symbol", "pairs", 6, "04", "2c")}
    cases.check(wanted <= told, "without debug information, bytes in symbols", told)
    subprocess.run(["strip", program], check=True)
    document = diff("--globals", *cores)
    told = [g for g in document["globals"] if g["module"] == "statics" and g["kind"] == "unnamed"]
    cases.check(len(told) >= 5 and document["totals"]["globals"]["unnamed"] >= 5, "without symbols, bytes of the module",
                told)


def main():
    cases = Cases()
    subprocess.run(["g++", "-g", "-O0", "-pthread", "-o", PROGRAM, SOURCE], check=True)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        cores = [folder / "a.core", folder / "b.core"]
        if not make_cores(folder, ["a.core", "b.core"]):
            print("1..0 # SKIP gdb cannot run programs here")
            return
        document = diff(*cores)
        check_memory(cases, document, cores)
        check_globals(cases, document, cores)
        check_statics(cases, folder)
        check_mappings(cases, document)
        check_threads(cases, document)
        check_text(cases, cores, document)
        check_other_process(cases, folder)
        check_damage(cases, folder, cores)
    cases.end()


try:
    main()
finally:
    shutil.rmtree(os.path.dirname(PROGRAM))
