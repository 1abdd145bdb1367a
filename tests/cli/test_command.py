#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs every verb on the core of a small program, and checks text, JSON, exit statuses and errors.

usage: test_command.py STROBE CC SOURCE_DIRECTORY

The JSON's members are checked against SCHEMAS, which say what docs/json.md says.
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

STROBE, CC, SOURCE = sys.argv[1:4]
NUMBER, STRING, FLAG, NONE = int, str, bool, type(None)
ADDRESS = re.compile(r"0x[0-9a-f]+\Z")
HEX = re.compile(r"([0-9a-f]{2})*\Z")


class Either(tuple):
    """A value may have any of these schemas."""


class Optional:
    """A member that may be absent."""

    def __init__(self, schema):
        self.schema = schema


def or_null(schema):
    return Either((schema, NONE))


SIGNAL = or_null({"number": NUMBER, "name": STRING, "code": or_null(STRING), "code_number": NUMBER,
                  "address": or_null(ADDRESS), "sender_pid": Optional(NUMBER), "tid": Optional(NUMBER)})
VARIABLE = {"name": STRING, "kind": re.compile("argument|local"), "type": STRING, "value": STRING,
            "line": Optional(NUMBER), "shadowed": Optional(FLAG)}
FRAME = {"index": NUMBER, "pc": ADDRESS, "cfa": ADDRESS, "module": or_null(STRING), "function": or_null(STRING),
         "offset": or_null(NUMBER), "file": or_null(STRING), "line": or_null(NUMBER), "column": or_null(NUMBER),
         "inlined": FLAG, "signal_frame": FLAG, "trust": STRING,
         "locals": Optional([VARIABLE]), "args": Optional([VARIABLE])}
SIGNALS = [re.compile("SIG[A-Z0-9]+")]
# What `info` tells of the process, and `threads` of a thread, where the source knows.
PROCESS = {
    "pgid": or_null(NUMBER), "sid": or_null(NUMBER), "state": or_null(STRING), "exe_deleted": FLAG,
    "cwd": or_null(STRING), "root": or_null(STRING), "cgroup": or_null(STRING), "start_time": or_null(STRING),
    "user_ns": or_null(NUMBER), "system_ns": or_null(NUMBER), "resident_bytes": or_null(NUMBER),
    "resident_peak_bytes": or_null(NUMBER), "swapped_bytes": or_null(NUMBER), "nice": or_null(NUMBER),
    "oom_score_adj": or_null(NUMBER), "umask": or_null(NUMBER),
    "credentials": or_null({
        "uids": [or_null(NUMBER)], "gids": [or_null(NUMBER)], "groups": [NUMBER],
        "capabilities": or_null({"inheritable": ADDRESS, "permitted": ADDRESS, "effective": ADDRESS,
                                 "bounding": ADDRESS, "ambient": ADDRESS}),
        "no_new_privileges": or_null(FLAG), "seccomp": or_null(STRING), "seccomp_filters": or_null(NUMBER)}),
    "signals": or_null({"caught": SIGNALS, "ignored": SIGNALS, "pending": SIGNALS}),
    "queued_signals": [{"tid": or_null(NUMBER), "signal": SIGNAL}],
    "limits": [{"name": STRING, "soft": or_null(NUMBER), "hard": or_null(NUMBER), "unit": or_null(STRING)}],
    "namespaces": [{"name": STRING, "inode": NUMBER}],
    "arguments": or_null([STRING]), "environment": or_null([STRING]),
    "capture": or_null({"id": STRING, "method": or_null(STRING), "time_ns": or_null(NUMBER),
                        "pause_ns": or_null(NUMBER), "contents": or_null(STRING), "redacted": [STRING],
                        "parent_id": or_null(STRING), "parent_path": or_null(STRING)}),
    "not_atomic": [{"start": ADDRESS, "end": ADDRESS, "why": STRING}],
}
KERNEL = {
    "state": or_null(STRING), "cpu": or_null(NUMBER), "not_stopped": FLAG, "in_system_call": or_null(FLAG),
    "system_call": or_null({"number": NUMBER, "name": or_null(STRING), "arguments": [ADDRESS]}),
    "blocked": or_null(SIGNALS), "pending": or_null(SIGNALS), "robust_list": or_null(ADDRESS),
    "rseq": or_null(ADDRESS), "policy": or_null(STRING), "realtime_priority": or_null(NUMBER),
    "nice": or_null(NUMBER), "start_time": or_null(STRING), "user_ns": or_null(NUMBER),
    "system_ns": or_null(NUMBER), "voluntary_switches": or_null(NUMBER), "involuntary_switches": or_null(NUMBER),
}
WRITE = {"kind": re.compile("memory|register"), "address": or_null(ADDRESS), "tid": or_null(NUMBER),
         "register": or_null(STRING), "size": NUMBER, "old": HEX, "old_missing_bytes": NUMBER, "new": HEX,
         "read_only": FLAG, "executable": FLAG}
