#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Budgets of `strobe watch`: what costs more than it may is only counted, then off, and says so. TAP on stdout.

usage: budgets.py STROBE CC SOURCE_FOLDER [CASE...]
"""
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import watching
from watching import CC, FOLDER, SOURCES, STROBE, Session, code, count, line, until


class Target(watching.Target):
    def __init__(self):
        super().__init__(FOLDER / "watched", 1000000, 2)


def points(name, **budgets):
    """A file of tracepoints, each with its place and budget."""
    path = FOLDER / name
    rows = (f"- {{id: {id}, path: watched.c, line: {line('watched.c', mark)}, log_msg: x, snapshot: no_collect, fire_count: -1, fire_period: 0"
            f"{', ' + budget if budget else ''}}}\n" for id, (mark, budget) in budgets.items())
    path.write_text("".join(rows))
    return path


def own():
    """a tracepoint whose hits cost too much, all together or each, is off in the end; others go on, and nothing of it is left in the code"""
    for engine in ("auto", "uprobe"):
        with Target() as target:
            before = code(target.pid, "watched")
            path = points("own.yaml", dear=("SERVE", "cpu_share: 0.000001"), slow=("DEEP", "latency_us: 0.001"), fine=("BEFORE", "cpu_share: 50, latency_us: 1e9"))
            with Session(target.pid, "-f", path, "--status", "--engine", engine) as session:
                session.until(lambda _: all(f"{name}: over its budget, off: " in session.said() for name in ("dear", "slow")))
                so_far = {name: count(session.results(), name) for name in ("dear", "slow", "fine")}
                session.until(lambda results: count(results, "fine") > so_far["fine"] + 100)
                results, said = session.end()
                statuses = session.statuses()
            for name in ("dear", "slow"):
                assert 0 < count(results, name) == so_far[name], (name, count(results, name), so_far)
                assert statuses[name]["state"] == "off" and "over its budget" in statuses[name]["error"] and not statuses[name]["armed"], statuses
                assert f"{name}: over its budget, only counted for a while: " in said, said
            assert "of a processor, where 0.0001 % are allowed" in said and "us a hit, where 0.001 are allowed" in said, said
            assert statuses["fine"]["state"] == "armed" and statuses["fine"]["cost_ns"] > 0 and not statuses["fine"]["error"], statuses["fine"]
            until(lambda: code(target.pid, "watched") == before, "the code to be as it was")


def of_all():
    """a budget of the session is paid by the dearest first, until the rest keeps to it"""
    for budget, says in (("cpu_share=0.000001", "of a processor"), ("latency_us=0.001", "us a hit"), ("hits_per_second=1", "hits a second"),
                         ("bytes_per_second=10", "bytes a second")):
        with Target() as target, Session(target.pid, "deep", "serve", "--log", "x", "--status", "--budget", budget) as session:
            # Four hits of one come with each of the other.
            session.until(lambda _: "deep: over its budget" in session.said())
            first = next(row for row in session.said().splitlines() if "over its budget" in row)
            assert "deep: over its budget" in first and says in first and "all take" in first, first
            if not budget.startswith("bytes"):  # which what is only counted does not take
                session.until(lambda _: all(f"{name}: over its budget, off" in session.said() for name in ("deep", "serve")))
            session.end()


def wrong():
    """a budget that is none is refused"""
    for text in ("cpu_share", "cpu=1", "cpu_share=", "cpu_share=0", "cpu_share=-1", "latency_us=1x", "=1"):
        run = subprocess.run([STROBE, "watch", "1", "main", "--budget", text], capture_output=True, text=True, check=False)
        assert run.returncode == 2 and "--budget" in run.stderr and text in run.stderr, (text, run)


CASES = [own, of_all, wrong]


def prepare():
    subprocess.run([CC, "-g", "-O0", "-pthread", "-o", FOLDER / "watched", SOURCES / "watched.c", "-ldl"], check=True)


sys.exit(watching.main(CASES, prepare))
