#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Kills captures of busy servers at random instants and looks at what is left. TAP on stdout.

usage: storm.py --folder BUILD/tests/capture --strobe STROBE [--rounds N] [--with strobe|hammer|gcore|none]
                [--seed N] [redis nginx churn killed ...]

Each round captures a process that is under load, kills Strobe by SIGKILL at a random instant and
looks: no thread stopped or traced, the same children, mappings and descriptors, the code as it
stands in its file. All the while clients check every answer of the servers. The servers are started
here, on the loopback, with folders of their own.
"""
import argparse
import collections
import hashlib
import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

GRACE = 5.0  # seconds that what is left of a killed capture may take to go by itself
SAMPLE = 1.0 # seconds over which a server's open files are counted
DENSE = 0.02 # seconds at the beginning in which half of all kills fall


def wait_until(condition, seconds):
    """Whether the condition comes true in time; how long that took."""
    start = time.monotonic()
    while not condition():
        if time.monotonic() - start > seconds:
            return False, seconds
        time.sleep(0.002)
    return True, time.monotonic() - start


def read(path):
    """A file's text, "" if it is gone."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def tasks(pid):
    """The threads of a process."""
    try:
        return os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []


def stopped_threads(pid):
    """Threads that are stopped or traced, as text."""
    found = []
    for tid in tasks(pid):
        status = read(f"/proc/{pid}/task/{tid}/status")
        state = re.search(r"^State:\t(\S)", status, re.M)
        tracer = re.search(r"^TracerPid:\t(\d+)", status, re.M)
        if (state and state.group(1) in "tT") or (tracer and tracer.group(1) != "0"):
            found.append(f"{tid}: {state.group(1)}, tracer {tracer.group(1)}")
    return found


def children(pid):
    """The children of all threads."""
    return sorted(child for tid in tasks(pid) for child in read(f"/proc/{pid}/task/{tid}/children").split())


def descriptors(pid):
    """How many of each kind."""
    kinds = collections.Counter()
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):
            try:
                kinds[os.readlink(f"/proc/{pid}/fd/{name}").split(":")[0]] += 1
            except OSError:
                pass
    except OSError:
        pass
    return kinds


FILE_HASHES = {}


def file_hash(path, offset, size):
    """Of a part of a file, which does not change meanwhile."""
    key = (path, offset, size)
    if key not in FILE_HASHES:
        with open(path, "rb") as file:
            part = os.pread(file.fileno(), size, offset)
        FILE_HASHES[key] = hashlib.sha1(part + bytes(size - len(part))).digest()
    return FILE_HASHES[key]


def patched_code(pid):
    """Executable mappings that differ from their files."""
    found = []
    try:
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
            for line in read(f"/proc/{pid}/maps").splitlines():
                match = re.match(r"(\w+)-(\w+) r-xp (\w+) \S+ \d+ +(/.*)", line)
                if not match or not os.path.exists(match.group(4)):
                    continue
                start, end, offset = (int(match.group(i), 16) for i in (1, 2, 3))
                memory = os.pread(mem.fileno(), end - start, start)
                if hashlib.sha1(memory).digest() != file_hash(match.group(4), offset, end - start):
                    found.append(f"code differs from its file: {line}")
    except OSError as error:
        found.append(f"code cannot be read: {error}")
    return found


def usual_descriptors(pid, seconds):
    """{kind: (least, most)} over a while: a server opens and closes files as it answers."""
    seen = [descriptors(pid)]
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.002)
        seen.append(descriptors(pid))
    return {kind: (min(one[kind] for one in seen), max(one[kind] for one in seen))
            for kind in set().union(*seen)}


def unusual(now, usual):
    """Kinds of which there are fewer or more than usual, as text."""
    found = []
    for kind in sorted(set(now) | set(usual)):
        least, most = usual.get(kind, (0, 0))
        if not least <= now[kind] <= most:
            found.append(f"{now[kind]} open {kind}, usual are {least} to {most}")
    return found


