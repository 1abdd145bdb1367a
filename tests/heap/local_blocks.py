#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""local_blocks.py LOCAL_BLOCKS PROGRAM_SOURCE: blocks as told from their surroundings are those of the heap's books."""
import os
import shutil
import subprocess
import sys
import tempfile
import time

LOCAL, SOURCE = sys.argv[1:3]
results = []


def ok(good, what, *why):
    results.append(bool(good))
    print("ok" if good else "not ok", f"{len(results)} - {what}")
    for line in why if not good else ():
        print("#", line)


def look_at(name, pid):
    done = subprocess.run([LOCAL, str(pid)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=200,
                          check=False)
    told = {}
    for line in done.stdout.splitlines():
        what, right, wrong, none = line.rsplit(" ", 3)
        told[what] = int(right), int(wrong), int(none)
    for what, most in (("allocated starts", 0.001), ("allocated insides", 0.01), ("free starts", 0.01)):
        right, wrong, none = told.get(what, (0, 0, 0))
        ok(right > 500 and wrong + none <= most * (right + wrong + none),
           f"{name}: {what}: {right} as in the books, {wrong} otherwise, of {none} nothing is known",
           done.stderr[:1000])


def main():
    with tempfile.TemporaryDirectory() as directory:
        program = os.path.join(directory, "program")
        subprocess.run(["gcc", "-O1", "-D_GNU_SOURCE", "-w", "-pthread", "-o", program, SOURCE], check=True)
        with subprocess.Popen([program], stdout=subprocess.PIPE, text=True) as process:
            process.stdout.readline()
            look_at("glibc", process.pid)
            process.kill()
        if shutil.which("redis-server"):
            process = subprocess.Popen(["redis-server", "--port", "0", "--save", "", "--unixsocket", "socket"],
                                       stdout=subprocess.DEVNULL, cwd=directory)
            for _ in range(100):
                time.sleep(0.1)
                if subprocess.run(["redis-cli", "-s", directory + "/socket", "debug", "populate", "20000"], check=False,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0:
                    break
            look_at("jemalloc", process.pid)
            process.kill()
            process.wait()
        else:
            print("# redis-server is not installed: no jemalloc")
    print(f"1..{len(results)}")
    sys.exit(0 if all(results) else 1)


main()
