# SPDX-License-Identifier: Apache-2.0
"""What strobe writes on top of a core, against what gdb wrote into the process itself.

usage: overlay.py STROBE CC CRASH_C

gdb stops a program where it dies and writes a core, changes memory and registers of the process, and
writes another. The same changes on top of the first core must make it read like the second.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

from demo_core import Cases

STROBE, CC, SOURCE = sys.argv[1:4]
# (gdb's assignment, strobe's words after the core)
MEMORY = [
    ("counter = -7", ["&counter", "--type", "i32", "-7"]),
    ("list_tail.at.x = 1000", ["&list_tail.at.x", "--type", "i32", "1000"]),
    ("list_head.weight = 0.1", ["&list_head.weight", "--type", "f64", "0.1"]),
    ("list_head.next = &list_head", ["&list_head.next", "--type", "u64", "&list_head"]),
    ("list_head.name = banner", ["&list_head.name", "--type", "u64", "&banner"]),
    ("bytes[3] = 0x99", ["&bytes[3]", "99"]),
    ("*(char *)main = 0xcc", ["main", "cc"]),
    ("*(long long *)banner = 0x4142434445464748", ["&banner", "48 47 46 45 44 43 42 41"]),
    ("*(long long *)($sp - 4096) = -2", ["$sp - 4096", "--type", "i64", "-2"]),
]
REGISTERS = [
    ("$rbx = 0x1122334455667788", "rbx=0x1122334455667788"),
    ("$al = 0x5", "al=5"),
    ("$dh = 0x77", "dh=0x77"),
    ("$r12w = 0x1234", "r12w=0x1234"),
    ("$ecx = 0x89abcdef", "ecx=0x89abcdef"),
    ("$eflags = 0x247", "eflags=0x247"),
]
EXTENDED = [
    ("$mxcsr = 0x1fa0", "mxcsr=0x1fa0"),
    ("$st3 = 1.5", "st3=1.5"),
    ("$fctrl = 0x27f", "fctrl=0x27f"),
    ("$xmm3.v2_int64[0] = 5", None),
    ("$xmm3.v2_int64[1] = 6", "xmm3=0x60000000000000005"),
]
WIDE = [
    ("$ymm5.v4_int64[3] = 0x1234", None),
    ("$ymm5.v4_int64[2] = 0", None),
    ("$ymm5.v4_int64[1] = 0", None),
    ("$ymm5.v4_int64[0] = 0x99", "ymm5=0x1234" + "0" * 46 + "99"),
]


# gdb 13 has no room for the state of a processor with AMX.
CANNOT_WRITE = "Couldn't write extended state"


def strobe(*words):
    return subprocess.run([STROBE, *words], capture_output=True, text=True, check=False, timeout=60,
                          env={**os.environ, "DEBUGINFOD_URLS": ""})


def registers(core):
    return json.loads(strobe("regs", core, "--json").stdout)["registers"]


def gdb(folder, commands):
    words = ["gdb", "-nx", "-batch", "-iex", "set debuginfod enabled off", "-ex", "run"]
    for command in commands:
        words += ["-ex", command]
    return subprocess.run(words + ["./crash"], cwd=folder, capture_output=True, text=True, check=False, timeout=60)


def make_cores(folder):
    """The cores before and after, the registers that gdb set, and what it said."""
    subprocess.run([CC, "-g", "-O0", "-pthread", "-o", folder / "crash", SOURCE], check=True)
    wide = "ymm5" in gdb(folder, ["info registers ymm5"]).stdout
    for changed in (REGISTERS + EXTENDED + (WIDE if wide else []), REGISTERS):
        for core in ("before", "after"):
            (folder / core).unlink(missing_ok=True)
        done = gdb(folder, ["generate-core-file before"] + ["set var " + change for change, _ in MEMORY + changed] +
                   ["generate-core-file after"])
        if CANNOT_WRITE not in done.stderr:
            break
    return folder / "before", folder / "after", changed, done


def main():
    cases = Cases()
    with tempfile.TemporaryDirectory() as name:
        try:
            before, after, changed, done = make_cores(pathlib.Path(name))
        except FileNotFoundError:
            print("1..0 # SKIP gdb is not installed")
            return
        if not after.exists():
            print("1..0 # SKIP gdb may not run programs here")
            return
        compare(cases, str(before), str(after), changed, done)
    cases.end()


def compare(cases, before, after, changed, done):
    untouched = registers(before)
    for change, words in MEMORY:
        result = strobe("mem", "write", before, *words)
        cases.check(result.returncode == 0, f"writes what gdb wrote by {change}", result.stderr)
    for change, words in changed:
        if words:
            result = strobe("regs", before, "--set", words)
            cases.check(result.returncode == 0, f"sets what gdb set by {change}", result.stderr)
    ours, theirs = registers(before), registers(after)
    if changed is REGISTERS:
        cases.skip("extended registers are as in gdb's second core", "this gdb cannot write them on this processor")
    differing = [f"{name}: ours {ours.get(name)}, gdb's {value}, before {untouched.get(name)}"
                 for name, value in theirs.items() if ours.get(name) != value]
    cases.check(not differing and ours.keys() == theirs.keys(), "every register is as in gdb's second core",
                *differing, done.stderr)
    cases.check(ours != untouched, "and not as in the first")
    for address, size in (("&counter", "4"), ("&list_head", "64"), ("&list_tail", "64"), ("&bytes", "10"),
                          ("main", "64"), ("&banner", "19"), ("$sp - 5000", "2000")):
        texts = [json.loads(strobe("mem", "read", core, address, size, "--json").stdout)["bytes"]
                 for core in (before, after)]
        cases.check(texts[0] == texts[1], f"{size} bytes at {address} are as in gdb's second core", *texts)
    for words in (["print", "list_head", "*list_head.next", "counter", "banner", "$rbx", "$al", "$xmm3", "$st3"],
                  ["bt", "--locals"], ["disasm", "main"], ["mem search", "--int", "1000"], ["threads"]):
        verb = words[0].split()
        texts = [strobe(*verb, core, *words[1:]).stdout for core in (before, after)]
        cases.check(texts[0] == texts[1] and texts[0], f"{' '.join(words)} says the same", *texts)
    count = strobe("mem", "undo", before, "--all").stdout.count("\n")
    cases.check(registers(before) == untouched, f"undoing all {count} writes brings the first core back")
    cases.check(not os.path.exists(before + ".overlay"), "and removes the journal")


if __name__ == "__main__":
    main()