SCHEMAS = {
    "info": {"pid": NUMBER, "ppid": or_null(NUMBER), "uid": or_null(NUMBER), "gid": or_null(NUMBER), "exe": STRING,
             "name": STRING, "command": STRING, "signal": SIGNAL, "time": or_null(STRING), "time_is_file_time": FLAG,
             "threads": NUMBER, "modules": NUMBER, "mappings": NUMBER,
             "memory": {"mapped_bytes": NUMBER, "present_bytes": NUMBER, "file_bytes": NUMBER, "missing_bytes": NUMBER},
             "source": STRING, "source_kind": STRING, "source_maker": or_null(STRING), "machine": STRING, **PROCESS},
    "threads": {"threads": [{"tid": NUMBER, "name": or_null(STRING), "pc": or_null(ADDRESS), "sp": or_null(ADDRESS),
                             "function": or_null(STRING), "module": or_null(STRING), "file": or_null(STRING),
                             "line": or_null(NUMBER), "signal": SIGNAL, **KERNEL}]},
    "maps": {"mappings": [{"start": ADDRESS, "end": ADDRESS, "permissions": re.compile("[r-][w-][x-][ps]"),
                           "offset": NUMBER, "path": or_null(STRING), "build_id": or_null(STRING),
                           "present_bytes": NUMBER, "inode": or_null(NUMBER), "device": or_null(STRING),
                           "deleted": FLAG, "not_atomic": FLAG}]},
    "modules": {"modules": [{"name": STRING, "path": STRING, "base": ADDRESS, "end": ADDRESS, "bias": ADDRESS,
                             "build_id": or_null(STRING), "debug": STRING, "debug_file": or_null(STRING),
                             "file": or_null(STRING), "problem": or_null(STRING)}]},
    "regs": {"tid": NUMBER, "frame": NUMBER, "registers": dict},
    "fds": {"recorded": FLAG, "fds": [{"fd": NUMBER, "type": or_null(STRING), "path": or_null(STRING),
                                       "flags": or_null(NUMBER), "position": or_null(NUMBER),
                                       "mode": or_null(NUMBER), "peer": or_null(STRING), "info": or_null(STRING)}]},
    "ps": {"processes": [{"pid": NUMBER, "ppid": NUMBER, "uid": or_null(NUMBER), "user": or_null(STRING),
                          "threads": NUMBER, "resident_bytes": NUMBER, "state": or_null(STRING),
                          "name": or_null(STRING), "command": or_null(STRING), "kernel": FLAG,
                          "refused": or_null(STRING)}]},
    "bt": {"threads": [{"tid": NUMBER, "name": or_null(STRING), "tids": Optional([NUMBER]), "frames": [FRAME],
                        "stop": STRING, "stop_text": STRING}]},
    "print": {"expression": STRING, "type": or_null(STRING), "value": or_null(STRING), "address": or_null(ADDRESS),
              "error": Optional({"message": STRING, "column": or_null(NUMBER)})},
    "mem read": {"address": ADDRESS, "size": NUMBER, "bytes": HEX, "missing": [{"start": ADDRESS, "end": ADDRESS}]},
    "mem write": {"pid": or_null(NUMBER), "journal": or_null(STRING), "writes": [WRITE]},
    "mem writes": {"pid": NONE, "journal": STRING, "writes": [WRITE]},
    "mem undo": {"pid": NONE, "journal": STRING, "writes": [WRITE]},
    "mem search": {"hits": [{"address": ADDRESS, "size": NUMBER, "mapping": or_null(STRING),
                             "symbol": or_null(STRING), "bytes": HEX}]},
    "sym": {"symbols": [{"name": STRING, "linkage_name": STRING, "address": ADDRESS, "size": NUMBER, "module": STRING,
                         "type": STRING, "binding": STRING}]},
    "list": {"file": STRING, "path": STRING, "line": NUMBER, "function": or_null(STRING), "newer": FLAG,
             "lines": [{"number": NUMBER, "text": STRING}]},
    "disasm": {"instructions": [{"address": ADDRESS, "bytes": HEX, "text": STRING, "symbol": or_null(STRING),
                                 "target": Optional(ADDRESS), "target_symbol": Optional(or_null(STRING)),
                                 "file": Optional(STRING), "line": Optional(NUMBER), "current": FLAG}]},
}


def conforms(value, schema, where):
    """Raises AssertionError where `value` is not as `schema` says."""
    if isinstance(schema, Either):
        for one in schema:
            try:
                conforms(value, one, where)
                return
            except AssertionError:
                pass
        raise AssertionError(f"{where}: {value!r}")
    if isinstance(schema, dict):
        assert isinstance(value, dict), f"{where}: {value!r} is no object"
        for name, member in schema.items():
            if name not in value and isinstance(member, Optional):
                continue
            assert name in value, f"{where}: {name} is missing"
            conforms(value[name], member.schema if isinstance(member, Optional) else member, f"{where}.{name}")
        if schema:
            surplus = set(value) - set(schema)
            assert not surplus, f"{where}: undocumented {surplus}"
    elif isinstance(schema, list):
        assert isinstance(value, list), f"{where}: {value!r} is no array"
        for index, element in enumerate(value):
            conforms(element, schema[0], f"{where}[{index}]")
    elif isinstance(schema, re.Pattern):
        assert isinstance(value, str) and schema.match(value), f"{where}: {value!r}"
    else:
        assert type(value) is schema or (schema is dict and isinstance(value, dict)), f"{where}: {value!r}"


