#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares what gdb, lldb and Strobe read in our snapshots and in gdb's cores with what the living
process holds. TAP on stdout.

usage: truth.py --folder BUILD/tests/capture --strobe STROBE [--long]
"""
import argparse
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
GDB = ["gdb", "-nx", "-batch", "-iex", "set debuginfod enabled off", "-iex", "set auto-load safe-path /"]
COMPARED = ["rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13",
            "r14", "r15", "rip", "eflags", "fs_base", "gs_base", "mxcsr", "fctrl"]
M64 = 0xffffffffffffffff


def mix(value):
    """As truth_target.c mixes."""
    value = ((value + 0x9e3779b97f4a7c15) * 0xbf58476d1ce4e5b9) & M64
    return value ^ value >> 29


class Truth:
    """The living process and what it says of itself."""

    def __init__(self, program):
        self.process = subprocess.Popen([program], stdout=subprocess.PIPE, text=True)
        lines = ""
        while not lines.rstrip().endswith("]}\n]}") and not lines.endswith("\n]}\n"):
            line = self.process.stdout.readline()
            if not line:
                sys.exit("truth: truth_target ended")
            lines += line
            if line.startswith("]}"):
                break
        self.told = json.loads(lines)
        self.pid = self.told["pid"]
        self.threads = {}
        for index, thread in enumerate(self.told["threads"]):
            registers = dict(thread["registers"], rip=thread["rip"])
            if not thread["spinning"]: # in pause()
                registers.update(rcx=thread["rip"], r11=registers["eflags"], rax=None)
            stack = struct.pack("<64Q", *(mix((index + 1 << 40) + i) for i in range(64)))
            self.threads[thread["tid"]] = {
                "index": index, "registers": registers, "vectors": thread["vectors"], "x87": thread["x87"],
                "tls_word": mix(index + 77), "tls_zeros": [i * (index + 1) for i in range(16)],
                "stack": stack, "stack_address": thread["stack"]}
        self.words = [mix(i + 5000) for i in range(32)]

    def end(self):
        """Ends it."""
        self.process.kill()
        self.process.wait()


class Cases:
    """Tells cases in TAP."""

    def __init__(self):
        self.count = self.failed = 0

    def check(self, title, wrong):
        """A case that is good if nothing is wrong."""
        self.count += 1
        self.failed += bool(wrong)
        for line in wrong[:30]:
            print("#", line)
        print("not ok" if wrong else "ok", self.count, "-", title)
        sys.stdout.flush()

    def skip(self, title, why):
        """A case that cannot be run."""
        self.count += 1
        print(f"ok {self.count} - {title} # SKIP {why}")


def run(*command):
    """A command's output."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command[:3])}: {done.stderr.strip()[-300:]}")
    return done.stdout


def numbers(text):
    """The numbers of an array as debuggers write it, repeats expanded."""
    found = []
    for part in text.strip("{} \n").split(", "):
        match = re.match(r"(-?\d+|0x[0-9a-f]+)(?: <repeats (\d+) times>)?$", part)
        if not match:
            return text
        found += [int(match.group(1), 0)] * int(match.group(2) or 1)
    return found


def compare_thread(truth, tid, got):
    """What differs in one thread; `got` has registers, vectors, tls_word, tls_zeros, stack."""
    wrong, want = [], truth.threads[tid]
    for name in COMPARED:
        wanted, value = want["registers"].get(name), got["registers"].get(name)
        if wanted is not None and value != wanted:
            wrong.append(f"thread {want['index']}: {name} is {value}, not {wanted}")
    for index, wanted in enumerate(want["vectors"]):
        if got["vectors"] and got["vectors"][index].zfill(len(wanted)) != wanted:
            wrong.append(f"thread {want['index']}: vector {index} is {got['vectors'][index]}, not {wanted}")
    for key in ("tls_word", "tls_zeros"):
        if got[key] != want[key]:
            wrong.append(f"thread {want['index']}: {key} is {got[key]}, not {want[key]}")
    if want["stack"] not in got["stack"]:
        wrong.append(f"thread {want['index']}: its stack holds something else")
    return wrong


def compare(truth, got):
    """What differs in all of it."""
    wrong = [f"{len(got['threads'])} threads, not {len(truth.threads) + 1}"] * (
        len(got["threads"]) != len(truth.threads) + 1)
    for tid in truth.threads:
        if tid not in got["threads"]:
            wrong.append(f"thread {tid} is missing")
        else:
            wrong += compare_thread(truth, tid, got["threads"][tid])
    if got["words"] != truth.words:
        wrong.append(f"global_words: {got['words']}")
    if got["text"] != "a text to be found":
        wrong.append(f"global_text: {got['text']}")
    return wrong


def by_gdb(program, core):
    """A core as gdb reads it."""
    out = run(*GDB, "-x", os.path.join(HERE, "gdb_truth.py"), program, core)
    told = json.loads(next(line[6:] for line in out.splitlines() if line.startswith("TRUTH ")))
    told["threads"] = {int(tid): thread for tid, thread in told["threads"].items()}
    for thread in told["threads"].values():
        thread["stack"] = bytes.fromhex(thread["stack"]) if "error" not in thread["stack"] else b""
        thread["tls_zeros"] = numbers(thread["tls_zeros"])
    told["words"] = numbers(told["words"])
    return told


