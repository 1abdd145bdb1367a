# SPDX-License-Identifier: Apache-2.0
"""A process to take copies of, and the command with its own directory of names, for tests."""
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time


class Spinner:
    """A running tests/hold/spinner.c, by itself or with children."""

    def __init__(self, program, mebibytes=1, children=0, env=None):
        self.process = subprocess.Popen([program, str(mebibytes), str(children)], stdout=subprocess.PIPE, text=True,
                                        env=env)
        for _ in range(children + 1):
            assert self.process.stdout.readline() == "ready\n"
        self.pid = self.process.pid

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def alive(pid):
    """Is there such a process, and is it no zombie?"""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def gone_within(pid, seconds=5):
    end = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < end:
        time.sleep(0.01)
    return not alive(pid)


class Command:
    """strobe, with a directory of names and a directory of files of its own, that end with it."""

    def __init__(self, strobe):
        self.strobe = os.path.abspath(strobe)  # it is run elsewhere
        self.folder = tempfile.mkdtemp(prefix="strobe-test-")
        self.environment = {**os.environ, "XDG_RUNTIME_DIR": self.folder, "DEBUGINFOD_URLS": ""}
        self.files = os.path.join(self.folder, "files")
        os.mkdir(self.files)

    def start(self, *words, **how):
        return subprocess.Popen([self.strobe, *map(str, words)], env=self.environment, cwd=self.files,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **how)

    def run(self, *words, **how):
        """(exit status, output, errors)"""
        process = self.start(*words, **how)
        output, errors = process.communicate(timeout=120)
        return process.returncode, output, errors

    def json(self, *words):
        """The document; the command must succeed."""
        status, output, errors = self.run(*words, "--json")
        assert status == 0, (words, status, errors)
        return json.loads(output)

    def end(self):
        self.run("held", "drop", "--all")
        shutil.rmtree(self.folder)


def kill(pid):
    os.kill(pid, signal.SIGKILL)
