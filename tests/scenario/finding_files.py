# SPDX-License-Identifier: Apache-2.0
"""Where the program's files may be, and what is said when they are others than the core's.

usage: finding_files.py STROBE CC

One core; its program is then stripped, moved, replaced and deleted, and its debug information put
at every place where it is looked for, the last one a debuginfod server.
"""
import functools
import http.server
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading

from demo_core import Cases

STROBE, CC = sys.argv[1:3]
PROGRAM = """#include <stdlib.h>
const char banner[] = "read-only-%s";
int depth;
__attribute__((noinline)) int die(int left) { if (!left) abort(); depth = left; return die(left - 1) + depth; }
int main(void) { return die(2); }
"""
GDB = ["gdb", "-nx", "-batch", "-iex", "set debuginfod enabled off", "-ex", "run", "-ex"]


class Place:
    """A folder with a program, its core, and its debug information apart."""

    def __init__(self, folder):
        self.folder, self.program, self.core = folder, folder / "program", folder / "core"
        self.debug = folder / "apart" / "program.debug"
        self.debug.parent.mkdir()

    def build(self, text):
        """Compiles the program with `text` in it."""
        source = self.folder / "program.c"
        source.write_text(PROGRAM % text, encoding="utf-8")
        subprocess.run([CC, "-g", "-O0", "-Wl,--build-id", "-o", self.program, source], check=True)

    def make_core(self):
        """False where none can be had."""
        subprocess.run([*GDB, "generate-core-file core", "./program"], cwd=self.folder, check=False,
                       capture_output=True, timeout=60)
        return self.core.exists()

    def strip(self):
        """Moves the debug information out of the program, which is linked to it."""
        subprocess.run(["objcopy", "--only-keep-debug", self.program, self.debug], check=True)
        subprocess.run(["strip", f"--remove-section=.gnu_debuglink", self.program], check=True)
        subprocess.run(["objcopy", f"--add-gnu-debuglink={self.debug}", self.program], check=True)

    def build_id(self):
        """The program's, in hexadecimal."""
        text = subprocess.run(["readelf", "-n", self.program], check=True, capture_output=True, text=True).stdout
        return text.split("Build ID:")[1].split()[0]

    def run(self, *words, urls=""):
        """(output, errors) of strobe VERB CORE WORDS."""
        done = subprocess.run([STROBE, words[0], self.core, *words[1:]], capture_output=True, text=True,
                              check=False, timeout=60,
                              env={**os.environ, "DEBUGINFOD_URLS": urls,
                                   "DEBUGINFOD_CACHE_PATH": str(self.folder / "cache")})
        return done.stdout, done.stderr

    def names(self, *words, urls=""):
        """The functions of the program that a stack shows, and the warnings."""
        output, errors = self.run("bt", *words, "--json", urls=urls)
        frames = json.loads(output)["threads"][0]["frames"]
        return [f["function"] for f in frames if f["module"] == "program"], errors


WHOLE = ["die", "die", "die", "main"]


def check_places(cases, place):
    """The program is stripped; its debug information is put where it may be."""
    build_id, folder = place.build_id(), place.folder
    names, errors = place.names()
    cases.check(names != WHOLE and errors == "", "no debug information is no warning", names, errors)
    below = f"{build_id[:2]}/{build_id[2:]}"
    spots = [("beside the program", folder / "program.debug", []),
             ("in .debug", folder / ".debug/program.debug", []),
             ("below a debug directory, by path", pathlib.Path(f"{folder}/d{folder}/program.debug"),
              ["--debug-dir", f"{folder}/d"]),
             ("below a debug directory, by build id", folder / f"d/.build-id/{below}.debug",
              ["--debug-dir", f"/nonexistent:{folder}/d"]),
             ("in a sysroot, by build id", folder / f"root/usr/lib/debug/.build-id/{below}.debug",
              ["--sysroot", f"{folder}/root"])]
    for title, spot, words in spots:
        spot.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(place.debug, spot)
        names, errors = place.names(*words)
        cases.check(names == WHOLE and errors == "", f"debug information {title}", names, errors)
        spot.unlink()
    other = folder / "program.debug"
    shutil.copy(STROBE, other)
    names, errors = place.names()
    cases.check(names != WHOLE and build_id in errors and errors.count("build id") == 1 and
                errors.count("\n") == 1, "debug information of another build is refused with both ids", names, errors)
    other.unlink()


def check_server(cases, place):
    """Everything comes from a server: debug information, program, source."""
    files = place.folder / "served" / "buildid" / place.build_id()
    source = place.folder / "program.c"
    (files / f"source{source}").parent.mkdir(parents=True)
    shutil.copy(place.debug, files / "debuginfo")
    shutil.copy(place.program, files / "executable")
    source.rename(files / f"source{source}")
    place.program.rename(place.folder / "program.away")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        """Says nothing."""

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=place.folder / "served"))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    urls = f"http://127.0.0.1:{server.server_port}"
    names, errors = place.names("--no-debuginfod", urls=urls)
    cases.check(names != WHOLE and "not found" in errors, "a deleted program is named", names, errors)
    probe, _ = place.run("modules", "--json", urls=urls)
    if '"executable"' in probe or "/executable" in probe:
        names, errors = place.names(urls=urls)
        cases.check(names == WHOLE and errors == "", "all comes from a debuginfod server", names, errors)
        output, errors = place.run("list", "die", urls=urls)
        cases.check("abort()" in output, "the source, too", output, errors)
        server.shutdown()
        names, errors = place.names(urls=urls)
        cases.check(names == WHOLE, "what was fetched is kept for when the server is gone", names, errors)
    else:
        server.shutdown()
        print("# no case: built without debuginfod")
    (place.folder / "program.away").rename(place.program)


def check_rebuilt(cases, place):
    """The program is built anew after it died."""
    kept = place.folder / "kept"
    place.build("one")
    place.core.unlink()
    place.make_core()
    shutil.copy(place.program, kept)
    old = place.build_id()
    place.build("two")
    new = place.build_id()
    names, errors = place.names()
    cases.check(old != new and old in errors and new in errors and names != WHOLE,
                "a program that was rebuilt is refused with both ids", names, errors)
    names, errors = place.names("--exe", str(kept))
    cases.check(names == WHOLE and errors == "", "--exe has the right one", names, errors)
    output, errors = place.run("print", "banner", "--exe", str(kept))
    cases.check(output == '"read-only-one"\n', "and its read-only data", output, errors)
    names, errors = place.names("--exe", str(place.program))
    cases.check(names != WHOLE and new in errors, "--exe is checked, too", names, errors)
    root = pathlib.Path(f"{place.folder}/r{place.program}")
    root.parent.mkdir(parents=True)
    kept.rename(root)
    names, errors = place.names("--sysroot", f"{place.folder}/r")
    cases.check(names == WHOLE and errors == "", "--sysroot has the right one", names, errors)


def main():
    """Runs all."""
    cases = Cases()
    with tempfile.TemporaryDirectory() as name:
        place = Place(pathlib.Path(name))
        place.build("zero")
        if not shutil.which("gdb") or not place.make_core():
            print("1..0 # SKIP gdb is not installed, or may not run programs here")
            return 0
        names, errors = place.names()
        cases.check(names == WHOLE and errors == "", "the program where it was", names, errors)
        place.strip()
        check_places(cases, place)
        check_server(cases, place)
        check_rebuilt(cases, place)
    return cases.end()


if __name__ == "__main__":
    sys.exit(main() or 0)
