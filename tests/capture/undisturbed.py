#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the battery's checks while their processes are captured again and again. TAP on stdout.

usage: undisturbed.py --folder BUILD/tests/capture [--strobe STROBE] [--with WHO] [--ms N]
                      [--jobs N] [--shapes A,B] [--held N] [--long] [CHECK ...]

--with: hammer (the library, as fast as it goes; the default), strobe (the command), none (nobody:
everything must pass), gcore (gdb's: shows which checks can fail).
--long: every check in every shape of program, woken by a process and by a thread, with and
without frozen copies that are kept.
"""
import argparse
import concurrent.futures
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time

SHAPES = ["battery", "battery-stripped", "battery-static", "battery-static-pie", "battery-musl"]
# What of the checks the short form runs in the other shapes: one of each kind.
SAMPLE = ["wait-any", "sigchld", "maps", "code", "nanosleep", "epoll_wait", "futex", "read-pipe",
          "general-registers", "red-zone", "small-stacks", "coroutines", "seccomp-kill", "fork-churn",
          "exec-churn", "leader-gone", "timerfd", "pipe-end"]
# A capture cannot make a child here: the memory must be read during the stop.
NO_CLONE = {"process-limit", "seccomp-kill", "seccomp-kill-sigreturn", "seccomp-errno", "seccomp-trap",
            "seccomp-threads", "seccomp-strict"}
# Checks that take longer to capture once.
LEAST_MS = {"many-threads": 3000, "thread-relay": 1000, "thread-churn": 1000}
PATIENCE = 60  # seconds for what is left of a check once its time is over


class Outcome:
    """What one check gave, and those who captured it."""

    def __init__(self, title):
        self.title, self.good, self.skip, self.notes = title, False, "", []
        self.silent = False # not captured once, and no reason given


class Loop:
    """Captures a process by a command, again and again, in a thread."""

    def __init__(self, make_command, pid):
        self.stop, self.captures, self.error, self.folder = False, 0, "", tempfile.TemporaryDirectory()
        self.command = make_command(pid, os.path.join(self.folder.name, "file"))
        self.pid = pid
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        """Until told to stop."""
        while not self.stop and os.path.exists(f"/proc/{self.pid}"):
            done = subprocess.run(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                  stdin=subprocess.DEVNULL, text=True, check=False)
            if done.returncode == 0:
                self.captures += 1
            elif not self.stop:
                time.sleep(0.3) # it may just have ended
                if not self.stop and os.path.exists(f"/proc/{self.pid}"):
                    self.error = done.stderr.strip()[-200:] or f"exit status {done.returncode}"

    def end(self):
        """{captures, error}"""
        self.stop = True
        self.thread.join()
        self.folder.cleanup()
        return {"captures": self.captures, "error": self.error}


class Hammer:
    """Captures a process through the library."""

    def __init__(self, command):
        # A SIGTERM that comes before it is ready for it waits.
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                        preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM]))

    def end(self):
        """What it printed."""
        self.process.send_signal(signal.SIGTERM)
        try:
            out, err = self.process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            return {"captures": 0, "error": "hammer does not end"}
        try:
            return json.loads(out)
        except ValueError:
            return {"captures": 0, "error": f"hammer ended with {self.process.returncode}: "
                    f"{err.strip()[-300:]}"}


def start_captures(options, check, held, pid):
    """Whoever captures process `pid`."""
    if options.who == "hammer":
        command = [os.path.join(options.folder, "hammer"), "--held", str(held), str(pid)]
        return Hammer(command + (["--may-be-stopped"] if check == "stopped" else []))
    if options.who == "strobe":
        return Loop(lambda pid, path: [options.strobe, "snap", str(pid), "--contents", "stacks", "-o", path],
                    pid)
    if options.who == "gcore":
        return Loop(lambda pid, path: ["gcore", "-o", path, str(pid)], pid)
    return None


def run_check(options, shape, check, held, threaded):
    """Runs a check; its Outcome. On a busy machine no capture may fit into its time: then longer."""
    outcome = run_once(options, shape, check, held, threaded, 1)
    if outcome.silent:
        outcome = run_once(options, shape, check, held, threaded, 20)
    return outcome


def run_once(options, shape, check, held, threaded, factor):
    """Runs a check once."""
    outcome = Outcome(f"{check} [{shape}{', held' if held else ''}{', waker thread' if threaded else ''}]")
    ms = factor * max(options.ms, LEAST_MS.get(check, 0) if options.who != "none" else 0)
    command = [os.path.join(options.folder, shape), "--ms", str(ms), "--slack-ms", str(options.slack)]
    command += (["--waker-thread"] if threaded else []) + [check]
    captures = None
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        killer = threading.Timer(ms / 1000 + PATIENCE, process.kill)
        killer.start()
        for line in process.stdout:
            if line.startswith("# capture "):
                captures = start_captures(options, check, held, int(line.split()[2]))
            elif line.startswith("ok "):
                outcome.good, outcome.skip = True, line.partition("# SKIP ")[2].strip()
            elif line.startswith("#"):
                outcome.notes.append(line[2:].strip())
        killer.cancel()
    told = captures.end() if captures else None
    if told and not outcome.skip:
        judge(outcome, check, told)
    elif options.who != "none" and not outcome.skip:
        outcome.good = False
        outcome.notes.append("it was never ready to be captured")
    return outcome


def judge(outcome, check, told):
    """Adds what the captures themselves gave."""
    outcome.notes.append(", ".join(f"{key} {value}" for key, value in told.items() if value))
    outcome.silent = outcome.good and told["captures"] == 0 and not told["error"]
    if told["error"] or told.get("left") or told["captures"] == 0:
        outcome.good = False
    if check in NO_CLONE and told.get("clones"):
        outcome.good = False
        outcome.notes.append("it was cloned, which it forbids")


def plan(options, checks):
    """(shape, check, held, threaded) of all that is to be run."""
    shapes = [shape for shape in options.shapes.split(",") if os.path.exists(os.path.join(options.folder, shape))]
    for number, shape in enumerate(shapes):
        for name, waits in checks:
            if options.checks and name not in options.checks:
                continue
            if options.long:
                for held in (0, 8):
                    for threaded in ((False, True) if waits else (False,)):
                        yield shape, name, held, threaded
            elif (number == 0 and not options.sample) or name in SAMPLE or options.checks:
                yield shape, name, options.held, options.threaded


def main():
    """Runs them all."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", required=True)
    parser.add_argument("--strobe")
    parser.add_argument("--with", dest="who", default="hammer", choices=["hammer", "strobe", "none", "gcore"])
    parser.add_argument("--ms", type=int, default=200)
    parser.add_argument("--slack", type=int, default=1000, help="ms that may be lost without a failure")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() + 1)
    parser.add_argument("--shapes", default=",".join(SHAPES))
    parser.add_argument("--held", type=int, default=2)
    parser.add_argument("--threaded", action="store_true", help="wake calls from a thread")
    parser.add_argument("--sample", action="store_true", help="one check of each kind")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("checks", nargs="*")
    options = parser.parse_args()
    told = subprocess.run([os.path.join(options.folder, "battery"), "--list"], check=True, text=True,
                          stdout=subprocess.PIPE).stdout
    checks = [(line.split("\t")[0], line.split("\t")[1] == "waits") for line in told.splitlines()]
    work = list(plan(options, checks))
    print(f"1..{len(work)}")
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        outcomes = pool.map(lambda case: run_check(options, *case), work)
        for number, outcome in enumerate(outcomes, 1):
            failed += not outcome.good
            if outcome.good:
                skip = f" # SKIP {outcome.skip}" if outcome.skip else ""
                print(f"ok {number} - {outcome.title}{skip}")
            else:
                print(f"not ok {number} - {outcome.title}")
            for note in outcome.notes:
                print(f"# {note}")
            sys.stdout.flush()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
