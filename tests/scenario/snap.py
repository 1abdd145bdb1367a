#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Snapshots of living processes: what is written where, and what is not. TAP on stdout.

usage: snap.py STROBE SPINNER
"""
import collections
import json
import os
import pathlib
import pty
import re
import resource
import shutil
import signal
import stat
import struct
import subprocess
import sys
import time

from demo_core import Cases
from spinner import Command, Spinner, alive

SNAP = {"file", "hold", "pid", "threads", "pause_ns", "total_ns", "memory_bytes", "written_bytes", "method", "method_why",
        "not_atomic"}


def files(command):
    return sorted(os.listdir(command.files))


def untouched(pid):
    """The process runs, nobody traces it, and it has no child."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    kids = pathlib.Path(f"/proc/{pid}/task/{pid}/children")
    return alive(pid) and "TracerPid:\t0\n" in status and (not kids.exists() or not kids.read_text().strip())


def to_a_file(cases, command, spinner):
    one = command.json("snap", spinner.pid, "-o", "a.core")
    path = os.path.join(command.files, "a.core")
    mode = os.stat(path)
    cases.check(set(one) == SNAP and one["file"] == "a.core" and one["hold"] is None and one["pid"] == spinner.pid and
                one["threads"] == 4 and one["method"] == "clone" and one["pause_ns"] > 0 and
                one["total_ns"] >= one["pause_ns"] and one["memory_bytes"] > 0, "JSON has what is documented", one)
    cases.check(stat.S_IMODE(mode.st_mode) == 0o600 and 0 < one["written_bytes"] <= mode.st_size + 4096 and
                files(command) == ["a.core"], "the file is for its owner, and alone", oct(mode.st_mode), files(command))
    value = command.json("print", "a.core", "counter - twin")["value"]
    cases.check(value in ("0", "1"), "it holds one instant", value)
    status, output, errors = command.run("snap", spinner.pid, "-o", "a.core")
    cases.check(status == 0 and re.fullmatch(
        rf"{spinner.pid} \(spinner\): 4 threads, stopped [\d.]+ .?s, [\d.]+ [MKG]iB -> a\.core [\d.]+ [MK]iB in [\d.]+ .?s; clone\n",
        output), "one line tells people", output, errors)
    cases.check(untouched(spinner.pid), "the process is as it was")


def default_name(cases, command, spinner):
    name = f"spinner.{spinner.pid}.core"
    status, _, errors = command.run("snap", spinner.pid)
    cases.check(status == 0 and name in files(command), "without -o the file is NAME.PID.core", errors)
    before = os.stat(os.path.join(command.files, name)).st_ino
    status, _, errors = command.run("snap", spinner.pid)
    cases.check(status == 1 and "--force" in errors and errors.count("\n") == 1 and
                os.stat(os.path.join(command.files, name)).st_ino == before, "which never replaces another", errors)
    status, _, errors = command.run("snap", spinner.pid, "--force")
    cases.check(status == 0, "unless that is wanted", errors)


def to_a_pipe(cases, command, spinner):
    process = subprocess.Popen([command.strobe, "snap", str(spinner.pid), "-o", "-", "--json"], env=command.environment,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    output, errors = process.communicate(timeout=60)
    path = pathlib.Path(command.files) / "piped.core"
    path.write_bytes(output)
    cases.check(process.returncode == 0 and json.loads(errors.splitlines()[0])["file"] == "-", "a snapshot goes to a pipe, its JSON beside it",
                errors[:500])
    status, text, problems = command.run("bt", "piped.core")
    cases.check(status == 0 and "spin (" in text and "truncated" not in problems, "and is whole", text, problems)
    read, write = os.pipe()
    os.close(read)
    process = subprocess.run([command.strobe, "snap", str(spinner.pid), "-o", "-"], stdout=write, stderr=subprocess.PIPE,
                             env=command.environment, text=True, check=False, timeout=60)
    os.close(write)
    cases.check(process.returncode == 1 and "Broken pipe" in process.stderr and untouched(spinner.pid),
                "a reader that is gone is an error like any other", process.stderr)


def no_room(cases, command, spinner):
    before = files(command)
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100000, 100000))
    status, _, errors = command.run("snap", spinner.pid, "-o", "large.core", preexec_fn=limit)
    cases.check(status == 1 and errors.startswith("strobe: snap: ") and errors.count("\n") == 1 and files(command) == before
                and untouched(spinner.pid), "a file that may not grow leaves nothing", status, errors, files(command))
    small = os.path.join(command.files, "small")
    os.mkdir(small)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", small], capture_output=True, check=False)
    if mounted.returncode == 0:
        status, _, errors = command.run("snap", spinner.pid, "-o", "small/x.core")
        left = os.listdir(small)
        subprocess.run(["umount", small], check=True)
        cases.check(status == 1 and "No space left" in errors and errors.count("\n") == 1 and left == [],
                    "a full disk leaves nothing", errors, left)
    else:
        print("# no mount here: a full disk is not tried")
    os.rmdir(small)
    status, _, errors = command.run("snap", spinner.pid, "-o", "no/such/folder/x.core")
    cases.check(status == 1 and "No such file" in errors and errors.count("\n") == 1, "a folder that is not there", errors)


