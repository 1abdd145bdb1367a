#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Kills strobe while it records, at random moments: the target goes on, untraced, and the file can be read. TAP on stdout.

usage: storm.py STROBE PROGRAMS KILLS
"""
import json
import os
import random
import subprocess
import sys
import tempfile
import time

STROBE, PROGRAMS, KILLS = sys.argv[1], sys.argv[2], int(sys.argv[3])


def status(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        lines = dict(line.split(":\t", 1) for line in file.read().splitlines() if ":\t" in line)
    return lines["State"][0], lines["TracerPid"].strip()


def settles(pid):
    """Runs, and stays untraced."""
    calm = 0
    for _ in range(2000):
        state, tracer = status(pid)
        calm = calm + 1 if state in "RS" and tracer == "0" else 0
        if calm >= 5 or state in "ZX":
            return calm >= 5
        time.sleep(0.005)
    return False


def read(path):
    """What can be read of the file; None if nothing."""
    done = subprocess.run([STROBE, "trace", "info", path, "--json", "--quiet"], capture_output=True, text=True, check=False)
    return json.loads(done.stdout) if done.returncode == 0 else None


def storm(folder, target, arguments):
    path = os.path.join(folder, "storm.strobe-trace")
    failed, files = [], 0
    for number in range(KILLS):
        if os.path.exists(path):
            os.unlink(path)
        strobe = subprocess.Popen([STROBE, "record", "--quiet", "-m", "step", "-o", path, *arguments, str(target.pid)],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(random.random() * 0.25)
        strobe.kill()
        strobe.wait()
        if not settles(target.pid):
            failed.append(f"kill {number}: {status(target.pid)}")
            break
        if os.path.exists(path):
            files += 1
            if number % 10 == 0 and read(path) is None:
                failed.append(f"kill {number}: the file cannot be read")
    return failed, files


def main():
    random.seed(4)
    print("1..2")
    good = True
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, arguments) in enumerate((("each instruction", []), ("at full speed elsewhere", ["--only", "work"])), 1):
            with subprocess.Popen([PROGRAMS, "spin"], stdout=subprocess.DEVNULL) as target:
                failed, files = storm(folder, target, arguments)
                alive = target.poll() is None
                target.kill()
            if not alive:
                failed.append(f"the target ended with {target.returncode}")
            for line in failed:
                print("#", line)
            print(f"# {KILLS} kills, {files} files")
            one = not failed and files > 0
            print(("ok" if one else "not ok"), number, "-", name)
            good = good and one
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
