#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The live table of `strobe watch`, on a terminal that this program plays. TAP on stdout.

usage: table.py STROBE CC SOURCE_FOLDER [CASE...]
"""
import fcntl
import os
import pathlib
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import watching
from watching import CC, FOLDER, PATIENCE, SOURCES, STROBE, check_skip, line, until


class Screen:
    """As much of a terminal as the table may use; anything else is an error."""

    def __init__(self, rows, columns):
        self.rows, self.columns, self.lines, self.row, self.column, self.styled = rows, columns, [""], 0, 0, False

    def put(self, text):
        for piece in re.findall(r"\x1b\[[0-9;]*[A-Za-z]|\x1b|[\r\n]|[^\x1b\r\n]+", text):
            if piece == "\r":
                self.column = 0
            elif piece == "\n":
                self.row += 1
                self.lines += [""] * (self.row + 1 - len(self.lines))
            elif piece == "\x1b[A":
                self.row -= 1
                assert self.row >= max(0, len(self.lines) - self.rows), "above the screen"
            elif piece == "\x1b[J":
                self.lines[self.row:] = [self.lines[self.row][:self.column]]
            elif re.fullmatch(r"\x1b\[[0-9;]*m", piece):
                self.styled = piece not in ("\x1b[0m", "\x1b[m")
            else:
                assert piece[0] != "\x1b", f"the terminal is asked for {piece!r}"
                old = self.lines[self.row].ljust(self.column)
                self.lines[self.row] = old[:self.column] + piece + old[self.column + len(piece):]
                self.column += len(piece)
                assert self.column <= self.columns or "strobe: " in self.lines[self.row] or ":" in self.lines[self.row], self.lines[self.row]


class Terminal:
    """strobe on a terminal."""

    def __init__(self, *arguments, rows=24, columns=120, environment=None):
        self.screen, self.raw = Screen(rows, columns), ""
        self.master, slave = pty.openpty()
        self.resize(rows, columns)
        self.modes = termios.tcgetattr(slave)
        variables = {**os.environ, "TERM": "xterm", **(environment or {})}
        self.process = subprocess.Popen([STROBE, "watch", *map(str, arguments)], stdin=slave, stdout=slave, stderr=slave, env=variables,
                                        start_new_session=True)
        self.slave = slave

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.screen.rows, self.screen.columns = rows, columns

    def read(self):
        while select.select([self.master], [], [], 0)[0]:
            text = os.read(self.master, 65536).decode("utf-8", "replace")
            self.raw += text
            self.screen.put(text)

    def until(self, condition):
        def come():
            self.read()
            value = condition(self.screen.lines)
            if not value and self.process.poll() is not None:
                check_skip(self.raw)
                raise AssertionError(f"it ended: {self.process.returncode}, {self.raw[-1500:]!r}")
            return value
        return until(come, lambda: repr(self.screen.lines[-12:]))

    def end(self, by=signal.SIGINT):
        """The lines in the end; the terminal is as it was."""
        self.process.send_signal(by)
        until(lambda: (self.read(), self.process.poll() is not None)[1], "strobe to end")
        self.read()
        assert termios.tcgetattr(self.slave) == self.modes and not self.screen.styled
        os.close(self.slave)
        os.close(self.master)
        return self.screen.lines


def target():
    return watching.Target(FOLDER / "watched", 1000000, 1)


def rows_of(lines):
    """The cells of the last table's rows, by id."""
    heads = [i for i, text in enumerate(lines) if re.match(r"ID +PLACE +ARMED +HITS +HITS/S +DROPPED +COST +STATE", text)]
    assert len(heads) <= 1, lines
    return {text.split()[0]: re.split(r"  +", text.strip()) for text in lines[heads[0] + 1:]} if heads else {}


POINTS = """
- {{id: one, path: watched.c, line: {serve}, log_msg: 'n is {{n}}', snapshot: no_collect, fire_count: -1, fire_period: 100}}
- {{id: none, method_name: no_such_function}}
"""


