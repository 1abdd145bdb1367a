#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes a manual page: fills in what the command knows about itself, and runs scdoc.

usage: make_manual.py STROBE SCDOC SOURCE.scd OUTPUT

A line "@OPTIONS VERB@", "@OWN VERB@" (without the options that all verbs have), "@SYNOPSIS VERB@" or
"@VERBS@" in the source is replaced by the output of `strobe --dump-options=...`, so that the manual has
the options that the command has.
"""
import re
import subprocess
import sys

PLACE = re.compile(r"^@(OPTIONS|OWN|SYNOPSIS|VERBS) ?(.*)@$")
HOW = {"OPTIONS": "scdoc", "OWN": "own", "SYNOPSIS": "synopsis", "VERBS": "verbs"}


def expand(strobe, line):
    match = PLACE.match(line)
    if not match:
        return line
    command = [strobe, "--dump-options=" + HOW[match[1]]] + ([match[2]] if match[2] else [])
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.rstrip("\n")


def main():
    strobe, scdoc, source, output = sys.argv[1:]
    with open(source, encoding="utf-8") as file:
        text = "\n".join(expand(strobe, line) for line in file.read().splitlines()) + "\n"
    page = subprocess.run([scdoc], check=True, capture_output=True, input=text.encode()).stdout
    with open(output, "wb") as file:
        file.write(page)


if __name__ == "__main__":
    sys.exit(main())
