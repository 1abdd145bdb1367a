#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes C of a page: its style and its script stand in it, its security policy allows just these two by their hashes.

usage: embed_page.py PAGE.html STYLE.css SCRIPT.js OUT.c
"""
import base64
import hashlib
import pathlib
import sys


def digest(text):
    return "'sha256-%s'" % base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


def literal(name, text):
    """A string as C: lines of at most 60 bytes, all but plain characters as octal."""
    data = text.encode("utf-8")
    lines = ["const char %s[] =" % name]
    for at in range(0, len(data), 60):
        part = "".join(chr(byte) if 32 <= byte < 127 and byte not in b'"\\?' else "\\%03o" % byte
                       for byte in data[at:at + 60])
        lines.append('\t"%s"' % part)
    return "\n".join(lines) + ";\nconst size_t %s_size = %d;\n" % (name, len(data))


def main():
    page, style, script = (pathlib.Path(name).read_text(encoding="utf-8") for name in sys.argv[1:4])
    if "</" in script or "<!--" in script or "</" in style:
        sys.exit("embed_page: a style or script must not hold markup")
    page = page.replace("@STYLE_HASH@", digest(style)).replace("@SCRIPT_HASH@", digest(script))
    page = page.replace("@STYLE@", style).replace("@SCRIPT@", script)
    head, tail = page.split("@DATA@")
    pathlib.Path(sys.argv[4]).write_text(
        '// Made by tools/embed_page.py.\n#include "graph_export/report_page.h"\n\n' +
        literal("report_page_head", head) + literal("report_page_tail", tail), encoding="ascii")


main()
