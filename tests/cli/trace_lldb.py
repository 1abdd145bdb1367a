#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares `trace dump` with lldb-22's `thread trace dump instructions`, line by line. TAP on stdout.

usage: trace_lldb.py STROBE TRACES

What is let pass is what docs/parity-lldb-trace.md lists: ids (our traces have more events), times, kinds of events that
lldb does not have, its "0x0x", its "imm = " comments, instructions that it does not know, symbols that it makes up.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

STROBE, TRACES = sys.argv[1:3]
LLDB = "lldb-22"
LLDB_EVENTS = {"software disabled tracing", "hardware disabled tracing", "CPU core changed", "HW clock tick",
               "trace synchronization point"}
# Bundle, options that both have.
CASES = [("loop/trace.json", "-f -a -e -k"), ("dso/trace.json", "-f -a -e -k"), ("dso/trace.json", "-a"),
         ("dso/trace.json", "-f -E"), ("calls1/trace.json", "-f -c 6000 -e -k"), ("calls1/trace.json", "-c 3000 -k"),
         ("calls1/trace.json", "-f -c 2000 -i 37000"), ("calls1/trace.json", "-f -c 2000 -i 80000 -s 500"),
         ("calls1/trace.json", "-f -a -r"), ("calls1/trace.json", "-a -r"), ("threads2/trace.json", "-f -c 500 -e"),
         ("faulty/badbase.json", "-f -a"), ("faulty/empty.json", "-f -a -e")]


def lldb(bundle, command):
    """What a command prints on a bundle."""
    words = [LLDB, "--no-lldbinit", "-b", "-o", f"trace load {bundle}", "-o", command]
    out = subprocess.run(words, capture_output=True, text=True, check=True, timeout=300).stdout
    return out.split(command + "\n", 1)[1]


def strobe(bundle, options):
    """Likewise ours."""
    return subprocess.run([STROBE, "trace", "dump", bundle, "--index", "", *options.split()], capture_output=True,
                          text=True, check=True, timeout=300).stdout


def normal(text):
    """The lines without what may differ; "?" for what lldb does not know."""
    found = []
    for line in text.splitlines():
        item = re.match(r"    (\d+): (.*)$", line)
        if item:
            event = re.match(r"\(event\) ([^\[]*)", item[2])
            if event and event[1].strip() not in LLDB_EVENTS:
                continue
            line = "    " + item[2]
        line = line.replace("offset = 0x0x", "offset = 0x").replace("\t", " ")
        line = re.sub(r"`___lldb_unnamed_symbol_[0-9a-f]+.*", "`(none)", line)
        line = re.sub(r"(; )?(, )?imm = 0x[0-9A-F]+ *$", "", line)
        if line.strip():
            found.append(re.sub(r" +", " ", line.rstrip()))
    return found


def same_line(theirs, ours):
    """True if lldb's line says the same, or says that it does not know."""
    unknown = re.match(r"(.*0x[0-9a-f]{16} ).*(<unknown>|rex64)", theirs)
    if unknown:
        return ours.startswith(unknown[1])
    theirs, ours = (re.sub(r" ; (___lldb_unnamed_symbol_[0-9a-f]+|symbol stub for: .*)$", "", line)
                    if "unnamed_symbol" in theirs else line for line in (theirs, ours))
    made_up = theirs.endswith("`(none)") # a symbol of lldb's own where we have one of the file, or none
    return theirs == ours or (made_up and "`" in ours and theirs.split("`")[0] == ours.split("`")[0])


def compare(theirs, ours):
    """The first difference, or None."""
    theirs, ours = normal(theirs), normal(ours)
    for number, (a, b) in enumerate(zip(theirs, ours), 1):
        if not same_line(a, b):
            return f"line {number}: lldb has {a!r}, strobe {b!r}"
    if len(theirs) != len(ours):
        return f"lldb has {len(theirs)} lines, strobe {len(ours)}"
    return None


def shift(bundle, options):
    """Ids given in lldb's count, in ours: the n-th instruction is the n-th."""
    given = re.search(r"-i (\d+)", options)
    if not given:
        return options
    events = len(re.findall(r"\(event\) (?!HW|trace sync|hardware)", strobe(bundle, f"-f -E --to {given[1]}")))
    return options.replace(given[0], f"-i {int(given[1]) + events}")


def compare_json(bundle):
    """The first difference between items of one bundle as JSON, or None; the keys' order counts."""
    theirs = lldb(bundle, "thread trace dump instructions -f -c 800 -e -k -J")
    ours = strobe(bundle, "-f -c 800 -e -k -J")
    items = []
    for text in (theirs, ours):
        kept = [item for item in json.loads(text, object_pairs_hook=list)]
        kept = [item for item in kept if dict(item).get("event", "HW clock tick") in LLDB_EVENTS]
        items.append([[(key, str(value).replace("0x0x", "0x")) for key, value in item if key != "id"]
                      for item in kept])
    for a, b in zip(*items):
        known = dict(a).get("mnemonic") not in ("", "rex64") and "unnamed_symbol" not in dict(a).get("symbol", "")
        if a != b and known:
            return f"lldb has {a}, strobe {b}"
    return None if len(items[0]) == len(items[1]) else "one has more items"


def main():
    print(f"1..{len(CASES) + 2}")
    if not shutil.which(LLDB):
        for number in range(1, len(CASES) + 3):
            print(f"ok {number} # SKIP {LLDB} is not installed")
        return 0
    failed = False
    with tempfile.TemporaryDirectory() as state:
        os.environ["XDG_STATE_HOME"] = state
        results = [(f"{name} {options}", compare(
            lldb(os.path.join(TRACES, name), "thread trace dump instructions " + options),
            strobe(os.path.join(TRACES, name), shift(os.path.join(TRACES, name), options))))
                   for name, options in CASES]
        results += [(f"{name} as JSON", compare_json(os.path.join(TRACES, name)))
                    for name in ("dso/trace.json", "calls1/trace.json")]
    for number, (name, problem) in enumerate(results, 1):
        if problem:
            failed = True
            print("#", problem)
        print(f"{'not ok' if problem else 'ok'} {number} - {name}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
