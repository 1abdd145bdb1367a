#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What `meson install` leaves: a program compiles against it by pkg-config, in C and in C++.

usage: installed.py BUILD SOURCE_ROOT
"""
import glob
import os
import shutil
import subprocess
import sys
import tempfile

from demo_core import Cases


def run(command, **more):
    """(exit status, output with errors)."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                          timeout=120, **more)
    return done.returncode, done.stdout.decode(errors="replace")


def main():
    build, root = (os.path.abspath(a) for a in sys.argv[1:3])
    cases = Cases()
    with tempfile.TemporaryDirectory(prefix="strobe-install-") as folder:
        status, output = run(["meson", "install", "-C", build, "--no-rebuild", "--destdir", folder])
        cases.check(status == 0, "meson install works", output)
        files = glob.glob(folder + "/**/strobe.pc", recursive=True)
        cases.check(len(files) == 1, "strobe.pc is installed")
        environment = {**os.environ, "PKG_CONFIG_SYSROOT_DIR": folder,
                       "PKG_CONFIG_LIBDIR": os.path.dirname(files[0])}
        status, flags = run(["pkg-config", "--cflags", "--libs", "strobe"], env=environment)
        cases.check(status == 0, "pkg-config knows strobe", flags)
        source = os.path.join(root, "examples", "walk_threads.c")
        program = os.path.join(folder, "walk")
        status, output = run(["cc", source, "-o", program, *flags.split()])
        cases.check(status == 0, "an example compiles against what is installed", output)
        if shutil.which("c++"):
            text = '#include <strobe/value.h>\n#include <strobe/memory.h>\nint main() { return 0; }\n'
            status, output = run(["c++", "-x", "c++", "-", "-o", program, *flags.split()],
                                 input=text.encode())
            cases.check(status == 0, "so does C++", output)
        status, output = run([glob.glob(folder + "/**/bin/strobe", recursive=True)[0], "--version"])
        cases.check(status == 0, "the command finds the library beside it", output)
        cases.check(glob.glob(folder + "/**/doc/strobe/json.md", recursive=True), "json.md is installed")
        manual = glob.glob(folder + "/**/man1/strobe*.1*", recursive=True)
        cases.check(manual, "manual pages are installed")
        completion = glob.glob(folder + "/**/bash-completion/**/strobe", recursive=True)
        cases.check(completion, "bash completion is installed")
    cases.end()


if __name__ == "__main__":
    main()
