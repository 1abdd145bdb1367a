#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs blocks.py with the C libraries of other Debian releases, which apt fetches into FOLDER without installing them.
Not one of the tests: it needs Debian's archive.

usage: other_glibcs.py BUILD FOLDER [SUITE...]      (suites: bullseye trixie sid)
"""
import glob
import os
import subprocess
import sys

WRAPPED = ["malloc", "calloc", "realloc", "memalign", "aligned_alloc", "posix_memalign", "free"]
HERE = os.path.dirname(os.path.abspath(__file__))


def fetch(suite, folder):
    """The suite's libc6 and libc6-dev, unpacked; where."""
    root = os.path.join(folder, "root")
    if os.path.isdir(root):
        return root
    for name in ("lists/partial", "cache/archives/partial"):
        os.makedirs(os.path.join(folder, name), exist_ok=True)
    source = os.path.join(folder, "sources.list")
    with open(source, "w", encoding="ascii") as file:
        file.write("deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] "
                   f"http://deb.debian.org/debian {suite} main\n")
    apt = ["apt-get", "-qq"]
    for option in (f"Dir::Etc::SourceList={source}", "Dir::Etc::SourceParts=/dev/null",
                   f"Dir::State::Lists={folder}/lists", f"Dir::Cache={folder}/cache"):
        apt += ["-o", option]
    subprocess.run([*apt, "update"], check=True)
    subprocess.run([*apt, "download", f"libc6/{suite}", f"libc6-dev/{suite}"], check=True, cwd=folder)
    for package in glob.glob(os.path.join(folder, "*.deb")):
        subprocess.run(["dpkg-deb", "-x", package, root], check=True)
    return root


def find(root, name):
    """A file of that name, which is no link that leads out of `root`."""
    return [path for path in glob.glob(os.path.join(root, "**", name), recursive=True)
            if os.path.isfile(path)][0]


def programs(root, folder):
    """(command for the dynamic program, the static one), built against that libc."""
    source, libraries = os.path.join(HERE, "exercise.c"), os.path.dirname(find(root, "libc.so.6"))
    objects = os.path.dirname(find(root, "crt1.o"))
    common = ["gcc", f"--sysroot={root}", "-idirafter", "/usr/include", "-idirafter",
              "/usr/include/x86_64-linux-gnu", "-O1", "-fno-builtin"]
    dynamic, static = os.path.join(folder, "exercise"), os.path.join(folder, "exercise_static")
    loader = os.path.join(libraries, "ld-linux-x86-64.so.2")
    threads = glob.glob(os.path.join(libraries, "libpthread.so.0"))
    subprocess.run([*common, "-nostartfiles", "-nodefaultlibs", "-no-pie", "-o", dynamic,
                    f"{objects}/crt1.o", f"{objects}/crti.o", source, *threads,
                    f"{libraries}/libc.so.6", f"{objects}/libc_nonshared.a", loader, "-lgcc",
                    f"{objects}/crtn.o"], check=True)
    subprocess.run([*common, "-DWRAPPED", "-static", "-o", static, source, "-pthread",
                    *[f"-Wl,--wrap={name}" for name in WRAPPED]], check=True)
    return f"{loader} --library-path {libraries} {dynamic}", static


def main():
    build, folder = (os.path.abspath(path) for path in sys.argv[1:3])
    failed = 0
    for suite in sys.argv[3:] or ["bullseye", "trixie", "sid"]:
        print(f"== {suite}", flush=True)
        place = os.path.join(folder, suite)
        dynamic, static = programs(fetch(suite, place), place)
        tools = os.path.join(build, "tests", "heap")
        failed += subprocess.run([os.path.join(HERE, "blocks.py"), f"{tools}/show_blocks", dynamic,
                                  static, dynamic, f"{build}/strobe", f"{tools}/damage_blocks"],
                                 check=False).returncode != 0
    return 1 if failed else 0


sys.exit(main())