def run(*words, status=0, stdout=None, env=None):
    """(output, errors) of the command, whose exit status must be `status`."""
    done = subprocess.run([STROBE, *words], stdout=stdout or subprocess.PIPE, stderr=subprocess.PIPE, timeout=60,
                          env={**os.environ, "DEBUGINFOD_URLS": "", **(env or {})}, check=False)
    output = (done.stdout or b"").decode()
    errors = done.stderr.decode()
    assert done.returncode == status, f"{words}: status {done.returncode}, not {status}: {errors}{output[:500]}"
    return output, errors


def document(verb, *words, status=0):
    """The JSON document of a verb, checked against its schema."""
    output, _ = run(*verb.split(), *words, "--json", status=status)
    value = json.loads(output)
    conforms(value, SCHEMAS[verb], verb)
    return value


def make_core(directory):
    """Compiles the program and lets it die; the path of its core, or None with the reason."""
    subprocess.run([CC, "-g", "-O0", "-pthread", "-o", directory / "crash", pathlib.Path(SOURCE) / "crash.c"], check=True)
    core = directory / "core"
    try:
        subprocess.run(["gdb", "-nx", "-batch", "-ex", "set disable-randomization off", "-ex", "run", "-ex",
                        "generate-core-file core", "./crash"], cwd=directory, capture_output=True, check=False, timeout=60)
    except FileNotFoundError:
        return None, "gdb is not installed"
    return (core, "") if core.exists() else (None, "gdb may not run programs here")


CORE = None


def line_of(text):
    """1-based number of the line of crash.c that holds `text`."""
    lines = (pathlib.Path(SOURCE) / "crash.c").read_text(encoding="utf-8").splitlines()
    return 1 + next(i for i, line in enumerate(lines) if text in line)


def test_info():
    info = document("info", CORE)
    assert info["signal"]["name"] == "SIGSEGV" and info["signal"]["code"] == "SEGV_MAPERR"
    assert info["signal"]["address"] == "0x10" and info["threads"] == 4
    memory = info["memory"]
    assert memory["mapped_bytes"] == memory["present_bytes"] + memory["file_bytes"] + memory["missing_bytes"]
    text, errors = run("info", CORE)
    assert "SIGSEGV (SEGV_MAPERR at 0x10)" in text and "4 threads" in text and errors == ""


def test_threads():
    threads = document("threads", CORE)["threads"]
    assert sorted(t["function"] == "crash" for t in threads) == [False, False, False, True]
    text, _ = run("threads", CORE)
    starred = [line for line in text.splitlines() if line.startswith("*")]
    assert len(starred) == 1 and f"crash.c:{line_of('dies here')}" in starred[0], text


def test_bt():
    threads = document("bt", CORE, "--locals")["threads"]
    dead = next(t for t in threads if t["frames"][0]["function"] == "crash")
    assert [f["function"] for f in dead["frames"]] == ["crash"] * 4 + ["main"] and dead["stop"] == "main"
    assert dead["frames"][0]["line"] == line_of("dies here")
    values = {v["name"]: (v["kind"], v["type"], v["value"]) for v in dead["frames"][1]["locals"]}
    assert values["depth"] == ("argument", "int", "1") and values["here"] == ("local", "struct point", "{x = 1, y = 2}")
    only = document("bt", CORE, "--thread", str(dead["tid"]), "--frames", "1..2", "--args")["threads"]
    assert [f["index"] for f in only[0]["frames"]] == [1, 2] and len(only) == 1
    assert [v["name"] for v in only[0]["frames"][0]["args"]] == ["node", "depth"]
    last = document("bt", CORE, "-t", "signal", "-n", "-1")["threads"]
    assert [f["function"] for f in last[0]["frames"]] == ["main"]


def test_bt_text():
    text, errors = run("bt", CORE, "--locals")
    assert re.search(r"^#0 +0x[0-9a-f]+ in crash \(node=0x[0-9a-f]+.*, depth=0\) at .*crash\.c:%d$" % line_of("dies here"),
                     text, re.M), text
    assert "        here = {x = 0, y = 0}" in text and "took SIGSEGV" in text and errors == ""
    groups = document("bt", CORE, "--group")["threads"]
    assert sorted(len(g["tids"]) for g in groups) == [1, 3]
    assert "3 threads with this stack" in run("bt", CORE, "--group")[0]


def test_print():
    value = document("print", CORE, "list_head.at.x + 1")
    assert value["value"] == "8" and value["type"] == "int" and value["address"] is None
    assert document("print", CORE, "&counter")["value"].endswith("<counter>")
    assert document("print", CORE, "depth", "--frame", "2")["value"] == "2"
    assert "<list_tail>" in run("print", CORE, "list_head")[0]
    assert run("print", CORE, "list_head.name[0]@4")[0] == '"head"\n'
    many = json.loads(run("print", CORE, "counter", "sizeof(struct node)", "--json")[0])
    assert [v["value"] for v in many["values"]] == ["54", "32"]
    assert run("print", CORE, "counter", "-x", "x")[0] == "0x36\n"
    assert "..." in run("print", CORE, "bytes[0]@300", "--max-elements", "5")[0]
    assert "..." not in run("print", CORE, "bytes[0]@300", "--max-elements", "0")[0]
    run("print", CORE, "counter", "--depth", "0", status=2)
    text, errors = run("print", CORE, "counter + nosuch", status=1)
    assert text == "" and errors.splitlines()[-1] == " " * 12 + "^", errors
    assert document("print", CORE, "counter +", status=1)["error"]["message"]
    assert document("print", CORE, "1 + *(int *)16", status=1)["error"]["column"] == 5