def by_strobe(strobe, target, truth):
    """A core, or @NAME, as Strobe reads it."""
    told = {"threads": {}}
    for thread in json.loads(run(strobe, "threads", target, "--json"))["threads"]:
        tid = thread["tid"]
        registers = json.loads(run(strobe, "regs", target, "--json", "--thread", str(tid)))["registers"]
        value = {name: int(text, 16) for name, text in registers.items()}
        width = "ymm" if truth.told["avx"] else "xmm"
        entry = {"registers": value, "vectors": [f"{value.get(f'{width}{i}', 0):x}" for i in range(16)],
                 "x87": [f"{value.get(f'st{i}', 0):x}" for i in range(8)], "tls_word": None, "tls_zeros": None,
                 "stack": b""}
        if tid in truth.threads:
            entry["tls_word"] = int(printed(strobe, target, tid, "tls_word"))
            entry["tls_zeros"] = numbers(printed(strobe, target, tid, "tls_zeros"))
            entry["stack"] = memory(strobe, target, value["rsp"] & ~7, 1024)
        told["threads"][tid] = entry
    told["words"] = numbers(printed(strobe, target, None, "global_words"))
    told["text"] = printed(strobe, target, None, "global_text").partition('"')[2].rstrip('"')
    return told


def printed(strobe, target, tid, expression):
    """The value of an expression."""
    command = [strobe, "print", target, "--json", expression] + (["--thread", str(tid)] if tid else [])
    told = json.loads(run(*command))
    return (told[0] if isinstance(told, list) else told)["value"]


def memory(strobe, target, address, size):
    """Bytes of memory."""
    done = subprocess.run([strobe, "mem", "read", target, hex(address), str(size), "--raw"], capture_output=True,
                          check=True)
    return done.stdout


def by_lldb(lldb, program, core, truth):
    """A core as lldb reads it."""
    commands = ["settings set target.max-children-count 1000", f"target create --core {core} {program}", "thread list"]
    for index in range(len(truth.threads) + 1):
        commands += [f"thread select {index + 1}", "register read --all",
                     "memory read --size 8 --format x --count 128 --force $rsp"]
    commands += ["target variable --format u global_words", "target variable global_text"]
    # Last: a lldb that cannot read thread-local variables of cores ends there.
    for index in range(len(truth.threads) + 1):
        commands += [f"thread select {index + 1}", "expression -f u -- tls_word"]
    arguments = [part for command in commands for part in ("-o", command)]
    out = subprocess.run([lldb, "--no-lldbinit", "--batch", *arguments], capture_output=True, text=True,
                         check=False, timeout=300).stdout
    told, thread, tids = {"threads": {}, "words": [], "text": None}, None, {}
    for line in out.splitlines():
        match = re.match(r"[* ] thread #(\d+): tid = (\d+)", line)
        if match:
            tids[match.group(1)] = int(match.group(2))
        match = re.match(r"\(lldb\) thread select (\d+)", line)
        if match:
            thread = told["threads"].setdefault(tids[match.group(1)], {
                "registers": {}, "vectors": [""] * 16, "tls_word": None, "stack": b"", "tls_zeros": None})
        match = re.match(r"\s+(\w+) = (0x[0-9a-f]+)", line)
        if match and thread:
            name = {"rflags": "eflags"}.get(match.group(1), match.group(1))
            thread["registers"][name] = int(match.group(2), 16)
        match = re.match(r"\s+ymm(\d+) = \{(.*)\}", line)
        if match and thread and int(match.group(1)) < 16:
            thread["vectors"][int(match.group(1))] = "".join(b[2:] for b in reversed(match.group(2).split()))
        match = re.match(r"\(uint64_t\).* = (\d+)", line)
        if match and thread:
            thread["tls_word"] = int(match.group(1))
        match = re.match(r"0x[0-9a-f]+: ((?:0x[0-9a-f]{16} ?)+)$", line)
        if match and thread:
            thread["stack"] += b"".join(struct.pack("<Q", int(word, 16)) for word in match.group(1).split())
        match = re.match(r"\s+\[\d+\] = (\d+)$", line)
        if match:
            told["words"].append(int(match.group(1)))
        match = re.match(r'.*global_text = 0x\w+ "(.*)"', line)
        if match:
            told["text"] = match.group(1)
    return told