def cancelled(cases, command, program):
    """Ctrl-C and SIGTERM at several moments of a long write."""
    large = Spinner(program, 300)
    good, seen = True, set()
    for number in (signal.SIGINT, signal.SIGTERM):
        for moment in (0.02, 0.1, 0.3):
            before = files(command)
            process = command.start("snap", large.pid, "-o", "long.core.zst", "--level", "19")
            time.sleep(moment)
            process.send_signal(number)
            _, errors = process.communicate(timeout=60)
            seen.add(process.returncode)
            # Before its handlers stand it just ends, as any program.
            said = process.returncode == -number or (process.returncode == 1 and f"cancelled by {number.name}" in errors
                                                     and errors.count("\n") == 1)
            if not said or files(command) != before or not untouched(large.pid):
                good = False
                print("#", number, moment, process.returncode, errors, files(command))
    cases.check(good and 1 in seen, "Ctrl-C and SIGTERM leave no file, and the process as it was", seen)
    large.end()


def progress(cases, command, program):
    """On a terminal there is a bar, which goes; elsewhere there is none."""
    large = Spinner(program, 200)
    main, terminal = pty.openpty()
    process = subprocess.Popen([command.strobe, "snap", str(large.pid), "-o", "bar.core.zst", "--level", "12"],
                               env=command.environment, cwd=command.files, stdout=subprocess.PIPE, stderr=terminal)
    os.close(terminal)
    seen = b""
    while True:
        try:
            part = os.read(main, 4096)
        except OSError:
            break
        if not part:
            break
        seen += part
    process.communicate(timeout=60)
    os.close(main)
    cases.check(process.returncode == 0 and b"%" in seen and b"/s" in seen and seen.endswith(b"\r\x1b[K"),
                "a terminal gets a bar that goes when it is done", seen[:300])
    status, _, errors = command.run("snap", large.pid, "-o", "bar.core.zst", "--level", "12")
    cases.check(status == 0 and errors == "", "nothing else gets one", errors)
    large.end()


def all_of(cases, command, program):
    copy = os.path.join(command.folder, "twins")
    shutil.copy(program, copy)
    twins = [Spinner(copy), Spinner(copy)]
    pids = {twin.pid for twin in twins}
    many = command.json("snap", "--all-of", "twins", "-o", "%n-%p.core")["snapshots"]
    cases.check({one["pid"] for one in many} == pids and
                {one["file"] for one in many} == {f"twins-{pid}.core" for pid in pids} <= set(files(command)),
                "all processes of a name are taken", many)
    os.mkdir(os.path.join(command.files, "d"))
    status, output, errors = command.run("snap", "--all-of", "twins", "-o", "d")
    cases.check(status == 0 and output.count("\n") == 2 and
                set(os.listdir(os.path.join(command.files, "d"))) == {f"twins.{pid}.core" for pid in pids},
                "a directory gets a file for each", output, errors)
    command.json("snap", twins[0].pid, "--hold", "copy")
    many = command.json("snap", "--all-of", "twins", "-o", "again-%p.core")["snapshots"]
    cases.check({one["pid"] for one in many} == pids, "frozen copies of that name are not taken for processes", many)
    command.run("held", "drop", "copy")
    status, _, errors = command.run("snap", "twins")
    cases.check(status == 1 and all(str(pid) in errors for pid in pids) and "--all-of twins" in errors,
                "a name where an id is wanted is answered by the ids", errors)
    for output in ("x.core", "-", "%q-%p"):
        status, _, errors = command.run("snap", "--all-of", "twins", "-o", output)
        cases.check(status == 2 and errors.count("\n") == 1, f"-o {output} cannot hold several", errors)
    for twin in twins:
        twin.end()
    status, output, errors = command.run("snap", "--all-of", "twins")
    cases.check(status == 1 and "no process" in errors and output == "", "a name that nobody has is an error", errors)