def test_maps_and_modules():
    info = document("info", CORE)
    assert len(document("maps", CORE)["mappings"]) == info["mappings"]
    modules = document("modules", CORE)["modules"]
    program = next(m for m in modules if m["name"] == "crash")
    assert program["debug"] == "dwarf" and len(program["build_id"]) == 40
    assert "dwarf" in run("modules", CORE)[0] and "r-xp" in run("maps", CORE)[0]


def test_regs():
    registers = document("regs", CORE)["registers"]
    pc = document("bt", CORE, "-t", "signal")["threads"][0]["frames"]
    assert registers["rip"] == pc[0]["pc"]
    assert document("regs", CORE, "--frame", "1")["registers"]["rip"] == pc[1]["pc"]
    assert "crash+" in run("regs", CORE)[0]


def test_fds():
    assert document("fds", CORE)["recorded"] is False
    assert "not recorded" in run("fds", CORE)[0]


def symbol(name):
    return document("sym", CORE, name, "--module", "crash")["symbols"][0]


def test_sym():
    counter = symbol("counter")
    assert counter["type"] == "object" and counter["size"] == 4
    assert document("sym", CORE, counter["address"])["symbols"][0]["name"] == "counter"
    assert {s["name"] for s in document("sym", CORE, "list_*")["symbols"]} >= {"list_head", "list_tail"}
    assert {s["name"] for s in document("sym", CORE, "--regex", "^list_(head|tail)$")["symbols"]} == {"list_head", "list_tail"}
    assert len(document("sym", CORE, "list_*", "--limit", "1")["symbols"]) == 1
    assert document("sym", CORE, "malloc", "--module", "libc")["symbols"][0]["module"].startswith("libc.so")
    assert "no module" in run("sym", CORE, "malloc", "--module", "nosuch", status=1)[1]
    run("sym", CORE, "malloc", "--type", "nosuch", status=2)
    _, errors = run("sym", CORE, "no_such_symbol", status=1)
    assert errors == "strobe: sym: no_such_symbol: no such symbol\n", errors


def test_mem_read():
    banner = symbol("banner")["address"]
    value = document("mem read", CORE, banner, "18")
    assert bytes.fromhex(value["bytes"]) == b"strobe-banner-text" and value["missing"] == []
    assert "|strobe-banner-te|" in run("mem", "read", CORE, banner)[0]
    assert '"strobe-banner-text"' in run("mem", "read", CORE, banner, "--format", "s")[0]
    counter = symbol("counter")["address"]
    assert run("mem", "read", CORE, counter, "4", "--format", "d", "--width", "4")[0].split()[-1] == "54"
    raw = subprocess.run([STROBE, "mem", "read", CORE, banner, "6", "--raw"], capture_output=True, check=True).stdout
    assert raw == b"strobe"
    value = document("mem read", CORE, "0x10", "32", status=1)
    assert value["missing"] == [{"start": "0x10", "end": "0x30"}]
    assert "??" in run("mem", "read", CORE, "0x10", status=1)[0]


def addresses(*words):
    return [hit["address"] for hit in document("mem search", CORE, *words)["hits"]]


def test_mem_search():
    banner, counter, head = symbol("banner")["address"], symbol("counter")["address"], symbol("list_tail")["address"]
    data = symbol("bytes")["address"]
    assert banner in addresses("strobe-banner-text")
    assert banner in addresses("STROBE-banner", "--ignore-case")
    in_program = document("mem search", CORE, "strobe-banner-text")["hits"]
    assert set(addresses("strobe-banner-text", "--no-files")) <= {hit["address"] for hit in in_program}
    assert addresses("--pointer", "list_tail") == addresses("--pointer", "&list_tail") != []
    assert json.loads(run("mem", CORE, "search", "strobe-banner-text", "--json")[0])["hits"] == in_program
    assert banner in addresses("--regex", "strobe-[a-z]+-text")
    assert counter in addresses("--int", "54", "--perm", "w")
    assert symbol("list_head")["address"] in addresses("--pointer", head)
    found = addresses("--bytes", "de ad ?? be ef", "--range", f"{data}+10")
    assert found == [data, hex(int(data, 16) + 5)], found
    assert addresses("--bytes", "de ad 01", "--mask", "ffff00", "--range", f"{data}+10") == found
    assert len(addresses("--bytes", "00", "--limit", "5")) == 5
    assert addresses("no such text anywhere in it, surely") == []
    text, errors = run("mem", "search", CORE, "no such text anywhere in it, surely")
    assert text == "" and errors.endswith("not found\n")
    assert "^" in run("mem", "search", CORE, "--regex", "a(b", status=1)[1]


