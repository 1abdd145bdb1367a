# SPDX-License-Identifier: Apache-2.0
"""Writes to living processes, frozen copies and snapshot files, and what is saved of them. TAP on stdout.

usage: overlay_kept.py STROBE CC
"""
import os
import pathlib
import subprocess
import sys

from demo_core import Cases
from spinner import Command

STROBE, CC = sys.argv[1:3]
PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
struct item { struct item *next; int number; char name[12]; };
struct item last = {0, 3, "last"}, *head;
const int fixed = 9;
__thread int mine = 77;
int main(void)
{
	head = malloc(sizeof(*head));
	*head = (struct item){&last, 1, "first"};
	mine++;
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
}
"""


def ask_gdb(program, core, *expressions):
    command = ["gdb", "-nx", "-batch", "-iex", "set debuginfod enabled off"]
    for expression in expressions:
        command += ["-ex", "p " + expression]
    output = subprocess.run([*command, program, core], capture_output=True, text=True, check=False, timeout=60).stdout
    return [line.split(" = ", 1)[1] for line in output.splitlines() if line.startswith("$")]


def number(command, target, expression):
    return command.json("print", target, expression)["value"]


def living(cases, command, pid):
    status, output, errors = command.run("mem", "write", pid, "&head->number", "--type", "i32", "50")
    cases.check(status == 0 and output.endswith("4 bytes  01 00 00 00 -> 32 00 00 00\n") and errors == "",
                "a living process is written to where an expression says", output, errors)
    cases.check(number(command, pid, "head->number") == "50", "and has the value")
    written = command.json("mem", "write", pid, "&head->name", "--string", "one", "--nul")
    cases.check(written["pid"] == pid and written["journal"] is None and
                written["writes"][0]["old"] == b"firs".hex() and written["writes"][0]["new"] == b"one\0".hex(),
                "JSON tells old and new bytes", written)


def held(cases, command, pid, program):
    assert command.run("snap", pid, "--hold", "a")[0] == 0
    command.run("mem", "write", "@a", "&head->number", "--type", "i32", "123")
    command.run("mem", "write", "@a", "&mine", "--type", "i32", "-5")
    status, _, errors = command.run("regs", "@a", "--set", "rbx=0x77,xmm2=0x1234")
    cases.check(status == 0, "registers of a frozen copy are set", errors)
    cases.check(number(command, "@a", "head->number") == "123" and number(command, "@a", "mine") == "-5" and
                number(command, pid, "head->number") == "50" and number(command, pid, "mine") == "78",
                "a frozen copy reads what was written to it, and the process is left alone")
    journal = pathlib.Path(command.json("mem", "writes", "@a")["journal"])
    cases.check(journal.exists() and str(journal).startswith(command.folder), "its journal stands beside its name", journal)
    status, _, errors = command.run("snap", "@a", "-o", "saved.core")
    saved = os.path.join(command.files, "saved.core")
    cases.check(status == 0 and "with 4 writes of " in errors, "it is saved with the writes, and that is told", errors)
    cases.check(not os.path.exists(saved + ".overlay") and number(command, "saved.core", "head->number") == "123" and
                command.json("regs", "saved.core")["registers"]["rbx"] == "0x77",
                "the new file has them itself")
    answer = ask_gdb(program, saved, "head->number", "head->name", "mine", "/x $rbx", "/x $xmm2.uint128", "last.number")
    cases.check(answer == ["123", '"one\\000t\\000\\000\\000\\000\\000\\000"', "-5", "0x77", "0x1234", "3"],
                "gdb reads them in it", answer)
    command.run("snap", "@a", "-o", "untouched.core", "--no-overlay")
    answer = ask_gdb(program, os.path.join(command.files, "untouched.core"), "head->number", "mine")
    cases.check(answer == ["50", "78"], "without the overlay it is saved untouched", answer)
    command.run("held", "drop", "a")
    cases.check(not journal.exists(), "the journal goes when the name is dropped")


def file_of_stacks(cases, command, pid, program):
    """What the file does not hold may be written, and is saved."""
    status, _, errors = command.run("snap", pid, "-o", "small.core", "--contents", "stacks")
    assert status == 0, errors
    stack = next(mapping for mapping in command.json("maps", "small.core")["mappings"] if mapping["path"] == "[stack]")
    page = int(stack["start"], 16)
    place = hex(page + 0x800)
    assert command.run("mem", "read", "small.core", place)[0] == 1
    written = command.json("mem", "write", "small.core", place, "--string", "known")
    cases.check(written["writes"][0]["old_missing_bytes"] == 5, "memory that was left out of a snapshot may be written", written)
    read = command.json("mem", "read", "small.core", hex(page), "0x1000")
    cases.check([gap["start"] for gap in read["missing"]] == [hex(page), hex(page + 0x805)] and
                read["bytes"][0x1000:0x100a] == b"known".hex(), "then those bytes alone are known", read["missing"])
    command.run("mem", "write", "small.core", "&last.number", "--type", "i32", "4")
    status, _, errors = command.run("snap", "small.core", "-o", "again.core", "--contents", "stacks")
    cases.check(status == 0 and f"{hex(page)}: nothing but what was written" in errors,
                "what stands around them in a saved page is told", errors)
    read = command.json("mem", "read", "again.core", place, "5")
    cases.check(read["bytes"] == b"known".hex() and not read["missing"] and number(command, "again.core", "last.number") == "4",
                "all that was written is saved", read)
    answer = ask_gdb(program, os.path.join(command.files, "again.core"), "last.number", f"(char)*{place}")
    cases.check(answer[0] == "4", "for gdb, too", answer)


def packed(cases, command, pid, program):
    """A compressed snapshot has a journal as a plain one has."""
    status, _, errors = command.run("snap", pid, "-o", "a.core.zst", "--compress")
    assert status == 0, errors
    command.run("mem", "write", "a.core.zst", "&last.name", "--string", "LAST")
    status, _, errors = command.run("snap", "a.core.zst", "-o", "b.core")
    answer = ask_gdb(program, os.path.join(command.files, "b.core"), "(char *)last.name")
    cases.check(status == 0 and answer and answer[0].endswith('"LAST"'), "a compressed snapshot is written to and saved",
                answer, errors)
    first = command.json("mem", "writes", "a.core.zst")
    status, _, errors = command.run("snap", pid, "-o", "a.core.zst", "--compress")
    status, output, errors = command.run("print", "a.core.zst", "last.number")
    cases.check(len(first["writes"]) == 1 and output == "3\n" and "belongs to another snapshot" in errors,
                "the journal is not applied to the file that takes its place", errors)


def main():
    cases = Cases()
    command = Command(STROBE)
    program = os.path.join(command.folder, "program")
    subprocess.run([CC, "-g", "-O0", "-x", "c", "-o", program, "-"], input=PROGRAM.encode(), check=True)
    with subprocess.Popen([program], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            living(cases, command, process.pid)
            held(cases, command, process.pid, program)
            file_of_stacks(cases, command, process.pid, program)
            packed(cases, command, process.pid, program)
        finally:
            process.kill()
            command.end()
    cases.end()


if __name__ == "__main__":
    main()
