#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the demo's server in a folder and sends it requests.

usage: drive.py SERVER FOLDER
       drive.py --live SERVER FOLDER

Sends requests until the server dies, and prints the path of the core file it left. Where the
kernel leaves none in FOLDER (core_pattern pipes it elsewhere), the server runs once more under
gdb, whose gcore writes one at the crash.

--live: three clients keep the server at work; its process id is printed, then each line of
standard input is obeyed and answered by a line:
  busy   returns when a request that takes a second has just begun
  count  "ANSWERS SLOWEST_MS" since the last time, of the two clients with short requests
  login  the user logs in whose name is too long
  crash  the request that kills it: "SIGNAL CORE"; CORE is - where no core file can be had
"""
import glob
import os
import resource
import socket
import subprocess
import sys
import threading
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


def start(command, folder):
    """Starts the server; returns (process, port)."""
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
    return process, int(line)


def run(command, folder):
    """Starts the server, drives it, waits for its end; returns (requests, exit status)."""
    process, port = start(command, folder)
    answered = talk(port)
    process.stdout.read()
    return answered, process.wait(timeout=60)


class Live:
    """A server at work, and its clients."""

    def __init__(self, server, folder):
        self.folder = folder
        self.process, self.port = start([server], folder)
        self.lock = threading.Lock()
        self.answers, self.slowest_s = 0, 0.0
        self.begun = 0.0  # when the long request was sent that is being worked on
        self.ending = False
        for user in USERS[:2]:
            with self.connect(user) as stream:
                for name in FRUIT:
                    ask(stream, f"SET {name} basket-of-{user}")
        stream = self.connect(USERS[2])
        rounds = 1000000  # how many take a second here?
        began = time.monotonic()
        ask(stream, f"SEAL fig {rounds}")
        rounds = int(rounds / max(time.monotonic() - began, 0.001))
        threading.Thread(target=self.seal, args=[stream, rounds], daemon=True).start()
        for user in USERS[3:5]:
            threading.Thread(target=self.get, args=[self.connect(user)], daemon=True).start()
        self.victim = None

    def connect(self, user):
        """A connection of `user`, logged in."""
        stream = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        ask(stream, f"LOGIN {user}")
        return stream

    def expect(self, stream, line, reply=None):
        """Asks; every answer but `reply` ends the demo. None at the server's end."""
        answer = ask(stream, line)
        if self.ending and answer is None:
            return None
        if answer is None or not answer.startswith(b"OK ") or reply not in (None, answer):
            print(f"wrong answer to {line}: {answer}", file=sys.stderr)
            os._exit(1)
        return answer

    def seal(self, stream, rounds):
        """One long request after the other, which must all have the same answer."""
        line, reply = f"SEAL fig {rounds}", None
        stream.sendall(line.encode() + b"\n") # one ahead, so that the server never waits for us
        while True:
            self.begun = time.monotonic()
            reply = self.expect(stream, line, reply)
            if reply is None:
                return

    def get(self, stream):
        """Short requests, one each millisecond."""
        while True:
            for name in FRUIT:
                began = time.monotonic()
                reply = f"OK {name} basket-of-{USERS[1]}\n".encode()
                if self.expect(stream, f"GET {name}", reply) is None:
                    return
                with self.lock:
                    self.answers += 1
                    self.slowest_s = max(self.slowest_s, time.monotonic() - began)
                time.sleep(0.001)

    def busy(self):
        """Returns when a long request has just begun."""
        while not 0.02 < time.monotonic() - self.begun < 0.2:
            time.sleep(0.01)
        return "busy"

    def count(self):
        """Answers since the last time, and the slowest."""
        with self.lock:
            text = f"{self.answers} {self.slowest_s * 1000:.1f}"
            self.answers, self.slowest_s = 0, 0.0
        return text

    def login(self):
        """The user whose name is too long."""
        self.victim = self.connect(USERS[5])
        return USERS[5]

    def crash(self):
        """The request that kills it; "SIGNAL CORE"."""
        with open("/proc/sys/kernel/core_pattern", encoding="utf-8") as pattern:
            by_kernel = (pattern.read()[0] not in "|/" and
                         resource.getrlimit(resource.RLIMIT_CORE)[1] != 0)
        debugger = None if by_kernel else self.attach_gdb()
        self.ending = True
        ask(self.victim, "AGAIN")
        if debugger:
            debugger.communicate(timeout=60)
            self.process.kill()
        self.process.stdout.read()
        status = self.process.wait(timeout=60)
        cores = glob.glob(os.path.join(self.folder, "core*"))
        return f"{11 if debugger else abs(status)} {cores[0] if cores else '-'}"

    def attach_gdb(self):
        """gdb, which waits for the crash and writes the core; None where there is no gdb."""
        core = os.path.join(self.folder, "core")
        try:
            debugger = subprocess.Popen(
                [os.environ.get("GDB", "gdb"), "-nx", "-batch", "-ex", "set debuginfod enabled off",
                 "-ex", f"attach {self.process.pid}", "-ex", "echo attached\\n", "-ex", "continue",
                 "-ex", f"generate-core-file {core}", "-ex", "kill"],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        except OSError:
            return None
        for line in debugger.stdout:
            if line.strip() == "attached":
                return debugger
        return None

    def obey(self):
        """Standard input's lines, until its end."""
        print(self.process.pid, flush=True)
        verbs = {"busy": self.busy, "count": self.count, "login": self.login, "crash": self.crash}
        for line in sys.stdin:
            print(verbs[line.strip()](), flush=True)
        self.process.kill()
        os._exit(0)


def main():
    if sys.argv[1] == "--live":
        Live(os.path.abspath(sys.argv[2]), os.path.abspath(sys.argv[3])).obey()
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
