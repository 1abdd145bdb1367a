#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Cores written again by the snapshot writer must say the same: to Strobe, and to gdb.

usage: writing.py WRITE_VIEW COMPARE_VIEWS TARGET
"""
import os
import resource
import shutil
import stat
import subprocess
import sys
import tempfile
import time

from written import Cases, Writer, gdb_core, kernel_core, run

GDB = ["thread apply all bt full", "info registers", "thread apply all -s p thread_number",
       "thread apply all -s p thread_zero", "p global_counter", "p global_text", "info sharedlibrary",
       "p $_siginfo", "info auxv", "thread apply all -s p $fs_base", "info all-registers"]
MEMORY = ["p *list", "p *list->next->next", "p scattered", "x/s scattered+8192*7", "x/s shared+4096*3",
          "x/s private_file+4096*40", "x/4xb deleted_file", "x/s memory_file+4096*7",
          "x/s sparse+4096", "x/s sparse+(64<<20)+4096", "x/2xg sparse+(1<<20)"]


def ask_gdb(target, core, questions):
    command = ["gdb", "-nx", "-batch", "-ex", "set debuginfod enabled off", "-ex", "set width 0"]
    for question in questions:
        command += ["-ex", question]
    done = run([*command, target, core])
    return [line for line in (done.stdout + done.stderr).splitlines() if core not in line]


def same_to_all(cases, writer, compare, target, core, maker, folder):
    """Every way of writing `core` against itself."""
    truth = ask_gdb(target, core, GDB + MEMORY)
    short_truth = ask_gdb(target, core, GDB)
    for options in ([], ["--full"], ["--stacks"]):
        name = " ".join(options) or "changed pages"
        out = os.path.join(folder, "out" + "".join(options))
        if not writer.write(*options, core, out):
            cases.check(False, f"{maker}'s core: {name}: is written", writer.error)
            continue
        status = os.stat(out)
        cases.check(stat.S_IMODE(status.st_mode) == 0o600, f"{maker}'s core: {name}: mode 0600")
        cases.check(writer.told["file"] == status.st_size and
                    writer.told["pages"] <= status.st_size,
                    f"{maker}'s core: {name}: the size told is the file's", writer.told)
        cases.check(status.st_blocks * 512 < 2 * writer.told["pages"] + (2 << 20),
                    f"{maker}'s core: {name}: zeros are holes", status.st_blocks * 512, writer.told)
        stacks = "--stacks" in options
        if not stacks:
            done = run([compare, core, out])
            cases.check(done.returncode == 0, f"{maker}'s core: {name}: every byte is the same",
                        done.stdout)
        answer = ask_gdb(target, out, GDB if stacks else GDB + MEMORY)
        expected = short_truth if stacks else truth
        cases.check(answer == expected and len(answer) > 100,
                    f"{maker}'s core: {name}: gdb says the same",
                    *[f"{a!r} instead of {b!r}" for a, b in zip(answer, expected) if a != b][:10],
                    len(answer), len(expected))
        if stacks:
            cases.check(writer.told["pages"] < 500 << 10 and status.st_blocks * 512 < 600 << 10,
                        f"{maker}'s core: stacks: a file of kilobytes", writer.told)
        again = out + ".again"
        good = writer.write(*options, out, again)
        cases.check(good and run([compare, out, again]).returncode == 0,
                    f"{maker}'s core: {name}: written from what was written, the same",
                    writer.error)
        os.unlink(again)


def leaves_nothing(cases, writer, core, folder):
    """Writes that fail."""
    place = os.path.join(folder, "place")
    os.mkdir(place)
    path = os.path.join(place, "old")
    with open(path, "w", encoding="utf-8") as file:
        file.write("what was there")

    def untouched():
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read() == "what was there" and os.listdir(place) == ["old"]

    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
    good = writer.write(core, path, preexec_fn=limit)
    cases.check(not good and "File too large" in writer.error and untouched(),
                "a file that may not grow: one line, and nothing left", writer.error)
    good = writer.write("--cancel", core, path)
    cases.check(not good and "cancelled" in writer.error and untouched(),
                "a cancel: nothing left", writer.error)
    good = writer.write("--compress", "1", core, path, preexec_fn=lambda: resource.setrlimit(
        resource.RLIMIT_FSIZE, (40 << 10, 40 << 10)))
    cases.check(not good and "File too large" in writer.error and untouched(),
                "likewise when it is compressed", writer.error)
    for pause in (0.01, 0.03, 0.1):
        with subprocess.Popen([writer.program, core, path], stderr=subprocess.DEVNULL) as process:
            time.sleep(pause)
            process.kill()
        names = os.listdir(place)
        cases.check(names == ["old"], f"killed after {pause} s: no temporary file", names)
    with open(path, "w", encoding="utf-8") as file:
        file.write("what was there")
    good = writer.write(core, "/dev/full")
    cases.check(not good and "No space left" in writer.error and
                stat.S_ISCHR(os.stat("/dev/full").st_mode),
                "a full disk: one line, and the device stays one", writer.error)
    with open("/dev/full", "wb") as full:
        done = subprocess.run([writer.program, core, "-"], stdout=full, stderr=subprocess.PIPE,
                              text=True, check=False)
    cases.check(done.returncode == 1 and "No space left" in done.stderr,
                "a full disk behind a descriptor", done.stderr)
    for options in ([], ["--compress", "1"]):
        with subprocess.Popen([writer.program, *options, core, "-"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as process:
            process.stdout.read(1000)
            process.stdout.close()
            error = process.stderr.read().decode()
        cases.check(process.returncode == 1 and "Broken pipe" in error,
                    f"a lost pipe {' '.join(options)}: one line", process.returncode, error)
    good = writer.write(core, os.path.join(folder, "nowhere", "file"))
    cases.check(not good and "No such file" in writer.error, "a folder that is not there",
                writer.error)
    good = writer.write(core, place)
    cases.check(not good and "is a directory" in writer.error, "a folder in its place",
                writer.error)
    link = os.path.join(folder, "link")
    os.symlink(path, link)
    good = writer.write("--stacks", core, link)
    cases.check(good and os.path.islink(link) and os.path.getsize(path) > 4096 and
                os.listdir(place) == ["old"], "a symbolic link is followed", writer.error)


def streams(cases, writer, compare, core, folder):
    """Descriptors instead of names."""
    piped = os.path.join(folder, "piped")
    with open(piped, "wb") as file:
        command = [writer.program, core, "-"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as first:
            shutil.copyfileobj(first.stdout, file, 1 << 20)
    done = run([compare, core, piped])
    cases.check(first.returncode == 0 and done.returncode == 0, "through a pipe: the same",
                done.stdout)
    os.unlink(piped)
    with open(piped, "wb") as file:
        done = subprocess.run([writer.program, core, "-"], stdout=file, stderr=subprocess.DEVNULL,
                              check=False)
    cases.check(done.returncode == 0 and os.stat(piped).st_blocks * 512 < 64 << 20 and
                run([compare, core, piped]).returncode == 0, "to a file by descriptor: with holes")
    with open(piped, "ab") as file:
        file.truncate(0)
        file.write(b"#" * 4096)
        file.flush()
        done = subprocess.run([writer.program, "--stacks", core, "-"], stdout=file,
                              stderr=subprocess.DEVNULL, check=False)
    with open(piped, "rb") as file:
        begin = file.read(4100)
    cases.check(done.returncode == 0 and begin == b"#" * 4096 + b"\x7fELF",
                "appended where a descriptor appends")
    os.unlink(piped)


def compresses(cases, writer, compare, core, folder):
    """zstd must give back the plain core."""
    packed, plain = os.path.join(folder, "packed.zst"), os.path.join(folder, "unpacked")
    first = os.path.join(folder, "first")
    for options in (["--compress", "1"], ["--compress", "5", "--threads", "1"]):
        for to_pipe in (False, True):
            if to_pipe:
                with open(packed, "wb") as file, subprocess.Popen(
                        [writer.program, *options, core, "-"], stdout=subprocess.PIPE,
                        stderr=subprocess.DEVNULL) as process:
                    shutil.copyfileobj(process.stdout, file)
                good = process.returncode == 0
            else:
                good = writer.write(*options, core, packed)
            done = run(["zstd", "-q", "-d", "-f", packed, "-o", plain])
            if not os.path.exists(first):
                shutil.copyfile(plain, first)
            cases.check(good and done.returncode == 0 and same_but_for_id(first, plain) and
                        run([compare, core, plain]).returncode == 0,
                        f"zstd -d of {' '.join(options)}{' through a pipe' * to_pipe}: the plain core",
                        writer.error, done.stderr)
    with open(packed, "rb") as file:
        file.seek(-9, os.SEEK_END)
        footer = file.read(9)
        frames = int.from_bytes(footer[:4], "little")
        file.seek(-(9 + 12 * frames + 8), os.SEEK_END)
        magic = file.read(4)
        entries = [(file.seek(-(9 + 12 * (frames - i)), os.SEEK_END), file.read(12))[1]
                   for i in range(frames)]
    sizes = [(int.from_bytes(e[:4], "little"), int.from_bytes(e[4:8], "little")) for e in entries]
    cases.check(footer[4:] == b"\x80\xb1\xea\x92\x8f" and magic == b"\x5e\x2a\x4d\x18" and
                sum(s[1] for s in sizes) == os.path.getsize(plain) and
                sum(s[0] for s in sizes) + 8 + 12 * frames + 9 == os.path.getsize(packed),
                "the seek table tells all frames", frames)
    good = writer.write("--compress", "99", core, packed)
    cases.check(not good and "level 99" in writer.error, "a level that is none", writer.error)
    os.unlink(plain)


def same_but_for_id(first, second):
    """Each file has its own random id, of 16 bytes."""
    done = run(["cmp", "-l", first, second])
    return done.returncode in (0, 1) and not done.stderr and len(done.stdout.splitlines()) <= 16


def main():
    write_view, compare, target = (os.path.abspath(path) for path in sys.argv[1:4])
    if not shutil.which("gdb"):
        print("1..0 # SKIP gdb is not installed")
        return
    cases = Cases()
    writer = Writer(write_view)
    with tempfile.TemporaryDirectory() as folder:
        cores = {"kernel": kernel_core(target, os.path.join(folder, "kernel")),
                 "gdb": gdb_core(target, os.path.join(folder, "gdb"))}
        if not cores["gdb"]:
            print("1..0 # SKIP gdb writes no core here")
            return
        for maker, core in cores.items():
            if core:
                same_to_all(cases, writer, compare, target, core, maker, folder)
        core = cores["kernel"] or cores["gdb"]
        streams(cases, writer, compare, core, folder)
        compresses(cases, writer, compare, core, folder)
        leaves_nothing(cases, writer, core, folder)
    cases.end()


main()
