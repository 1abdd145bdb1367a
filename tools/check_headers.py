#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the public headers and the shared library's exports against each other. TAP on stdout.

usage: check_headers.py SOURCE_ROOT LIBRARY [CC [CXX]] [--partial]

- each header compiles alone as C11 and as C++17, without warnings;
- the library exports exactly the STROBE_EXPORT names of the headers (--partial: nothing else);
- each of them stands below a documentation comment (a run of declarations without a blank line
  between them shares one).
"""
import pathlib
import re
import shutil
import subprocess
import sys

NAME = re.compile(r"\b(strobe_\w+)\s*\(")


def declarations(path):
    """(name, documented?) of each exported function of a header."""
    text = path.read_text(encoding="utf-8")
    for block in re.split(r"\n\s*\n", text):
        documented = False
        comment = False
        start = end = 0
        for line in block.splitlines(keepends=True):
            start, end = end, end + len(line)
            if line.lstrip().startswith("/**"):
                documented = comment = True
            if comment:
                comment = "*/" not in line
                continue
            if line.startswith("STROBE_EXPORT"):
                match = NAME.search(block, start)
                if match:
                    yield match.group(1), documented


def compile_alone(compiler, language, standard, include, header):
    """The compiler's complaint about a file that holds only this #include, or None."""
    source = f"#include <strobe/{header.name}>\n"
    command = [compiler, "-x", language, f"-std={standard}", "-Wall", "-Wextra", "-Werror",
               "-pedantic", "-fsyntax-only", f"-I{include}", "-"]
    done = subprocess.run(command, input=source, text=True, capture_output=True, check=False)
    return None if done.returncode == 0 else done.stderr


def main():
    arguments = [a for a in sys.argv[1:] if a != "--partial"]
    root, library = pathlib.Path(arguments[0]), arguments[1]
    compilers = [("c", "c11", arguments[2] if len(arguments) > 2 else "cc"),
                 ("c++", "c++17", arguments[3] if len(arguments) > 3 else "c++")]
    include = root / "include"
    headers = sorted((include / "strobe").glob("*.h"))
    results = []
    for language, standard, compiler in compilers:
        for header in headers:
            title = f"<strobe/{header.name}> compiles alone as {standard}"
            if not shutil.which(compiler):
                results.append((title, None, f"{compiler} is not installed"))
                continue
            problem = compile_alone(compiler, language, standard, include, header)
            results.append((title, problem, None))
    declared = dict(d for header in headers for d in declarations(header))
    listing = subprocess.run(["nm", "-D", "--defined-only", "--format=posix", library], text=True,
                             capture_output=True, check=True).stdout
    exported = {line.split()[0].split("@")[0] for line in listing.splitlines() if line}
    extra, missing = sorted(exported - set(declared)), sorted(set(declared) - exported)
    bare = sorted(name for name, documented in declared.items() if not documented)
    results.append(("the library exports nothing but the headers' names", "\n".join(extra), None))
    if "--partial" not in sys.argv:
        results.append(("the library exports every name of the headers", "\n".join(missing), None))
    results.append(("every exported name is documented", "\n".join(bare), None))
    print(f"1..{len(results)}")
    for number, (title, problem, skip) in enumerate(results, 1):
        for line in (problem or "").splitlines():
            print("#", line)
        print("not ok" if problem else "ok", number, "-", title, f"# SKIP {skip}" if skip else "")
    return 1 if any(problem for _, problem, _ in results) else 0


if __name__ == "__main__":
    sys.exit(main())