class Watched:
    """A process that captures must not change."""

    def __init__(self, pid, steady=True, same_program=True, sample_s=0.0):
        self.pid, self.steady, self.same_program, self.sample_s = pid, steady, same_program, sample_s
        self.threads = len(tasks(pid))
        self.children, self.maps = children(pid), read(f"/proc/{pid}/maps")
        self.fds = usual_descriptors(pid, sample_s)

    def faults(self):
        """What is wrong with it now."""
        found = stopped_threads(self.pid)
        if not os.path.exists(f"/proc/{self.pid}"):
            return ["it is gone"]
        if self.steady:
            if children(self.pid) != self.children:
                found.append(f"children {self.children} became {children(self.pid)}")
            found += self.changed_maps()
            found += unusual(descriptors(self.pid), self.fds)
            if len(tasks(self.pid)) != self.threads:
                found.append(f"{self.threads} threads became {len(tasks(self.pid))}")
        return found

    def changed_maps(self):
        """Lines of maps that came or went."""
        now = read(f"/proc/{self.pid}/maps")
        old = set(self.maps.splitlines())
        new = set(now.splitlines())
        return [f"mapping gone: {line}" for line in old - new] + [f"mapping new: {line}" for line in new - old]

    def settle(self):
        """Takes what it is now for right (an allocator may map more by itself)."""
        self.__init__(self.pid, self.steady, self.same_program, self.sample_s)


class Storm:
    """The captures that are killed, and what was found after them."""

    def __init__(self, options):
        self.options, self.random = options, random.Random(options.seed)
        self.folder = tempfile.mkdtemp(prefix="strobe-storm-")
        self.rounds = self.killed = self.longest = 0
        self.typical = 0.1
        self.own_changes = 0

    def command(self, pid, number):
        """One capture, of one sort or another."""
        if self.options.who == "hammer":
            return [os.path.join(self.options.folder, "hammer"), "--held", str(number % 3), str(pid)]
        path = os.path.join(self.folder, "file")
        if self.options.who in ("gcore", "none"):
            return {"gcore": ["gdb", "-nx", "-batch", "-p", str(pid), "-ex", f"gcore {path}"], "none": ["sleep", "0.05"]}[self.options.who]
        command = [self.options.strobe, "snap", str(pid)]
        kind = number % 4
        if kind == 3:
            return command + ["--hold", f"storm{os.getpid()}"]
        return command + ["-o", path] + [["--contents", "stacks"], [], ["--compress"]][kind]

    def start(self, pid, number):
        """Starts a capture."""
        return subprocess.Popen(self.command(pid, number), stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)

    def drop_held(self):
        """Nothing is held on purpose."""
        if self.options.who == "strobe":
            subprocess.run([self.options.strobe, "held", "drop", f"storm{os.getpid()}"], check=False,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def measure(self, pid):
        """How long a whole capture takes."""
        if self.options.who == "hammer":
            self.typical = 0.05
            return ""
        start = time.monotonic()
        with self.start(pid, 1) as process:
            err = process.stderr.read().decode()
        self.typical = time.monotonic() - start
        return err if process.returncode else ""

    def instant(self):
        """When to kill."""
        return self.random.uniform(0, DENSE if self.random.random() < 0.5 else 1.1 * self.typical)

    def leftovers(self, known, also=()):
        """Processes that run a program of ours, or that of a target, and that nobody knows."""
        found = []
        programs = {os.path.realpath(self.options.strobe or ""),
                    os.path.realpath(os.path.join(self.options.folder, "hammer"))}
        programs |= {os.path.realpath(f"/proc/{pid}/exe") for pid in known}
        programs |= {os.path.realpath(os.path.join(self.options.folder, name)) for name in also}
        for name in os.listdir("/proc"):
            if not name.isdigit() or int(name) in known or int(name) == os.getpid():
                continue
            try:
                if os.readlink(f"/proc/{name}/exe") in programs:
                    found.append(f"{name} {read(f'/proc/{name}/cmdline')[:60]!r}")
            except OSError:
                pass
        return found

    def round(self, watched, number, known=()):
        """Captures, kills, looks; what is wrong."""
        if len(known) == 0:
            known = (watched.pid,)
        process = self.start(watched.pid, number)
        time.sleep(self.instant())
        process.kill()
        process.stderr.close()
        self.killed += process.wait() == -signal.SIGKILL
        self.rounds += 1
        self.drop_held()
        faults = []

        def clean():
            faults[:] = watched.faults()
            return not faults

        good, seconds = wait_until(clean, GRACE)
        self.longest = max(self.longest, seconds)
        if good:
            return patched_code(watched.pid) if watched.same_program else []
        # Mappings alone may be the allocator's: asked again without a capture, and counted.
        if all(fault.startswith("mapping ") and not re.search(r" ..x. | \S+/", fault) for fault in faults):
            self.own_changes += 1
            watched.settle()
            return []
        return faults

    def end(self):
        """Removes its folder."""
        shutil.rmtree(self.folder, ignore_errors=True)


class Cases:
    """Tells cases in TAP."""

    def __init__(self):
        self.count = self.failed = 0

    def check(self, good, title, notes=()):
        """One case."""
        self.count += 1
        self.failed += not good
        for note in list(notes)[:20]:
            print("#", note)
        print("ok" if good else "not ok", self.count, "-", title)
        sys.stdout.flush()

    def skip(self, title, why):
        """A case that cannot be run."""
        self.count += 1
        print(f"ok {self.count} - {title} # SKIP {why}")


def free_port():
    """A port of the loopback that nobody uses."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


# Clients, in processes of their own: "storm.py --client KIND PORT". Each checks every answer.

class RedisLink:
    """A connection to redis that understands the few answers needed."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.file = self.socket.makefile("rb")

    def ask(self, *words):
        """One command's answer."""
        text = b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)
        self.socket.sendall(text)
        line = self.file.readline()
        if line[:1] == b"$":
            size = int(line[1:])
            return None if size < 0 else self.file.read(size + 2)[:-2]
        if line[:1] in b"+:" and line:
            return line[1:-2]
        raise ValueError(f"answer {line!r}")


