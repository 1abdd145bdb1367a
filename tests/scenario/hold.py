#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Frozen copies that have names: who holds them, who reads them, how they end. TAP on stdout.

usage: hold.py STROBE SPINNER
"""
import os
import pathlib
import re
import shutil
import signal
import sys
import time

from demo_core import Cases
from spinner import Command, Spinner, alive, gone_within, kill

HELD = {"name", "gone", "problem", "pid", "process", "time", "age_ns", "threads", "pause_ns", "method", "memory_bytes",
        "private_bytes", "keeper"}


def held(command):
    return {one["name"]: one for one in command.json("held")["held"]}


def related(field, pids):
    """Every living process whose `field` in /proc/PID/status is one of `pids`."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/status"):
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        match = re.search(rf"^{field}:\t(\d+)$", text, re.M)
        if match and int(match[1]) in pids and alive(int(path.parent.name)):
            found.append(int(path.parent.name))
    return found


def clones(keeper):
    """What one of a keeper's threads traces."""
    return related("TracerPid", {int(tid) for tid in os.listdir(f"/proc/{keeper}/task")})


def keepers_of(folder):
    """Living keepers whose names are below `folder`."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/comm"):
        try:
            if path.read_text(encoding="utf-8").strip() == "strobe-keeper" and \
                    os.fsencode(folder) in path.with_name("environ").read_bytes() and alive(int(path.parent.name)):
                found.append(int(path.parent.name))
        except (OSError, UnicodeDecodeError):
            continue
    return found


def take_and_read(cases, command, spinner):
    taken = command.json("snap", spinner.pid, "--hold", "first")
    cases.check(taken["hold"] == "first" and taken["file"] is None and taken["pid"] == spinner.pid and
                taken["threads"] == 4 and taken["method"] == "clone", "a copy is taken and has a name", taken)
    one = held(command)["first"]
    cases.check(set(one) == HELD and one["pid"] == spinner.pid and not one["gone"] and one["process"] == "spinner"
                and one["threads"] == 4, "held lists it", one)
    status, output, _ = command.run("held")
    cases.check(status == 0 and re.search(rf"^@first +{spinner.pid} +spinner +\d+s +clone +\S+ \S+ +{one['keeper']}$",
                                          output, re.M), "held shows it in a table", output)
    readers = [command.start("print", "@first", "counter", "counter - twin", "turns", "--json") for _ in range(3)]
    time.sleep(0.2)
    readers += [command.start("print", "@first", "counter", "counter - twin", "turns", "--json")]
    texts = [reader.communicate(timeout=60)[0] for reader in readers]
    cases.check(len(set(texts)) == 1 and '"value"' in texts[0] and "error" not in texts[0],
                "several commands read the same frozen values at once", *texts)
    status, output, errors = command.run("bt", "@first")
    cases.check(status == 0 and "spin (" in output and output.count("turn (") == 3, "stacks are those of the copy",
                output, errors)
    return one


def many(cases, command, spinner):
    values = []
    for i in range(3):
        status, _, errors = command.run("snap", spinner.pid, "--hold", f"many{i}")
        assert status == 0, errors
        values.append(int(command.json("print", f"@many{i}", "counter")["value"]))
        time.sleep(0.05)
    cases.check(values == sorted(set(values)), "copies of one process each have their instant", values)
    names = [name for name in held(command) if name.startswith("many")]
    status, output, errors = command.run("held", "drop", "many0", "@many1")
    left = held(command)
    cases.check(status == 0 and len(names) == 3 and "many2" in left and not {"many0", "many1"} & set(left),
                "copies are dropped by name", output, errors, left)
    again = int(command.json("print", "@many2", "counter")["value"])
    cases.check(again == values[2], "the ones that stay are as they were", values, again)


def names(cases, command, spinner, first):
    status, output, errors = command.run("snap", spinner.pid, "--hold", "first")
    cases.check(status == 1 and errors.count("\n") == 1 and "is in use since" in errors and output == "" and
                f"keeper {first['keeper']}" in errors, "a name in use is refused, with who has it and since when", errors)
    for name in ("../x", "", "a b", ".lock", "x" * 65):
        status, _, errors = command.run("snap", spinner.pid, f"--hold={name}")
        cases.check(status == 1 and "no name for a frozen copy" in errors, f"the name '{name[:10]}' is refused", errors)
    status, _, errors = command.run("bt", "@nosuch")
    cases.check(status == 1 and errors.startswith("strobe: bt: @nosuch: no frozen copy has this name"),
                "an unknown name is told as such", errors)
    status, _, errors = command.run("held", "drop", "nosuch")
    cases.check(status == 1 and "no frozen copy" in errors, "dropping an unknown name fails", errors)
    status, _, errors = command.run("snap", 999999999, "--hold", "nobody")
    cases.check(status == 1 and errors.count("\n") == 1 and "nobody" not in held(command),
                "a process that does not exist leaves no name behind", errors)


def keeper_killed(cases, command, spinner):
    command.json("snap", spinner.pid, "--hold", "doomed")
    keeper = held(command)["doomed"]["keeper"]
    copies = clones(keeper)
    kill(keeper)
    cases.check(len(copies) == 1 and all(gone_within(pid) for pid in copies),
                "a keeper that is killed takes its copy with it", copies)
    cases.check(held(command)["doomed"]["gone"], "held says that it is gone")
    status, _, errors = command.run("info", "@doomed")
    cases.check(status == 1 and "its keeper has ended" in errors and errors.count("\n") == 1,
                "reading it says so, too", errors)
    status, _, errors = command.run("snap", spinner.pid, "--hold", "doomed")
    cases.check(status == 0 and not held(command)["doomed"]["gone"], "its name can be taken again", errors)
    kill(held(command)["doomed"]["keeper"])
    time.sleep(0.1)
    status, _, errors = command.run("held", "drop", "doomed")
    cases.check(status == 0 and "doomed" not in held(command), "dropping it forgets the name", errors)


def keeper_signals(cases, command, spinner):
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        command.json("snap", spinner.pid, "--hold", "told")
        keeper = held(command)["told"]["keeper"]
        copies = clones(keeper)
        os.kill(keeper, number)
        cases.check(gone_within(keeper) and copies and all(gone_within(pid) for pid in copies) and
                    "told" not in held(command), f"{number.name} ends a keeper, its copy and its name")
    command.json("snap", spinner.pid, "--hold", "told")
    keeper = held(command)["told"]["keeper"]
    kill(clones(keeper)[0])
    cases.check(gone_within(keeper) and "told" not in held(command), "a keeper ends when its copy is killed")


def keeper_stopped(cases, command, spinner):
    """One that hangs is told, and hides nothing."""
    for name in ("hangs", "works"):
        command.json("snap", spinner.pid, "--hold", name)
    keeper = held(command)["hangs"]["keeper"]
    os.kill(keeper, signal.SIGSTOP)
    status, output, errors = command.run("held")
    cases.check(status == 0 and re.search(rf"^@hangs .*silent.* {keeper}$", output, re.M) and "@works" in output
                and "does not answer" in errors, "a keeper that hangs is told, and hides no other", output, errors)
    os.kill(keeper, signal.SIGCONT)
    cases.check(not held(command)["hangs"]["problem"], "it is there again when it goes on")
    command.run("held", "drop", "hangs", "works")


def at_once(cases, command, spinner):
    """Many take one name: one gets it."""
    takers = [command.start("snap", spinner.pid, "--hold", "wanted") for _ in range(8)]
    ends = [(taker.communicate(timeout=60)[1], taker.returncode) for taker in takers]
    won = [errors for errors, status in ends if status == 0]
    cases.check(len(won) == 1 and all("in use" in errors for errors, status in ends if status) and
                not held(command)["wanted"]["gone"], "of many that want one name, one gets it", ends)
    command.run("held", "drop", "wanted")


def settled(command, name):
    """The entry of a name that a keeper may be about to take or to give back: None or an answer."""
    end = time.monotonic() + 10
    while True:
        found = held(command).get(name)
        if not found or not found["problem"] or time.monotonic() > end:
            return found
        time.sleep(0.05)


def taker_killed(cases, command, spinner):
    """Killed at any moment, the command leaves a whole copy or none."""
    strays, whole = [], 0
    for i in range(12):
        process = command.start("snap", spinner.pid, "--hold", "left")
        time.sleep(0.008 * i)
        process.kill()
        process.communicate(timeout=60)
        found = settled(command, "left")
        status, output, _ = command.run("print", "@left", "counter - twin")
        whole += status == 0
        if (found and status != 0) or (status == 0 and output.strip() not in ("0", "1")):
            strays.append((i, found, status, output))
        command.run("held", "drop", "left")
    end = time.monotonic() + 5
    while related("PPid", {spinner.pid}) and time.monotonic() < end:
        time.sleep(0.05)
    print(f"# {whole} of 12 were whole")
    cases.check(not strays and not related("PPid", {spinner.pid}) and "left" not in held(command),
                "a command that is killed leaves a whole copy or none", strays)


def no_clone(cases, command, spinner):
    taken = command.json("snap", spinner.pid, "--hold", "copied", "--no-clone")
    value = command.json("print", "@copied", "counter - twin")["value"]
    cases.check(taken["method"] == "copy" and taken["method_why"] and value in ("0", "1"),
                "a copy that is no clone is held, too", taken, value)
    command.run("held", "drop", "copied")


def keeper_is_apart(cases, first):
    keeper = first["keeper"]
    status = pathlib.Path(f"/proc/{keeper}/status").read_text(encoding="utf-8")
    stat = pathlib.Path(f"/proc/{keeper}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    cases.check("Name:\tstrobe-keeper\n" in status, "a keeper has a name of its own", status)
    cases.check(int(stat[3]) not in (os.getsid(0), keeper) and stat[4] == "0",
                "it is in a session without a terminal, and does not lead it", stat)
    links = [os.readlink(f"/proc/{keeper}/fd/{fd}") for fd in os.listdir(f"/proc/{keeper}/fd")]
    cases.check(links.count("/dev/null") == 3 and not any("/files" in link or link.startswith("pipe:") for link in links),
                "it has none of the caller's files", links)
    rollup = pathlib.Path(f"/proc/{keeper}/smaps_rollup").read_text(encoding="utf-8")
    private = sum(int(size) for size in re.findall(r"^Private_(?:Clean|Dirty): +(\d+)", rollup, re.M))
    cases.check(private < 12 * 1024, "it costs less than 12 MiB", rollup)


def together(cases, command, program):
    """Several processes at one instant, held by one keeper, each under its own name."""
    # Others run spinners, too: a name of our own.
    name = f"twin{os.getpid()}"
    own = shutil.copy(program, os.path.join(command.folder, name))
    spinner, other = Spinner(own), Spinner(own)
    try:
        hold_together(cases, command, name, spinner, other)
    finally:
        spinner.end()
        other.end()


def hold_together(cases, command, name, spinner, other):
    status, _, errors = command.run("snap", "--all-of", name, "--hold", "all")
    cases.check(status == 2 and "%p" in errors, "several copies want a name with %p in it", errors)
    status, _, errors = command.run("snap", "--all-of", name, "--hold", "all-%q")
    cases.check(status == 2 and "%q" in errors, "and no other escapes", errors)
    pids = {spinner.pid, other.pid}
    many = {one["pid"]: one for one in command.json("snap", "--all-of", name, "--hold", "%n.%p")["snapshots"]}
    cases.check(pids == set(many) and all(one["hold"] == f"{name}.{pid}" and one["file"] is None for pid, one in many.items()),
                "all processes of a name are held", many)
    keepers = {held(command)[one["hold"]]["keeper"] for one in many.values()}
    cases.check(len(keepers) == 1 and len(clones(*keepers)) == len(many), "by one keeper, a clone each", keepers)
    values = [int(command.json("print", f"@{name}.{pid}", "counter")["value"]) for pid in pids]
    cases.check(len(set(values)) == 2, "each is its own process", values)
    for pid in set(many) - {spinner.pid}:
        command.run("held", "drop", f"{name}.{pid}")
    left = held(command)
    cases.check(f"{name}.{other.pid}" not in left and f"{name}.{spinner.pid}" in left and
                int(command.json("print", f"@{name}.{spinner.pid}", "counter")["value"]) in values,
                "one that is dropped takes no other along", left)
    status, output, errors = command.run("snap", "--all-of", name, "--hold", name + ".%p", "--json")
    cases.check(status == 1 and f"{name}.{spinner.pid} is in use" in errors and f'"{name}.{other.pid}"' in output,
                "a name in use is refused alone", output, errors)
    keeper, = keepers
    command.run("held", "drop", f"{name}.{spinner.pid}")
    cases.check(gone_within(keeper), "the keeper ends with its last copy")
    one = held(command)[f"{name}.{other.pid}"]
    copies = clones(one["keeper"])
    kill(one["keeper"])
    cases.check(copies and all(gone_within(pid) for pid in copies), "one that is killed takes all its copies along", copies)
    tree = command.json("snap", "--tree", spinner.pid, "--hold", "tree-%p")["snapshots"]
    cases.check([one["hold"] for one in tree] == [f"tree-{spinner.pid}"], "a tree of processes is held", tree)
    command.run("held", "drop", "--all")


def outlives(cases, command, spinner):
    """The command's whole session goes; the keeper stays; then the process goes; the copy stays."""
    process = command.start("snap", spinner.pid, "--hold", "stays", start_new_session=True)
    process.communicate(timeout=60)
    try:
        os.killpg(process.pid, signal.SIGHUP)
    except ProcessLookupError:
        pass
    before = command.json("print", "@stays", "counter")["value"]
    spinner.end()
    after = command.json("print", "@stays", "counter")["value"]
    cases.check(before == after, "a copy outlives the command's session, and its process", before, after)
    status, output, errors = command.run("snap", "@stays", "-o", "stays.core")
    cases.check(status == 0, "it can be written to a file", output, errors)
    if status == 0:
        value = command.json("print", "stays.core", "counter")["value"]
        cases.check(value == before, "the file holds what the copy held", value, before)


