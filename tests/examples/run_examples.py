#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the programs of examples/ on the core of the demo's server. TAP on stdout.

usage: run_examples.py BUILD SOURCE_ROOT
"""
import os
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


def main():
    build, root = (os.path.abspath(a) for a in sys.argv[1:3])
    cases = Cases()

    def example(name):
        return os.path.join(build, "examples", "example_" + name)

    with tempfile.TemporaryDirectory(prefix="strobe-examples-") as folder:
        core = make_demo_core(os.path.join(build, "examples", "demo_server"), folder)
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
    cases.end()


if __name__ == "__main__":
    main()
