#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a condition that is false costs a call: gdb's fast tracepoint, Strobe's jump, the kernel's uprobe, in one run.

usage: fast_tracepoint.py [--build BUILD]

Needs gdb, and gdbserver with libinproctrace.so (Debian's gdbserver has it).
"""
import argparse
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
LIBRARY = "/usr/lib/libinproctrace.so"
SCRIPT = """set debuginfod enabled off
set pagination off
target remote localhost:{port}
break main
continue
ftrace *probed if number == 123456789012
actions
collect $rax
end
tstart
continue
"""


def best(text):
    """The quickest call, of those printed."""
    found = [float(ns) for ns in re.findall(r"^call ([0-9.]+)$", text, re.M)]
    return min(found) if found else float("nan")


def with_gdb(folder, program):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    script = os.path.join(folder, "script")
    with open(script, "w", encoding="utf-8") as file:
        file.write(SCRIPT.format(port=port))
    server = subprocess.Popen(["gdbserver", "--once", "--wrapper", "env", f"LD_PRELOAD={LIBRARY}", "--", f"localhost:{port}",
                               program], text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)
    while "Listening" not in server.stderr.readline():
        pass
    gdb = subprocess.run(["gdb", "-nx", "-batch", "-x", script, program], text=True, capture_output=True,
                         check=False)
    text = server.communicate()[0]
    if "Fast tracepoint" not in gdb.stdout or "Error in sourced" in gdb.stderr:
        print(gdb.stderr, file=sys.stderr)
        return float("nan")
    return best(text)


def with_strobe(options, program, engine):
    """Armed while it runs; what was printed before that is not counted."""
    process = subprocess.Popen([program], text=True, stdout=subprocess.PIPE)
    with open(os.path.join(HERE, "fast_tracepoint.c"), encoding="utf-8") as file:
        line = next(n for n, text in enumerate(file, 1) if "// probed" in text)
    place = f"fast_tracepoint.c:{line} if number == 123456789012"
    watcher = subprocess.Popen([os.path.join(options.build, "strobe"), "watch", "--engine", engine, "-o",
                                os.devnull, str(process.pid), place], stdin=subprocess.DEVNULL)
    lines = process.communicate()[0].splitlines()
    watcher.send_signal(signal.SIGINT)
    watcher.wait()
    return best("\n".join(lines[len(lines) // 2:-1]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "fast_tracepoint")
        # gdb's jump pads are out of reach of position-independent programs.
        subprocess.run(["gcc", "-O2", "-g", "-no-pie", "-o", program, os.path.join(HERE, "fast_tracepoint.c")], check=True)
        plain = best(subprocess.run([program], text=True, check=True, capture_output=True).stdout)
        print(f"no tracepoint                {plain:9.2f} ns a call")
        if os.path.exists(LIBRARY):
            print(f"gdb's fast tracepoint        {with_gdb(folder, program):9.2f} ns")
        else:
            print(f"gdb's fast tracepoint: no {LIBRARY}")
        print(f"Strobe's agent               {with_strobe(options, program, 'agent'):9.2f} ns")
        print(f"the kernel's uprobe (Strobe) {with_strobe(options, program, 'uprobe'):9.2f} ns")


if __name__ == "__main__":
    main()
