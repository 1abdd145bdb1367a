#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Sets kernel.core_pattern to the crash handler, crashes a program, and reads the file. TAP on stdout.

usage: STROBE_TEST_CORE_PATTERN=1 core_pattern.py --folder BUILD/tests/capture --strobe STROBE

Only as root, and only where the environment says so: whatever else crashes on the machine in that second is
saved by the handler, too. The settings are put back at once; should this script be killed, by a
process that waits for its end.
"""
import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

from truth import Cases, Truth, by_gdb, by_strobe, compare, run

SETTINGS = {"core_pattern": None, "core_pipe_limit": "4"}


def setting(name, value=None):
    """A setting of the kernel's, or sets it."""
    with open(f"/proc/sys/kernel/{name}", "r" if value is None else "w", encoding="utf-8") as file:
        if value is None:
            return file.read().rstrip("\n")
        file.write(value + "\n")
    return value


class Guard:
    """Puts the settings back: when told, or when this process is gone."""

    def __init__(self):
        self.before = {name: setting(name) for name in SETTINGS}
        inner, self.outer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.outer)
            os.setsid()
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            os.read(inner, 1) # the end of who holds the other end
            self.restore()
            os._exit(0)
        os.close(inner)

    def restore(self):
        """As it was."""
        for name, value in self.before.items():
            setting(name, value)

    def end(self):
        """Puts them back now; whether they are."""
        os.close(self.outer)
        os.waitpid(self.pid, 0)
        self.restore()
        return all(setting(name) == value for name, value in self.before.items())


def crash(strobe, truth, template):
    """Crashes the program with the handler set; what was told, and whether the settings are back."""
    line = run(strobe, "snap", "--core-pattern", "--install-line", "-o", template).strip()
    guard = Guard()
    try:
        setting("core_pipe_limit", SETTINGS["core_pipe_limit"])
        setting("core_pattern", line)
        told = setting("core_pattern")
        os.kill(truth.pid, signal.SIGSEGV)
        # The kernel keeps the process until the handler has ended.
        truth.process.wait(timeout=60)
    finally:
        back = guard.end()
    return told == line, back


def wait_for(folder):
    """The file's path, when it is there."""
    for _ in range(1000):
        names = [name for name in os.listdir(folder) if not name.startswith(".")]
        if names:
            return os.path.join(folder, names[0])
        time.sleep(0.01)
    raise RuntimeError("no file came")


def look_at(cases, options, truth, path):
    """What the file says, to Strobe and to gdb, against what the program said of itself."""
    program = os.path.join(options.folder, "truth_target")
    cases.check("the file has the name that was asked for",
                [path] * (os.path.basename(path) != f"truth_target.{truth.pid}.11.core"))
    cases.check("it is for its owner alone", [oct(os.stat(path).st_mode)] * (os.stat(path).st_mode & 0o777 != 0o600))
    info = json.loads(run(options.strobe, "info", path, "--json"))
    captured = info["capture"]
    cases.check("info says that it crashed, and of no pause", [str(captured)] * (
        captured["method"] != "crash" or captured["pause_ns"] is not None or "paused" in run(options.strobe, "info", path)))
    cases.check("and what /proc told of the process", [str(info["command"])] * ("truth_target" not in str(info["command"])))
    cases.check("its pages are as they were written", [] if "as they were written" in run(
        options.strobe, "info", "--verify", path) else ["they are not"])
    cases.check("Strobe reads the truth", compare(truth, by_strobe(options.strobe, path, truth)))
    theirs = by_gdb(program, path)
    for thread in theirs["threads"].values():
        if any("error" in value for value in thread["vectors"]):
            thread["vectors"] = [] # gdb 13 knows the places of Intel's processors, the kernel writes this one's
    cases.check("gdb reads the truth", compare(truth, theirs))
    cases.check("and the signal", [theirs["siginfo"]] * (theirs["siginfo"] != str(int(signal.SIGSEGV))))


def main():
    """Crashes once."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", required=True)
    parser.add_argument("--strobe", required=True)
    options = parser.parse_args()
    if os.environ.get("STROBE_TEST_CORE_PATTERN") != "1":
        print("1..0 # SKIP changes kernel.core_pattern of the whole machine: STROBE_TEST_CORE_PATTERN=1 allows it")
        return
    if os.geteuid() != 0 or not os.access("/proc/sys/kernel/core_pattern", os.W_OK):
        print("1..0 # SKIP kernel.core_pattern can be set by root alone")
        return
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1)) # by way of `finally`
    cases = Cases()
    truth = Truth(os.path.join(options.folder, "truth_target"))
    with tempfile.TemporaryDirectory() as folder:
        try:
            as_set, back = crash(options.strobe, truth, os.path.join(folder, "%n.%p.%s.core"))
            cases.check("the kernel takes the line that --install-line prints", [] if as_set else ["it does not"])
            cases.check("the settings are back", [] if back else ["they are not"])
            look_at(cases, options, truth, wait_for(folder))
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            cases.check("all commands work", [str(error)])
        finally:
            truth.end()
    print(f"1..{cases.count}")
    sys.exit(1 if cases.failed else 0)


if __name__ == "__main__":
    main()
