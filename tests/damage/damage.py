#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Damages a good core, the program's own file, and separate debug files (.debug, .dwo, .dwp, dwz),
and runs the command on what is left.

damage.py STROBE [--truncations N] [--flips N] [--seed N] [--no-memory-limit]

Every run must end within the time limit, by itself: exit status 0 with what can be known, or 1 with
one clear line on stderr that starts with "strobe: "; never a signal. Tells TAP.
"""
import argparse
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TIME_LIMIT = 20  # seconds for one run
MEMORY_LIMIT = 4 << 30
VERBS = [["info"], ["bt", "--locals"], ["bt", "--locals", "--json"], ["maps"], ["modules"],
         ["threads", "--json"], ["regs"], ["print", "*list", "--frame", "1"],
         ["mem", "search", "--text", "second"], ["sym", "main"], ["disasm"], ["list"]]


def verb_line(strobe, verb, core):
    if verb[0] == "mem":
        return [strobe, verb[0], verb[1], core, *verb[2:]]
    return [strobe, verb[0], core, *verb[1:]]


def limits():
    if MEMORY_LIMIT:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def judge(argv):
    """None if the run ended well, else what was wrong."""
    try:
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              stdin=subprocess.DEVNULL, timeout=TIME_LIMIT, preexec_fn=limits)
    except subprocess.TimeoutExpired:
        return "did not end within %d s" % TIME_LIMIT
    if done.returncode not in (0, 1):
        return "exit status %d" % done.returncode
    errors = done.stderr.decode(errors="replace").splitlines()
    for line in errors:
        # A caret line under an expression may follow an error.
        if not line.startswith("strobe: ") and not line.startswith(" "):
            return "stderr has %r" % line[:200]
    if done.returncode == 1 and not errors and not done.stdout:
        return "exit status 1 and no word why"
    return None


class Battery:
    def __init__(self, strobe):
        self.strobe = strobe
        self.number = 0
        self.failed = 0

    def case(self, name, problems, runs):
        self.number += 1
        for problem in problems[:10]:
            print("# " + problem)
        print("%s %d - %s (%d runs)" % ("not ok" if problems else "ok", self.number, name, runs))
        sys.stdout.flush()
        self.failed += bool(problems)

    def run(self, name, good, path, places, damage, core, rng):
        problems = []
        for place in places:
            verb = VERBS[rng.randrange(len(VERBS))]
            with open(path, "wb") as out:
                out.write(damage(good, place))
            wrong = judge(verb_line(self.strobe, verb, core))
            if wrong:
                problems.append("%s at %d, %s: %s" % (name, place, " ".join(verb), wrong))
                kept = os.environ.get("STROBE_DAMAGE_KEEP")
                if kept:
                    shutil.copy(path, os.path.join(kept, "%s-%d" % (self.number, place)))
        self.case(name, problems, len(places))


def truncate(good, place):
    return good[:place]


def flip(good, place):
    damaged = bytearray(good)
    damaged[place >> 3] ^= 1 << (place & 7)
    # A second, whole byte nearby: bit flips alone seldom make large numbers.
    other = ((place >> 3) + 13) % len(damaged)
    damaged[other] = (place * 7) & 0xff
    return bytes(damaged)


def build(folder, flags=()):
    """The program; its name is without the folder, so that no .dwo is named by two ways."""
    source = os.path.abspath(os.path.join(HERE, "..", "parity", "programs", "types.c"))
    subprocess.run(["gcc", "-g", "-O1", "-w", *flags, "-c", "-o", "program.o", source], check=True,
                   cwd=folder)
    subprocess.run(["gcc", "-o", "program", "program.o"], check=True, cwd=folder)
    return os.path.join(folder, "program")


def make_core(folder, flags=(), after=()):
    program = build(folder, flags)
    for command in after:
        subprocess.run(command, cwd=folder, check=True)

    def cores():
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)

    subprocess.run([program], cwd=folder, preexec_fn=cores, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    found = [name for name in os.listdir(folder) if name.startswith("core")]
    if not found:
        return program, None
    return program, os.path.join(folder, found[0])


# Where debug information stands apart from the program: flags, commands, the file to damage.
COMPANIONS = [
    (".debug", [], [["objcopy", "--only-keep-debug", "program", "program.debug"],
                    ["objcopy", "--strip-debug", "--add-gnu-debuglink=program.debug", "program"]],
     "program.debug"),
    (".dwo", ["-gsplit-dwarf"], [], "program.dwo"),
    (".dwp", ["-gsplit-dwarf", "-gdwarf-4"],
     [["dwp", "-e", "program", "-o", "program.dwp"], ["rm", "program.dwo"]], "program.dwp"),
    ("dwz", [], [["cp", "program", "other"], ["dwz", "-m", "common", "program", "other"]],
     "common"),
]


def companions(battery, options, rng):
    for name, flags, after, companion in COMPANIONS:
        missing = [command[0] for command in after if not shutil.which(command[0])]
        if missing:
            battery.number += 1
            print("ok %d - %s # SKIP no %s" % (battery.number, name, missing[0]))
            continue
        with tempfile.TemporaryDirectory(prefix="strobe-damage-") as folder:
            _, core = make_core(folder, flags, after)
            path = os.path.join(folder, companion)
            with open(path, "rb") as file:
                good = file.read()
            stacks = subprocess.run([battery.strobe, "bt", core], stdout=subprocess.PIPE,
                                    check=False).stdout
            battery.case(name + " is used while it is good",
                         [] if b"types.c:" in stacks else ["no lines in the stack"], 1)
            places = spread(rng, options.truncations // 2, len(good), len(good))
            battery.run(name + " cut", good, path, places, truncate, core, rng)
            places = spread(rng, options.flips // 4, len(good) * 8, len(good) * 8)
            battery.run(name + " with flipped bytes", good, path, places, flip, core, rng)


def spread(rng, count, limit, dense):
    """Places in [0, limit), half of them in the first `dense`, where headers and notes stand."""
    return [rng.randrange(min(dense, limit)) if i % 2 else rng.randrange(limit)
            for i in range(count)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("strobe")
    parser.add_argument("--truncations", type=int, default=200)
    parser.add_argument("--flips", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-memory-limit", action="store_true", help="for AddressSanitizer")
    options = parser.parse_args()
    if options.no_memory_limit:
        global MEMORY_LIMIT
        MEMORY_LIMIT = 0
    rng = random.Random(options.seed)
    battery = Battery(os.path.abspath(options.strobe))
    with tempfile.TemporaryDirectory(prefix="strobe-damage-") as folder:
        program, core = make_core(folder)
        if core is None:
            print("1..0 # SKIP no core file appeared: kernel.core_pattern is %s"
                  % open("/proc/sys/kernel/core_pattern").read().strip())
            return 0
        with open(core, "rb") as file:
            good = file.read()
        problems = [" ".join(verb) + ": " + wrong for verb in VERBS
                    for wrong in [judge(verb_line(battery.strobe, verb, core))] if wrong]
        battery.case("the good core", problems, len(VERBS))
        battery.run("core cut", good, core, spread(rng, options.truncations, len(good), 8192),
                    truncate, core, rng)
        battery.run("core with flipped bytes", good, core,
                    spread(rng, options.flips, len(good) * 8, 8192 * 8), flip, core, rng)
        with open(core, "wb") as out:
            out.write(good)
        with open(program, "rb") as file:
            good = file.read()
        # The build id stays as it is in most of these: the file is used, and is wrong.
        battery.run("program cut", good, program,
                    spread(rng, options.truncations, len(good), len(good)), truncate, core, rng)
        battery.run("program with flipped bytes", good, program,
                    spread(rng, options.flips, len(good) * 8, len(good) * 8), flip, core, rng)
    companions(battery, options, rng)
    print("1..%d" % battery.number)
    return 1 if battery.failed else 0


if __name__ == "__main__":
    sys.exit(main())
