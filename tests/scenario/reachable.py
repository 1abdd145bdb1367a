#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""reachable.py STROBE SOURCE_DIRECTORY

What gdb says of a reachable snapshot is what it says of the whole one, of the same instant: all backtraces with locals,
and what pointers lead to that were kept. And it is small, whatever the process holds besides; limits are kept; the process
goes on."""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

STROBE, SOURCES = sys.argv[1:3]
MIB = 1 << 20
results = []


def ok(good, what, *why):
    results.append(bool(good))
    print("ok" if good else "not ok", f"{len(results)} - {what}")
    for line in why if not good else ():
        print("#", line)


def gdb(program, core, *commands):
    command = ["gdb", "-nx", "-batch", "-iex", "set auto-load no", "-iex", "set debuginfod enabled off", "-iex", "set width 0",
               "-iex", "set print elements 200", "-iex", "set height 0", program, core]
    for one in commands:
        command += ["-ex", one]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                          check=False)
    return [re.sub(re.escape(core), "CORE", line) for line in done.stdout.splitlines()
            if "warning:" not in line and not line.startswith("Core was generated")]


def snap(target, path, *options):
    done = subprocess.run([STROBE, "snap", target, "-o", path, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, check=False)
    return done


class Held:
    """A process, and a frozen copy of it."""

    def __init__(self, program, *arguments):
        self.process = subprocess.Popen([program, *arguments], stdout=subprocess.PIPE, text=True)
        self.pid = self.process.stdout.readline().strip()
        self.name = f"reachable-{self.pid}"
        subprocess.run([STROBE, "snap", self.pid, "--hold", self.name], check=True, stdout=subprocess.DEVNULL)

    def close(self):
        subprocess.run([STROBE, "held", "drop", "@" + self.name], check=False, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def goes_on(self):
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] in "SR"


def compare(program, full, reachable, what, *commands):
    whole, part = gdb(program, full, *commands), gdb(program, reachable, *commands)
    differ = [f"{a!r} is {b!r}" for a, b in zip(whole, part) if a != b][:20]
    values = sum(" = " in line and "optimized out" not in line for line in whole)
    ok(whole == part and values > 10, f"{what}: {len(whole)} lines of gdb's, {values} with values, are the same", *differ,
       f"{len(whole)} and {len(part)} lines")


def thread_walks(program, core):
    """Expressions along the pointers that threads hold, of every thread."""
    walks = ["p *list", "p *list->next->next->other", "p list->next->text", "p *links", "p *links->next->next",
             "p *(struct item *)((char *)links->next - 16)", "p ((struct item *)((char *)links->next - 16))->label",
             "x/4s buffer + 299000", "p (char *)blocks[7]", "p *own", "p own->next->next->text"]
    deep = "p *list" + "->next" * 40
    commands = []
    for thread in range(1, 6):
        commands += [f"thread {thread}", "frame function stand", *walks, deep, "up", "p here", "frame function work", "p *mine",
                     "p mine->first->next->next->text", "p *shared->first->next"]
    return commands


def check_c(directory):
    program = os.path.join(directory, "held")
    subprocess.run(["gcc", "-g", "-O1", "-D_GNU_SOURCE", "-w", os.path.join(SOURCES, "reachable.c"), "-o", program,
                    "-pthread"], check=True)
    for size in ("large", "small"):
        held = Held(program, "256", size)
        try:
            full, part = os.path.join(directory, "full.core"), os.path.join(directory, "part.core")
            done = snap("@" + held.name, full)
            ok(done.returncode == 0, f"{size}: the whole snapshot is written", done.stderr)
            done = snap("@" + held.name, part, "--contents", "reachable")
            ok(done.returncode == 0 and held.goes_on(), f"{size}: so is the reachable one, and the process goes on",
               done.stderr)
            bytes_ = os.path.getsize(part)
            ok(8 * MIB < bytes_ < 40 * MIB, f"{size}: it has {bytes_ >> 20} MiB of {os.path.getsize(full) >> 20}")
            compare(program, full, part, f"{size}: backtraces", "thread apply all bt full", "info threads")
            compare(program, full, part, f"{size}: what threads hold", *thread_walks(program, full))
            shown = subprocess.run([STROBE, "info", part], stdout=subprocess.PIPE, text=True, check=False).stdout
            ok("contents reachable" in shown, f"{size}: it says what is in it", shown)
            check_limits(held, directory, size, bytes_)
        finally:
            held.close()


def check_limits(held, directory, size, unlimited):
    path = os.path.join(directory, "limited.core")
    snap("@" + held.name, path, "--contents", "reachable", "--max-bytes", "1M")
    bytes_ = os.path.getsize(path)
    ok(bytes_ < 3 * MIB, f"{size}: with --max-bytes 1M it has {bytes_ >> 10} KiB")
    near = gdb(os.path.join(directory, "held"), path, "thread 2", "frame function stand", "p list->next->number")
    ok(any(re.search(r"= \d+$", line) for line in near), f"{size}: what is near is there all the same", *near)
    snap("@" + held.name, path, "--contents", "reachable", "--max-depth", "2")
    shallow = os.path.getsize(path)
    ok(shallow < unlimited / 2, f"{size}: with --max-depth 2 it has {shallow >> 10} KiB")
    snap("@" + held.name, path, "--contents", "reachable", "--max-bytes", "all")
    everything = os.path.getsize(path)
    ok(everything > 256 * MIB, f"{size}: with --max-bytes all it has what globals lead to: {everything >> 20} MiB")
    os.remove(path)


def check_cpp(directory):
    program = os.path.join(directory, "objects")
    subprocess.run(["g++", "-g", "-O0", "-w", os.path.join(SOURCES, "reachable.cpp"), "-o", program, "-pthread"], check=True)
    held = Held(program, "100")
    try:
        full, part = os.path.join(directory, "full.core"), os.path.join(directory, "part.core")
        snap("@" + held.name, full)
        done = snap("@" + held.name, part, "--contents", "reachable")
        bytes_ = os.path.getsize(part)
        ok(done.returncode == 0 and MIB < bytes_ < 20 * MIB, f"C++: it has {bytes_ >> 10} KiB", done.stderr)
        compare(program, full, part, "C++: backtraces", "thread apply all bt full")
        walks = ["set print object on", "thread 2", "frame function hold"]
        for i in (0, 1, 7, 500, 1999):
            get = f"(*(Circle **)&shapes._M_impl._M_start[{i}])"
            walks += [f"p *{get}", f"p {get}->name", f"p {get}->notes._M_impl._M_start[2]"]
        walks += ["p *last", "p *middle", "p *(Circle *)((char *)middle - sizeof(Shape))", "p first",
                  "p *names._M_t._M_impl._M_header._M_parent", "p *names._M_t._M_impl._M_header._M_left->_M_parent",
                  "p *(std::string *)((char *)names._M_t._M_impl._M_header._M_left + 40)",
                  "p global_extras", "p **(Extra **)((char *)global_extras._M_impl._M_node._M_next + 16)"]
        compare(program, full, part, "C++: what a thread holds", *walks)
    finally:
        held.close()


def check_usage():
    for options in (["--max-bytes", "1M"], ["--contents", "stacks", "--max-depth", "3"],
                    ["--contents", "reachable", "--max-depth", "0"], ["--contents", "reachable", "--max-bytes", "x"]):
        done = subprocess.run([STROBE, "snap", str(os.getpid()), *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              check=False)
        ok(done.returncode == 2, f"{' '.join(options)} is refused", done.returncode, done.stderr)


def main():
    if not shutil.which("gdb") or not shutil.which("gcc") or not shutil.which("g++"):
        print("1..0 # SKIP needs gdb, gcc and g++")
        return
    with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:
        check_c(directory)
        check_cpp(directory)
        check_usage()
    print(f"1..{len(results)}")
    sys.exit(0 if all(results) else 1)


main()
