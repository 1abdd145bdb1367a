# SPDX-License-Identifier: Apache-2.0
"""What the tests of `strobe watch` share: programs to be watched, sessions that are ended when what they wait for has come, TAP.

Nothing here counts what happens within a time: a machine under load takes as long as it takes.
"""
import json
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

STROBE, CC, SOURCES = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3]).resolve()
FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="strobe-watch-"))
PATIENCE = 60  # seconds
# Of a processor that has other work, too.
NO_HURRY = ("--set", "max_tp_process_time=60000")


class Skip(Exception):
    pass


def line(name, mark):
    """The line of a source that ends with // MARK."""
    texts = (SOURCES / name).read_text(encoding="utf-8").splitlines()
    return next(i for i, text in enumerate(texts, 1) if text.endswith("// " + mark))


def until(condition, what):
    """What `condition` returns, as soon as that is true."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"waited {PATIENCE} s for {what() if callable(what) else what}")


def check_skip(said):
    """Without the right to uprobes there is nothing to try."""
    if "CAP_BPF" in said or "uprobe_multi" in said:
        raise Skip(said.strip())


class Target:
    """A program, running; it must end by SIGTERM in order, with status 3."""

    def __init__(self, path, *arguments, environment=None):
        self.process = subprocess.Popen([path, *map(str, arguments)], stdout=subprocess.PIPE, env=environment)
        name = pathlib.Path(path).name
        # The program, not what becomes it, with what it needs.
        until(lambda: self.process.poll() is not None or self.is_there(name), f"{name} to run")

    def is_there(self, name):
        root = pathlib.Path("/proc") / str(self.process.pid)
        caught = next(text for text in (root / "status").read_text().splitlines() if text.startswith("SigCgt:"))
        return (root / "comm").read_text().strip() == name[:15] and int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            self.process.kill()
            self.process.wait()
            return
        self.process.send_signal(signal.SIGTERM)
        output = self.process.communicate(timeout=PATIENCE)[0]
        assert self.process.returncode == 3, self.process.returncode
        assert output == b"output is the program's own\n", output

    @property
    def pid(self):
        return str(self.process.pid)


class Session:
    """`strobe watch`, whose results go to a file; it is ended by end()."""

    count = 0

    def __init__(self, *arguments, environment=None):
        Session.count += 1
        self.output = FOLDER / f"results-{Session.count}.jsonl"
        self.errors = FOLDER / f"said-{Session.count}"
        with open(self.errors, "w", encoding="utf-8") as errors:
            self.process = subprocess.Popen([STROBE, "watch", "-o", self.output, *map(str, arguments)], stderr=errors,
                                            stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, env=environment)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def results(self, name=None):
        """Those of the tracepoint `name`, or all."""
        text = self.output.read_text(encoding="utf-8") if self.output.exists() else ""
        results = [json.loads(row) for row in text[:text.rfind("\n") + 1].splitlines()]
        return [r for r in results if r["kind"] != "status" and name in (None, r["tracepoint"])]

    def statuses(self):
        """What each tracepoint said of itself when the session ended, by id."""
        return {r["tracepoint"]: r for r in map(json.loads, self.output.read_text(encoding="utf-8").splitlines()) if r["kind"] == "status"}

    def said(self):
        return self.errors.read_text(encoding="utf-8")

    def until(self, condition):
        """Until `condition`, of the results, is true, which is returned; the session goes on."""
        def come():
            value = condition(self.results())
            if not value and self.process.poll() is not None:
                check_skip(self.said())
                raise AssertionError(f"it ended: {self.process.returncode}, {self.said()}, {self.results()[-3:]}")
            return value
        return until(come, lambda: f"results: {self.said()}, {len(self.results())} so far, {self.results()[-3:]}")

    def until_said(self, text):
        self.until(lambda _: text in self.said())

    def end(self, status=0, by=signal.SIGINT):
        """Results, and what was said."""
        if self.process.poll() is None:
            self.process.send_signal(by)
        out = self.process.communicate(timeout=PATIENCE)[0]
        check_skip(self.said())
        assert self.process.returncode == status, (self.process.returncode, self.said())
        assert not out, out
        return self.results(), self.said()


def watch(*arguments, until=None, status=0):
    """Results, and what was said, by the program too: of a session that ends by itself, or when `until` is true of its results."""
    if until is None:
        run = subprocess.run([STROBE, "watch", "--json", *map(str, arguments)], capture_output=True, text=True, timeout=2 * PATIENCE,
                             check=False)
        check_skip(run.stderr)
        assert run.returncode == status, (run.returncode, run.stderr, run.stdout)
        rows = run.stdout.splitlines()
        results = [json.loads(row) for row in rows if row.startswith("{")]
        return [r for r in results if r["kind"] != "status"], run.stderr + "\n".join(r for r in rows if not r.startswith("{"))
    with Session(*arguments) as session:
        session.until(until)
        return session.end(status)


def told(pid, text, *arguments):
    """What is said until `text` is."""
    with Session(pid, *arguments) as session:
        session.until_said(text)
        return session.end()[1]


def count(results, name):
    return sum(r["tracepoint"] == name for r in results)


def variable(result, name, frame=0):
    """A variable of a frame."""
    return result["variables"][next(v["id"] for v in result["frames"][frame]["variables"] if v["name"] == name)]


def code(pid, program):
    """The bytes of the program's code."""
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps:
        start, end = next(text.split()[0].split("-") for text in maps if "r-xp" in text and text.endswith(f"/{program}\n"))
    with open(f"/proc/{pid}/mem", "rb") as memory:
        memory.seek(int(start, 16))
        return memory.read(int(end, 16) - int(start, 16))


def main(cases, prepare=lambda: None):
    """TAP; only the cases that the command line names, if it names any."""
    prepare()
    cases = [case for case in cases if case.__name__ in sys.argv[4:] or not sys.argv[4:]]
    print(f"1..{len(cases)}", flush=True)
    failed = False
    for number, case in enumerate(cases, 1):
        try:
            case()
            print(f"ok {number} - {case.__doc__}", flush=True)
        except Skip as skip:
            print(f"ok {number} - {case.__doc__} # SKIP {skip}", flush=True)
        except (AssertionError, subprocess.SubprocessError, StopIteration, KeyError, ValueError, IndexError, TypeError, OSError) as error:
            failed = True
            print(f"not ok {number} - {case.__doc__}\n# {type(error).__name__}: {str(error)[:2000]}", flush=True)
    shutil.rmtree(FOLDER)
    return failed
