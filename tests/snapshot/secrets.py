#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What is redacted is nowhere in the file, and the rest is as it was.

usage: secrets.py WRITE_VIEW COMPARE_VIEWS TARGET
"""
import os
import sys
import tempfile

from written import SECRET, Cases, Writer, find_all, gdb_core, kernel_core, notes_of, run

# Made at run time: the program's own file has none of these.
SECRETS = rb"hunter2-\d+|AKIA\d{8}|item number \d+|in shared memory|in a memfd|" + SECRET.encode()
GDB = ["thread apply all bt", "info sharedlibrary", "thread apply all -s p thread_number",
       "p global_counter", "p list->next->next->next->value"]


def ask_gdb(target, core):
    command = ["gdb", "-nx", "-batch", "-ex", "set debuginfod enabled off", "-ex",
               "set print elements 1"]
    for question in GDB:
        command += ["-ex", question]
    lines = run([*command, target, core]).stdout.splitlines()
    # The command's arguments are redacted, names in structures, too.
    return [line for line in lines if core not in line and "name = " not in line and
            not line.startswith(("Core was generated", "$7"))]


def main():
    write_view, _, target = (os.path.abspath(path) for path in sys.argv[1:4])
    cases = Cases()
    writer = Writer(write_view)
    with tempfile.TemporaryDirectory() as folder:
        place = os.path.join(folder, "core")
        core = kernel_core(target, place, "1") or gdb_core(target, place + "2", "1")
        if not core:
            print("1..0 # SKIP nobody writes a core here")
            return
        cases.check(len(find_all(core, SECRETS)) > 2000, "the core is full of secrets")
        out, truth = os.path.join(folder, "out"), ask_gdb(target, core)
        for options in ([], ["--full"], ["--stacks"]):
            good = writer.write("--redact-strings", *options, core, out)
            left = find_all(out, SECRETS)
            cases.check(good and not left, f"strings {' '.join(options)}: none is left",
                        writer.error, left[:10])
            cases.check(ask_gdb(target, out) == truth,
                        f"strings {' '.join(options)}: stacks, libraries and numbers are there",
                        *ask_gdb(target, out))
        capture = next(data for _, kind, data in notes_of(out) if kind == 0x53540001)
        cases.check(capture[36:40] == b"\1\0\0\0", "the file says that it is redacted")
        good = writer.write("--compress", "1", "--redact-strings", core, out + ".zst")
        run(["zstd", "-q", "-d", "-f", out + ".zst", "-o", out])
        cases.check(good and not find_all(out, SECRETS), "likewise when it is compressed")

        good = writer.write("--redact-environment", core, out)
        cases.check(good and not find_all(out, SECRET.encode()) and
                    len(find_all(out, rb"SECRET_ENV=[A-Z2-7]{14}\0")) >= 1 and
                    len(find_all(out, rb"hunter2-\d+")) > 1000,
                    "the environment: values alone, names stay", writer.error,
                    find_all(out, SECRET.encode()), find_all(out, rb"SECRET_ENV=[^\0]*\0"))
        good = writer.write("--redact", r"AKIA\d+", "--redact", "hunter2-[0-9]+", core, out)
        # All eight digits: a hash in a hundred files has "AKIA" and one digit by chance.
        cases.check(good and not find_all(out, rb"AKIA\d{8}|hunter2-\d") and
                    len(find_all(out, rb"item number \d+")) > 900 and
                    len(find_all(out, rb"password=")) > 1000,
                    "patterns: what matches, and nothing else", writer.error)
        good = writer.write("--redact", r"item (", core, out)
        cases.check(not good and "missing" in writer.error, "a pattern that is none", writer.error)

        first, second = find_all(out, rb"password=([A-Z2-7]{14})"), []
        writer.write("--redact", "hunter2-[0-9]+", core, out)
        first = find_all(out, rb"password=([A-Z2-7]+);")
        writer.write("--redact", "hunter2-[0-9]+", core, out)
        second = find_all(out, rb"password=([A-Z2-7]+);")
        cases.check(len(set(first)) == len(set(second)) > 1000 and not set(first) & set(second),
                    "each file has its own key", len(set(first)), len(set(second)))
        texts = find_all(core, rb"token=AKIA(\d{8})")
        writer.write("--redact", r"AKIA\d+", core, out)
        tokens = find_all(out, rb"token=([A-Z2-7]{12})")
        cases.check(len(texts) == len(tokens) and len(set(texts)) == len(set(tokens)) and
                    len(set(zip(texts, tokens))) == len(set(texts)),
                    "equal text, equal hash within a file", len(texts), len(tokens))
    cases.end()


main()