def unsafe_place(cases, command, spinner):
    place = os.path.join(command.folder, "strobe")
    command.run("held", "drop", "--all")
    os.rename(place, place + ".real")
    os.symlink(place + ".real", place)
    for words in (("snap", spinner.pid, "--hold", "x"), ("held",), ("info", "@x"), ("held", "drop", "x")):
        status, _, errors = command.run(*words)
        cases.check(status == 1 and "not safe" in errors and errors.count("\n") == 1,
                    f"{words[0]} refuses a directory of names that is a link", errors)
    os.unlink(place)
    os.rename(place + ".real", place)
    os.chmod(place, 0o755)
    status, _, errors = command.run("snap", spinner.pid, "--hold", "x")
    cases.check(status == 1 and "not safe" in errors, "and one that others may enter", errors)
    os.chmod(place, 0o700)
    if os.geteuid() == 0:
        os.chown(place, 12345, 12345)
        status, _, errors = command.run("snap", spinner.pid, "--hold", "x")
        cases.check(status == 1 and "belongs to user 12345" in errors, "and another user's", errors)
        os.chown(place, 0, 0)


def main():
    strobe, program = sys.argv[1:3]
    cases, command = Cases(), Command(strobe)
    spinner, other = Spinner(program), Spinner(program)
    try:
        first = take_and_read(cases, command, spinner)
        keeper_is_apart(cases, first)
        names(cases, command, spinner, first)
        many(cases, command, spinner)
        keeper_killed(cases, command, spinner)
        keeper_signals(cases, command, spinner)
        for part in (keeper_stopped, at_once, taker_killed, no_clone):
            part(cases, command, spinner)
        together(cases, command, program)
        outlives(cases, command, other)
        keepers = [one["keeper"] for one in held(command).values()]
        status, _, errors = command.run("held", "drop", "--all")
        cases.check(status == 0 and keepers and all(gone_within(keeper) for keeper in keepers) and not held(command),
                    "all are dropped at once", errors)
        cases.check(alive(spinner.pid) and not related("PPid", {spinner.pid}), "the process runs on, and has no child left")
        unsafe_place(cases, command, spinner)
        cases.check(not keepers_of(command.folder), "no keeper is left", keepers_of(command.folder))
    finally:
        command.end()
        spinner.end()
        other.end()
    cases.end()


if __name__ == "__main__":
    main()
