#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""compare_with_gdb.py SHOW_VALUES SOURCE FUNCTION COMPILER [EXPRESSIONS [--dynamic]]

Compiles SOURCE, lets it die, and compares the variables of FUNCTION's frame and the value of every
expression with what gdb prints. What gdb cannot print, we must not print either, except where a
value says itself that it is unreadable. With --dynamic, objects are compared as what their virtual
tables say, and so are their types; gdb finds no instances of templates with unsigned arguments that
GCC compiled, we must."""
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile

# gdb refuses these; ours has a value. Or the reverse, for what would be a guess. And gdb takes the
# constants of a local enumeration for variables.
KNOWN = {"nul", "pf", "LOCAL_A", "LOCAL_B"}


def skip(reason):
    print(f"1..0 # SKIP {reason}")
    sys.exit(0)


def normal(text):
    text = re.sub(r"^\$\d+ = ", "", text.strip("\n"))
    prefix = re.match(r'^\((?![A-Z]+ \|)(?:[^0-9"()]|\((?:[^()]|\([^()]*\))*\)|\[\d+\]|\d)*?\) '
                      r"(?=0x|@0x|<synth)", text)
    if prefix:
        text = text[prefix.end():]
    text = re.sub(r"<error: Cannot access memory at address (0x[0-9a-f]+)>",
                  r"<unreadable at \1>", text)
    return re.sub(r"^Cannot access memory at address (0x[0-9a-f]+)$", r"<unreadable at \1>", text)


def agrees(theirs, ours):
    refused = not theirs.startswith("$") and "<unreadable" not in normal(theirs)
    return ours == "error" if refused else normal(ours) == normal(theirs)


def agrees_dynamic(theirs, ours):
    lost = re.search(r"RTTI symbol not found for class '(.*?)'", theirs)
    if lost:
        name = re.sub(r"\b(\d+)u", r"\1", lost[1])
        return ours.startswith((f"({name} *) 0x", f"({name}) {{"))
    theirs = re.sub(r"^\$\d+ = ", "", theirs.strip("\n"))
    if not ours.startswith("("):  # what it is declared as
        theirs = re.sub(r"^\(.*?[\w>*&]\) (?=\{|0x|@0x)", "", theirs)
    return ours == theirs


def make_core(directory, source, compiler):
    program = os.path.join(directory, "program")
    if not shutil.which(compiler) or not shutil.which("gdb"):
        skip(f"needs {compiler} and gdb")
    subprocess.run([compiler, "-g", "-O0", "-w", source, "-o", program], check=True)
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    subprocess.run([program], cwd=directory, stderr=subprocess.DEVNULL, check=False,
                   preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (hard, hard)))
    cores = [name for name in os.listdir(directory) if name.startswith("core")]
    if not cores:
        skip("the kernel writes no core file here")
    return program, os.path.join(directory, cores[0])


def ask_gdb(program, core, function, expressions, dynamic):
    command = ["gdb", "-nx", "-batch", "-iex", "set auto-load no", "-iex", "set width 0", "-iex",
               "set debuginfod enabled off", "-ex", f"set print object {dynamic}", "-ex", f"frame function {function}",
               "-ex", "echo @@\\n", "-ex", "info args", "-ex", "info locals"]
    for expression in expressions:
        command += ["-ex", "echo @@\\n", "-ex", "print" + (expression if expression[0] == "/"
                                                          else " " + expression)]
    done = subprocess.run(command + [program, core], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, env={**os.environ, "LC_ALL": "C.UTF-8"},
                          check=False)
    return done.stdout.decode(errors="replace").split("@@\n")[1:]


def main():
    show_values, source, function, compiler = sys.argv[1:5]
    expressions, dynamic = [], sys.argv[6:]
    if len(sys.argv) > 5:
        with open(sys.argv[5], encoding="utf-8") as lines:
            expressions = [line.rstrip("\n") for line in lines]
    with tempfile.TemporaryDirectory() as directory:
        program, core = make_core(directory, source, compiler)
        truth = ask_gdb(program, core, function, expressions, "on" if dynamic else "off")
        done = subprocess.run([show_values, core, function] + dynamic,
                              input="\n".join(expressions) + "\n", stdout=subprocess.PIPE,
                              text=True, errors="replace", check=True)
    variables, values = done.stdout.split("--\n", 1)
    print(f"1..{len(expressions) + 1}")
    known = re.compile(r"^(\w+) = ")
    want = sorted(line for line in truth[0].splitlines()
                  if line and known.match(line) and known.match(line)[1] not in KNOWN)
    have = sorted(normal(line) for line in variables.splitlines()
                  if known.match(line)[1] not in KNOWN)
    failed = want != have or not want
    print("not ok" if failed else "ok", f"1 - {len(want)} variables of {function}")
    for line in sorted(set(want) ^ set(have)):
        print("#", "gdb:" if line in want else "ours:", line)
    for i, (expression, theirs, ours) in enumerate(zip(expressions, truth[1:],
                                                       values.split("\n")), 2):
        good = (agrees_dynamic if dynamic else agrees)(theirs, ours)
        print("ok" if good else "not ok", f"{i} - {expression.replace('#', '')}")
        if not good:
            print("# gdb: ", theirs.strip().replace("\n", "\n# "), "\n# ours:", ours)
            failed = True
    sys.exit(1 if failed else 0)


main()