def fresh_core():
    """A core of its own for who writes to it: the same bytes under another name."""
    path = CORE + "-written"
    if not os.path.exists(path):
        os.link(CORE, path)
    journal = path + ".overlay"
    if os.path.exists(journal):
        os.unlink(journal)
    return path, journal


def test_mem_write():
    core, journal = fresh_core()
    value = document("mem write", core, "&counter", "--type", "i32", "-7")
    assert value["pid"] is None and value["journal"] == journal
    assert value["writes"][0]["old"] == "36000000" and value["writes"][0]["new"] == "f9ffffff", value
    text, errors = run("print", core, "counter")
    assert text == "-7\n" and errors == f"strobe: print: with 1 write of {journal}\n", (text, errors)
    assert run("print", core, "counter", "--quiet") == ("-7\n", "")
    assert run("print", core, "counter", "--no-overlay") == ("54\n", "")
    assert run("print", CORE, "counter") == ("54\n", "")
    # Each way to give a value, read back as bytes.
    data = symbol("bytes")["address"]
    for words, expected in ((["01 02", "0304", "05:06"], "010203040506"),
                            (["--type", "u16", "513", "0x403"], "01020304"),
                            (["--type", "u64", "&counter"],
                             int(symbol("counter")["address"], 16).to_bytes(8, "little").hex()),
                            (["--type", "i8", "-128", "127"], "807f"),
                            (["--type", "f32", "1.5"], "0000c03f"),
                            (["--type", "f64", "-2", "inf"], "00000000000000c0000000000000f07f"),
                            (["--string", "hey"], "686579"),
                            (["--string", "hey", "--nul"], "68657900")):
        run("mem", "write", core, data, *words)
        size = str(len(expected) // 2)
        assert document("mem read", core, data, size)["bytes"] == expected, words
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"\x00from a file")
        file.flush()
        run("mem", "write", core, "&list_head", "--file", file.name)
    assert run("mem", "read", core, "&list_head", "12", "--raw")[0] == "\0from a file"
    assert symbol("bytes")["address"] in [hit["address"] for hit in
                                          document("mem search", core, "--bytes", "68 65 79 00")["hits"]]
    text, errors = run("mem", "write", core, "main", "cc")
    assert text.endswith("55 -> cc  (code)\n") or text.endswith("-> cc  (code)\n"), text
    assert "int3" in run("disasm", core, "main")[0]
    os.unlink(journal)


def test_mem_writes_and_undo():
    core, journal = fresh_core()
    assert document("mem writes", core)["writes"] == []
    for number in range(5):
        run("mem", "write", core, "&counter", "--type", "u32", str(number))
    assert [write["new"][:2] for write in document("mem writes", core)["writes"]] == ["00", "01", "02", "03", "04"]
    text, errors = run("mem", "writes", core)
    assert text.count("<counter>") == 5 and errors == ""
    assert len(document("mem undo", core)["writes"]) == 4
    assert run("print", core, "counter", "--quiet")[0] == "3\n"
    assert run("mem", "undo", core, "2")[0].count("\n") == 2
    assert run("print", core, "counter", "--quiet")[0] == "1\n"
    assert run("mem", "undo", core, "3", status=1)[1] == "strobe: mem undo: there are only 2 writes\n"
    run("mem", "undo", core, "--all")
    assert not os.path.exists(journal)
    assert run("print", core, "counter") == ("54\n", "")
    assert run("mem", "undo", core, status=1)[1] == "strobe: mem undo: there are only 0 writes\n"
    assert not os.path.exists(journal)


def test_mem_write_that_cannot_be():
    core, journal = fresh_core()
    for words, status, told in ((["0x10", "00"], 1, "0x10: not mapped"),
                                (["&counter", "0x12"], 2, "is not hex bytes"),
                                (["&counter", "1"], 2, "is not hex bytes"),
                                (["&counter"], 2, "give one thing"),
                                (["&counter", "00", "--string", "x"], 2, "give one thing"),
                                (["&counter", "--string", ""], 2, "nothing to write"),
                                (["&counter", "--file", "/no/such/file"], 1, "No such file"),
                                (["&counter", "--type", "u8", "256"], 2, "does not fit"),
                                (["&counter", "--type", "i8", "128"], 2, "does not fit"),
                                (["&counter", "--type", "i8", "-129"], 2, "does not fit"),
                                (["&counter", "--type", "u8", "-1"], 2, "does not fit"),
                                (["&counter", "--type", "f32", "1e99"], 2, "does not fit"),
                                (["&counter", "--type", "f32", "x"], 2, "is not a number"),
                                (["nosuch", "00"], 1, "nosuch"),
                                (["&counter", "00", "--no-overlay"], 2, "does not go with")):
        errors = run("mem", "write", core, *words, status=status)[1]
        assert told in errors, (words, errors)
        assert not os.path.exists(journal), words


