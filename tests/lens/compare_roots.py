#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""compare_roots.py SHOW_ROOTS SOURCE COMPILER [LIBRARY_SOURCE]

Compiles SOURCE with several levels of optimization, lets it die, and compares the roots of its core with what it printed
itself, and with what gdb knows of all variables of all frames, and of global ones. Then strips it, cuts pieces out of the
core, and looks whether what must remain remains, and nothing overlaps."""
import collections
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile

SHOW, SOURCE, COMPILER = sys.argv[1:4]
LIBRARY = sys.argv[4] if len(sys.argv) > 4 else None
HERE = os.path.dirname(os.path.abspath(__file__))
Root = collections.namedtuple("Root", "kind tid frame module function name type address size words")
results = []


def skip(reason):
    print(f"1..0 # SKIP {reason}")
    sys.exit(0)


def ok(good, what, *why):
    results.append(good)
    print("ok" if good else "not ok", f"{len(results)} - {what}")
    for line in why if not good else ():
        print("#", line)


def roots_of(core, *options):
    done = subprocess.run([SHOW, core, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          check=False, errors="replace")
    found = []
    for line in done.stdout.splitlines():
        head, function, name, kind, place, words = (part.strip() for part in line.split("|"))
        what, tid, frame, module = head.split(" ", 3)
        address, size = place.split()
        found.append(Root(what, None if tid == "-" else int(tid), None if frame == "-" else int(frame), module, function,
                          name, kind, 0 if address == "-" else int(address, 16), int(size),
                          [int(word, 16) for word in words.split()]))
    return found, done


def make(directory, *flags):
    program = os.path.join(directory, "program")
    subprocess.run([COMPILER, "-g", "-w", *flags, SOURCE, "-o", program, "-pthread", "-ldl"], check=True)
    command = [program]
    if LIBRARY:
        library = os.path.join(directory, "library.so")
        subprocess.run([COMPILER, "-g", "-w", *flags, "-shared", "-fPIC", LIBRARY, "-o", library], check=True)
        command.append(library)
    return command


def die(directory, command):
    for name in os.listdir(directory):
        if name.startswith("core"):
            os.remove(os.path.join(directory, name))
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    done = subprocess.run(command, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                          check=False, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (hard, hard)))
    cores = [name for name in os.listdir(directory) if name.startswith("core")]
    if not cores:
        skip("the kernel writes no core file here")
    told = [line.rsplit(" ", 2) for line in done.stdout.splitlines()]
    return os.path.join(directory, cores[0]), [(*head.split(" ", 1), int(address, 16), int(size))
                                               for head, address, size in told]


def called(root, name):
    """Compilers do not agree on what statics of functions of C++ are called."""
    return root.name == name or (":" in name and re.split("::", root.name)[-1] == re.split("::", name)[-1])


def check_told(roots, told, level):
    """What the program printed."""
    missing = []
    for kind, name, address, size in told:
        if kind in ("hole", "mapping"):
            continue
        if not any(called(root, name) and root.kind == kind and root.address == address and
                   (root.size == size or root.type == "-") for root in roots):
            near = [root for root in roots if called(root, name)]
            missing.append(f"{kind} {name} {address:#x} {size}; there is {near}")
    ok(not missing and told, f"{level}: {len(told)} roots that the program printed", *missing)
    for kind, name, address, size in told:
        if kind == "mapping":
            ok(any(root.kind == "mapping" and root.address <= address and address + size <= root.address + root.size
                   for root in roots), f"{level}: {name}, mapped by the program, is a root")


def check_dead(roots, level):
    """Stacks below the stack pointers are no roots: of a thread's 8 MiB little is left."""
    large = [str(root) for root in roots if root.kind == "mapping" and root.size > 1 << 20]
    ok(not large, f"{level}: dead stack is no root", *large)


def ask_gdb(directory, program, core, names):
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "ROOTS": os.path.join(directory, "names"),
                   "TOLD": os.path.join(directory, "told")}
    with open(environment["ROOTS"], "w", encoding="utf-8") as out:
        out.write("\n".join(names))
    subprocess.run(["gdb", "-nx", "-batch", "-iex", "set auto-load no", "-iex", "set debuginfod enabled off", program, core,
                    "-x", os.path.join(HERE, "gdb_roots.py")], env=environment, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, check=False)
    with open(environment["TOLD"], encoding="utf-8") as told:
        return json.load(told)


def same(told, root):
    if told["address"] is not None and root.address:
        if told["size"] == 0:
            return root.address == told["address"]
        return root.address <= told["address"] and \
            told["address"] + told["size"] <= root.address + root.size
    if root.address == 0 and told["word"] is not None and root.words:
        return root.words[0] & ((1 << (8 * min(8, told["size"]))) - 1) == told["word"]
    return told["kind"] == "reference" or root.address == 0


def check_gdb(roots, directory, program, core, level):
    mine = [root for root in roots if root.kind in ("argument", "local")]
    globals_ = [root for root in roots if root.kind in ("global", "static") and root.module == "program" and root.type != "-"]
    told = ask_gdb(directory, program, core, sorted({root.name for root in globals_}))
    by_name = collections.defaultdict(list)
    for root in mine:
        by_name[root.tid, root.frame, root.name].append(root)
    missing = []
    for tid, frame, name, what in told["variables"]:
        found = by_name[tid, frame, name]
        match = [root for root in found if same(what, root)]
        if match:
            found.remove(match[0])
        elif what["word"] != 0:  # gdb's value of a pointer to what is in no memory
            missing.append(f"thread {tid} frame {frame} {name}: gdb has {what}, we {found}")
    count = len(told["variables"])
    ok(not missing and count > 20, f"{level}: {count} variables of frames that gdb knows are roots", *missing)
    # What is known in part gdb calls optimized out.
    extra = [str(root) for found in by_name.values() for root in found if root.address or root.size <= 8]
    ok(not extra, f"{level}: no variable of a frame is a root that gdb does not know", *extra)
    wrong = [f"{root}: gdb has {told['named'].get(root.name)}" for root in globals_
             if root.name in told["named"] and told["named"][root.name] != [root.address, root.size]]
    ok(not wrong and len(told["named"]) > 3, f"{level}: {len(told['named'])} global ones are where gdb has them", *wrong)


