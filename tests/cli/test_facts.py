#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What info, threads, fds and maps show of the facts in a snapshot, against /proc of the process that it is of.

usage: test_facts.py STROBE CC SOURCE_DIRECTORY
"""
import calendar
import os
import pathlib
import resource
import signal
import subprocess
import sys
import tempfile
import time

import snapshot_file as snapshot
import test_command
from test_command import document, run

PATH = None
LOG = None
PID = None
TAKEN_NS = None
CHILD = r"""
import ctypes, os, signal, sys, threading, time
signal.signal(signal.SIGUSR1, lambda *_: None)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
ctypes.CDLL(None).prctl(15, b"odd) name", 0, 0, 0)  # PR_SET_NAME
log = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK, 0o644)
os.write(log, b"x" * 812)
ends = os.pipe()
memory = os.memfd_create("jit")
print("ready", flush=True)
time.sleep(1000)
"""


def status_field(name):
    """A line of /proc/PID/status."""
    for line in pathlib.Path(f"/proc/{PID}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(name + ":"):
            return line.split(":", 1)[1].split()
    raise KeyError(name)


def make_snapshot(directory):
    """A snapshot of a fresh child; returns the child."""
    global PATH, LOG, PID, TAKEN_NS
    LOG = os.path.join(directory, "log")
    # pylint: disable-next=consider-using-with
    child = subprocess.Popen([sys.executable, "-c", CHILD, LOG, "two words"], stdout=subprocess.PIPE, cwd=directory,
                             env={**os.environ, "MARK": "here", "ESCAPE": "\x1b[31m"})
    child.stdout.readline()
    PID = child.pid
    time.sleep(0.1)
    TAKEN_NS = time.time_ns()
    boot = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    PATH = os.path.join(directory, "snapshot")
    other = next(int(tid) for tid in os.listdir(f"/proc/{PID}/task") if int(tid) != PID)
    heap = next(line for line in pathlib.Path(f"/proc/{PID}/maps").read_text(encoding="utf-8").splitlines()
                if line.endswith("[heap]"))
    start, end = (int(part, 16) for part in heap.split()[0].split("-"))
    known = snapshot.IN_SYSCALL | snapshot.SIGNALS_KNOWN | snapshot.ROBUST_KNOWN | snapshot.RSEQ_KNOWN
    queued = struct_siginfo(signal.SIGUSR2, -1, 77)
    snapshot.write(PATH, [
        snapshot.capture(TAKEN_NS, boot, 1234567), *snapshot.process_notes(PID), *snapshot.descriptors(PID),
        snapshot.note(snapshot.NOT_ATOMIC, start.to_bytes(8, "little") + end.to_bytes(8, "little") + b"too large\0"),
        snapshot.thread(PID, known, "S", 1 << signal.SIGTERM - 1, 230, (1, 0, 0x5000)),
        snapshot.note(snapshot.SIGNAL, bytes(8) + queued),
        snapshot.thread(other, 0, "R", 0, -1),
    ])
    return child


def struct_siginfo(number, code, sender):
    """A siginfo_t of a signal that was sent."""
    return b"".join(value.to_bytes(4, "little", signed=True) for value in (number, 0, code, 0, sender, 0)) + bytes(104)


def test_the_process():
    info = document("info", PATH)
    assert info["pid"] == PID and info["ppid"] == os.getpid() and info["state"] == "S"
    assert info["name"] == "odd) name" and info["exe"] == os.path.realpath(f"/proc/{PID}/exe")
    assert info["arguments"][-2:] == [LOG, "two words"] and info["command"].endswith("two words")
    assert info["cwd"] == os.path.dirname(LOG) and info["root"] == "/" and info["umask"] == int(status_field("Umask")[0], 8)
    assert "MARK=here" in info["environment"]
    assert info["source_kind"] == "snapshot" and info["source_maker"] == "strobe" and not info["time_is_file_time"]
    started = time.strptime(info["start_time"], "%Y-%m-%dT%H:%M:%SZ")
    assert abs(TAKEN_NS / 1e9 - calendar.timegm(started)) < 60
    assert info["resident_peak_bytes"] >= info["resident_bytes"] > 1 << 20
    assert info["user_ns"] % 10_000_000 == 0 and info["nice"] == os.getpriority(os.PRIO_PROCESS, PID)
    assert {"SIGINT", "SIGUSR1"} <= set(info["signals"]["caught"]) and "SIGHUP" in info["signals"]["ignored"]
    assert info["queued_signals"][0]["signal"]["name"] == "SIGUSR2"
    assert info["capture"]["method"] == "clone" and info["capture"]["pause_ns"] == 1234567
    assert info["capture"]["id"] == "000102030405060708090a0b0c0d0e0f" and info["capture"]["redacted"] == ["environment"]
    credentials = info["credentials"]
    assert credentials["uids"] == [int(i) for i in status_field("Uid")]
    assert credentials["groups"] == [int(i) for i in status_field("Groups")]
    assert int(credentials["capabilities"]["effective"], 16) == int(status_field("CapEff")[0], 16)
    files = next(limit for limit in info["limits"] if limit["name"] == "Max open files")
    assert files["soft"] == resource.prlimit(PID, 7)[0] and files["unit"] == "files"
    spaces = {space["name"]: space["inode"] for space in info["namespaces"]}
    assert spaces["mnt"] == os.stat(f"/proc/{PID}/ns/mnt").st_ino


def test_the_text_of_info():
    text, errors = run("info", PATH, "--quiet")  # it holds no memory to check files by
    assert errors == "", errors
    for part in (f"process   {PID} (odd) name), sleeping, child of {os.getpid()}, since ", "cwd       ", "usage     ",
                 "captured  by clone, paused 1.23 ms, contents changed, redacted environment", "spaces    cgroup ",
                 "changing  0x", "too large", "source    snapshot by strobe: "):
        assert part in text, f"{part!r} is not in\n{text}"
    text, _ = run("info", PATH, "--environment")
    assert "MARK=here\n" in text and "process" not in text.split("=")[0]
    assert "ESCAPE=\\033[31m\n" in text and "\x1b" not in text
    text, _ = run("info", PATH, "--limits", "--signals")
    assert text.startswith("LIMITS\n") and "\nSIGNALS\n" in text and "Max cpu time" in text and "unlimited" in text
    assert "caught    SIGINT SIGUSR1" in text and f"thread {PID} blocks SIGTERM\n" in text
    assert "queued for the process: SIGUSR2 (SI_QUEUE from pid 77)" in text


def test_the_threads():
    first, second = document("threads", PATH)["threads"]
    assert first["tid"] == PID and first["state"] == "S" and first["name"] == "odd) name" and first["cpu"] == 1
    assert first["system_call"] == {"number": 230, "name": "clock_nanosleep",
                                    "arguments": ["0x1", "0x0", "0x5000", "0x0", "0x0", "0x0"]}
    assert first["blocked"] == ["SIGTERM"] and first["pending"] == [] and first["robust_list"] == "0x7000"
    assert first["policy"] == "other" and first["realtime_priority"] == 0 and first["voluntary_switches"] > 0
    assert second["in_system_call"] is False and second["system_call"] is None and second["blocked"] is not None
    text, _ = run("threads", PATH)
    heading, line = text.splitlines()[:2]
    for column in ("STATE", "CPU", "TIME", "SYSTEM CALL"):
        assert column in heading, heading
    assert "sleeping" in line and "clock_nanosleep" in line, line


def test_the_descriptors():
    found = document("fds", PATH)
    by_path = {fd["path"]: fd for fd in found["fds"]}
    assert found["recorded"] and [fd["fd"] for fd in found["fds"]] == sorted(fd["fd"] for fd in found["fds"])
    log = by_path[LOG]
    assert log["type"] == "file" and log["position"] == 812 and log["mode"] == 0o100644
    assert log["flags"] & (os.O_APPEND | os.O_NONBLOCK) == os.O_APPEND | os.O_NONBLOCK and "mnt_id" in log["info"]
    assert by_path["/memfd:jit (deleted)"]["type"] == "memfd"
    assert {"pipe"} == {fd["type"] for path, fd in by_path.items() if path.startswith("pipe:")}
    text, _ = run("fds", PATH)
    line = next(line for line in text.splitlines() if LOG in line)
    assert line.split()[1:4] == ["file", "812", "read-write,append,nonblock,cloexec"], line
    assert "pipe of 1 (init)" in text


def test_the_mappings():
    mappings = document("maps", PATH)["mappings"]
    lines = [line.split(maxsplit=5) for line in
             pathlib.Path(f"/proc/{PID}/maps").read_text(encoding="utf-8").splitlines()]
    assert len(mappings) == len(lines)
    for mapping, line in zip(mappings, lines):
        assert mapping["start"] == "0x" + line[0].split("-")[0].lstrip("0"), (mapping, line)
        assert mapping["permissions"] == line[1] and (mapping["inode"] or 0) == int(line[4])
        assert mapping["device"] == (line[3] if int(line[4]) else None)
        assert mapping["path"] == (line[5].strip() if len(line) > 5 else None), (mapping, line)
        assert mapping["not_atomic"] == (mapping["path"] == "[heap]"), mapping
    text, _ = run("maps", PATH)
    assert "[heap] (not atomic)\n" in text and "INODE" in text


def test_the_list_of_processes():
    processes = {process["pid"]: process for process in document("ps")["processes"]}
    child = processes[PID]
    assert child["name"] == "odd) name" and child["threads"] == 2 and child["state"] == "S"
    assert child["ppid"] == os.getpid() and child["uid"] == os.geteuid() and child["resident_bytes"] > 1 << 20
    assert child["command"].endswith("two words") and not child["kernel"] and child["refused"] is None
    ready = document("ps", "--ready")["processes"]
    assert PID in [process["pid"] for process in ready] and not any(process["refused"] for process in ready)
    text, _ = run("ps")
    line = next(line for line in text.splitlines() if line.split()[0] == str(PID))
    assert "odd) name" in line and "sleeping" in line and "\x1b" not in text


def main():
    tests = [(name[5:].replace("_", " "), test) for name, test in globals().items()
             if name.startswith("test_") and callable(test)]
    print(f"1..{len(tests)}")
    failed = False
    with tempfile.TemporaryDirectory() as directory:
        child = make_snapshot(os.path.realpath(directory))
        try:
            for number, (name, test) in enumerate(tests, 1):
                try:
                    test()
                    print(f"ok {number} - {name} as /proc told", flush=True)
                except (AssertionError, StopIteration, KeyError, IndexError, subprocess.SubprocessError) as error:
                    failed = True
                    for line in f"{type(error).__name__}: {error}".splitlines():
                        print("#", line)
                    print(f"not ok {number} - {name}", flush=True)
        finally:
            child.kill()
            child.wait()
    return 1 if failed else 0


if __name__ == "__main__":
    assert test_command.STROBE
    sys.exit(main())