def test_regs_set():
    core, journal = fresh_core()
    before = document("regs", core)["registers"]
    writes = json.loads(run("regs", core, "--set", "rip=main,al=0x5", "--set", "rbx=-1", "--set", "st0=1.5",
                            "--json")[0])
    conforms(writes, SCHEMAS["mem write"], "regs --set")
    assert [write["register"] for write in writes["writes"]] == ["rip", "al", "rbx", "st0"]
    after = document("regs", core)["registers"]
    assert after["rip"] == symbol("main")["address"] and after["rbx"] == "0xffffffffffffffff"
    assert after["rax"] == hex(int(before["rax"], 16) & ~255 | 5)
    assert after["st0"] == "0x3fffc000000000000000"
    changed = {name for name in before if before[name] != after[name]}
    assert changed <= {"rip", "rax", "rbx", "st0"}, changed
    assert " in main " in run("bt", core, "--quiet")[0].splitlines()[1]
    assert run("print", core, "$al", "--quiet")[0] == "5\n"
    assert document("regs", core, "--no-overlay")["registers"] == before
    # All or nothing.
    run("regs", core, "--set", "rcx=1,nosuch=2", status=1)
    run("regs", core, "--set", "rcx=1,eax=0x123456789", status=2)
    run("regs", core, "--set", "rcx", status=2)
    run("regs", core, "--frame", "1", "--set", "rcx=1", status=2)
    assert len(document("mem writes", core)["writes"]) == 4
    if "ymm1" in before:
        run("regs", core, "--set", "ymm1=0x" + "12" * 32)
        assert document("regs", core)["registers"]["xmm1"] == "0x" + "12" * 16
    run("mem", "undo", core, "--all")
    assert document("regs", core)["registers"] == before and not os.path.exists(journal)


def test_journals_that_cannot_be_applied():
    core, journal = fresh_core()
    run("mem", "write", core, "&counter", "--type", "i32", "1")
    run("mem", "write", core, "&counter", "--type", "i32", "2")
    with open(journal, "rb") as file:
        whole = file.read()

    def damaged(contents):
        with open(journal, "wb") as file:
            file.write(contents)
        return run("print", core, "counter")

    assert damaged(whole[:-1]) == ("1\n", f"strobe: print: warning: {journal}: its last record is half written: not "
                                  f"applied\nstrobe: print: with 1 write of {journal}\n")
    text, errors = damaged(whole[:60] + bytes([whole[60] ^ 0xff]) + whole[61:])
    assert text == "54\n" and "record 1 is damaged" in errors, errors
    assert "undo all" in run("mem", "write", core, "&counter", "00", status=1)[1]
    run("mem", "undo", core, "--all")
    assert not os.path.exists(journal)
    text, errors = damaged(whole[:20] + bytes([whole[20] ^ 0xff]) + whole[21:])
    assert text == "54\n" and "header is damaged: its writes are not applied" in errors, errors
    other = CORE + "-other"
    with open(CORE, "rb") as source, open(other, "wb") as copy:
        contents = bytearray(source.read())
        place = contents.find(b"CORE\0") + 8 + 112
        contents[place] ^= 1
        copy.write(contents)
    os.unlink(journal)
    with open(other + ".overlay", "wb") as file:
        file.write(whole)
    text, errors = run("print", other, "counter")
    assert text == "54\n" and "belongs to another snapshot" in errors, errors
    assert "belongs to another snapshot" in run("mem", "write", other, "&counter", "00", status=1)[1]
    with open(other + ".overlay", "rb") as file:
        assert file.read() == whole
    os.unlink(other)
    os.unlink(other + ".overlay")


LIVE = r"""
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
volatile int value = 3;
const int fixed = 9;
int main(void)
{
	char *pages = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *shared = mmap(0, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	mprotect(pages + 4096, 4096, PROT_READ);
	printf("%p %p %p %p %p\n", (void *)&value, (void *)&fixed, (void *)main, pages, shared);
	fflush(stdout);
	while (value == 3)
		usleep(1000);
	printf("%d %d %s\n", value, *(const volatile int *)&fixed, pages + 4090);
	return 0;
}
"""


def test_mem_write_to_a_living_process():
    program = pathlib.Path(CORE).parent / "live"
    subprocess.run([CC, "-x", "c", "-o", program, "-"], input=LIVE.encode(), check=True)
    with subprocess.Popen([program], stdout=subprocess.PIPE, text=True) as process:
        try:
            pid = str(process.pid)
            value, fixed, code, pages, shared = process.stdout.readline().split()
            text, _ = run("mem", "write", pid, fixed, "--type", "i32", "10")
            assert text.endswith("4 bytes  09 00 00 00 -> 0a 00 00 00  (read-only memory)\n"), text
            assert "is code (r-xp " in run("mem", "write", pid, code, "cc", status=1)[1]
            assert "maps read-only" in run("mem", "write", pid, shared, "cc", status=1)[1]
            assert "0x0: not mapped" in run("mem", "write", pid, "0", "cc", status=1)[1]
            assert "not mapped" in run("mem", "write", pid, "0xffffffffff600000", "cc", status=1)[1]
            assert "of a living process" in run("regs", pid, "--set", "rax=1", status=1)[1]
            assert "not undone" in run("mem", "undo", pid, status=1)[1]
            # Across mappings that touch, one of them read-only.
            start = hex(int(pages, 16) + 4090)
            written = document("mem write", pid, start, "--string", "across two", "--nul")
            assert written["pid"] == process.pid and written["journal"] is None
            assert written["writes"][0]["read_only"] and written["writes"][0]["old"] == "00" * 11
            run("mem", "write", pid, value, "--type", "i32", "-4")
            assert process.stdout.readline() == "-4 10 across two\n"
            assert process.wait(timeout=20) == 0
        finally:
            process.kill()
    assert "no process" in run("mem", "write", pid, value, "00", status=1)[1]