def redis_requests(port):
    """Yields (what was answered, what should have been)."""
    link, me = RedisLink(port), str(os.getpid()).encode()
    number = 0
    while True:
        number += 1
        value = hashlib.blake2b(b"%d" % number).hexdigest().encode() * (1 + number % 20)
        key = me + b":%d" % (number % 50)
        yield link.ask(b"SET", key, value), b"OK"
        yield link.ask(b"GET", key), value
        yield link.ask(b"INCR", me + b":count"), b"%d" % number


def nginx_requests(port):
    """Yields (what was answered, what should have been)."""
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    while True:
        for size in (10, 5000, 200000):
            link.request("GET", f"/{size}")
            answer = link.getresponse()
            yield (answer.status, answer.read()), (200, body(size))


def body(size):
    """The text of nginx's files."""
    return (hashlib.blake2b(b"%d" % size).hexdigest().encode() * (size // 128 + 1))[:size]


def client(kind, port):
    """Asks until SIGTERM; prints what was wrong."""
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(1))
    count, wrong, slowest = 0, [], 0.0
    try:
        last = time.monotonic()
        for got, wanted in {"redis": redis_requests, "nginx": nginx_requests}[kind](port):
            now = time.monotonic()
            slowest, last, count = max(slowest, now - last), now, count + 1
            if got != wanted and len(wrong) < 10:
                wrong.append(f"{str(got)[:60]} instead of {str(wanted)[:60]}")
            if ended:
                break
    except (OSError, ValueError, http.client.HTTPException) as error:
        wrong.append(f"{type(error).__name__}: {error}")
    print(json.dumps({"requests": count, "wrong": wrong, "slowest_ms": round(slowest * 1000, 1)}))


def start_clients(kind, port, count):
    """Clients that check."""
    return [subprocess.Popen([sys.executable, os.path.abspath(__file__), "--client", kind, str(port)],
                             stdout=subprocess.PIPE, text=True) for _ in range(count)]


def end_clients(clients):
    """(requests, what was wrong, slowest) of them all."""
    total, wrong, slowest = 0, [], 0
    for process in clients:
        process.terminate()
        told = json.loads(process.communicate(timeout=60)[0])
        total += told["requests"]
        wrong += told["wrong"]
        slowest = max(slowest, told["slowest_ms"])
    return total, wrong, slowest


class Server:
    """A server under load: its process to capture, all it consists of."""

    def __init__(self, storm):
        self.port, self.folder = free_port(), os.path.join(storm.folder, type(self).__name__)
        self.processes = []
        os.makedirs(self.folder)
        os.chmod(storm.folder, 0o755) # nginx's worker is another user

    def spawn(self, *command):
        """Starts a part of it."""
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.processes.append(subprocess.Popen(command, stdout=log, stderr=log,
                                                   stdin=subprocess.DEVNULL, cwd=self.folder))
        return self.processes[-1]

    def listening(self):
        """Whether it answers."""
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            return True
        except OSError:
            return False

    def unload(self):
        """Ends what keeps it busy."""
        load = self.processes.pop()
        load.terminate()
        load.wait(timeout=20)

    def end(self):
        """Ends its parts, the last first."""
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class Redis(Server):
    """redis-server with I/O threads, under redis-benchmark."""
    needs, kind = ("redis-server", "redis-benchmark"), "redis"

    def __init__(self, storm):
        super().__init__(storm)
        server = self.spawn("redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
                            "--appendonly", "no", "--io-threads", "2", "--dir", self.folder,
                            "--daemonize", "no")
        self.pid = server.pid
        wait_until(self.listening, 20)
        self.known = [server.pid]

    def load(self):
        """Starts what keeps it busy."""
        self.spawn("redis-benchmark", "-p", str(self.port), "-c", "8", "-n", "1000000000", "-q", "-r", "2000",
                   "-d", "200", "-t", "set")


class Nginx(Server):
    """nginx, one worker with a pool of threads, under wrk."""
    needs, kind = ("nginx", "wrk"), "nginx"

    def __init__(self, storm):
        super().__init__(storm)
        os.makedirs(os.path.join(self.folder, "files"))
        os.chmod(self.folder, 0o755)
        for size in (10, 5000, 200000):
            path = os.path.join(self.folder, "files", str(size))
            with open(path, "wb") as file:
                file.write(body(size))
            os.chmod(path, 0o644)
        with open(os.path.join(self.folder, "conf"), "w", encoding="utf-8") as file:
            # As root where we are: the folder of a chroot may be closed to others.
            user = "user root;" if os.geteuid() == 0 else ""
            file.write(f"""{user} daemon off; worker_processes 1; pid {self.folder}/pid; error_log {self.folder}/error;
events {{ worker_connections 200; }}
thread_pool default threads=4;
http {{ access_log off; aio threads; keepalive_requests 1000000000; sendfile off;
client_body_temp_path {self.folder}/t1; proxy_temp_path {self.folder}/t2; fastcgi_temp_path {self.folder}/t3;
uwsgi_temp_path {self.folder}/t4; scgi_temp_path {self.folder}/t5;
server {{ listen 127.0.0.1:{self.port}; root {self.folder}/files; }} }}
""")
        master = self.spawn("nginx", "-p", self.folder, "-c", os.path.join(self.folder, "conf"))
        wait_until(self.listening, 20)
        wait_until(lambda: children(master.pid), 5)
        self.pid = int(children(master.pid)[0])
        self.known = [master.pid, self.pid]

    def load(self):
        """Starts what keeps it busy."""
        self.spawn("wrk", "-t", "1", "-c", "4", "-d", "36000", f"http://127.0.0.1:{self.port}/5000")


def steady_server(pid):
    """Waits until everybody is connected and the allocator has what it needs."""
    for _ in range(20):
        watched = Watched(pid, sample_s=SAMPLE)
        time.sleep(0.7)
        if not watched.faults():
            break


def idle_descriptors(pid):
    """What a server has open when nobody asks it."""
    last, since = descriptors(pid), time.monotonic()
    while time.monotonic() - since < 0.3:
        time.sleep(0.02)
        now = descriptors(pid)
        if now != last:
            last, since = now, time.monotonic()
    return last


def storm_server(options, cases, kind, rounds):
    """Rounds on a busy server."""
    title = f"{kind.kind}: {rounds} captures killed"
    missing = [name for name in kind.needs if not shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin")]
    if missing:
        cases.skip(title, f"not installed: {' '.join(missing)}")
        return
    storm = Storm(options)
    server = kind(storm)
    idle = idle_descriptors(server.pid)
    server.load()
    clients = start_clients(server.kind, server.port, 2)
    steady_server(server.pid)
    error = storm.measure(server.pid)
    storm.drop_held()
    start = time.monotonic()
    watched, faults, skipped = Watched(server.pid, sample_s=SAMPLE), [], 0
    watched_pids = set(server.known)
    for number in range(rounds):
        found = storm.round(watched, number, watched_pids)
        if found:
            faults.append(f"round {number}: {'; '.join(found)[:300]}")
            watched.settle()
            skipped += 1
            if skipped > 20:
                break
    took = time.monotonic() - start
    good, seconds = wait_until(lambda: not storm.leftovers(watched_pids), GRACE)
    left = [] if good else storm.leftovers(watched_pids)
    total, wrong, slowest = end_clients(clients)
    server.unload()
    wait_until(lambda: descriptors(server.pid) == idle, GRACE)
    rest = descriptors(server.pid)
    if rest != idle:
        faults.append(f"idle, it had {dict(idle)} open at first, and {dict(rest)} at the end")
    server.end()
    storm.end()
    notes = [f"{storm.rounds} rounds in {took:.1f} s, {storm.killed} killed in time, a capture takes "
             f"{storm.typical * 1000:.0f} ms, clean after {storm.longest * 1000:.0f} ms at most",
             f"mappings that changed by themselves: {storm.own_changes}"]
    cases.check(not error and not faults and storm.killed > 0, f"{title}, the server as it was",
                notes + [error] * bool(error) + faults)
    cases.check(not wrong and total > 0, f"{server.kind}: every request is answered rightly",
                [f"{total} requests, the slowest took {slowest} ms"] + wrong)
    cases.check(not left, f"{server.kind}: no process is left", [f"gone after {seconds:.2f} s"] + left)


# No call of those that a stop ends (epoll_wait): were strobe killed between the stop and the mending of
# the call, it would end in EINTR, as strobe-snap(1) says.
CHURNS = ["thread-churn", "thread-relay", "fork-churn", "exec-churn", "mapping-churn", "signal-flood", "many-threads",
          "poll", "nanosleep", "vfork"]


def churn(options, name, rounds):
    """(good, what was found, whether a call of its own ended in EINTR) of one program."""
    storm = Storm(options)
    battery = subprocess.Popen([os.path.join(options.folder, "battery"), "--ms", "3600000", "--slack-ms", "2000",
                                name], stdout=subprocess.PIPE, text=True)
    told = [battery.stdout.readline(), battery.stdout.readline()]
    pid = int(told[-1].split()[2]) if told[-1].startswith("# capture") else 0
    faults, number = [], 0
    storm.typical = 0.05
    watched = Watched(pid, False, name != "exec-churn")
    known = {pid, battery.pid}
    while pid and number < rounds and battery.poll() is None and len(faults) < 5:
        found = storm.round(watched, number, known)
        if found:
            faults.append(f"round {number}: {'; '.join(found)[:300]}")
        number += 1
    battery.terminate()
    rest = battery.communicate(timeout=120)[0]
    good, _ = wait_until(lambda s=storm, k=known: not s.leftovers(k), GRACE)
    left = [] if good else [f"left: {x}" for x in storm.leftovers(known)]
    storm.end()
    notes = faults + left + [line for line in rest.splitlines() if line.startswith(("#", "not ok"))] * (battery.returncode != 0)
    return (not faults and not left and battery.returncode == 0 and number == rounds, notes,
            not left and "(Interrupted system call)" in rest)


def storm_churn(options, cases, rounds):
    """Rounds on programs that do not hold still, and that look at themselves."""
    for name in options.churns or CHURNS:
        good, notes, interrupted = churn(options, name, rounds)
        # Killed in the microseconds between a thread's stop and its call's mending, strobe leaves that one call interrupted, as
        # strobe-snap(1) says: once in some thousand kills, so not twice in a row.
        if not good and interrupted:
            print(f"# {name}: a call ended in EINTR; once more", flush=True)
            good, notes, _ = churn(options, name, rounds)
        cases.check(good, f"{name}: {rounds} captures killed", notes)


def storm_killed(options, cases, rounds):
    """The target is killed during the capture: one line, and nothing left."""
    storm, faults, done = Storm(options), [], 0
    storm.typical = 0.03
    for number in range(rounds):
        battery = subprocess.Popen([os.path.join(options.folder, "battery"), "--ms", "60000",
                                    ["many-threads", "locks", "fork-churn"][number % 3]],
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        line = [battery.stdout.readline(), battery.stdout.readline()][1]
        pid = int(line.split()[2])
        process = storm.start(pid, number)
        time.sleep(storm.instant())
        os.kill(pid, signal.SIGKILL)
        try:
            err = process.communicate(timeout=20)[1].decode()
        except subprocess.TimeoutExpired:
            process.kill()
            err = "hung\n\n"
        storm.drop_held()
        battery.communicate(timeout=60)
        done += 1
        # Warnings are no failure; a failure is one line.
        lines = [line for line in err.splitlines() if "warning:" not in line]
        if process.returncode not in (0, 1) or len(lines) != process.returncode:
            faults.append(f"round {number}: status {process.returncode}, {err!r}")
        if len(faults) > 5:
            break
    good, _ = wait_until(lambda: not storm.leftovers((), ("battery",)), GRACE)
    left = [] if good else storm.leftovers((), ("battery",))
    storm.end()
    cases.check(not faults and not left, f"the target is killed during {done} captures", faults + left)


def main():
    """Runs the storms that are asked for."""
    if len(sys.argv) == 4 and sys.argv[1] == "--client":
        client(sys.argv[2], int(sys.argv[3]))
        return
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", required=True)
    parser.add_argument("--strobe")
    parser.add_argument("--with", dest="who", default="strobe", choices=["hammer", "strobe", "gcore", "none"],
                        help="none and gcore show whether the storm itself can pass and fail")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--churns", type=lambda text: text.split(","), help="these checks of the battery alone")
    parser.add_argument("parts", nargs="*")
    options = parser.parse_args()
    print(f"# seed {options.seed}, {options.rounds} rounds")
    cases = Cases()
    parts = options.parts or ["redis", "nginx", "churn", "killed"]
    if "redis" in parts:
        storm_server(options, cases, Redis, options.rounds)
    if "nginx" in parts:
        storm_server(options, cases, Nginx, options.rounds)
    if "churn" in parts:
        storm_churn(options, cases, max(options.rounds // len(options.churns or CHURNS), 3))
    if "killed" in parts:
        storm_killed(options, cases, max(options.rounds // 4, 5))
    print(f"1..{cases.count}")
    sys.exit(1 if cases.failed else 0)


if __name__ == "__main__":
    main()