def points():
    path = FOLDER / "table.yaml"
    path.write_text(POINTS.format(serve=line("watched.c", "SERVE")))
    return path


def shown():
    """the table stays below the results, and its numbers go on; it is there once"""
    with target() as it:
        terminal = Terminal(it.pid, "-f", points())
        cells = terminal.until(lambda lines: len(rows_of(lines)) == 2 and rows_of(lines))
        assert cells["one"][1] == f"watched.c:{line('watched.c', 'SERVE')}" and re.fullmatch(r"1 (uprobe|jump|punned jump)", cells["one"][2]), cells
        assert cells["one"][-1] == "armed" and cells["none"][-1] == "pending" and cells["none"][1] == "no_such_function", cells
        hits = int(cells["one"][3])
        terminal.until(lambda lines: int(rows_of(lines)["one"][3]) > hits + 10 if "one" in rows_of(lines) else False)
        terminal.until(lambda lines: "one" in rows_of(lines) and float(rows_of(lines)["one"][4]) > 0)
        terminal.until(lambda lines: sum("n is" in text for text in lines) > 20)
        lines = terminal.end()
    head = next(i for i, text in enumerate(lines) if text.startswith("ID "))
    assert all("n is" in text or "pending" in text for text in lines[:head]) and len(lines) == head + 4 and not lines[-1], lines[-8:]
    assert re.search(r"\x1b\[[0-9;]+m", terminal.raw), terminal.raw[:500]


def plain():
    """no table on a pipe, with --no-table, on a dumb terminal, or with JSON; no colours where NO_COLOR is set"""
    with target() as it:
        for more, environment in ((["--no-table"], {}), ([], {"TERM": "dumb"}), (["--json"], {})):
            terminal = Terminal(it.pid, "-f", points(), *more, environment=environment)
            terminal.until(lambda lines: sum("n is" in text for text in lines) > 5)
            terminal.end()
            assert "HITS/S" not in terminal.raw and "\x1b[A" not in terminal.raw and "\x1b[J" not in terminal.raw, terminal.raw[:500]
        results, _ = watching.watch(it.pid, "-f", points(), until=lambda results: len(results) > 5)
        assert results
        terminal = Terminal(it.pid, "-f", points(), environment={"NO_COLOR": "1"})
        terminal.until(lambda lines: len(rows_of(lines)) == 2)
        terminal.end()
        assert not re.search(r"\x1b\[[0-9;]*m", terminal.raw), terminal.raw[:500]


def sizes():
    """lines end at the terminal's edge, also of one that changes; more tracepoints than there is room for are counted"""
    path = FOLDER / "many.yaml"
    path.write_text("".join(f"- {{id: tracepoint-{i:02}, path: watched.c, line: {line('watched.c', 'SERVE')}, condition: n < 0}}\n" for i in range(30)))
    with target() as it:
        terminal = Terminal(it.pid, "-f", path, rows=12, columns=50)
        terminal.until(lambda lines: any(re.fullmatch(r"and 2\d more", text) for text in lines))
        assert all(len(text) < 50 for text in terminal.screen.lines), terminal.screen.lines
        terminal.resize(20, 100)
        terminal.until(lambda lines: any(text.startswith("ID ") and len(text) > 55 for text in lines))
        terminal.until(lambda lines: any(re.fullmatch(r"and 1\d more", text) for text in lines))
        terminal.end(by=signal.SIGTERM)
        assert terminal.process.returncode == 0


def killed():
    """strobe killed: the terminal is as it was"""
    with target() as it:
        terminal = Terminal(it.pid, "-f", points())
        terminal.until(lambda lines: len(rows_of(lines)) == 2)
        terminal.end(by=signal.SIGKILL)
        assert "\x1b[?" not in terminal.raw


CASES = [shown, plain, sizes, killed]


def prepare():
    subprocess.run([CC, "-g", "-O0", "-pthread", "-o", FOLDER / "watched", SOURCES / "watched.c", "-ldl"], check=True)


sys.exit(watching.main(CASES, prepare))