def lldb_cases(cases, truth, program, core, folder):
    """What lldb says of our file: registers, stack, TLS where it can, globals."""
    lldb = next((name for name in ("lldb-22", "lldb", "lldb-19", "lldb-14") if shutil.which(name)), None)
    if not lldb:
        cases.skip("lldb reads our file", "lldb is not installed")
        return
    got = by_lldb(lldb, program, core, truth)
    gcore_got = by_lldb(lldb, program, os.path.join(folder, f"gcore.{truth.pid}"), truth)
    # What lldb cannot do with a core of gdb's, it need not do with ours.
    if got["text"] == gcore_got["text"]:
        got["text"] = "a text to be found"
    for tid, thread in got["threads"].items():
        want = truth.threads.get(tid)
        theirs = gcore_got["threads"].get(tid, {})
        if not want:
            continue
        if theirs.get("tls_word") is None and thread["tls_word"] is None:
            thread["tls_word"] = want["tls_word"]
        thread["tls_zeros"] = want["tls_zeros"]
        for name in list(COMPARED):
            if name not in theirs.get("registers", {}) and name not in thread["registers"]:
                thread["registers"][name] = want["registers"].get(name)
        for index in range(16):
            if not theirs.get("vectors", [""] * 16)[index] and not thread["vectors"][index]:
                thread["vectors"][index] = want["vectors"][index]
    cases.check(f"{lldb} reads the truth in our file: registers, TLS, stacks, globals", compare(truth, got))


def auxv_and_files(ours, theirs):
    """What gdb says of the auxiliary vector and mapped files of both."""
    wrong = []
    if ours["auxv"] != theirs["auxv"]:
        wrong.append("info auxv differs")
        wrong += [f"ours: {line}" for line in ours["auxv"].splitlines() if line not in theirs["auxv"]]

    def files(told):
        found = set()
        for line in told["files"].splitlines():
            match = re.match(r"\s+(0x\w+)\s+(0x\w+)\s+0x\w+\s+(0x\w+)\s+.*?(/.*)", line)
            if match:
                found.add((match.group(1), match.group(2), match.group(3), match.group(4)))
        return found

    missing = files(theirs) - files(ours)
    if missing or not files(ours):
        wrong += [f"not in ours: {file}" for file in sorted(missing)] or ["no mapped files"]
    return wrong


def main():
    """Captures one process in all ways and compares."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", required=True)
    parser.add_argument("--strobe", required=True)
    parser.add_argument("--long", action="store_true", help="in all ways of writing a file")
    options = parser.parse_args()
    program = os.path.join(options.folder, "truth_target")
    truth, cases = Truth(program), Cases()
    hold = f"truth{os.getpid()}"
    with tempfile.TemporaryDirectory() as folder:
        files = {"compressed": ["--compress"], "stacks": ["--contents", "stacks"]}
        if options.long:
            files.update({"changed": [], "full": ["--contents", "full"], "copied": ["--no-clone"]})
        # On a machine that is busy otherwise a thread may take long to stop.
        patient = ["--stop-limit", "5000"]
        try:
            for name, arguments in files.items():
                run(options.strobe, "snap", str(truth.pid), "-o", os.path.join(folder, name), *patient,
                    *arguments)
            run(options.strobe, "snap", str(truth.pid), "--hold", hold, *patient)
            run("gcore", "-o", os.path.join(folder, "gcore"), str(truth.pid))
            gcore = os.path.join(folder, f"gcore.{truth.pid}")
            theirs = by_gdb(program, gcore)
            cases.check("gdb reads the truth in gdb's core (else this test is wrong)", compare(truth, theirs))
            gcore_ours = by_strobe(options.strobe, gcore, truth)
            cases.check("Strobe reads the truth in gdb's core", compare(truth, gcore_ours))
            for name in files:
                path = os.path.join(folder, name)
                got = by_strobe(options.strobe, path, truth)
                cases.check(f"Strobe reads the truth in our file: {name}", compare(truth, got))
                wrong = [f"thread {tid}: x87 {got['threads'][tid]['x87']}, not {thread['x87']}"
                         for tid, thread in truth.threads.items() if got["threads"][tid]["x87"] != [
                             value.lstrip("0") or "0" for value in thread["x87"]]]
                cases.check(f"x87 registers too: {name}", wrong)
                if name == "compressed":
                    plain = os.path.join(folder, "plain")
                    with open(path, "rb") as packed, open(plain, "wb") as out:
                        subprocess.run(["zstd", "-q", "-d"], stdin=packed, stdout=out, check=True)
                    path = plain
                ours = by_gdb(program, path)
                cases.check(f"gdb reads the truth in our file: {name}", compare(truth, ours))
                wrong = [f"thread {tid}: {key} differs: {ours['threads'][tid][key]}, theirs {theirs['threads'][tid][key]}"
                         for tid in truth.threads for key in ("x87", "registers")
                         if ours["threads"][tid][key] != theirs["threads"][tid][key]]
                cases.check(f"gdb finds the same registers in ours and its own: {name}", wrong)
                cases.check(f"and the same auxiliary vector and mapped files: {name}",
                            auxv_and_files(ours, theirs))
            cases.check("Strobe reads the truth in the held copy",
                        compare(truth, by_strobe(options.strobe, "@" + hold, truth)))
            cases.check("Strobe reads the truth of the living process",
                        compare(truth, by_strobe(options.strobe, str(truth.pid), truth)))
            lldb_cases(cases, truth, program, os.path.join(folder, "plain"), folder)
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            cases.check("all commands work", [str(error)])
        finally:
            subprocess.run([options.strobe, "held", "drop", hold], check=False, capture_output=True)
            truth.end()
    print(f"1..{cases.count}")
    sys.exit(1 if cases.failed else 0)


if __name__ == "__main__":
    main()
