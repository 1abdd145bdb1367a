#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the demo's server in a folder and sends it requests until it dies.

usage: drive.py SERVER FOLDER

Prints the path of the core file it left. Where the kernel leaves none in FOLDER (core_pattern
pipes it elsewhere), the server runs once more under gdb, whose gcore writes one at the crash.
"""
import glob
import os
import resource
import socket
import subprocess
import sys
import time

USERS = ["ada", "grace", "edsger", "barbara", "root", "wilhelmina.harker"]
FRUIT = ["apple", "pear", "quince", "medlar", "fig", "plum", "cherry"]


def ask(stream, line):
    """Sends a request; the reply, or None when the server is gone."""
    try:
        stream.sendall(line.encode() + b"\n")
        return stream.recv(512) or None
    except OSError:
        return None


def talk(port):
    """A morning's traffic; returns how many requests were answered."""
    answered = 0
    streams = []
    for number, user in enumerate(USERS):
        if number >= 3:
            streams.pop(0).close()
        stream = socket.create_connection(("127.0.0.1", port), timeout=20)
        streams.append(stream)
        lines = [f"LOGIN {user}"]
        if number % 2 == 0:
            lines += [f"SET {name} basket-{i * 7 + number} {3600 * (i % 2)}"
                      for i, name in enumerate(FRUIT)]
            lines += ["COUNT", "AGAIN"] + [f"GET {name}" for name in FRUIT]
        lines += ["AGAIN"]
        for line in lines:
            if ask(stream, line) is None:
                return answered
            answered += 1
    return answered


def run(command, folder):
    """Starts the server, drives it, waits for its end; returns (requests, exit status)."""
    def limits():
        hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
        resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))

    with open(os.path.join(folder, "server.log"), "w", encoding="utf-8") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=log,
                                   stdin=subprocess.DEVNULL, preexec_fn=limits, text=True)
    for line in process.stdout:
        if line.strip().isdigit():
            break
    else:
        sys.exit(f"the server did not start; see {folder}/server.log")
    answered = talk(int(line))
    process.stdout.read()
    return answered, process.wait(timeout=60)


def main():
    server, folder = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    answered, status = run([server], folder)
    cores = []
    for _ in range(20):
        cores = glob.glob(os.path.join(folder, "core*"))
        if cores:
            break
        time.sleep(0.05)
    if not cores:
        with open("/proc/sys/kernel/core_pattern", encoding="utf-8") as pattern:
            print(f"no core file here (core_pattern is {pattern.read().strip()!r}): again, with gdb's "
                  "gcore", file=sys.stderr)
        core = os.path.join(folder, "core")
        answered, status = run(["gdb", "-nx", "-batch", "-ex", "set debuginfod enabled off",
                                "-ex", "run", "-ex", f"generate-core-file {core}", "-ex", "kill",
                                server], folder)
        cores = glob.glob(core)
    if not cores:
        sys.exit("no core file: core_pattern leads elsewhere and gdb made none either; see "
                 f"{folder}/server.log")
    print(answered, abs(status), cores[0])


if __name__ == "__main__":
    main()