def test_list():
    value = document("list", CORE)
    line = line_of("dies here")
    assert value["line"] == line and "dies here" in next(l["text"] for l in value["lines"] if l["number"] == line)
    assert re.search(r"^=> +%d  .*dies here" % line, run("list", CORE)[0], re.M)
    assert document("list", CORE, f"crash.c:{line}", "-n", "1")["lines"][0]["number"] == line
    assert document("list", CORE, "wait_forever")["function"] == "wait_forever"
    comment = document("list", CORE, "crash.c:1,2")["lines"]
    assert [l["number"] for l in comment] == [1, 2] and "SPDX" in comment[0]["text"]
    run("list", CORE, "crash.c:2,1", status=2)
    assert "lines, not 99999" in run("list", CORE, "crash.c:99999", status=1)[1]
    run("list", CORE, "nosuch.c:3", status=1)
    run("list", CORE, "no_such_function", status=1)


def test_disasm():
    instructions = document("disasm", CORE)["instructions"]
    current = [i for i in instructions if i["current"]]
    assert len(current) == 1 and current[0]["address"] == document("regs", CORE)["registers"]["rip"]
    assert any(i.get("target_symbol") == "<crash>" for i in instructions)
    text = run("disasm", CORE, "crash", "--source", "--bytes")[0]
    assert text.startswith("crash:\n") and "dies here" in text
    assert "%rbp" in run("disasm", CORE, "main", "--syntax", "att")[0]
    assert len(document("disasm", CORE, "main", "-n", "3")["instructions"]) == 3
    first = document("disasm", CORE, "main", "-n", "2")["instructions"]
    assert document("disasm", CORE, "main+0", "-n", "2")["instructions"] == first
    size = int(first[1]["address"], 16) - int(first[0]["address"], 16)
    assert len(document("disasm", CORE, f"main,+{size + 1}")["instructions"]) == 2
    assert document("disasm", CORE, "$rip", "-n", "1")["instructions"][0]["current"]
    run("disasm", CORE, "main,0x10", status=2)
    run("disasm", CORE, "crash.c:1", status=1)
    assert "^" in run("disasm", CORE, "$nosuch", status=1)[1]
    run("disasm", CORE, "0x10", status=1)


# The same condition has two names.
ALIASES = {"jz": "je", "jnz": "jne", "jnb": "jae", "jnbe": "ja", "jnle": "jg", "jnl": "jge", "setz": "sete",
           "setnz": "setne", "cmovz": "cmove", "cmovnz": "cmovne", "cmovnb": "cmovae", "cmovnbe": "cmova",
           "cmovnle": "cmovg", "cmovnl": "cmovge", "setnb": "setae", "setnbe": "seta", "setnle": "setg", "setnl": "setge"}


def objdump(path, start, size):
    """{address: (bytes, mnemonic)} of the instructions in a file."""
    text = subprocess.run(["objdump", "-d", "-w", "-z", "-M", "intel", f"--start-address={start}",
                           f"--stop-address={start + size}", path], capture_output=True, text=True, check=True).stdout
    found = re.findall(r"^ +([0-9a-f]+):\t((?:[0-9a-f]{2} )+) *\t(\S*)", text, re.M)
    return {int(address, 16): (code.replace(" ", ""), mnemonic) for address, code, mnemonic in found}


def test_disasm_of_the_c_library_is_objdumps():
    libc = next(m for m in document("modules", CORE)["modules"] if m["name"].startswith("libc"))
    bias, size = int(libc["bias"], 16), 100000
    headers = subprocess.run(["objdump", "-h", libc["file"]], capture_output=True, text=True, check=True).stdout
    start = int(re.search(r" \.text +\w+ +(\w+)", headers)[1], 16)
    where = f"{start + bias:#x},{start + bias + size:#x}"
    theirs = objdump(libc["file"], start, size)
    last = max(theirs)  # the stop address may cut this one short
    for syntax in ("intel", "att"):
        instructions = document("disasm", CORE, where, "--syntax", syntax)["instructions"]
        ours = {int(i["address"], 16) - bias: (i["bytes"], i["text"].split()[0]) for i in instructions}
        assert set(ours) == set(theirs) and len(ours) > 10000
        assert not [a for a in ours if a != last and ours[a][0] != theirs[a][0]]
        if syntax == "intel":
            same = sum(ALIASES.get(ours[a][1], ours[a][1]) == theirs[a][1] for a in ours)
            assert same > 0.97 * len(ours), f"{same} of {len(ours)} mnemonics are objdump's"


