#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Where a capture is refused there is one line that says which rule refuses and what would allow
it, and the process runs on. TAP on stdout.

usage: refused.py --strobe STROBE
"""
import argparse
import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import time

NOBODY = 65534
PTRACE_SEIZE, PTRACE_DETACH, PR_SET_DUMPABLE = 0x4206, 17, 4
LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]


class Cases:
    """Tells cases in TAP."""

    def __init__(self):
        self.count = self.failed = 0

    def check(self, good, title, *details):
        """One case; details are told when it fails."""
        self.count += 1
        self.failed += not good
        if not good:
            for detail in details:
                print("#", str(detail).strip())
        print("ok" if good else "not ok", self.count, "-", title)
        sys.stdout.flush()

    def skip(self, title, why):
        """A case that cannot be run."""
        self.count += 1
        print(f"ok {self.count} - {title} # SKIP {why}")


def sleeper(prepare=None):
    """A process that sleeps, after `prepare`."""
    code = "import ctypes, os, sys, time\n" + (prepare or "") + "\nprint('ready', flush=True)\ntime.sleep(100)"
    process = subprocess.Popen([sys.executable, "-S", "-c", code], stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    return process


def state(pid):
    """The letter of a process's state."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        return file.read().rpartition(")")[2].split()[0]


def as_nobody():
    """Becomes a user without rights."""
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


class Refusals:
    """The command, and what it says."""

    def __init__(self, strobe, folder):
        self.strobe, self.folder, self.cases = strobe, folder, Cases()

    def refused(self, title, pid, words, user=None):
        """`snap` of `pid` must fail with one line that has one of each group of `words`."""
        path = os.path.join(self.folder, "file")
        done = subprocess.run([self.strobe, "snap", str(pid), "-o", path], capture_output=True, text=True,
                              check=False, timeout=60, preexec_fn=user)
        lines = done.stderr.splitlines()
        good = done.returncode == 1 and len(lines) == 1 and lines[0].startswith("strobe: snap: ")
        good = good and all(any(word in lines[0] for word in group) for group in words)
        good = good and os.listdir(self.folder) == []
        self.cases.check(good, title, f"status {done.returncode}: {done.stderr}", os.listdir(self.folder))

    def runs_on(self, title, process):
        """It sleeps as before."""
        time.sleep(0.05)
        self.cases.check(process.poll() is None and state(process.pid) == "S", title, state(process.pid))
        process.kill()
        process.wait()


def traced(refusals):
    """A process has one tracer at a time."""
    process = sleeper()
    LIBC.ptrace(PTRACE_SEIZE, process.pid, None, None)
    refusals.refused("a process that is traced already", process.pid,
                     [["traced", "tracer"], [str(os.getpid())]])
    LIBC.ptrace(PTRACE_DETACH, process.pid, None, None)
    refusals.runs_on("it runs on", process)


def no_process(refusals):
    """Not a process, or none that has memory."""
    refusals.refused("no such process", 999999999, [["no process", "no such", "not found"]])
    if os.path.exists("/proc/2/stat"):
        refusals.refused("a kernel thread", 2, [["kernel thread"]])
    zombie = subprocess.Popen(["true"])
    while state(zombie.pid) != "Z":
        time.sleep(0.01)
    refusals.refused("a zombie", zombie.pid, [["zombie", "has ended"]])
    zombie.wait()


def other_user(refusals):
    """Without rights: the line names the rule and what would allow it."""
    titles = ("a process of another user", "a process that forbids dumps of itself", "it runs on")
    try:
        readable = os.geteuid() == 0 and subprocess.run([refusals.strobe, "--version"], check=False, capture_output=True,
                                                        preexec_fn=as_nobody).returncode == 0
    except PermissionError:
        readable = False
    if not readable:
        for title in titles:
            refusals.cases.skip(title, "only root can become another user" if os.geteuid() else
                                "this folder is not open to other users")
        return
    os.chmod(refusals.folder, 0o777)
    process = sleeper()
    refusals.refused(titles[0], process.pid, [["user"], ["CAP_SYS_PTRACE", "root"]], as_nobody)
    refusals.runs_on(titles[2], process)
    become = f"os.setgroups([]); os.setresgid(*[{NOBODY}]*3); os.setresuid(*[{NOBODY}]*3)\n"
    process = sleeper(become + f"ctypes.CDLL(None).prctl({PR_SET_DUMPABLE}, 0, 0, 0, 0)")
    refusals.refused(titles[1], process.pid, [["dumpable", "PR_SET_DUMPABLE"], ["CAP_SYS_PTRACE", "root"]], as_nobody)
    refusals.runs_on(titles[2], process)
    process = sleeper(become + f"ctypes.CDLL(None).prctl({PR_SET_DUMPABLE}, 1, 0, 0, 0)")
    done = subprocess.run([refusals.strobe, "snap", str(process.pid), "-o", os.path.join(refusals.folder, "mine")],
                          capture_output=True, text=True, check=False, preexec_fn=as_nobody)
    refusals.cases.check(done.returncode == 0, "but the user's own process is captured without rights", done.stderr)
    refusals.runs_on(titles[2], process)


def main():
    """All of them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--strobe", required=True)
    options = parser.parse_args()
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    with tempfile.TemporaryDirectory() as folder:
        refusals = Refusals(os.path.abspath(options.strobe), folder)
        traced(refusals)
        no_process(refusals)
        other_user(refusals)
        print(f"1..{refusals.cases.count}")
        sys.exit(1 if refusals.cases.failed else 0)


if __name__ == "__main__":
    main()
