#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The crash handler on cores that the kernel and gdb made of real processes. TAP on stdout.

usage: crash.py STROBE SPINNER

kernel.core_pattern stays as it is: cores are made as it says, and piped in as the kernel would.
"""
import glob
import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import time

from demo_core import Cases
from spinner import Command, Spinner


def limits():
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))


def kernel_core(folder, program):
    """A core that the kernel makes, and None; or None and the reason."""
    os.mkdir(folder)
    process = subprocess.Popen([program, "4"], cwd=folder, preexec_fn=limits, stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    process.send_signal(signal.SIGSEGV)
    process.wait()
    process.stdout.close()
    found = glob.glob(os.path.join(folder, "core*"))
    return (found[0], None) if found else (None, "no core file: core_pattern leads elsewhere")


def gdb_core(folder, pid):
    if not shutil.which("gdb"):
        return None, "gdb is not installed"
    path = os.path.join(folder, "gdb.core")
    subprocess.run(["gdb", "-nx", "-batch", "-p", str(pid), "-ex", f"gcore {path}"], capture_output=True, check=False,
                   timeout=120)
    return (path, None) if os.path.exists(path) else (None, "gdb may not look into processes here")


def handle(command, core, *words, limit=None, **how):
    """(exit status, output, errors) of the handler that gets `core`, or its first `limit` bytes."""
    content = pathlib.Path(core).read_bytes()[:limit]
    process = subprocess.run([command.strobe, "snap", "--core-pattern", *map(str, words)], input=content, cwd=command.files,
                             env=command.environment, capture_output=True, check=False, timeout=120, **how)
    return process.returncode, process.stdout.decode(), process.stderr.decode()


def stacks(command, path):
    """Function and thread of each frame, as bt tells."""
    threads = command.json("bt", path)["threads"]
    return sorted((t["tid"], [f["function"] for f in t["frames"]]) for t in threads)


def of_the_kernel(cases, command, core):
    name = "%p.%s.%t.core"
    status, output, errors = handle(command, core, "-o", name, "--pid", 999999999, "--signal", 11, "--time", 1700000000)
    path = "999999999.11.1700000000.core"
    cases.check(status == 0 and os.listdir(command.files) == [path] and output.count("\n") == 1,
                "a kernel's core is saved under the name that was asked for", status, output, errors)
    cases.check("is gone" in errors and "core_pipe_limit" in errors, "a process that is gone is told", errors)
    cases.check(stacks(command, path) == stacks(command, core), "its stacks are those of the core")
    info, before = command.json("info", path), command.json("info", core)
    cases.check(info["source_maker"] == "strobe" and info["signal"] == before["signal"] and
                info["time"] == "2023-11-14T22:13:20Z", "who died of what, and when", info)
    whole, small = os.stat(core), os.stat(os.path.join(command.files, path))
    cases.check(small.st_blocks <= whole.st_blocks + 300, "zeros take no room", whole.st_blocks, small.st_blocks)
    status, output, _ = handle(command, core, "-o", "packed.zst", "-z", "--json")
    one = json.loads(output)
    cases.check(status == 0 and one["method"] == "crash" and one["file"] == "packed.zst" and one["pid"] is None and
                one["written_bytes"] < whole.st_size / 4 and stacks(command, "packed.zst") == stacks(command, core),
                "compressed it is small, and says the same", one)
    if shutil.which("gdb"):
        text = subprocess.run(["gdb", "-nx", "-batch", "-c", path, "-ex", "info threads"], cwd=command.files, capture_output=True,
                              text=True, check=False, timeout=60)
        cases.check(text.stdout.count("LWP") >= 4 and "BFD" not in text.stderr, "gdb opens it as a core", text.stdout, text.stderr)


def of_gdb(cases, command, core, spinner):
    status, output, errors = handle(command, core, "-o", "%n.core", "--pid", spinner.pid)
    cases.check(status == 0 and "(spinner): 4 threads" in output and errors == "", "a core with its notes at the end", output,
                errors)
    cases.check(stacks(command, "spinner.core") == stacks(command, core), "its stacks are those of the core")
    fds = command.json("fds", "spinner.core")
    cases.check(fds["recorded"] and any(one["fd"] == 1 and one["type"] == "pipe" for one in fds["fds"]),
                "the descriptors of the process are in it", fds)
    info = command.json("info", "spinner.core")
    cases.check(info["pid"] == spinner.pid and "cgroup" in json.dumps(info), "and what else /proc tells", info)


def broken(cases, command, core):
    size = os.path.getsize(core)
    for part in (0.95, 0.5, 0.1):
        status, _, errors = handle(command, core, "-o", "part.core", limit=int(size * part))
        opened = command.run("info", "part.core")[0]
        cases.check(status == 1 and "broke off" in errors and opened == 0, f"{part:.0%} of a core is kept, and told", errors)
        os.unlink(os.path.join(command.files, "part.core"))
    status, _, errors = handle(command, core, "-o", "part.core", limit=100)
    cases.check(status == 1 and errors.count("\n") == 1 and "part.core" not in os.listdir(command.files),
                "one that ends in its headers is nothing", errors)
    status, _, errors = handle(command, __file__, "-o", "part.core")
    cases.check(status == 1 and "no ELF file" in errors and "part.core" not in os.listdir(command.files),
                "what is no core is refused", errors)


def as_the_kernel_starts_it(cases, command, core):
    """With standard input alone, in '/', with next to no environment."""
    target = os.path.join(command.files, "bare.core")
    def bare():
        os.close(1)
        os.close(2)
    with open(core, "rb") as file:
        process = subprocess.Popen([command.strobe, "snap", "--core-pattern", "-o", target], stdin=file, cwd="/", env={},
                                   preexec_fn=bare)
        status = process.wait(timeout=60)
    cases.check(status == 0 and stacks(command, target) == stacks(command, core), "with nothing but standard input", status)
    process = subprocess.Popen([command.strobe, "snap", "--core-pattern", "-o", "cut.core"], stdin=subprocess.PIPE,
                               cwd=command.files, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdin.write(pathlib.Path(core).read_bytes()[:50000])
    process.stdin.flush()
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    cases.check(process.returncode == 1 and b"cancelled by SIGTERM" in errors and "cut.core" not in os.listdir(command.files),
                "SIGTERM while it waits leaves nothing", process.returncode, errors)


def line(cases, command):
    before = pathlib.Path("/proc/sys/kernel/core_pattern").read_bytes()
    words = ("snap", "--core-pattern", "--install-line", "-o", "/c/%n.%p", "-z")
    status, output, errors = command.run(*words)
    long = len(os.path.realpath(command.strobe)) > 40
    cases.check((status == 0 and output.startswith("|/") and "snap --core-pattern -o /c/%%n.%%p -z --pid %P" in output and
                 len(output) <= 128) or (long and status == 1 and "shorten" in errors),
                "the line for core_pattern is shown", output, errors)
    for bad in ("relative.core", "/with a blank", "/" + "x" * 128):
        status, output, errors = command.run("snap", "--core-pattern", "--install-line", "-o", bad)
        cases.check(status == 1 and output == "" and errors.count("\n") == 1, f"not with -o {bad[:20]}", errors)
    cases.check(pathlib.Path("/proc/sys/kernel/core_pattern").read_bytes() == before, "core_pattern stays as it was")
    for words in (("-o", "-"), (), ("-o", "x", "1"), ("-o", "x", "--hold", "y"), ("-o", "%q"), ("-o", "x", "--pid", "x")):
        status, output, errors = command.run("snap", "--core-pattern", *words, stdin=subprocess.DEVNULL)
        cases.check(status == 2 and errors.count("\n") == 1, f"--core-pattern {' '.join(words)} is bad usage", errors)


def main():
    strobe, program = map(os.path.abspath, sys.argv[1:3])
    cases, command = Cases(), Command(strobe)
    spinner = Spinner(program)
    try:
        line(cases, command)
        core, why = kernel_core(os.path.join(command.folder, "dying"), program)
        if core:
            of_the_kernel(cases, command, core)
            broken(cases, command, core)
            as_the_kernel_starts_it(cases, command, core)
        else:
            print("# the kernel's cores are not tried:", why)
        core, why = gdb_core(command.folder, spinner.pid)
        if core:
            of_gdb(cases, command, core, spinner)
        else:
            print("# gdb's cores are not tried:", why)
    finally:
        command.end()
        spinner.end()
    cases.end()


if __name__ == "__main__":
    main()
