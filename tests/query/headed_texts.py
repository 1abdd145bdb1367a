#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Equal texts behind headers that differ are found. TAP.

usage: headed_texts.py STROBE CC SOURCE
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

STROBE, CC, SOURCE = sys.argv[1:4]
COUNT = 30
# Each text, and how many bytes of its block stand before it.
TEXTS = {"hello, world!!": 1, "a text of some words": 3, "a longer text that has room to grow": 9, "a text behind a count": 4,
         "as strings were long ago": 24, "embedded in an object": 19, "with no header at all": 0}


def expect(ours, wanted):
    assert ours == wanted, f"{ours!r}, expected {wanted!r}"


def check(directory, options):
    program, core = str(pathlib.Path(directory, "program")), str(pathlib.Path(directory, "core"))
    subprocess.run([CC, *options, "-w", "-o", program, SOURCE], check=True)
    # meson has malloc fill blocks with a letter, at times: headers' unused bytes would be text then.
    with subprocess.Popen([program], stdout=subprocess.PIPE, text=True, env={**os.environ, "MALLOC_PERTURB_": "0"}) as process:
        assert process.stdout.readline() == "ready\n"
        subprocess.run([STROBE, "snap", str(process.pid), "-o", core, "--quiet"], check=True, capture_output=True)
        process.kill()
    done = subprocess.run([STROBE, "heap", core, "duplicates", "--strings", "--json", "--limit", "0"], capture_output=True, text=True,
                          timeout=100, check=False, env={**os.environ, "DEBUGINFOD_URLS": ""})
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    groups = {group["text"]: group for group in answer["groups"] if group["count"] > 2}
    expect({text: [group["count"], group["text_offset"], group["content_bytes"]] for text, group in groups.items()},
           {text: [COUNT, offset, len(text)] for text, offset in TEXTS.items()})
    for group in groups.values():
        assert group["wasted_bytes"] >= (COUNT - 1) * (group["content_bytes"] + group["text_offset"] + 1), group
    assert not any("everybody" in group["text"] for group in answer["groups"]), answer["groups"]
    os.remove(core)
    os.remove(core + ".graph")


def main():
    ways = {"with types": ["-g", "-O0"], "optimised": ["-g", "-O2"], "without types": ["-O1"]}
    print(f"1..{len(ways)}")
    failed = False
    with tempfile.TemporaryDirectory() as directory:
        for number, (name, options) in enumerate(ways.items(), 1):
            problem = None
            try:
                check(directory, options)
            except (AssertionError, KeyError) as error:
                problem = f"{type(error).__name__}: {error}"
            failed |= problem is not None
            for line in str(problem or "").splitlines()[:40]:
                print("#", line)
            print("not ok" if problem else "ok", number, "-", name, flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
