#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Sessions that others ask: `strobe watch --list`, `--status`, `--add`, `--remove`. TAP on stdout.

usage: sessions.py STROBE CC SOURCE_FOLDER [CASE...]
"""
import contextlib
import json
import os
import pathlib
import signal
import socket
import struct
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import watching
from watching import CC, FOLDER, PATIENCE, SOURCES, STROBE, Session, code, count, line, until

RUNTIME = FOLDER / "runtime"
SOCKETS = RUNTIME / "strobe" / ".watch"
MAGIC = 0x31575453
INFO, STATUS, ADD, REMOVE, END = range(1, 6)


def place(mark="SERVE"):
    return f"watched.c:{line('watched.c', mark)}"


class Target(watching.Target):
    def __init__(self):
        super().__init__(FOLDER / "watched")


def strobe(*arguments, status=0):
    """Standard output, and standard error."""
    run = subprocess.run([STROBE, "watch", *map(str, arguments)], capture_output=True, text=True, timeout=2 * PATIENCE, check=False)
    assert run.returncode == status, (arguments, run.returncode, run.stdout, run.stderr)
    return run.stdout, run.stderr


def sessions(*arguments):
    """Those of this test's own run-time directory: others of root's may be listed too."""
    names = {path.name for path in SOCKETS.iterdir()} if SOCKETS.exists() else set()
    return [s for s in json.loads(strobe("--list", "--json", *arguments)[0])["sessions"] if s["session"] in names]


@contextlib.contextmanager
def session(target, *arguments):
    """One that has begun, and can be found."""
    with Session(target.pid, *arguments) as it:
        it.name = f"w{it.process.pid}"
        it.until(lambda _: (SOCKETS / it.name).exists())
        yield it


def listed():
    """sessions are listed, with what they watch and how it does; all, or those of a process"""
    with Target() as target, Target() as other, session(target, place(), "deep", "--log", "x") as one, \
            session(target, "no_such", "--log", "x") as two, session(other, "serve", "--log", "x") as three:
        for it in (one, three):
            it.until(lambda results: len(results) > 10)
        found = {s["session"]: s for s in sessions()}
        assert set(found) == {one.name, two.name, three.name}, found
        assert found[one.name]["pid"] == int(target.pid) and found[one.name]["process"] == "watched", found
        assert found[one.name]["tracepoints"] == 2 == found[one.name]["armed"] and found[one.name]["hits"] > 10, found
        assert found[two.name]["tracepoints"] == 1 and found[two.name]["armed"] == 0 == found[two.name]["hits"], found
        assert found[one.name]["watcher"] == one.process.pid and found[one.name]["user"] == os.geteuid(), found
        assert {s["session"] for s in sessions(target.pid)} == {one.name, two.name}
        assert sessions(os.getpid()) == []
        out, _ = strobe("--list", other.pid)
        assert out.splitlines()[0].split() == ["SESSION", "PID", "PROCESS", "AGE", "TRACEPOINTS", "ARMED", "HITS", "DROPPED"], out
        row = out.splitlines()[1].split()
        assert row[:3] == [three.name, other.pid, "watched"] and row[4:6] == ["1", "1"], out
        for it in (one, two, three):
            it.end()
    assert sessions() == [] and not list(SOCKETS.glob("w*"))


def asked():
    """each tracepoint of a session tells its status, by the process or by the session's name"""
    with Target() as target, session(target, place(), "no_such", "--log", "{n} {nonsense}") as it:
        it.until(lambda results: len(results) > 10)
        for name in (target.pid, it.name):
            told = json.loads(strobe("--status", name, "--json")[0])["sessions"]
            assert len(told) == 1 and told[0]["session"] == it.name, told
            by = {s["tracepoint"]: s for s in told[0]["status"]}
            armed, pending = by[place()], by["no_such"]
            assert armed["state"] == "armed" and armed["path"] == "watched.c" and armed["line"] == line("watched.c", "SERVE"), armed
            assert armed["hits"] > 10 and armed["fired"] == armed["hits"] and armed["errors"] >= armed["hits"], armed
            assert len(armed["armed"]) == 1 and armed["armed"][0]["method"] and armed["armed"][0]["address"].startswith("0x"), armed
            assert pending["state"] == "pending" and "pending" in pending["error"] and not pending["armed"], pending
        out, _ = strobe("--status", target.pid)
        assert f"{it.name}: process {target.pid} (watched), 2 tracepoints, 1 armed" in out and f"{place()}: armed, " in out, out
        assert "    0x" in out and "pending" in out, out
        it.end()
    _, said = strobe("--status", it.name, status=1)
    assert "no session" in said, said
    _, said = strobe("--status", target.pid, status=1)
    assert f"no session watches process {target.pid}" in said, said


