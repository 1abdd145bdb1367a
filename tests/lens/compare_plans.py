#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""compare_plans.py SHOW_PLANS SOURCE...

Lets SHOW_PLANS die, shows the plans of all its own structures (hundreds, of a real program), and compares where they say
pointers are, and to what, with what gdb says of the same structures. Then the same with programs of C++, made from each
SOURCE, leaving out the library's classes and what has them as a part: those are seen as what they contain."""
import os
import resource
import shutil
import subprocess
import sys
import tempfile

ELEMENT_LIMIT = 4
results = []


def in_gdb():
    """Within gdb: the structures named in the file `names`, as show_plans shows them."""
    import gdb  # pylint: disable=import-error,import-outside-toplevel

    def spelled(kind):
        alias = None
        while kind.unqualified().code == gdb.TYPE_CODE_TYPEDEF:
            alias, kind = kind.unqualified().name, kind.unqualified().target()
        kind = kind.unqualified()
        if kind.code == gdb.TYPE_CODE_PTR:
            inner = spelled(kind.target())
            if "(" in inner or "(" in str(kind):
                return str(kind)
            return inner + ("*" if inner.endswith("*") else " *")
        if kind.code in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION):
            return kind.tag or alias or "{...}"
        return kind.name or str(kind)

    def is_virtual_base(field):
        return field.is_base_class and f"virtual {field.name}" in str(gdb.execute(f"ptype/o {field.parent_type}", to_string=True))

    def of_library(kind, depth=0):
        """A class of the standard library, or what has one as a part: seen as what it contains."""
        kind = kind.strip_typedefs()
        if kind.code == gdb.TYPE_CODE_ARRAY:
            return of_library(kind.target(), depth + 1)
        if kind.code not in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION) or depth > 20:
            return False
        if str(kind.tag or "").startswith(("std::", "__gnu", "__cxx")):
            return True
        return any(of_library(field.type, depth + 1) for field in kind.fields() if hasattr(field, "bitpos"))

    def pointers(kind, at, found):
        kind = kind.strip_typedefs()
        if kind.code in (gdb.TYPE_CODE_PTR, gdb.TYPE_CODE_REF):
            pointee, target = kind.target(), kind.target().strip_typedefs()
            if target.code == gdb.TYPE_CODE_FUNC:
                found.add((at, "c", "?"))
            elif target.code == gdb.TYPE_CODE_VOID or (target.code == gdb.TYPE_CODE_STRUCT and not target.fields()):
                found.add((at, "p", "?"))
            else:
                found.add((at, "p", spelled(pointee)))
        elif kind.code == gdb.TYPE_CODE_ARRAY and not kind.is_vector if hasattr(kind, "is_vector") else \
                kind.code == gdb.TYPE_CODE_ARRAY:
            low, high = kind.range()
            element = kind.target()
            for index in range(min(max(high - low + 1, 1), ELEMENT_LIMIT)):
                pointers(element, at + index * element.sizeof, found)
        elif kind.code in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION):
            for field in kind.fields():
                if field.name and field.name.startswith("_vptr"):
                    continue
                if hasattr(field, "bitpos") and not field.bitsize and not is_virtual_base(field):
                    pointers(field.type, at + field.bitpos // 8, found)

    with open("names", encoding="utf-8") as names, open("told", "w", encoding="utf-8") as told:
        for name in names.read().split("\n"):
            try:
                kind = gdb.lookup_type(name)
            except gdb.error:
                continue
            if of_library(kind):
                continue
            found = set()
            pointers(kind, 0, found)
            told.write(f"type {name} {kind.sizeof}\n")
            for at, code, target in sorted(found):
                told.write(f"{at} {code} {target}\n")
        told.write("end\n")


def read(lines):
    """{name: [(size, {(offset, kind, target)})]}; of one name there may be several."""
    found, pointers = {}, None
    for line in lines:
        if line.startswith("type "):
            name, size = line[5:].rsplit(" ", 1)
            pointers = set()
            found.setdefault(name, []).append((int(size), pointers))
        elif line:
            at, code, target = line.split(" ", 2)
            pointers.add((int(at), code, target.replace("struct ", "").replace("union ", "")))
    return found


def same(gdbs, ours):
    """Whether they are the same but for what is a matter of taste: unions of pointers, how nameless types are spelled; and
    the plans know what is defined in another module, where gdb has the program alone."""
    if {at for at, code, _ in gdbs} != {at for at, code, _ in ours}:
        return False
    plain = [found for found in gdbs if found[2] != "?" and not any(c in found[2] for c in "{([")]
    return all(found in ours for found in plain)


def compare(directory, what, program, shown, language, least):
    """Compares what was shown of the program with gdb's own view; prints two results."""
    ours = read(shown.split("\n"))
    with open(os.path.join(directory, "names"), "w", encoding="utf-8") as names:
        names.write("\n".join(ours))
    subprocess.run(["gdb", "-q", "-nx", "-batch", "-ex", f"set language {language}", "-ex",
                    f"python IN_GDB = True; exec(open({os.path.abspath(__file__)!r}).read())", program],
                   cwd=directory, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with open(os.path.join(directory, "told"), encoding="utf-8") as told:
        lines = told.read().split("\n")
    whole = "end" in lines
    gdbs = read(lines[:-2])
    wrong = 0
    for name, variants in gdbs.items():
        for size, pointers in variants:
            # Of several structures of one name, gdb shows one.
            if any(size == size_here and same(pointers, here) for size_here, here in ours[name]):
                continue
            wrong += 1
            for size_here, here in ours[name] if wrong <= 10 else ():
                if size_here == size:
                    print("#", name, "gdb:", sorted(pointers - here), "ours:", sorted(here - pointers))
    print(f"# {len(gdbs)} structures, {sum(len(p) for v in gdbs.values() for _, p in v)} pointers")
    ok(whole and len(gdbs) >= least, f"gdb knows the structures of {what}")
    ok(not wrong, f"plans of {what} have pointers where gdb's structures have them, and to what")


def ok(good, what):
    results.append(good)
    print("ok" if good else "not ok", f"{len(results)} - {what}")


def core_in(directory, command):
    subprocess.run(command, cwd=directory, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                   preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2))
    cores = [name for name in os.listdir(directory) if name.startswith("core")]
    if not cores:
        print("1..0 # SKIP the kernel leaves no core file in the working directory")
        sys.exit(0)
    return cores[0]


def main():
    show = os.path.abspath(sys.argv[1])
    if not shutil.which("gdb"):
        print("1..0 # SKIP gdb is not installed")
        return 0

    def shown(directory, *arguments):
        return subprocess.run([show, *arguments], cwd=directory, check=True, stdout=subprocess.PIPE, text=True).stdout

    with tempfile.TemporaryDirectory(prefix="strobe-test-") as directory:
        core = core_in(directory, [show, "--die"])
        compare(directory, "this program", show, shown(directory, core), "c", 300)
    for source in map(os.path.abspath, sys.argv[2:]):
        with tempfile.TemporaryDirectory(prefix="strobe-test-") as directory:
            program = os.path.join(directory, "program")
            subprocess.run(["g++", "-g", "-w", "-O0", source, "-o", program, "-pthread"], check=True)
            core = core_in(directory, ["gdb", "-q", "-nx", "-batch", "-ex", "break main", "-ex", "run", "-ex",
                                       "generate-core-file core", program])
            compare(directory, os.path.basename(source), program, shown(directory, core, "program"), "c++", 5)
    print(f"1..{len(results)}")
    return 0 if all(results) else 1


if "IN_GDB" in globals():
    in_gdb()
else:
    sys.exit(main())
