#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks every #include in src/ against tools/layers.txt. TAP on stdout.

usage: check_layers.py SOURCE_ROOT

- "folder/module.h" only where layers.txt lets the folder use it, and it must exist;
- a third party's headers only in its folder;
- a folder that may use "public" (the front ends) includes <strobe/*.h>, libc and its own files, those of
  its subfolders as "SUBFOLDER/NAME.h";
- a folder's README.md has its five lines, as people and not a formatter of code wrote them;
- no cycle of folders, nor of modules (a module is FOLDER/NAME.c with FOLDER/NAME.h; a header without
  a source file holds shared declarations and is no module; NAME_PART belongs to NAME where there is
  one). tools/owners.txt lists modules that own
  what is built on them: what their source file includes is left out here.
"""
import pathlib
import re
import sys

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
README_LINES = ["Purpose", "May use", "May not use", "Threads", "Start at"]
# Headers by the third party's name in layers.txt.
THIRD_PARTIES = {
    "libdebuginfod": r"elfutils/debuginfod\.h",
    "dwarf": r"dwarf\.h",
    "libdw": r"elfutils/.*|libelf\.h|gelf\.h|libdw.*",
    "Zydis": r"Zydis/.*|Zycore/.*",
    "zstd": r"zstd.*|zdict\.h",
    "lzma": r"lzma.*",
    "pcre2": r"pcre2.*",
    "xxhash": r"xxhash\.h",
    "blake2": r"blake2\.h",
    "intel-pt": r"intel-pt\.h",
    "jansson": r"jansson.*",
    "libfyaml": r"libfyaml.*",
    "nghttp2": r"nghttp2/.*",
    "protobuf-c": r"protobuf-c/.*",
    "openssl": r"openssl/.*",
    "curl": r"curl/.*",
    "sqlite3": r"sqlite3\.h",
    "demangle": r"demangle\.h|libiberty/.*|libiberty\.h",
}


def read_layers(path):
    """What each folder may include, and the folder of each third party."""
    allowed, owners = {}, {}
    for line in path.read_text(encoding="utf-8").splitlines():
        line = line.split("#")[0].strip()
        if not line:
            continue
        if ":" in line:
            name, uses = line.split(":")
            allowed[name.strip()] = set(uses.split())
        else:
            name, owner = line.split("=")
            owners[name.strip()] = owner.split()
    return allowed, owners


def includes(path):
    """(line number, quoted?, name) of each #include."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match.group(1) == '"', match.group(2)


def third_party(name):
    """The third party whose header this is, or None."""
    for party, pattern in THIRD_PARTIES.items():
        if re.fullmatch(pattern, name):
            return party
    return None


def read_owning(path):
    """Modules whose source files are left out of the search for cycles, each with a reason."""
    lines = [x.split(None, 1) for x in path.read_text(encoding="utf-8").splitlines()]
    return {x[0] for x in lines if len(x) == 2 and not x[0].startswith("#")}


def whole_of(module, modules):
    """The module that FOLDER/NAME_PART is a part of, or itself."""
    name = module
    while "_" in name.split("/")[1]:
        name = name.rsplit("_", 1)[0]
        if name in modules:
            return whole_of(name, modules)
    return module


def check_file(source, path, allowed, owners):
    """Yields what is wrong with the includes of one file, and the modules it uses."""
    folder = path.relative_to(source).parts[0]
    may = allowed.get(folder)
    problems, uses = [], []
    for number, quoted, name in includes(path):
        where = f"src/{path.relative_to(source)}:{number}"
        party = None if quoted else third_party(name)
        if party and folder not in owners.get(party, []):
            who = " and ".join(owners.get(party, ["nobody"]))
            problems.append(f"{where}: <{name}> is {party}: only {who} may use it")
        if not quoted:
            continue
        if "public" in may:
            if not (source / folder / name).exists():
                problems.append(f'{where}: "{name}" is neither its own nor <strobe/...>')
            continue
        target = name.split("/")[0]
        made_of = source / name.replace(".pb-c.h", ".proto")  # a schema's header is made by the build
        if "/" not in name or not made_of.exists():
            problems.append(f'{where}: "{name}" is not the FOLDER/MODULE.h of a file in src/')
        elif target != folder and target not in may:
            problems.append(f'{where}: {folder} may not use {target} ("{name}")')
        else:
            uses.append(str(pathlib.Path(name).with_suffix("")))
    return problems, uses


def check_readme(path):
    """Yields what is wrong with a folder's README."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    heads = [m.group(1) for m in (re.match(r"- \*\*([^*]+)\*\*: \S", x) for x in lines) if m]
    if heads != README_LINES:
        yield f"{path}: its lines are not '- **NAME**: TEXT' of {', '.join(README_LINES)}"


def find_cycle(graph):
    """One cycle of the graph as a list of nodes, or None."""
    state, trail = {}, []

    def visit(node):
        state[node] = "open"
        trail.append(node)
        for target in sorted(graph.get(node, ())):
            if state.get(target) == "open":
                return trail[trail.index(target):] + [target]
            if target not in state:
                cycle = visit(target)
                if cycle:
                    return cycle
        trail.pop()
        state[node] = "done"
        return None

    for node in sorted(graph):
        if node not in state:
            cycle = visit(node)
            if cycle:
                return cycle
    return None


def main():
    root = pathlib.Path(sys.argv[1])
    source = root / "src"
    allowed, owners = read_layers(root / "tools" / "layers.txt")
    folders = sorted(p.name for p in source.iterdir() if p.is_dir())
    print(f"1..{len(folders) + 1}")
    owning = read_owning(root / "tools" / "owners.txt")
    graph, number, failed = {}, 0, False
    for folder in folders:
        number += 1
        problems = []
        if folder not in allowed:
            problems.append(f"src/{folder} has no line in tools/layers.txt")
        problems += check_readme(source / folder / "README.md")
        for path in sorted((source / folder).rglob("*.[ch]")) if not problems else []:
            found, uses = check_file(source, path, allowed, owners)
            problems += found
            module = path.relative_to(source).with_suffix("").as_posix()
            edges = graph.setdefault(module, set())
            if path.suffix == ".h" or not any(module == o or module.startswith(o + "_")
                                              for o in owning):
                edges.update(u for u in uses if u != module)
        for problem in problems:
            print("#", problem)
        failed = failed or bool(problems)
        print(f"{'not ok' if problems else 'ok'} {number} - {folder} includes what it may")
    modules = {m for m in graph if (source / f"{m}.c").exists()}
    whole = {m: whole_of(m, modules) for m in modules}
    merged = {}
    for module in modules:
        edges = merged.setdefault(whole[module], set())
        edges.update(whole[m] for m in graph[module] & modules if whole[m] != whole[module])
    graph = merged
    cycle = find_cycle(allowed) or find_cycle(graph)
    if cycle:
        print("# cycle:", " -> ".join(cycle))
    print(f"{'not ok' if cycle else 'ok'} {number + 1} - no cycle of modules")
    return 1 if failed or cycle else 0


if __name__ == "__main__":
    sys.exit(main())