def check_hole(core, told, level):
    hole = next(((address, size) for kind, _, address, size in told if kind == "hole"), None)
    if not hole:
        return
    start, end = hole[0], hole[0] + hole[1]
    roots, done = roots_of(core, "--hole", hex(start), hex(end))
    inside = [str(root) for root in roots if root.address and root.address < end and root.address + root.size > start]
    ok(not inside and done.returncode == 0, f"{level}: no root is in memory that an allocator has", *inside)
    loaded = [root for root in roots if root.name == "loaded_list"]
    ok(any(root.words and start <= root.words[0] < end for root in loaded),
       f"{level}: a thread-local in the heap is a root by its value", str(loaded))


def check_coroutines(directory):
    """Threads on stacks of their program's making: mapped, or in the heap."""
    program = os.path.join(directory, "coroutines")
    subprocess.run(["gcc", "-g", "-O0", "-w", os.path.join(HERE, "coroutines.c"), "-o", program], check=True)
    for where in ("mapped", "heap"):
        core, told = die(directory, [program, "heap"][:1 + (where == "heap")])
        options = [word for kind, _, address, size in told if kind == "hole" for word in ("--hole", hex(address),
                                                                                       hex(address + size))]
        roots, done = roots_of(core, *options)
        ok(done.returncode == 0, f"a stack that is {where}: nothing overlaps", done.stderr)
        deep = next(what for what in told if what[1] == "deep")
        found = [root for root in roots if root.name == "deep"]
        ok(len(found) == 1 and (found[0].address == deep[2] if deep[0] == "local" else found[0].words[1:] == [7]),
           f"a stack that is {where}: its variable is a root", str(found), str(deep))
        for kind, name, address, size in told:
            if kind == "mapping":
                ok(any(root.address <= address and address + size <= root.address + root.size for root in roots),
                   f"a stack that is {where}: {name} is still in a root")


def check_stripped(directory, command):
    subprocess.run(["strip", command[0]], check=True)
    core, told = die(directory, command)
    roots, done = roots_of(core)
    ok(done.returncode == 0, "stripped: nothing overlaps", done.stderr)
    uncovered = []
    for kind, name, address, size in told:
        if kind != "hole" and not any(root.address <= address and address + size <= root.address + root.size
                                      for root in roots if root.address):
            uncovered.append(f"{kind} {name} {address:#x} {size}")
    ok(not uncovered and told, f"stripped: the memory of {len(told)} variables is in roots without types", *uncovered)


def check_damage(core):
    """Cut short, and with stretches of the core overwritten: it ends, and nothing overlaps."""
    with open(core, "rb") as source:
        good = source.read()
    bad = core + ".bad"
    failed = []
    for step in range(1, 12):
        data = bytearray(good)
        if step < 6:
            data = data[:len(data) * step // 6]
        else:
            for at in range(4096 * step, len(data) - 64, 65536):
                data[at:at + 48] = bytes((at * step + k) & 0xff for k in range(48))
        with open(bad, "wb") as out:
            out.write(data)
        done = subprocess.run([SHOW, bad, "--summary"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=60, check=False)
        if done.returncode not in (0, 1):
            failed.append(f"step {step}: status {done.returncode} {done.stderr[:300]}")
    os.remove(bad)
    ok(not failed, "damaged cores: it ends and nothing overlaps", *failed)


def check_short_of_memory(core):
    """Allocation N fails: it is said, or what is told is as it was, or less where a library hides it."""
    good = subprocess.run([SHOW, core, "--summary"], stdout=subprocess.PIPE, check=True, text=True).stdout
    failed, refused, number = [], 0, 1
    while number < 1 << 17:
        done = subprocess.run([SHOW, core, "--summary", "--fail", str(number)], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=60, check=False)
        refused += done.returncode == 1 and "memory" in done.stderr
        if done.returncode not in (0, 1):
            failed.append(f"allocation {number}: status {done.returncode} {done.stderr[:300]}")
        number += max(1, number // 6)
    ok(not failed and refused > 5 and good, f"short of memory: {refused} times it is said", *failed)


def main():
    if not shutil.which(COMPILER) or not shutil.which("gdb"):
        skip(f"needs {COMPILER} and gdb")
    with tempfile.TemporaryDirectory() as directory:
        for level in ("-O0", "-O1", "-O2"):
            command = make(directory, level)
            core, told = die(directory, command)
            roots, done = roots_of(core)
            ok(done.returncode == 0, f"{level}: nothing overlaps", done.stderr)
            check_told(roots, told, level)
            check_dead(roots, level)
            check_gdb(roots, directory, command[0], core, level)
            check_hole(core, told, level)
        check_coroutines(directory)
        core, told = die(directory, command)
        check_damage(core)
        check_short_of_memory(core)
        check_stripped(directory, command)
    print(f"1..{len(results)}")
    sys.exit(0 if all(results) else 1)


main()
