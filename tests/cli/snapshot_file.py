# SPDX-License-Identifier: Apache-2.0
"""Writes a snapshot file by hand (docs/format/snapshot.md): the facts of a living process, for tests of what the
verbs show. Its memory is not read and its registers are made up."""
import os
import pathlib
import re
import struct

ROOT = pathlib.Path(__file__).resolve().parents[2]
TYPES = {name: int(number, 0) for name, number in
         re.findall(r"^\tNT_STROBE_(\w+) = (\w+),", (ROOT / "src/elf/strobe_note.h").read_text(encoding="utf-8"), re.M)}
CAPTURE, PROC_FILE, THREAD = TYPES["CAPTURE"], TYPES["PROC_FILE"], TYPES["THREAD"]
DESCRIPTOR, NOT_ATOMIC, SIGNAL = TYPES["DESCRIPTOR"], TYPES["NOT_ATOMIC"], TYPES["SIGNAL"]
IN_SYSCALL, SIGNALS_KNOWN, ROBUST_KNOWN, RSEQ_KNOWN = 2, 4, 8, 16
FILES = ("maps", "status", "stat", "cmdline", "environ", "limits", "cgroup", "oom_score_adj")
LINKS = ("exe", "cwd", "root")


def note(kind, description, name=b"STROBE\0"):
    """One note of an ELF core."""
    def padded(data):
        return data + bytes(-len(data) % 4)
    return struct.pack("<III", len(name), len(description), kind) + padded(name) + padded(description)


def capture(time_ns, boot_ns, pause_ns):
    """NT_STROBE_CAPTURE of a clone."""
    return note(CAPTURE, struct.pack("<IIQQQII", 1, 1, time_ns, boot_ns, pause_ns, 0, 2) + bytes(range(16)))


def proc_file(name, data):
    """NT_STROBE_PROC_FILE."""
    return note(PROC_FILE, name.encode() + b"\0" + data)


def thread(tid, flags, state, blocked, call, arguments=()):
    """NT_PRSTATUS and NT_STROBE_THREAD."""
    registers = [0] * 27
    registers[15], registers[16], registers[19] = call, 0x1000, 0x2000  # orig_rax, rip, rsp
    for place, value in zip((14, 13, 12, 7, 9, 8), arguments):
        registers[place] = value
    status = bytearray(336)
    struct.pack_into("<i", status, 32, tid)
    struct.pack_into("<27Q", status, 112, *(r & (1 << 64) - 1 for r in registers))
    facts = struct.pack("<IiIiB7xQQQQQIIII", 1, tid, flags, 1, ord(state), blocked, 0, 0x7000, 24, 0x8000, 32, 0x53053053,
                        0, 0)
    return note(1, bytes(status), b"CORE\0") + note(THREAD, facts)


def descriptors(pid):
    """NT_STROBE_DESCRIPTOR of each."""
    base = pathlib.Path(f"/proc/{pid}")
    for fd in sorted(int(name) for name in os.listdir(base / "fd")):
        link = os.readlink(base / "fd" / str(fd))
        info = (base / "fdinfo" / str(fd)).read_text(encoding="utf-8")
        mode = os.stat(base / "fd" / str(fd)).st_mode
        peer = "pipe of 1 (init)" if link.startswith("pipe:") else ""
        yield note(DESCRIPTOR, struct.pack("<iI", fd, mode) + b"".join(t.encode() + b"\0" for t in (link, info, peer)))


def process_notes(pid):
    """NT_STROBE_PROC_FILE of the process and its threads."""
    base = pathlib.Path(f"/proc/{pid}")
    for name in FILES:
        yield proc_file(name, (base / name).read_bytes())
    for name in LINKS:
        yield proc_file(name, os.readlink(base / name).encode())
    for name in sorted(os.listdir(base / "ns")):
        yield proc_file(f"ns/{name}", os.readlink(base / "ns" / name).encode())
    for tid in os.listdir(base / "task"):
        for name in ("stat", "status"):
            yield proc_file(f"task/{tid}/{name}", (base / "task" / tid / name).read_bytes())


def write(path, notes):
    """An ELF core that has these notes and no memory."""
    data = b"".join(notes)
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 4, 62, 1, 0, 64, 0, 0, 64, 56, 1, 64, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 4, 0, 120, 0, 0, len(data), 0, 4)
    pathlib.Path(path).write_bytes(header + segment + data)
