# SPDX-License-Identifier: Apache-2.0
"""Measures traces against lldb-22 and libipt's own block decoder, side by side in one run.

Rows of bench.py's part "trace". The long trace is calls6 of tests/traces/synth, repeated to 200 million instructions
(STROBE_BENCH_INSTRUCTIONS, in millions). lldb keeps 40 bytes an instruction and decodes some two million a second:
it is given traces of 12 and of 0.3 million instructions, less what it takes to start, and scaled by their number.

Times are CPU times, of all threads together, unless a row says otherwise: what else the machine does counts little.
"""
import json
import os
import re
import shutil
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
SYNTH = os.path.join(ROOT, "tests", "traces", "synth")
MILLIONS = int(os.environ.get("STROBE_BENCH_INSTRUCTIONS", "200"))
CALLS6 = 1551712
MEMORY_LIMIT_MIB = 64
LIBRARIES = ("-lipt -lZydis -ldw -lelf -lzstd -llzma -lpcre2-8 -lxxhash -lb2 -liberty -ljansson -lpthread -ldl "
             "-lm").split()


class Traces:
    """The traces, and how lldb is asked about them."""

    def __init__(self, bench):
        self.bench = bench
        self.repeat = os.path.join(os.path.dirname(bench.strobe), "tests", "pt", "repeat")
        self.long = self.repeated("long", -(-MILLIONS * 1000000 // CALLS6))
        self.medium = self.repeated("medium", 8)
        self.small = os.path.join(SYNTH, "calls1", "trace.json")
        self.tiny = os.path.join(SYNTH, "loop", "trace.json")
        self.lldb = shutil.which("lldb-22")
        self.base = self.lldb_seconds(self.tiny, "thread trace dump instructions -c 1") if self.lldb else 0

    def repeated(self, name, count):
        """The bundle of calls6, `count` times over."""
        folder = self.bench.path("trace", f"{name}-{count}")
        bundle = os.path.join(folder, "trace.json")
        if not os.path.exists(bundle):
            os.makedirs(folder, exist_ok=True)
            with open(os.path.join(folder, "calls.pt"), "wb") as out:
                subprocess.run([self.repeat, os.path.join(SYNTH, "calls6", "calls.pt"), str(count)],
                               stdout=out, check=True)
            shutil.copy(os.path.join(SYNTH, "calls6", "calls"), folder)
            shutil.copy(os.path.join(SYNTH, "calls6", "trace.json"), bundle)
        return bundle

    def index(self, bundle):
        """A place for its index that is no other run's."""
        return self.bench.path("trace", os.path.basename(os.path.dirname(bundle)) + ".index")

    def strobe(self, verb, bundle, *options):
        """The words of a command on a trace whose index is kept beside the bench."""
        return [self.bench.strobe, "trace", verb, bundle, "--index", self.index(bundle), *options]

    def info(self, bundle, *options):
        """What `trace info` says."""
        return json.loads(subprocess.run(self.strobe("info", bundle, "--json", *options), check=True,
                                         capture_output=True, text=True).stdout)

    def lldb_seconds(self, bundle, command):
        """How long lldb takes for one command on a trace, from its start to its end."""
        return self.lldb_measure(bundle, command)[0]

    def lldb_measure(self, bundle, command):
        """(CPU seconds, peak MiB) of lldb."""
        return self.measure([self.lldb, "-b", "-o", f"trace load {bundle}", "-o", command], 1)[1:]

    def measure(self, command, rounds):
        """(wall seconds, CPU seconds, peak MiB) of a command: the best of so many runs."""
        best = (1e9, 1e9, 0)
        for _ in range(rounds):
            told = subprocess.run([self.bench.path("measure"), *command], check=True, text=True,
                                  capture_output=True).stdout.split()
            if told[0] != "0":
                raise SystemExit(f"bench: {' '.join(command)}: exit {told[0]}")
            best = (min(best[0], float(told[1])), min(best[1], float(told[3])), max(best[2], int(told[2]) / 1024))
        return best

    def lldb_rate(self, bundle, command, count):
        """How many of `count` things lldb does a second, its start left out."""
        return count / max(self.lldb_seconds(bundle, command) - self.base, 1e-3)


def rate_text(rate, unit):
    """\"12.3 M lines/s\""""
    for size, letter in ((1e9, "G "), (1e6, "M "), (1e3, "k ")):
        if rate >= size:
            return f"{rate / size:.3g} {letter}{unit}/s"
    return f"{rate:.3g} {unit}/s"


def open_rows(traces):
    """Open, and show the last 20 instructions: without an index, and with one."""
    bench, count = traces.bench, traces.info(traces.long)["threads"][0]["instructions"]
    name = f"`trace dump`: last 20 of {count / 1e6:.0f} M"
    wall, ours, peak = traces.measure(traces.strobe("dump", traces.long, "--rebuild-index"), 3)
    theirs, ratio = "", 0
    if traces.lldb:
        medium = traces.info(traces.medium)["threads"][0]["instructions"]
        seconds, memory = traces.lldb_measure(traces.medium, "thread trace dump instructions")
        scaled = (seconds - traces.base) * count / medium
        ratio = scaled / ours
        theirs = (f"lldb-22 {scaled:.1f} s, by rate: {medium / 1e6:.1f} M in {seconds:.2f} s, "
                  f"{memory:.0f} MiB")
    good = peak < MEMORY_LIMIT_MIB and (not traces.lldb or ratio >= 50)
    bench.row(name + ", no index", f"{ours:.3f} s (wall {wall:.3f} s), {peak:.0f} MiB", theirs,
              f"50 x, {MEMORY_LIMIT_MIB} MiB: {ratio:.0f} x", good)
    wall, ours, peak = traces.measure(traces.strobe("dump", traces.long), 20)
    bench.row(name + ", with its index", f"{ours * 1e3:.1f} ms (wall {wall * 1e3:.1f} ms), {peak:.0f} MiB", "",
              "50 ms of wall time", wall < 0.05 and peak < MEMORY_LIMIT_MIB)


def compile_decoder(bench):
    """bench/pt_decode.c: libipt's bare block decoder, and ours, on the same packets."""
    build = os.path.dirname(bench.strobe)
    program = bench.path("pt_decode")
    subprocess.run(["gcc", "-O2", "-D_GNU_SOURCE", f"-I{ROOT}/include", f"-I{ROOT}/src", "-o", program,
                    os.path.join(HERE, "pt_decode.c"), os.path.join(build, "libstrobe_objects.a"), *LIBRARIES],
                   check=True)
    return program


def index_rows(traces):
    """Building the index with two threads, against libipt's block decoder with two threads."""
    bench = traces.bench
    told = subprocess.run([compile_decoder(bench), traces.long, "2", "3"], check=True, capture_output=True,
                          text=True).stdout
    bare = float(re.search(r"best: libipt ([0-9.]+)", told)[1]) * 1e6
    best = traces.info(traces.long, "--rebuild-index", "--jobs", "2")
    count = sum(thread["instructions"] for thread in best["threads"])
    base = traces.measure(traces.strobe("info", traces.long), 3)[1]
    wall, ours, peak = traces.measure(traces.strobe("info", traces.long, "--rebuild-index", "--jobs", "2"), 3)
    rate = count / (ours - base)
    bench.row("index, built with 2 threads, a CPU second", f"{rate_text(rate, 'instructions')} (wall {wall:.2f} s), "
              f"{peak:.0f} MiB", f"libipt's block decoder {rate_text(bare, 'instructions')}",
              f"80 %: {rate / bare * 100:.0f} %", rate >= 0.8 * bare and peak < MEMORY_LIMIT_MIB)
    limit = max(best["raw_bytes"] / 100, 65536)
    bench.row("size of the index", f"{best['index_bytes']} bytes", f"{best['raw_bytes']} of packets",
              f"{limit:.0f} bytes", best["index_bytes"] <= limit)


def dump_rows(traces):
    """Everything written out: addresses alone, with symbols, as JSON."""
    bench = traces.bench
    few = traces.info(traces.small)["threads"][0]["instructions"]
    for name, bundle, options, command, wanted in (
            ("`trace dump --raw --all`", traces.long, ["--raw"], "-r", 30),
            ("`trace dump --all`", traces.medium, [], "", 50),
            ("`trace dump --all --json`", traces.medium, ["--json"], "-j", 50)):
        count = traces.info(bundle)["threads"][0]["instructions"]
        _, seconds, peak = traces.measure(traces.strobe("dump", bundle, "--all", "--forwards", *options), 2)
        rate, theirs, ratio = count / seconds, "", 0
        if traces.lldb:
            other = traces.lldb_rate(traces.small, f"thread trace dump instructions -a -f {command}", few)
            ratio = rate / other
            theirs = f"lldb-22 {rate_text(other, 'instructions')}"
        bench.row(name, f"{rate_text(rate, 'instructions')}, {peak:.0f} MiB", theirs, f"{wanted} x: {ratio:.0f} x",
                  peak < MEMORY_LIMIT_MIB and (not traces.lldb or ratio >= wanted))


def calls_rows(traces):
    """The call tree; lldb's is wrong on recursion, and takes 4 KB an instruction."""
    bench = traces.bench
    few = traces.info(traces.small)["threads"][0]["instructions"]
    count = traces.info(traces.medium)["threads"][0]["instructions"]
    _, seconds, peak = traces.measure(traces.strobe("calls", traces.medium), 2)
    rate, theirs, ratio = count / seconds, "", 0
    if traces.lldb:
        other, memory = traces.lldb_measure(traces.small, "thread trace dump function-calls")
        other = few / (other - traces.base)
        ratio = rate / other
        theirs = f"lldb-22 {rate_text(other, 'instructions')}, {memory:.0f} MiB for {few / 1e6:.1f} M"
    bench.row("`trace calls`", f"{rate_text(rate, 'instructions')}, {peak:.0f} MiB", theirs, f"50 x: {ratio:.0f} x",
              peak < MEMORY_LIMIT_MIB and (not traces.lldb or ratio >= 50))


def cursor_rows(traces):
    """bench/trace_cursor.c: walks and jumps through the exported functions."""
    source = os.path.join(HERE, "trace_cursor.c")
    if not os.path.exists(source):
        return
    bench, build = traces.bench, os.path.dirname(traces.bench.strobe)
    program = bench.path("trace_cursor")
    subprocess.run(["gcc", "-O2", "-D_GNU_SOURCE", f"-I{ROOT}/include", "-o", program, source, f"-L{build}",
                    "-lstrobe", f"-Wl,-rpath,{build}"], check=True)
    told = subprocess.run([program, traces.long], check=True, capture_output=True, text=True).stdout
    lldb = "lldb-22 7 M items/s"
    for pattern, name, unit, limit, theirs in (
            (r"^forwards within decoded stretches: ([0-9.]+)", "`next`, forwards", "M items/s", 100, lldb),
            (r"^backwards within decoded stretches: ([0-9.]+)", "`next`, backwards", "M items/s", 100, lldb),
            (r"^by runs: ([0-9.]+)", "the whole trace, by runs", "M instructions/s", 0, ""),
            (r"^go_to_id, .*(?:cold|anywhere|far).*: ([0-9.]+) us", "`go_to_id`, anywhere", "us", -200, ""),
            (r"^go_to_id, .*(?:within|near|cached).*: ([0-9.]+) us", "`go_to_id`, in what is decoded", "us", -1,
             "lldb-22 0.4 us")):
        found = re.search(pattern, told, re.M)
        if not found:
            print(f"# trace_cursor did not tell: {name}")
            continue
        value = float(found[1])
        good = value <= -limit if limit < 0 else value >= limit
        wanted = f"{abs(limit)} {unit}" if limit else ""
        bench.row("cursor: " + name, f"{found[1]} {unit}", theirs, wanted, good)


def write_section(rows, machine):
    """docs/performance.md, between the markers of traces."""
    path = os.path.join(ROOT, "docs", "performance.md")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    head, rest = text.split("<!-- traces -->\n")
    tail = rest.split("<!-- traces end -->")[1]
    table = f"Measured on {machine}.\n\n| what | Strobe | against | wanted: reached | met |\n|---|---|---|---|---|\n"
    table += "".join("| " + " | ".join(row) + " |\n" for row in rows)
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"{head}<!-- traces -->\n{table}<!-- traces end -->{tail}")


def bench_trace(bench):
    """All rows of traces."""
    traces = Traces(bench)
    if not traces.lldb:
        print("# lldb-22 is not installed: Strobe is measured alone")
    traces.info(traces.long)
    for rows in (open_rows, index_rows, dump_rows, calls_rows, cursor_rows):
        rows(traces)
