#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares `strobe trace calls` and `trace hot` with a naive reading of the same addresses. TAP.

usage: calls_truth.py STROBE TRACES

The addresses come from `trace dump --raw`; what each instruction is, from objdump; which functions it stands in,
from addr2line. A stack of return addresses is pushed and popped instruction by instruction.
"""
import collections
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

STROBE, TRACES = sys.argv[1], pathlib.Path(sys.argv[2])
ITEM = re.compile(r"^ +(\d+): (?:\((event|error)\) (.*)|0x([0-9a-f]+))$")
CODE = re.compile(r"^ *([0-9a-f]+):\t((?:[0-9a-f]{2} )+) *\t(\S+)(.*)$")
Instruction = collections.namedtuple("Instruction", "end kind target")


def run(*words):
    return subprocess.run([str(w) for w in words], check=True, text=True, capture_output=True).stdout


def strobe_json(*words):
    return json.loads(run(STROBE, "trace", *words, "--json"))


class Node:
    """A call."""

    def __init__(self, function, first, inlined):
        self.function, self.first, self.inlined = function, first, inlined
        self.last, self.calls, self.own = None, [], 0

    def flat(self):
        return (self.function, self.first, self.last, self.inlined, tuple(c.flat() for c in self.calls))


def kind_of(mnemonic):
    for kind in ("syscall", "call", "ret", "jmp"):
        if mnemonic.endswith(kind) or mnemonic.startswith(kind):
            return kind
    return "jump" if mnemonic.startswith("j") else "other"


class Program:
    """The files of one bundle, as others read them."""

    def __init__(self, folder, description):
        self.code, self.modules, self.chains = {}, [], {}
        for module in json.loads((folder / description).read_text())["processes"][0]["modules"]:
            path = folder / module.get("file", module["systemPath"])
            base = module["loadAddress"]
            base = int(base, 0) if isinstance(base, str) else base
            kind = run("readelf", "-h", path)
            bias = 0 if "EXEC" in kind else base
            self.modules.append((path, bias))
            self.read_code(path, bias)

    def read_code(self, path, bias):
        for line in run("objdump", "-d", "--no-show-raw-insn", "-w", path).splitlines():
            del line
        rows = [CODE.match(x) for x in run("objdump", "-d", "-w", path).splitlines()]
        for row in filter(None, rows):
            address, size = int(row[1], 16), len(row[2].split())
            mnemonic = row[3] if row[3] not in ("bnd", "notrack", "rep", "repz") else row[4].split()[0]
            target = re.match(r"\s+([0-9a-f]+) <", row[4])
            self.code[address + bias] = Instruction(address + bias + size, kind_of(mnemonic),
                                                    int(target[1], 16) + bias if target else None)

    def name(self, addresses):
        """Chains of functions, outermost first, of all these addresses."""
        for path, bias in self.modules:
            own = sorted(a for a in addresses if bias <= a < bias + 0x1000000)
            out = subprocess.run(["addr2line", "-a", "-f", "-i", "-e", str(path)], text=True, check=True,
                                 input="".join(f"{a - bias:#x}\n" for a in own), capture_output=True).stdout
            chain = None
            for line in out.splitlines():
                if line.startswith("0x") and " " not in line:
                    chain = self.chains[int(line, 16) + bias] = []
                    odd = True
                else:
                    if odd:
                        chain.insert(0, line)
                    odd = not odd


def items(trace, thread=None):
    """(id, kind, address or text) of each item."""
    words = ["dump", trace, "--raw", "--events", "--forwards", "--all"]
    if thread:
        words += ["--thread", thread]
    for line in run(STROBE, "trace", *words).splitlines():
        match = ITEM.match(line)
        if match:
            yield (int(match[1]), match[2] or "instruction", match[3] if match[2] else int(match[4], 16))


def naive_tree(program, sequence, inlined):
    """The calls of a sequence without gaps that begins in its outermost function; and counts."""
    program.name({address for _, _, address in sequence})
    root, stack, expected, counts = None, [], [], collections.Counter()
    before = None
    for number, _, address in sequence:
        chain = program.chains[address] if inlined else program.chains[address][:1]
        if root is None:
            root = Node(chain[0], number, False)
            stack, expected = [[root]], [None]
        elif before.kind == "call":
            node = Node(chain[0], number, False)
            stack[-1][-1].calls.append(node)
            stack.append([node])
            expected.append(before.end)
            counts["calls"] += 1
            counts["depth"] = max(counts["depth"], len(stack) - 1)
        elif before.kind == "ret":
            assert address == expected.pop(), f"a return to {address:#x}"
            stack.pop()
            counts["returns"] += 1
        frame = stack[-1]
        assert frame[0].function == chain[0], f"{frame[0].function} became {chain[0]} at {number}"
        same = 0
        while same < min(len(frame), len(chain)) and frame[same].function == chain[same]:
            same += 1
        del frame[same:]
        for name in chain[same:]:
            node = Node(name, number, True)
            frame[-1].calls.append(node)
            frame.append(node)
        frame[-1].own += 1
        for nodes in stack:
            for node in nodes:
                node.last = number
        before = program.code[address]
    return root, counts


def flat(call):
    return (call["function"], call["first_id"], call["last_id"], call["inlined"],
            tuple(flat(c) for c in call["calls"]))


def first_difference(ours, truth, path=()):
    if ours[:4] != truth[:4]:
        return f"{' > '.join(path)}: {ours[:4]}, expected {truth[:4]}"
    for a, b in zip(ours[4], truth[4]):
        found = first_difference(a, b, path + (ours[0],))
        if found:
            return found
    if len(ours[4]) != len(truth[4]):
        return f"{' > '.join(path)} > {ours[0]}: {len(ours[4])} calls, expected {len(truth[4])}"
    return None


RESULTS = []


def check(title, problem):
    RESULTS.append(problem)
    for line in str(problem or "").splitlines():
        print("#", line)
    print("not ok" if problem else "ok", len(RESULTS), "-", title, flush=True)


def expect(title, ours, truth):
    check(title, None if ours == truth else f"{ours!r}, expected {truth!r}")


def check_calls(folder, description, thread=None):
    sys.setrecursionlimit(10000)
    program = Program(TRACES / folder, description)
    trace = TRACES / folder / description
    sequence = [x for x in items(trace, thread) if x[1] == "instruction"]
    words = ["--thread", thread] if thread else []
    label = f"{folder}{f' thread {thread}' if thread else ''}"
    for inlined in (False, True):
        truth, counts = naive_tree(program, sequence, inlined)
        got = strobe_json("calls", trace, *words, *([] if inlined else ["--no-inlined"]))["threads"][0]
        expect(f"{label}: one tree", len(got["calls"]), 1)
        check(f"{label}: calls {'with' if inlined else 'without'} inlined ones",
              first_difference(flat(got["calls"][0]), truth.flat()))
        if not inlined:
            expect(f"{label}: counts", [got["call_count"], got["return_count"], got["max_depth"], got["instructions"]],
                   [counts["calls"], counts["returns"], counts["depth"], len(sequence)])
            check_hot(label, trace, words, program, sequence, truth)
    return got


def totals(node, active, counts):
    """Instructions of each function with what it calls; recursion once."""
    total = node.own
    first = node.function not in active
    if first:
        active.add(node.function)
    for call in node.calls:
        total += totals(call, active, counts)
    if first:
        active.remove(node.function)
        counts[node.function] += total
    return total


def check_hot(label, trace, words, program, sequence, tree):
    own = collections.Counter(program.chains[a][0] for _, _, a in sequence)
    whole = collections.Counter()
    totals(tree, set(), whole)
    got = strobe_json("hot", trace, *words)["threads"][0]
    expect(f"{label}: hot functions", {r["function"]: r["own_instructions"] for r in got["rows"]}, dict(own))
    expect(f"{label}: hot functions with what they call",
           {r["function"]: r["total_instructions"] for r in got["rows"]}, dict(whole))
    counted = collections.Counter()
    for row in strobe_json("hot", trace, *words, "--by", "block")["threads"][0]["rows"]:
        address = int(row["start"], 16)
        while address < int(row["end"], 16):
            counted[address] += row["entries"]
            address = program.code[address].end
    expect(f"{label}: hot blocks", counted, collections.Counter(a for _, _, a in sequence))
    got = strobe_json("hot", trace, *words, "--by", "line")["threads"][0]
    expect(f"{label}: hot lines", sum(r["own_instructions"] for r in got["rows"]), len(sequence))


def check_dso():
    trace = TRACES / "dso/trace.json"
    got = strobe_json("calls", trace)["threads"][0]
    mains = [c for c in got["calls"] if c["function"] == "main"]
    expect("dso: main is one tree", len(mains), 1)
    names = [c["function"] for c in mains[0]["calls"] if not c["inlined"] and c["function"]]
    expect("dso: foo's calls stand side by side below main", [n for n in names if n == "foo"], ["foo", "foo"])
    foos = [c for c in mains[0]["calls"] if c["function"] == "foo"]
    expect("dso: each calls bar", [[c["function"] for c in f["calls"] if c["function"] == "bar"] for f in foos],
           [["bar"], ["bar"]])


def walk(calls):
    for call in calls:
        yield call
        yield from walk(call["calls"])


def check_limits():
    trace = TRACES / "calls1/trace.json"
    whole = list(walk(strobe_json("calls", trace, "--no-inlined")["threads"][0]["calls"]))
    got = strobe_json("calls", trace, "--no-inlined", "--min-instructions", "500")["threads"][0]
    expect("no call with fewer instructions than asked for",
           [(c["first_id"], c["last_id"]) for c in walk(got["calls"])],
           [(c["first_id"], c["last_id"]) for c in whole if c["instructions"] >= 500])
    got = strobe_json("calls", trace, "--no-inlined", "--depth", "3")["threads"][0]
    expect("three levels", {c["function"] for c in walk(got["calls"])},
           {"_start", "entry", "work"})
    got = strobe_json("calls", trace, "--function", "quick", "--no-inlined")["threads"][0]
    expect("calls of one function, and what they call", len(got["calls"]), 1)
    expect("all below it", len(list(walk(got["calls"]))),
           sum(1 for c in whole if c["function"] in ("quick", "swap")))
    got = strobe_json("calls", trace, "--limit", "100")["threads"][0]
    expect("a hundred calls", [len(list(walk(got["calls"]))), got["limited"]], [100, True])
    first, last = 20000, 40000
    got = strobe_json("calls", trace, "--no-inlined", "--from", first, "--to", last)["threads"][0]
    inside = {(c["function"], c["first_id"], c["last_id"]) for c in whole
              if first < c["first_id"] and c["last_id"] < last}
    found = {(c["function"], c["first_id"], c["last_id"]) for c in walk(got["calls"])}
    check("calls within a range", None if inside <= found else sorted(inside - found)[:5])
    expect("instructions of a range", got["instructions"], last - first + 1)
    expect("no data at a position", run(STROBE, "print", f"{trace}@100000", "rng"), "<not recorded>\n")


def check_grown():
    """An index of a trace whose last packets were not the last ones, after all."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("calls", "calls.pt", "trace.json"):
            shutil.copy(TRACES / "calls6" / name, folder)
        trace, packets = pathlib.Path(folder) / "trace.json", pathlib.Path(folder) / "calls.pt"
        packets.chmod(0o644)
        before = strobe_json("info", trace)["threads"][0]["instructions"]
        packets.write_bytes(packets.read_bytes() * 2)
        expect("a trace that grew behind its index", strobe_json("info", trace)["threads"][0]["instructions"], 2 * before)


def main():
    for tool in ("objdump", "addr2line", "readelf"):
        if not shutil.which(tool):
            print(f"1..0 # SKIP {tool} is not installed")
            return 0
    got = check_calls("calls1", "trace.json")
    expect("calls1: as it was made", [got["call_count"], got["return_count"], got["max_depth"]], [15196, 15196, 15])
    check_calls("calls6", "trace.json")
    check_calls("loop", "trace.json")
    for thread in (5001, 5002):
        check_calls("threads2", "trace.json", thread)
        check_calls("mcpu", "trace.json", thread)
    check_dso()
    check_limits()
    check_grown()
    print(f"1..{len(RESULTS)}")
    return 1 if any(RESULTS) else 0


if __name__ == "__main__":
    sys.exit(main())
