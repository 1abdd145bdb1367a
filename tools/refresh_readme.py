#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Puts the real output of ./dev demo (its first part, to fit a screen) into README.md, between its
markers; the folder of the checkout reads ~/strobe there."""
import os
import pathlib
import subprocess
import sys

BEGIN, END = "<!-- demo: tools/refresh_readme.py -->\n", "<!-- end of demo -->\n"
LAST_PART = "\n# entry is no"  # the README stops before this remark


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    output = subprocess.run([root / "dev", "demo"], check=True, text=True, capture_output=True,
                            env={**os.environ, "NO_COLOR": "1"}).stdout
    if LAST_PART not in output:
        sys.exit("refresh_readme: the demo's remarks have changed; mend LAST_PART")
    shown = output.split(LAST_PART)[0].strip().replace(str(root), "~/strobe")
    readme = root / "README.md"
    head, rest = readme.read_text(encoding="utf-8").split(BEGIN)
    tail = rest.split(END)[1]
    block = f"{BEGIN}```\n{shown}\n```\n{END}"
    readme.write_text(head + block + tail, encoding="utf-8")


if __name__ == "__main__":
    main()
