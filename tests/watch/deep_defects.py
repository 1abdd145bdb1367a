#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the DEEP clients get wrong, tried on `strobe watch`: docs/parity-deep.md has the list. TAP on stdout.

usage: deep_defects.py STROBE CC SOURCE_FOLDER
"""
import json
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

STROBE, CC, SOURCES = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="strobe-watch-"))
TEXTS = (SOURCES / "awkward.c").read_text(encoding="utf-8").splitlines()


class Skip(Exception):
    pass


def place(mark):
    return f"awkward.c:{next(i for i, text in enumerate(TEXTS, 1) if text.endswith('// ' + mark))}"


class Target:
    """The program, with four threads that run already; it must end in order."""

    def __init__(self):
        self.process = subprocess.Popen([FOLDER / "awkward"], stdout=subprocess.PIPE)
        time.sleep(0.2)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            self.process.kill()
            self.process.wait()
            return
        self.process.send_signal(signal.SIGTERM)
        output = self.process.communicate(timeout=20)[0]
        assert self.process.returncode == 3 and output == b"output is the program's own\n", (self.process.returncode, output)

    @property
    def pid(self):
        return str(self.process.pid)


def check_skip(said):
    if "CAP_BPF" in said or "uprobe_multi" in said:
        raise Skip(said.strip())


def watch(*arguments):
    """Results, and what was said."""
    run = subprocess.run([STROBE, "watch", "--json", *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)
    check_skip(run.stderr)
    assert run.returncode == 0, (run.returncode, run.stderr, run.stdout)
    return [json.loads(text) for text in run.stdout.splitlines() if text.startswith("{")], run.stderr


def one(target, *arguments, mark="SHOW"):
    """The one snapshot there."""
    results, said = watch(target.pid, place(mark), "-n", 1, "--hits", 1, *arguments)
    assert len(results) == 1, said
    return results[0]


def named(result):
    return {v["name"]: result["variables"][v["id"]] for v in result["frames"][0]["variables"]}


def awkward():
    """1: no value loses the snapshot: bytes, text that is no UTF-8, wild pointers, NaN, bit fields, unions, cycles, arrays of any size"""
    with Target() as target:
        result = one(target, "--set", "max_variables=5000", "--set", "max_tp_process_time=5000")
    values = named(result)
    assert len(values) >= 22, sorted(values)
    assert values["bytes"]["value"] == "Size: 4" and len(values["bytes"]["children"]) == 4, values["bytes"]
    assert values["text"]["value"] and "state" not in values["text"] and values["no_end"]["value"] == "abc", values
    assert values["n"]["value"].isdigit() and values["size"]["value"] == "5", values
    assert "nan" in values["nan"]["value"].lower() and "inf" in values["infinite"]["value"].lower(), values["nan"]
    assert values["huge"]["value"] == str(1 << 100), values["huge"]
    assert "0x4c" in values["colour"]["value"] or "77" in values["colour"]["value"], values["colour"]  # 1 | 0x4c, as gdb has it
    assert values["variable"]["value"] == "Size: 5", values["variable"]
    bits = {c["name"]: result["variables"][c["id"]]["value"] for c in values["bits"]["children"]}
    assert bits["low"] == "5" and bits["high"] == "17" and bits["wide"] == "-3", bits
    assert values["null"]["value"] in ("0x0", "NULL", "0"), values["null"]
    assert any(result["variables"][c["id"]].get("state") == "unreadable" for c in values["far"]["children"]) or \
        "state" in values["far"] or not values["far"]["children"], values["far"]


def limits():
    """4, 18: each limit is kept, and what was cut says so"""
    with Target() as target:
        values = named(one(target, "--set", "max_string_length=7"))
        assert "0123456" in values["long_text"]["value"] and "01234567" not in values["long_text"]["value"], values["long_text"]
        assert values["long_text"]["truncated"] is True
        values = named(one(target, "--set", "max_collection_size=3"))
        assert len(values["table"]["children"]) == 3 and values["table"]["truncated"] is True, values["table"]
        result = one(target, "--set", "max_variables=4")
        assert len(result["variables"]) == 4, len(result["variables"])
        values = named(one(target, "--set", "max_var_depth=1"))
        assert not values["tree"]["children"] and values["tree"]["truncated"] is True, values["tree"]
        values = named(one(target, "--set", "max_tp_process_time=0"))
        assert values["tree"]["truncated"] is True, values["tree"]


def stacks():
    """5: no_stack collects no callers; frame types say which frames have variables"""
    with Target() as target:
        assert len(one(target)["frames"]) > 1
        assert len(one(target, "--set", "stack_type=no_stack")["frames"]) == 1
        result = one(target, "--set", "frame_type=no_frame")
        assert not any(frame["variables"] for frame in result["frames"]) and not result["variables"], result["frames"]
        frames = one(target, "--set", "frame_type=single_frame")["frames"]
        assert frames[0]["variables"] and not frames[1]["variables"]
        frames = one(target, "--set", "frame_type=all_frame")["frames"]
        assert frames[0]["variables"] and frames[1]["variables"]


def poison():
    """6, 15: a wrong stage or log message is refused alone, with its reason; the others are taken"""
    path = FOLDER / "poison.yaml"
    number = place("SHOW").split(":")[1]
    rows = [f"id: good{i}, path: awkward.c, line: {number}, log_msg: 'good', snapshot: no_collect" for i in range(2)]
    rows.insert(1, f"id: bad, path: awkward.c, line: {number}, stage: line_sideways")
    rows.insert(2, f"id: open, path: awkward.c, line: {number}, log_msg: 'a {{n'")
    path.write_text("".join(f"- {{{row}}}\n" for row in rows))
    with Target() as target:
        results, said = watch(target.pid, "-f", path, "-T", 0.7)
    assert {r["tracepoint"] for r in results} == {"good0", "good1"}, (results, said)
    assert "line_sideways" in said and "log_msg" in said and f"{path}:2" in said and f"{path}:3" in said, said


def halves():
    """15: a file that is written in two steps is not taken in between, and counts are kept"""
    path, output = FOLDER / "halves.yaml", FOLDER / "halves.jsonl"
    number = place("SHOW").split(":")[1]
    text = f"- {{id: one, path: awkward.c, line: {number}, log_msg: x, snapshot: no_collect, fire_count: 1}}\n"
    path.write_text(text)
    with Target() as target:
        process = subprocess.Popen([STROBE, "watch", target.pid, "-f", path, "-o", output, "--status"], stderr=subprocess.PIPE,
                                   text=True)
        time.sleep(1)
        for i in range(10):
            with open(path, "w", encoding="utf-8") as file:
                time.sleep(0.03)
                file.write(text + f"# {i}\n")
            time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=20)[1]
    check_skip(said)
    assert len(output.read_text().splitlines()) == 1 and "one: used up" in said, (output.read_text(), said)


def running():
    """8, 9: threads that run already, in functions entered long before, are watched"""
    with Target() as target:
        results, said = watch(target.pid, place("LOOP"), "--log", "{n}", "--set", "thread_fire_count=1", "-T", 1)
        assert len({r["thread"]["tid"] for r in results}) == 4 == len(results), (results, said)
        assert all(int(r["log_msg"]) > 10 for r in results), results


def code(pid):
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps:
        start, end = next(text.split()[0].split("-") for text in maps if "r-xp" in text and text.endswith("/awkward\n"))
    with open(f"/proc/{pid}/mem", "rb") as memory:
        memory.seek(int(start, 16))
        return memory.read(int(end, 16) - int(start, 16))


def elsewhere():
    """10, 14: code without a tracepoint is the same to the byte while one is armed, and all of it after"""
    with Target() as target:
        before = code(target.pid)
        process = subprocess.Popen([STROBE, "watch", target.pid, place("NEVER"), "--log", "x"], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        changed = []
        for _ in range(100):
            changed = [i for i, (a, b) in enumerate(zip(before, code(target.pid))) if a != b]
            if changed or process.poll() is not None:
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        check_skip(process.communicate(timeout=20)[1])
        assert changed and max(changed) - min(changed) < 16, changed
        assert code(target.pid) == before


def paths():
    """16, 17: a file is matched by its name or whole trailing components, and what is not matched says so"""
    number = place("SHOW").split(":")[1]
    with Target() as target:
        for path, found in (("awkward.c", True), (f"{SOURCES.name}/awkward.c", True), (f"{SOURCES.resolve()}/awkward.c", True),
                            ("kward.c", False), ("other/awkward.c", False), ("AWKWARD.c", False)):
            results, said = watch(target.pid, f"{path}:{number}", "--log", "x", "-n", 1, "-T", 0.5)
            assert len(results) == found and ("pending" in said) != found, (path, results, said)


CASES = [awkward, limits, stacks, poison, halves, running, elsewhere, paths]


def main():
    subprocess.run([CC, "-g", "-O0", "-w", "-pthread", "-o", FOLDER / "awkward", SOURCES.resolve() / "awkward.c", "-lm"], check=True)
    print(f"1..{len(CASES)}")
    failed = False
    for number, case in enumerate(CASES, 1):
        try:
            case()
            print(f"ok {number} - {case.__doc__}", flush=True)
        except Skip as skip:
            print(f"ok {number} - {case.__doc__} # SKIP {skip}", flush=True)
        except (AssertionError, subprocess.SubprocessError, StopIteration, KeyError, ValueError, IndexError, OSError) as error:
            failed = True
            print(f"not ok {number} - {case.__doc__}\n# {type(error).__name__}: {str(error)[:1500]}", flush=True)
    shutil.rmtree(FOLDER)
    return failed


sys.exit(main())