def added():
    """tracepoints are added to a session from elsewhere, with all that the command line can say; what is wrong is refused"""
    with Target() as target, session(target, "no_such", "--log", "x") as it:
        out, _ = strobe("--add", target.pid, f"{place()} if n % 2 == 0", "--log", "even {n}", "--set", "fire_count=20", "--metric",
                        "total=n", "-w", "request->id", "--json")
        status = json.loads(out)["sessions"][0]["status"]
        assert len(status) == 1 and status[0]["state"] == "armed", status
        it.until(lambda results: sum(r["kind"] == "log" for r in results) >= 20)
        logs = [r["log_msg"] for r in it.results() if r["kind"] == "log"]
        metrics = [r["metric"] for r in it.results() if r["kind"] == "metric"]
        assert len(logs) == 20 and all(int(text.split()[1]) % 2 == 0 and text.startswith("even ") for text in logs), logs
        assert {m["name"] for m in metrics} == {"total"} and {m["value"] % 2 for m in metrics} == {0}, metrics
        _, said = strobe("--add", it.name, "no_such", status=1)
        assert "already" in said, said
        _, said = strobe("--add", it.name, "deep", "--set", "colour=blue", status=1)
        assert "colour" in said, said
        out, _ = strobe("--add", it.name, "not_there")
        assert "pending" in out, out
        strobe("--add", it.name, status=2)
        strobe("--add", it.name, "deep", "-o", "file", status=2)
        assert sessions()[0]["tracepoints"] == 3
        it.end()


def removed():
    """single tracepoints are taken away, and the code is as it was where nobody else is"""
    with Target() as target:
        before = code(target.pid, "watched")
        with session(target, place(), "deep", "--log", "x") as it:
            it.until(lambda results: count(results, "deep") > 10 and count(results, place()) > 10)
            strobe("--remove", target.pid, place())
            so_far = count(it.results(), place())
            it.until(lambda results: count(results, "deep") > so_far * 8)
            # What was on its way may have come still; four of the other come with each.
            assert count(it.results(), place()) < so_far + 20, (so_far, count(it.results(), place()))
            assert sessions()[0]["tracepoints"] == 1
            _, said = strobe("--remove", it.name, place(), "deep", status=1)
            assert f"no tracepoint '{place()}' there" in said, said
            until(lambda: code(target.pid, "watched") == before, "the code to be as it was")
            assert sessions()[0]["tracepoints"] == 0 and it.process.poll() is None
            it.end()


def neighbours():
    """two sessions are at one place by uprobes; where one has a jump the other is refused, and says what to do; nobody is hurt"""
    with Target() as target:
        before = code(target.pid, "watched")
        with session(target, place(), "--log", "x", "--engine", "uprobe") as one, session(target, place(), "deep", "--log", "x") as two:
            for it in (one, two):
                it.until(lambda results: len(results) > 20)
            one.end()
            two.end()
        until(lambda: code(target.pid, "watched") == before, "the code to be as it was")
        with session(target, place(), "--log", "x", "--status") as one:
            one.until(lambda results: len(results) > 20)
            with session(target, place(), "deep", "--log", "x") as two:
                two.until(lambda results: count(results, "deep") > 20)
                assert "another session's jump is there" in two.said() and count(two.results(), place()) == 0, two.said()
                two.end()
            so_far = len(one.results())
            one.until(lambda results: len(results) > so_far + 20)
            one.end()
            assert "jump" in one.statuses()[place()]["armed"][0]["method"], one.statuses()
        until(lambda: code(target.pid, "watched") == before, "the code to be as it was")


def ended():
    """a session is ended from elsewhere: when that is done the code is as it was, and a program that it started goes on"""
    with Target() as target:
        before = code(target.pid, "watched")
        for engine in ("uprobe", "agent"):
            with session(target, place(), "--log", "x", "--engine", engine) as it:
                it.until(lambda results: len(results) > 10)
                assert code(target.pid, "watched") != before
                strobe("--remove", target.pid)
                # The kernel takes its time with uprobes.
                until(lambda: code(target.pid, "watched") == before, "the code to be as it was")
                assert engine == "uprobe" or code(target.pid, "watched") == before
                _, said = it.end()
                assert "asked the session to end" in said, said
        strobe("--remove", target.pid, status=1)
    run = subprocess.Popen([STROBE, "watch", "-q", place(), "--log", "x", "-o", FOLDER / "ended", "--", FOLDER / "watched"], stdout=subprocess.PIPE)
    until(lambda: (SOCKETS / f"w{run.pid}").exists(), "the session")
    program = sessions()[0]["pid"]
    until((FOLDER / "ended").read_text, "results")  # it catches SIGTERM by now
    strobe("--remove", f"w{run.pid}")
    until(lambda: not sessions(), "the session to end")
    assert run.poll() is None
    os.kill(program, signal.SIGTERM)
    assert run.communicate(timeout=2 * PATIENCE)[0] == b"output is the program's own\n" and run.returncode == 3


