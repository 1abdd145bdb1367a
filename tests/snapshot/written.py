# SPDX-License-Identifier: Apache-2.0
"""Cores for the snapshot writer, and what it makes of them."""
import os
import re
import resource
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "scenario"))
from demo_core import Cases  # noqa: E402,F401

SECRET = "topsecretvalue"
STROBE = 0x53540000  # the first of Strobe's types of notes
CAPTURE, EXTENTS, PARENT, HASHES, EMBEDDED = (STROBE + n for n in (1, 6, 7, 8, 9))


def run(command, **more):
    return subprocess.run(command, text=True, capture_output=True, check=False, timeout=120, **more)


def kernel_core(target, folder, *arguments):
    """A core that the kernel wrote, or None."""
    def limits():
        hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
        resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    os.mkdir(folder)
    run([target, folder, *arguments], cwd=folder, preexec_fn=limits,
        env=dict(os.environ, SECRET_ENV=SECRET))
    cores = [name for name in os.listdir(folder) if name.startswith("core")]
    return os.path.join(folder, cores[0]) if cores else None


def gdb_core(target, folder, *arguments):
    """A core that gdb wrote."""
    os.mkdir(folder)
    core = os.path.join(folder, "gcore")
    run(["gdb", "-nx", "-batch", "-ex", "set debuginfod enabled off", "-ex", "run",
         "-ex", f"generate-core-file {core}", "-ex", "kill", "--args", target, folder, *arguments],
        cwd=folder, env=dict(os.environ, SECRET_ENV=SECRET))
    return core if os.path.exists(core) else None


class Writer:
    """The program under test, and the figures it tells."""

    def __init__(self, program):
        self.program = program
        self.told = {}

    def write(self, *arguments, **more):
        done = run([self.program, *arguments], **more)
        self.told = {name: int(number)
                     for name, number in re.findall(r"(\w+) (\d+)", done.stderr)}
        self.error = done.stderr.strip()
        return done.returncode == 0


def pages_of(path):
    """Stretches of a file that are no holes."""
    with open(path, "rb") as file:
        size, at = os.fstat(file.fileno()).st_size, 0
        while at < size:
            try:
                start = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError:
                return
            at = os.lseek(file.fileno(), start, os.SEEK_HOLE)
            yield os.pread(file.fileno(), at - start, start)


def find_all(path, pattern):
    """Every match in a file."""
    return [match for piece in pages_of(path) for match in re.findall(pattern, piece)]


def headers_of(path):
    """The program headers of a core: (type, flags, offset, address, file size, memory size)."""
    with open(path, "rb") as file:
        header = struct.unpack("<16sHHIQQQIHHHHHH", file.read(64))
        count = header[10]
        if count == 0xffff:
            file.seek(header[6])
            count = struct.unpack("<IIQQQQIIQQ", file.read(64))[7]
        file.seek(header[5])
        table = file.read(56 * count)
    for at in range(0, len(table), 56):
        kind, flags, offset, address, _, size, memory, _ = struct.unpack_from("<IIQQQQQQ", table, at)
        yield kind, flags, offset, address, size, memory


def notes_of(path):
    """The notes of a core: (name, type, data)."""
    offset, size = next((h[2], h[4]) for h in headers_of(path) if h[0] == 4)
    with open(path, "rb") as file:
        file.seek(offset)
        notes = file.read(size)
    at = 0
    while at < len(notes):
        name_size, size, kind = struct.unpack_from("<III", notes, at)
        name = notes[at + 12:at + 12 + name_size].rstrip(b"\0")
        at += 12 + (name_size + 3) // 4 * 4
        yield name, kind, notes[at:at + size]
        at += (size + 3) // 4 * 4
