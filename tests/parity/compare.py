#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares `strobe bt --locals` with gdb over the programs of corpus.py.

compare.py STROBE [--quick] [--only TEXT] [--keep FOLDER] [--show N] [--markdown FILE]

Prints a line a program and the first differences, then the totals. Exit status 1 if the shares of
equal frames, functions and lines fall below 99.5 % or of equal values below 99 %.
"""
import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile

import corpus

MAX_FRAMES = 400
FRAMES_WANTED = 0.995
VALUES_WANTED = 0.99


def gdb_view(program, core, folder):
    out = os.path.join(folder, "gdb.json")
    environment = dict(os.environ, GDB_DUMP=out, GDB_FRAMES=str(MAX_FRAMES))
    environment.pop("DEBUGINFOD_URLS", None)

    def no_core():  # gdb's own would lie over the program's
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    done = subprocess.run(["gdb", "-nx", "-batch", "-iex", "set auto-load no",
                           "-iex", "set debuginfod enabled off",
                           "-x", os.path.join(corpus.HERE, "gdb_dump.py"), program, core],
                          env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          preexec_fn=no_core, timeout=600)
    if done.returncode != 0:
        said = [line for line in done.stderr.decode(errors="replace").splitlines()
                if "error" in line or "problem" in line]
        raise corpus.Unavailable("gdb failed: " + (said[0] if said else
                                                   "exit %d" % done.returncode))
    with open(out) as text:
        return json.load(text)


def strobe_view(strobe, core):
    done = subprocess.run([strobe, "bt", core, "--locals", "--json", "--no-debuginfod"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=600)
    if done.returncode != 0:
        raise RuntimeError("strobe: exit %d: %s" % (done.returncode,
                                                    done.stderr.decode(errors="replace")))
    return json.loads(done.stdout)


def normal_value(text):
    text = re.sub(r"<error reading variable[^(]*\(Cannot access memory at address (0x[0-9a-f]+)\)>",
                  r"<unreadable at \1>", text)
    text = re.sub(r"<error: Cannot access memory at address (0x[0-9a-f]+)>",
                  r"<unreadable at \1>", text)
    return text


def normal_function(name):
    if name is None:
        return None
    # gdb shows parameters only for functions without debug information.
    depth = 0
    for at, letter in enumerate(name):
        if letter == "<":
            depth += 1
        elif letter == ">" and name[at - 1:at] != "-":
            depth -= 1
        elif letter == "(" and depth <= 0 and at > 0:
            if name.startswith("(anonymous namespace)", at) or name[:at].endswith("operator"):
                continue
            return name[:at]
    return name


class Count:
    def __init__(self):
        self.frames = self.frames_equal = self.values = self.values_equal = 0
        self.differences = []

    def add(self, other):
        self.frames += other.frames
        self.frames_equal += other.frames_equal
        self.values += other.values
        self.values_equal += other.values_equal


def compare_frame(count, where, theirs, ours):
    count.frames += 1
    problems = []
    if int(ours["pc"], 16) != theirs["pc"]:
        problems.append("pc %s, gdb 0x%x" % (ours["pc"], theirs["pc"]))
    if normal_function(ours["function"]) != normal_function(theirs["function"]) \
            and not theirs["signal_frame"]:
        problems.append("function %s, gdb %s" % (ours["function"], theirs["function"]))
    if (ours["line"] or 0) != theirs["line"]:
        problems.append("line %s, gdb %s" % (ours["line"], theirs["line"]))
    if os.path.basename(ours["file"] or "") != os.path.basename(theirs["file"] or ""):
        problems.append("file %s, gdb %s" % (ours["file"], theirs["file"]))
    if bool(ours["inlined"]) != theirs["inlined"]:
        problems.append("inlined %s, gdb %s" % (ours["inlined"], theirs["inlined"]))
    if problems:
        count.differences.append("%s: %s" % (where, "; ".join(problems)))
    else:
        count.frames_equal += 1
    by_name = {}
    for variable in ours.get("locals", []):
        by_name.setdefault((variable["kind"], variable["name"]), []).append(variable["value"])
    for variable in theirs["locals"]:
        count.values += 1
        key = (variable["kind"], variable["name"])
        found = by_name.get(key)
        expected = normal_value(variable["value"])
        if not found:
            count.differences.append("%s %s: missing; gdb %s" % (where, key[1], expected[:200]))
            continue
        value = found.pop(0)
        if value == expected:
            count.values_equal += 1
        else:
            at = next((i for i, (a, b) in enumerate(zip(value, expected)) if a != b),
                      min(len(value), len(expected)))
            start = max(0, at - 40)
            count.differences.append("%s in %s, %s:\n      ours %s\n      gdb  %s" % (
                where, ours["function"], key[1], value[start:at + 120], expected[start:at + 120]))
    for key, rest in by_name.items():
        for value in rest:
            count.values += 1
            count.differences.append("%s %s: not in gdb; ours %s" % (where, key[1], value[:100]))


def compare_program(strobe, program, folder):
    path, core = corpus.make_core(program, folder)
    theirs = gdb_view(path, core, folder)
    ours = {thread["tid"]: thread for thread in strobe_view(strobe, core)["threads"]}
    count = Count()
    for thread in theirs["threads"]:
        mine = ours.get(thread["tid"])
        if mine is None:
            count.frames += len(thread["frames"])
            count.differences.append("thread %d: missing" % thread["tid"])
            continue
        for index, frame in enumerate(thread["frames"]):
            where = "thread %d #%d" % (thread["tid"], index)
            if index >= len(mine["frames"]):
                count.frames += 1
                count.differences.append("%s: missing (%s); gdb %s" % (where, mine["stop"],
                                                                       frame["function"]))
                continue
            compare_frame(count, where, frame, mine["frames"][index])
        extra = len(mine["frames"]) - len(thread["frames"])
        if extra > 0 and len(thread["frames"]) < MAX_FRAMES:
            count.frames += extra
            count.differences.append("thread %d: %d more frames than gdb (%s), from %s" % (
                thread["tid"], extra, thread["stop"],
                mine["frames"][len(thread["frames"])]["function"]))
    return count


def share(part, whole):
    return 1.0 if whole == 0 else part / whole


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("strobe")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--keep", help="folder to keep programs and cores in")
    parser.add_argument("--show", type=int, default=10, help="differences shown a program")
    parser.add_argument("--markdown", help="write the table to this file")
    options = parser.parse_args()
    strobe = os.path.abspath(options.strobe)
    total, rows = Count(), []
    for program in corpus.PROGRAMS:
        if options.only not in program.name or (options.quick and not program.quick):
            continue
        with tempfile.TemporaryDirectory(prefix="strobe-parity-") as folder:
            if options.keep:
                folder = os.path.join(os.path.abspath(options.keep),
                                      re.sub(r"[^\w.+-]+", "_", program.name))
                os.makedirs(folder, exist_ok=True)
            try:
                count = compare_program(strobe, program, folder)
            except corpus.Unavailable as why:
                print("%-32s skipped: %s" % (program.name, why))
                rows.append((program.name, None, str(why)))
                continue
            except Exception as error:  # a crash or hang of ours counts as a failure
                print("%-32s FAILED: %s" % (program.name, error))
                count = Count()
                count.frames = count.values = 1
        total.add(count)
        rows.append((program.name, count, None))
        print("%-32s frames %6d/%-6d %6.2f %%   values %6d/%-6d %6.2f %%" % (
            program.name, count.frames_equal, count.frames,
            100 * share(count.frames_equal, count.frames), count.values_equal, count.values,
            100 * share(count.values_equal, count.values)))
        for difference in count.differences[:options.show]:
            print("    " + difference)
        sys.stdout.flush()
    print("%-32s frames %6d/%-6d %6.2f %%   values %6d/%-6d %6.2f %%" % (
        "all", total.frames_equal, total.frames, 100 * share(total.frames_equal, total.frames),
        total.values_equal, total.values, 100 * share(total.values_equal, total.values)))
    if options.markdown:
        with open(options.markdown, "w") as out:
            out.write("| program | frames equal | of | values equal | of |\n|---|---|---|---|---|\n")
            for name, count, why in rows + [("all", total, None)]:
                if count is None:
                    out.write("| %s | skipped: %s | | | |\n" % (name, why))
                else:
                    out.write("| %s | %.2f %% | %d | %.2f %% | %d |\n" % (
                        name, 100 * share(count.frames_equal, count.frames), count.frames,
                        100 * share(count.values_equal, count.values), count.values))
    good = share(total.frames_equal, total.frames) >= FRAMES_WANTED \
        and share(total.values_equal, total.values) >= VALUES_WANTED
    sys.exit(0 if good and total.frames > 0 else 1)


if __name__ == "__main__":
    main()