def killed():
    """a session that was killed is not listed, and its name is forgotten; one that hangs says so, and hides no other"""
    with Target() as target, session(target, place(), "--log", "x") as it, session(target, "deep", "--log", "x") as other:
        it.process.kill()
        it.process.wait()
        assert (SOCKETS / it.name).exists()
        until(lambda: [s["session"] for s in sessions()] == [other.name], "the socket to be refused")
        assert not (SOCKETS / it.name).exists()
        with session(target, "twice", "--log", "x") as hung:
            hung.process.send_signal(signal.SIGSTOP)
            try:
                found = {s["session"]: s for s in sessions()}
                assert set(found) == {other.name, hung.name} and not found[other.name]["problem"], found
                assert "does not answer" in found[hung.name]["problem"], found
                _, said = strobe("--status", hung.name, status=1)
                assert "does not answer" in said, said
            finally:
                hung.process.send_signal(signal.SIGCONT)
            until(lambda: not any(s["problem"] for s in sessions()), "it to answer again")
            hung.end()
        other.end()


def number(value):
    return struct.pack("=Q", value)


def connect(name):
    client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    client.settimeout(PATIENCE)
    client.connect(str(SOCKETS / name))
    return client


def say(name, *packets):
    """The answer; empty where it hangs up."""
    with connect(name) as client:
        try:
            for packet in packets:
                client.send(packet)
            return client.recv(1 << 20)
        except (BrokenPipeError, ConnectionResetError):
            return b""


def packet(content, more=0, magic=MAGIC):
    return struct.pack("=II", magic, more) + content


def hostile():
    """clients that lie, hang, flood or go away hurt neither the session nor the others"""
    def text(value):
        return number(len(value)) + value

    lies = [b"", b"x", packet(b"", magic=1), packet(b"", more=7), packet(b"x" * 40000)]
    wrong = [packet(b""), packet(b"abc"), packet(number(0)), packet(number(99)), packet(number(REMOVE)), packet(number(REMOVE) + number(1 << 60)),
             packet(number(REMOVE) + number(2**64 - 1)), packet(number(REMOVE) + text(b"a\0b")), packet(number(REMOVE) + text(b"a") + b"more"),
             packet(number(ADD)), packet(number(ADD) + 3 * number(2**64 - 1) + number(1 << 61)),
             packet(number(ADD) + 2 * text(b"x") + number(1) + number(1 << 40) + number(0))]
    with Target() as target, session(target, place(), "--log", "x") as it:
        for lie in lies:
            assert say(it.name, lie) == b"", lie
        for request in wrong:
            answer = say(it.name, request)
            assert answer[:4] == struct.pack("=I", MAGIC) and answer[8:16] != number(0) and b"does not understand" in answer, (request, answer)
        assert say(it.name, *[packet(b"x" * 32768, more=1)] * 64) == b""  # more than a request may be
        idle = [connect(it.name) for _ in range(40)]
        halves = [connect(it.name) for _ in range(3)]
        for client in halves:
            client.send(packet(number(REMOVE), more=1))
        until(lambda: not any(s["problem"] for s in sessions()) and sessions(), "room for a client")
        for client in idle + halves:
            client.close()
        so_far = len(it.results())
        it.until(lambda results: len(results) > so_far + 10)
        assert sessions()[0]["tracepoints"] == 1
        # One who asks it to end and does not wait.
        with connect(it.name) as client:
            client.send(packet(number(END)))
        assert it.process.wait(PATIENCE) == 0


def unsafe():
    """a directory that others may write to is not used, and watching goes on"""
    folder = FOLDER / "unsafe"
    (folder / "strobe").mkdir(parents=True)
    (folder / "strobe").chmod(0o777)
    with Target() as target, Session(target.pid, place(), "--log", "x", environment={**os.environ, "XDG_RUNTIME_DIR": str(folder)}) as it:
        it.until(lambda results: len(results) > 10)
        _, said = it.end()
    assert "not safe to use" in said and "--list will not find" in said, said


CASES = [listed, asked, added, removed, neighbours, ended, killed, hostile, unsafe]


def prepare():
    RUNTIME.mkdir(mode=0o700)
    os.environ["XDG_RUNTIME_DIR"] = str(RUNTIME)
    subprocess.run([CC, "-g", "-O0", "-pthread", "-o", FOLDER / "watched", SOURCES / "watched.c", "-ldl"], check=True)


sys.exit(watching.main(CASES, prepare))