def tree(cases, command, program):
    family = Spinner(program, 1, 2)
    kids = [int(pid) for pid in
            pathlib.Path(f"/proc/{family.pid}/task/{family.pid}/children").read_text(encoding="utf-8").split()]
    many = command.json("snap", "--tree", family.pid, "-o", "tree-%p.core")["snapshots"]
    cases.check([one["pid"] for one in many][0] == family.pid and {one["pid"] for one in many} == {family.pid, *kids}
                and len(kids) == 2, "a process and its descendants are taken, it first", many, kids)
    cases.check(all(command.run("bt", one["file"])[0] == 0 for one in many), "each file can be read")
    status, _, errors = command.run("snap", "--tree", 999999999)
    cases.check(status == 1 and errors.count("\n") == 1, "a tree without a root is an error", errors)
    family.end()


def bad_usage(cases, command, spinner):
    pid = str(spinner.pid)
    for words in ((), (pid, "--tree", pid), ("--tree", "x"), (pid, "--hold", "x", "-o", "y"), ("--hold", "x"),
                  (pid, "--contents", "some"), (pid, "--level", "20"), (pid, "--level", "0"), (pid, "--redact", "all"),
                  (pid, "--redact", "strings,"), (pid, "--shared-budget", "much"), (pid, "--stop-limit", "0"),
                  ("name", "--hold", "x"), (pid, pid)):
        status, output, errors = command.run("snap", *words)
        cases.check(status == 2 and output == "" and errors.count("\n") == 1, f"snap {' '.join(words).replace(pid, 'PID')} is bad usage",
                    status, errors)
    for target, what in (("999999999", "999999999"), ("./nosuch.core", "nosuch"), ("@nosuch", "@nosuch"), ("no-such-name", "no-such-name")):
        status, output, errors = command.run("snap", target, "-o", "none.core")
        cases.check(status == 1 and what in errors and errors.count("\n") == 1 and output == "" and "none.core" not in files(command),
                    f"snap {target} says what is wrong", errors)


def converting(cases, command, spinner):
    before = command.json("snap", spinner.pid, "-o", "plain.core")
    value = command.json("print", "plain.core", "counter")["value"]
    again = command.json("snap", "plain.core", "-o", "packed.core.zst", "--compress")
    cases.check(again["pid"] == spinner.pid and again["method"] == before["method"] and again["pause_ns"] == before["pause_ns"],
                "a file is written as another, and keeps how it was taken", again, before)
    cases.check(command.json("print", "packed.core.zst", "counter")["value"] == value, "with what it held")
    small = command.json("snap", "plain.core", "-o", "small.core", "--contents", "stacks")
    status, text, errors = command.run("bt", "small.core")
    cases.check(status == 0 and small["written_bytes"] < before["written_bytes"] and text.count("turn (") == 3,
                "stacks alone are smaller, and there", small, text, errors)


def since(cases, command, program):
    """A chain of two: small, whole to look at, told when a link is missing."""
    one = Spinner(program, 40)
    first = command.json("snap", one.pid, "-o", "first.core")
    time.sleep(0.2)
    second = command.json("snap", one.pid, "-o", "second.core", "--since", "first.core")
    cases.check(second["written_bytes"] < first["written_bytes"] / 5, "what did not change is not written again", first, second)
    value = command.json("print", "second.core", "counter", "memory[1000]@8")
    whole = command.json("snap", "second.core", "-o", "whole.core")
    cases.check(whole["written_bytes"] > first["written_bytes"] / 2 and
                command.json("print", "whole.core", "counter", "memory[1000]@8") == value and
                int(value["values"][0]["value"]) > int(command.json("print", "first.core", "counter")["value"]),
                "a chain is written as one file", value, whole)
    os.rename(os.path.join(command.files, "first.core"), os.path.join(command.files, "elsewhere.core"))
    status, _, errors = command.run("info", "second.core")
    cases.check(status == 0 and "first.core" in errors, "a link that is missing is named", errors)
    status, _, errors = command.run("snap", one.pid, "-o", "third.core", "--since", "first.core")
    cases.check(status == 1 and "first.core" in errors and "third.core" not in files(command), "nothing builds on what is not there",
                errors)
    one.end()


def redacted(cases, command, program):
    secret = "s3cr3t-of-the-test"
    one = Spinner(program, env={**command.environment, "TEST_SECRET": secret})
    path = os.path.join(command.files, "redacted.core")
    command.json("snap", one.pid, "-o", "open.core")
    found = {}
    for words in (("--redact", "environment"), ("--redact=strings,environment",),
                  ("--redact-pattern", "nothing", "--redact-pattern", "s3cr3t[a-z-]+")):
        status, _, errors = command.run("snap", one.pid, "-o", "redacted.core", *words)
        found[words] = errors if status else secret.encode() in pathlib.Path(path).read_bytes()
        status, text, errors = command.run("bt", "redacted.core")
        if status or "spin (" not in text:
            found[words] = text + errors
    plain = pathlib.Path(command.files, "open.core").read_bytes()
    cases.check(secret.encode() in plain and not any(found.values()), "secrets are not written when told so", found)
    status, _, errors = command.run("snap", one.pid, "-o", "x.core", "--redact-pattern", "a(b")
    cases.check(status == 1 and errors.count("\n") == 1 and "x.core" not in files(command), "a pattern that is none", errors)
    one.end()


