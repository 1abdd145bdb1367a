#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the programs of examples/ on the core of the demo's server, and on two that live. TAP on stdout.

usage: run_examples.py BUILD SOURCE_ROOT
"""
import os
import re
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "scenario"))
from demo_core import Cases, make_demo_core  # noqa: E402


def run(*command):
    """(exit status, output with errors)."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                          timeout=60, env={**os.environ, "DEBUGINFOD_URLS": ""})
    return done.returncode, done.stdout.decode(errors="replace")


def log_in(port):
    """The server's answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as stream:
        stream.sendall(b"LOGIN ada\n")
        return stream.recv(512)


def take_two(cases, example, server, folder):
    """Two servers at work, taken together, written while they go on."""
    servers = [subprocess.Popen([server], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
               for _ in range(2)]
    try:
        ports = [int(one.stdout.readline()) for one in servers]
        for port in ports: # who answers has all of its threads
            log_in(port)
        pids = [str(one.pid) for one in servers]
        status, output = run(example("take_snapshot"), *pids, folder)
        cases.check(status == 0 and output.count(": 7 threads, stopped ") == 2, "take_snapshot takes two", output)
        for pid in pids:
            path = os.path.join(folder, f"{pid}.core.zst")
            status, shown = run(example("walk_threads"), path)
            tids = re.findall(r"^thread (\d+)$", shown, re.M)
            cases.check(status == 0 and len(tids) == 7 and pid in tids and "worker_main" in shown,
                        "walk_threads opens what it wrote", shown)
            cases.check(os.stat(path).st_mode & 0o777 == 0o600 and path in output, "the file is its owner's alone",
                        output)
        replies = [log_in(port) for port in ports]
        cases.check(replies == [b"OK 2\n"] * 2, "both servers go on", replies)
        servers[1].kill()
        servers[1].wait()
        status, output = run(example("take_snapshot"), *pids, folder)
        cases.check(status == 1 and pids[1] in output.split("take_snapshot: ")[1] and
                    output.count(".core.zst: ") == 1, "one that is gone does not spoil the other", output)
        left = sorted(os.listdir(folder))
        cases.check(left == sorted(f"{pid}.core.zst" for pid in pids), "nothing else is left", left)
    finally:
        for one in servers:
            one.kill()
            one.wait()


def main():
    build, root = (os.path.abspath(a) for a in sys.argv[1:3])
    cases = Cases()

    def example(name):
        return os.path.join(build, "examples", "example_" + name)

    server = os.path.join(build, "examples", "demo_server")
    with tempfile.TemporaryDirectory(prefix="strobe-examples-") as folder:
        core = make_demo_core(server, folder)
        status, output = run(example("walk_threads"), core)
        cases.check(status == 0, "walk_threads ends well", output)
        cases.check(output.count("thread ") >= 7, "walk_threads shows all 7 threads", output)
        cases.check("reply_entry" in output and 'user = "wilhelmina.harke"' not in output.split("#1 ")[0]
                    and "worker_main" in output, "walk_threads names the functions", output)
        cases.check("entry = 0x72" in output, "walk_threads shows arguments", output)
        with open(os.path.join(root, "examples", "walk_threads.c"), encoding="utf-8") as source:
            cases.check(len(source.readlines()) < 60, "walk_threads has less than 60 lines")
        status, output = run(example("print_expression"), core, "1", "*session")
        cases.check(status == 0 and '"wilhelmina.harke"' in output and "0x72" in output,
                    "print_expression shows a structure", output)
        status, output = run(example("print_expression"), core, "1", "session->nothing")
        cases.check(status == 1 and "nothing" in output and "^" in output,
                    "print_expression points at the column", output)
        status, output = run(example("search_memory"), core, "wilhelmina")
        cases.check(status == 0 and "wilhelmina.harke" in output, "search_memory finds a text", output)
    with tempfile.TemporaryDirectory(prefix="strobe-examples-") as folder:
        take_two(cases, example, server, folder)
    cases.end()


if __name__ == "__main__":
    main()