def test_bad_usage():
    for words in ([], ["nosuchverb"], ["info"], ["info", CORE, "surplus"], ["bt", CORE, "--nosuch"],
                  ["bt", CORE, "--thread"], ["bt", CORE, "--thread", "x"], ["bt", CORE, "--json=1"],
                  ["bt", CORE, "--frames", "5..3"], ["info", CORE, "--color=sometimes"], ["mem"], ["mem", "nosuch"],
                  ["mem", "search", CORE], ["mem", "search", CORE, "--bytes", "xyz"], ["mem", "read", CORE, "1", "x"],
                  ["mem", "search", CORE, "a", "--text", "b"], ["completion", "csh"], ["help", "nosuch"]):
        _, errors = run(*words, status=2)
        assert errors.startswith("usage: " if not words else "strobe: "), errors
        assert errors.count("\n") == 1 or words in ([], ["mem"]), errors
    assert "did you mean 'threads'" in run("thread", CORE, status=2)[1]
    assert "did you mean --locals" in run("bt", CORE, "--local", status=2)[1]
    assert run("bt", CORE, "--thread", "1", status=1)[1].count("\n") == 1


def test_not_a_core():
    for path in ("/nonexistent/core", "/dev/null", "/", __file__):
        output, errors = run("info", path, status=1)
        assert output == "" and errors.count("\n") == 1 and errors.startswith("strobe: info: "), errors
    with tempfile.NamedTemporaryFile() as empty:
        _, errors = run("bt", empty.name, status=1)
        assert empty.name in errors
    assert "made at" in run("info", "/nonexistent/core", "-v", status=1)[1]


def test_truncated_core():
    size = os.path.getsize(CORE)
    whole = pathlib.Path(CORE).read_bytes()
    for part in (10, 64, 1000, size // 3, size - 5000):
        with tempfile.NamedTemporaryFile() as cut:
            cut.write(whole[:part])
            cut.flush()
            for verb in ("info", "bt", "maps"):
                done = subprocess.run([STROBE, verb, cut.name], capture_output=True, timeout=60, check=False)
                assert done.returncode in (0, 1), (verb, part, done)
                assert done.returncode == 0 or done.stderr.startswith(b"strobe: "), done.stderr
            if part > 100000:
                assert b"warning:" in done.stderr, part
                quiet = subprocess.run([STROBE, "maps", "-q", cut.name], capture_output=True, timeout=60, check=False)
                assert quiet.stderr == b"", quiet.stderr


def test_output_that_cannot_be_written():
    with open("/dev/full", "wb") as full:
        _, errors = run("bt", CORE, status=1, stdout=full)
        assert errors == "strobe: bt: standard output: No space left on device\n", errors
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([STROBE, "bt", CORE], stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert done.stderr == b"", done.stderr


def test_options_and_colour():
    assert run("--json", "info", status=2)
    assert json.loads(run("info", "--json", "--", CORE)[0]) == json.loads(run("info", CORE, "-j")[0])
    assert "\033[" not in run("bt", CORE)[0] and "\033[" in run("bt", CORE, "--color=always")[0]
    assert "\033[" not in run("bt", CORE, "--color", "never")[0]


def test_help():
    verbs = re.findall(r"^\*(.+)\*$", run("--dump-options=verbs")[0], re.M)
    assert len(verbs) >= 16, verbs
    overview = run("help")[0]
    for verb in verbs:
        assert f"  {verb} " in overview, verb
        text = run("help", *verb.split())[0]
        usage = verb.replace("heap ", "heap TARGET ")
        assert text.startswith(f"usage: strobe {usage} ") and max(map(len, text.splitlines())) <= 100, text
        assert run(*verb.split(), "--help")[0] == text
    assert run("--help")[0] == overview and run("--version")[0] == run("version")[0]


def test_completion():
    for shell in ("bash", "zsh", "fish"):
        text = run("completion", shell)[0]
        assert "past-main" in text and "search" in text
    script = run("completion", "bash")[0] + (
        '\ncomplete_line() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _strobe; echo "${COMPREPLY[@]}"; }\n'
        "complete_line strobe th; complete_line strobe bt core --lo; complete_line strobe mem se; "
        "complete_line strobe mem search core --ig; complete_line strobe disasm core --syntax ''; "
        "complete_line strobe heap core his; complete_line strobe heap core leaks --max-l\n")
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:7] == ["threads", "--locals", "search", "--ignore-case", "intel att",
                                            "histogram", "--max-leaked"], done


def main():
    global CORE
    tests = [(name[5:].replace("_", " "), test) for name, test in globals().items() if name.startswith("test_")]
    print(f"1..{len(tests)}")
    failed = False
    with tempfile.TemporaryDirectory() as directory:
        core, reason = make_core(pathlib.Path(directory))
        CORE = str(core)
        for number, (name, test) in enumerate(tests, 1):
            if not core:
                print(f"ok {number} - {name} # SKIP {reason}")
                continue
            try:
                test()
                print(f"ok {number} - {name}", flush=True)
            except (AssertionError, json.JSONDecodeError, StopIteration, KeyError, IndexError,
                    subprocess.SubprocessError) as error:
                failed = True
                for line in f"{type(error).__name__}: {error}".splitlines():
                    print("#", line)
                print(f"not ok {number} - {name}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