def verified(cases, command, spinner):
    for name, options in (("checked.core", ()), ("checked.core.zst", ("--compress",))):
        command.json("snap", spinner.pid, "-o", name, *options)
        status, output, errors = command.run("info", name, "--verify")
        cases.check(status == 0 and re.fullmatch(r"\d+ pages, all as they were written\n", output), f"{name} is as it was written",
                    output, errors)
    path = os.path.join(command.files, "checked.core")
    maps = command.json("maps", "checked.core")["mappings"]
    stack = next(int(mapping["start"], 16) for mapping in maps if mapping["path"] == "[stack]")
    with open(path, "rb") as file:
        headers = file.read(4 << 20)
    count = int.from_bytes(headers[56:58], "little")
    loads = [struct.unpack_from("<IIQQQQQQ", headers, 64 + 56 * index) for index in range(count)]
    # Zeros lead to a hole that many share.
    places = collections.Counter(load[2] for load in loads if load[5])
    offset, address = next((load[2], load[3]) for load in loads
                           if load[0] == 1 and load[5] and load[3] >= stack and places[load[2]] == 1)
    with open(path, "r+b") as file:
        file.seek(offset + 4095)
        byte = file.read(1)[0]
        file.seek(offset + 4095)
        file.write(bytes([byte ^ 1]))
    status, output, errors = command.run("info", "checked.core", "--verify")
    cases.check(status == 1 and output == "" and errors.count("\n") == 1 and "1 of " in errors and
                f"the first is at 0x{offset:x}, memory 0x{address:x}" in errors, "a bit that was turned is found", status, errors)

    path = os.path.join(command.files, "checked.core.zst")
    whole = pathlib.Path(path).read_bytes()
    plain = subprocess.run(["zstd", "-dcq", path], check=True, capture_output=True).stdout
    found, missed = 0, []
    for place in range(len(whole) // 10, len(whole) - len(whole) // 10, len(whole) // 10):
        turned = bytearray(whole)
        turned[place] ^= 1
        pathlib.Path(path).write_bytes(turned)
        status, output, errors = command.run("info", "checked.core.zst", "--verify")
        if status == 1 and output == "" and "damaged" in errors:
            found += 1
        # Some bits mean nothing (padding, the window's size): then the contents are the same.
        elif subprocess.run(["zstd", "-dcq", path], check=False, capture_output=True).stdout != plain:
            missed.append((place, status, errors))
    cases.check(found >= 3 and not missed, "so is one of a compressed file", found, missed)


GUARDED = """
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
area = libc.mmap(None, ctypes.c_size_t(1 << 20), 3, 0x22, -1, ctypes.c_long(0))
ctypes.memset(area, 7, 1 << 20)
print(area if libc.madvise(ctypes.c_void_p(area + 65536), ctypes.c_size_t(8192), 102) == 0 else 0, flush=True)
sys.stdin.read()
"""


def guarded(cases, command, _):
    """MADV_GUARD_INSTALL, which newer C libraries use for the ends of stacks: memory that nobody can read."""
    process = subprocess.Popen([sys.executable, "-c", GUARDED], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    area = int(process.stdout.readline())
    try:
        if not area:
            cases.check(True, "guard pages # SKIP the kernel has none")
            return
        for options in ((), ("--contents", "full"), ("--compress",)):
            command.json("snap", process.pid, "-o", "guarded.core", "--force", *options)
            for at, size in ((area + 65536 - 16, 16), (area + 65536 + 8192, 16)):
                status, output, errors = command.run("mem", "read", "guarded.core", hex(at), size)
                cases.check(status == 0 and "07 07 07 07" in output, f"what is beside guard pages is there {options}", output, errors)
            status, output, errors = command.run("mem", "read", "guarded.core", hex(area + 65536), 16)
            cases.check(status == 1 or "07" not in output, f"guard pages are not {options}", output, errors)
    finally:
        process.stdin.close()
        process.wait()
        process.stdout.close()


def main():
    strobe, program = sys.argv[1:3]
    cases, command = Cases(), Command(strobe)
    spinner = Spinner(program)
    try:
        for part in (to_a_file, default_name, to_a_pipe, no_room, converting, verified, bad_usage):
            part(cases, command, spinner)
        for part in (cancelled, progress, all_of, tree, since, redacted, guarded):
            part(cases, command, program)
        cases.check(untouched(spinner.pid), "after all that the process is as it was")
    finally:
        command.end()
        spinner.end()
    cases.end()


if __name__ == "__main__":
    main()
