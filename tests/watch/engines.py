#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Which engine makes the hits of `strobe watch`: jumps where they can, uprobes elsewhere. TAP on stdout.

usage: engines.py STROBE CC SOURCE_FOLDER [CASE...]
"""
import ctypes
import json
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import watching
from watching import CC, FOLDER, PATIENCE, SOURCES, STROBE, Session, Skip, check_skip, code, count, line, until

PTRACE_SEIZE, PTRACE_DETACH, PTRACE_INTERRUPT = 0x4206, 17, 0x4207


def place(mark="SERVE"):
    return f"watched.c:{line('watched.c', mark)}"


class Target(watching.Target):
    def __init__(self):
        super().__init__(FOLDER / "watched")


def methods(session):
    """The methods that each tracepoint is armed by, by its id; of a session that has ended, with --status."""
    return {name: {a["method"] for a in status["armed"]} for name, status in session.statuses().items()}


def chosen():
    """each tracepoint gets what suits it: jumps; uprobes where an end is awaited, or something is to be done at once"""
    row = "snapshot: no_collect, fire_count: -1, fire_period: 0"
    path = FOLDER / "chosen.yaml"
    path.write_text(f"- {{id: line, path: watched.c, line: {line('watched.c', 'BEFORE')}, log_msg: x, {row}}}\n"
                    f"- {{id: span, method_name: deep, span: method, {row}}}\n"
                    f"- {{id: snap, path: watched.c, line: {line('watched.c', 'SERVE')}, log_msg: x, snapshot: no_collect, fire_count: 1, "
                    f"snap: {FOLDER}/chosen.core}}\n")
    with Target() as target:
        before = code(target.pid, "watched")
        for engine, line_by in (("auto", "jump"), ("agent", "jump"), ("uprobe", "uprobe"), (None, "jump")):
            with Session(target.pid, "-f", path, "--status", *(("--engine", engine) if engine else ())) as session:
                session.until(lambda results: min(count(results, name) for name in ("line", "span", "snap")) > 0)
                _, said = session.end()
                found = methods(session)
                assert all(line_by in method for method in found["line"]) and found["line"], (engine, found)
                assert found["span"] == {"uprobe"} and "alone" not in said, (engine, found, said)
                assert session.statuses()["snap"]["state"] == "used up", session.statuses()["snap"]
            until(lambda: code(target.pid, "watched") == before, "the code to be as it was")


def begun():
    """a program is watched by jumps from its first instruction on: each hit is there, and it is as it would be without"""
    for rounds in (1, 200):
        output = FOLDER / f"begun-{rounds}"
        run = subprocess.run([STROBE, "watch", place(), "main", "--log", "x", "--set", "stack_type=no_stack", "-o", output, "--status", "--",
                              FOLDER / "watched", str(rounds), "4"], capture_output=True, text=True, timeout=2 * PATIENCE, check=False)
        check_skip(run.stderr)
        assert run.returncode == 3 and run.stdout == "output is the program's own\n", run
        results = [json.loads(row) for row in output.read_text().splitlines()]
        assert count(results, place()) - 1 == 4 * rounds and count(results, "main") - 1 == 1, len(results)  # and its status
        armed = {r["tracepoint"]: r["armed"][0]["method"] for r in results if r["kind"] == "status"}
        assert "jump" in armed[place()], armed


def children():
    """children of a fork run on, with jumps that record nothing"""
    subprocess.run([CC, "-g", "-O1", "-o", FOLDER / "lives", SOURCES / "lives.c"], check=True)
    run = subprocess.run([STROBE, "watch", "work", "--log", "x", "--json", "--status", "--", FOLDER / "lives", "forks"], capture_output=True,
                         text=True, timeout=2 * PATIENCE, check=False)
    check_skip(run.stderr)
    rows = [json.loads(row) for row in run.stdout.splitlines() if row.startswith("{")]
    assert run.returncode == 0 and "status 0" in run.stdout, run.stderr
    logs = [r for r in rows if r["kind"] == "log"]
    assert len(logs) == 200 and len({r["pid"] for r in logs}) == 1, len(logs)
    assert all("jump" in a["method"] for r in rows if r["kind"] == "status" for a in r["armed"]), rows[-1]


def replaced():
    """a program that executes another one is watched again, by jumps"""
    subprocess.run([CC, "-g", "-O1", "-o", FOLDER / "lives", SOURCES / "lives.c"], check=True)
    process = subprocess.Popen([FOLDER / "lives", "again"], stdout=subprocess.PIPE)
    try:
        until(lambda: "lives" in pathlib.Path(f"/proc/{process.pid}/comm").read_text(), "the program")
        with Session(process.pid, "work", "--log", "{n}", "--status") as session:
            session.until(lambda results: len(results) > 20)
            process.send_signal(signal.SIGTERM)
            until(lambda: b"endless" in pathlib.Path(f"/proc/{process.pid}/cmdline").read_bytes(), "the other program")
            before = len(session.results())
            session.until(lambda results: len(results) > before + 20)
            _, said = session.end()
            assert "jump" in "".join(methods(session)["work"]) and "alone" not in said, (methods(session), said)
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=PATIENCE)[0] == b"status 0\n" and process.returncode == 0, process.returncode
    finally:
        process.kill()
        process.communicate()


def refused():
    """where the agent is not let in there are uprobes, and why is told once"""
    libc = ctypes.CDLL(None, use_errno=True)
    with Target() as target:
        if libc.ptrace(PTRACE_SEIZE, target.process.pid, None, None) != 0:
            raise Skip("ptrace is refused")
        try:
            with Session(target.pid, place(), "deep", "--log", "x", "--status") as session:
                session.until(lambda results: len(results) > 50)
                _, said = session.end()
                assert methods(session) == {place(): {"uprobe"}, "deep": {"uprobe"}}, methods(session)
                assert said.count("by uprobes alone, no jumps: ") == 1 and "traced" in said, said
            with Session(target.pid, place(), "--log", "x", "--engine", "agent") as session:
                until(lambda: session.process.poll() is not None, "it to end")
                assert session.process.returncode == 1 and "traced" in session.said(), session.said()
        finally:
            libc.ptrace(PTRACE_INTERRUPT, target.process.pid, None, None)
            os.waitpid(target.process.pid, 0x40000000)
            libc.ptrace(PTRACE_DETACH, target.process.pid, None, None)


def unprivileged():
    """without the right to uprobes there are jumps; root finds the session"""
    if os.geteuid() != 0:
        raise Skip("only root can become another user")
    user = pwd.getpwnam("nobody")
    FOLDER.chmod(0o755)
    program = shutil.copy(FOLDER / "watched", FOLDER / "of_nobody")
    strobe = pathlib.Path(STROBE).resolve()
    environment = {**os.environ, "HOME": "/"}
    environment.pop("XDG_RUNTIME_DIR", None)
    (FOLDER / "nobody").mkdir()
    os.chown(FOLDER / "nobody", user.pw_uid, user.pw_gid)
    output = FOLDER / "nobody" / "results"
    try:
        subprocess.run([strobe, "--version"], user=user.pw_uid, group=user.pw_gid, extra_groups=[], cwd="/", env=environment, check=True,
                       capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Skip("this folder is not open to other users") from error
    process = subprocess.Popen([strobe, "watch", place(), "deep", "--log", "x", "-o", output, "--status", "--", program, "1000000", "1"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, user=user.pw_uid, group=user.pw_gid, extra_groups=[],
                               cwd="/", env=environment)
    program_pid = 0
    try:
        until(lambda: process.poll() is not None or (output.exists() and output.read_text()), "results")
        if process.poll() is not None:
            raise Skip(process.stderr.read().strip())  # this folder is not open to other users, say
        name = f"w{process.pid}"
        listed = json.loads(subprocess.run([STROBE, "watch", "--list", "--json"], capture_output=True, text=True, check=True).stdout)
        found = [s for s in listed["sessions"] if s["session"] == name]
        assert len(found) == 1 and found[0]["user"] == user.pw_uid and found[0]["armed"] == 2, listed
        program_pid = found[0]["pid"]
        subprocess.run([STROBE, "watch", "--remove", name], check=True, timeout=2 * PATIENCE)
        os.kill(program_pid, signal.SIGTERM)
        out, said = process.communicate(timeout=2 * PATIENCE)
    finally:
        process.kill()
        if process.wait() != 3 and program_pid:
            os.kill(program_pid, signal.SIGKILL)
    assert process.returncode == 3 and out == "output is the program's own\n", (process.returncode, out)
    assert said.count("by jumps alone, no uprobes: ") == 1, said
    statuses = [json.loads(row) for row in output.read_text().splitlines() if '"kind":"status"' in row]
    assert len(statuses) == 2 and all("jump" in a["method"] for s in statuses for a in s["armed"]), statuses


def killed():
    """strobe killed while it prepares a program's start: the program goes on"""
    for i in range(20):
        marker = FOLDER / f"marker-{i}"
        process = subprocess.Popen([STROBE, "watch", place(), "deep", "--log", "x", "-o", FOLDER / "killed", "--", FOLDER / "marks", marker],
                                   stderr=subprocess.DEVNULL)
        time.sleep(0.01 * i)
        process.kill()
        process.wait()
        time.sleep(0.02)
        # If there is a program it must come to its end; before that there is a child that waits to be followed, and ends, too.
        until(lambda: not [p for p in children_named("marks", str(marker)) if p], "the program to end")
    assert list(FOLDER.glob("marker-*")), "no program was ever begun"


def children_named(name, argument):
    """Processes that execute the program with the argument."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes().split(b"\0")
            if pathlib.Path(os.fsdecode(words[0])).name == name and os.fsencode(argument) in words:
                found.append(path.name)
        except (OSError, IndexError):
            pass
    return found


CASES = [chosen, begun, children, replaced, refused, unprivileged, killed]


def prepare():
    subprocess.run([CC, "-g", "-O0", "-pthread", "-o", FOLDER / "watched", SOURCES / "watched.c", "-ldl"], check=True)
    (FOLDER / "marks.c").write_text("#include <fcntl.h>\nint main(int c, char **v) { return open(v[c - 1], O_CREAT | O_WRONLY, 0600) < 0; }\n")
    subprocess.run([CC, "-o", FOLDER / "marks", FOLDER / "marks.c"], check=True)


sys.exit(watching.main(CASES, prepare))
