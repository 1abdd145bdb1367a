#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Many mappings, and much memory: time and room do not grow with what is not there.

usage: large.py WRITE_VIEW COMPARE_VIEWS TARGET
"""
import os
import struct
import subprocess
import sys
import tempfile
import time

from written import STROBE, Cases, Writer, headers_of, pages_of, run

PAGE = 4096


def make_core(path, loads, size, islands=(), maps=b""):
    """A core with a thread and the given (address, offset, size) of memory."""
    registers = bytes(27 * 8)
    status = bytes(32) + struct.pack("<i", 77) + bytes(76) + registers + bytes(8)
    note = struct.pack("<III", 5, len(status), 1) + b"CORE\0\0\0\0" + status
    if maps:
        maps = b"maps\0" + maps
        note += struct.pack("<III", 7, len(maps), STROBE + 2) + b"STROBE\0\0" + maps + bytes(-len(maps) % 4)
    count = len(loads) + 1
    many = count >= 0xffff
    notes_at = 64 + 56 * count + 64 * many
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 4, 62, 1, 0, 64,
                         64 + 56 * count if many else 0, 0, 64, 56, 0xffff if many else count,
                         64 if many else 0, 1 if many else 0, 0)
    with open(path, "wb") as file:
        file.write(header + struct.pack("<IIQQQQQQ", 4, 0, notes_at, 0, 0, len(note), 0, 4))
        file.write(b"".join(struct.pack("<IIQQQQQQ", 1, 6, offset, address, 0, length, length, PAGE)
                            for address, offset, length in loads))
        if many:
            file.write(struct.pack("<IIQQQQIIQQ", 0, 0, 0, 0, 0, 1, 0, count, 0, 0))
        file.write(note)
        file.truncate(size)
        for offset, content in islands:
            file.seek(offset)
            file.write(content)


def measure(command):
    """Exit status, seconds, and the most memory it had in use."""
    start = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        error = process.stderr.read().decode()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = status
    return status, time.monotonic() - start, usage.ru_maxrss << 10, error


def main():
    write_view, compare, _ = (os.path.abspath(path) for path in sys.argv[1:4])
    cases = Cases()
    writer = Writer(write_view)
    with tempfile.TemporaryDirectory() as folder:
        core, out = os.path.join(folder, "core"), os.path.join(folder, "out")

        base = 6 << 20
        loads = [(0x10000000 + i * 2 * PAGE, base + i % 16 * PAGE, PAGE) for i in range(70000)]
        make_core(core, loads, base + 16 * PAGE, [(base + i * PAGE, b"page %d" % i) for i in range(16)])
        good = writer.write("--no-fsync", core, out)
        count = sum(1 for h in headers_of(out) if h[0] == 1)
        cases.check(good and count == 70000, "70,000 mappings: as many program headers",
                    writer.error, count)
        done = run([compare, core, out])
        cases.check(done.returncode == 0, "each of them is read again", done.stdout)
        os.unlink(out)

        size = 64 << 30
        islands = [(PAGE + at, b"an island at %x" % at) for at in range(0, size, 1 << 30)]
        make_core(core, [(1 << 40, PAGE, size)], PAGE + size, islands)
        for options in (["--no-fsync"], ["--compress", "1"]):
            status, seconds, memory, error = measure([write_view, *options, core, out])
            blocks = os.stat(out).st_blocks * 512
            cases.check(status == 0 and seconds < 10 and blocks < 20 << 20,
                        f"64 GiB of next to nothing {options[0]}: a small file, at once", error,
                        seconds, blocks)
            cases.check(memory < 64 << 20, f"and little memory {options[0]}", memory)
        with subprocess.Popen(["zstd", "-q", "-d", "-c", out], stdout=subprocess.PIPE) as process:
            first = process.stdout.read(1 << 20)
            process.kill()
        cases.check(first[:4] == b"\x7fELF" and b"an island at 0" in first, "zstd reads it")
        os.unlink(out)

        size = 300 << 20
        with open("/dev/urandom", "rb") as random:
            block = random.read(1 << 20)
        make_core(core, [(1 << 40, PAGE, size)], PAGE + size,
                  [(PAGE + at, block[at % PAGE:] + block[:at % PAGE])
                   for at in range(0, size, 1 << 20)])
        for options in (["--no-fsync"], ["--compress", "1", "--no-fsync"]):
            status, _, memory, error = measure([write_view, *options, core, out])
            cases.check(status == 0 and memory < (64 << 20) + size // 1000,
                        f"300 MiB: memory stays small {options[0]}", error, memory)
        good = writer.write("--no-fsync", core, out)
        done = run([compare, core, out])
        cases.check(good and done.returncode == 0 and writer.told["pages"] == size,
                    "every byte is there", done.stdout, writer.told)

        # A server's heap: zeros everywhere between what is in use.
        size, step, piece = 64 << 20, 10 * PAGE, 4 * PAGE
        make_core(core, [(1 << 40, PAGE, size)], PAGE + size,
                  [(PAGE + at, block[at % PAGE:][:piece]) for at in range(0, size - step, step)],
                  b"%x-%x rw-p 00000000 00:00 0 \n" % (1 << 40, (1 << 40) + size))
        good = writer.write("--no-fsync", core, out)
        done = run([compare, core, out])
        cases.check(good and done.returncode == 0, "zeros everywhere: every byte is there",
                    writer.error, done.stdout)
        stretches, told = len(list(pages_of(out))), writer.told
        cases.check(stretches < 5 and os.stat(out).st_blocks * 512 < told["pages"] + (1 << 20) and
                    len(list(headers_of(out))) > size // step, "but pages side by side in the file",
                    stretches, told)
        again = out + ".again"
        good = writer.write("--no-fsync", out, again)
        done = run([compare, core, again])
        cases.check(good and done.returncode == 0 and os.path.getsize(again) == os.path.getsize(out) and
                    list(headers_of(again)) == list(headers_of(out)),
                    "written from what was written, the same", writer.error, done.stdout)
    cases.end()


main()
