# SPDX-License-Identifier: Apache-2.0
"""The programs that Strobe and gdb are compared on, and how each comes to its core.

A program is either written here to stress one feature (programs/), or somebody else's: Debian
binaries with their -dbg packages, and Debian source packages built with many compilers and flags.
"""
import os
import resource
import shutil
import signal
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))


class Unavailable(Exception):
    """Why a program cannot be had on this machine."""


class Program:
    def __init__(self, name, build, command, kill_after=None, kill_signal=signal.SIGSEGV,
                 quick=False):
        self.name = name
        self.build = build            # function(folder) -> path of the program
        self.command = command        # function(program path, folder) -> argv
        self.kill_after = kill_after  # seconds, or None: it dies by itself
        self.kill_signal = kill_signal
        self.quick = quick            # part of the short form that runs with the tests


def run(argv, **more):
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)
    if done.returncode != 0:
        raise Unavailable("%s: exit %d: %s" % (" ".join(argv), done.returncode,
                                               done.stdout.decode(errors="replace")[-300:]))


def need(tool):
    if not shutil.which(tool):
        raise Unavailable(tool + " is not installed")


def own(source, *flags, compiler="gcc", after=None):
    """A program of programs/, built with `flags`."""
    def build(folder):
        need(compiler)
        out = os.path.join(folder, "program")
        path = os.path.join(HERE, "programs", source)
        if compiler == "rustc":
            run(["rustc", "-g", *flags, "-o", out, path], cwd=folder)
        else:
            run([compiler, *flags, "-o", out, path, "-pthread"], cwd=folder)
        if after:
            run([part.format(out) for part in after], cwd=folder)
        return out
    return build


def debian_source(package, cache):
    """Unpacks a Debian source package once; needs deb-src lines in apt's sources."""
    place = os.path.join(cache, "source", package)
    if not os.path.isdir(place):
        os.makedirs(place)
        try:
            run(["apt-get", "source", "-qq", package], cwd=place)
        except Unavailable:
            shutil.rmtree(place)
            raise
    for entry in sorted(os.listdir(place)):
        if os.path.isdir(os.path.join(place, entry)):
            return os.path.join(place, entry)
    raise Unavailable(package + ": source package did not unpack")


CACHE = os.environ.get("STROBE_PARITY_CACHE",
                       os.path.join(os.environ.get("XDG_CACHE_HOME",
                                                   os.path.expanduser("~/.cache")),
                                    "strobe-parity"))


def from_files(package, subfolder, sources, *flags, compiler="gcc", after=None, libraries=("-lm",),
               headers={}):
    """Somebody else's program, compiled straight from its files."""
    def build(folder):
        need(compiler)
        top = os.path.join(debian_source(package, CACHE), subfolder)
        out = os.path.join(folder, "program")
        files = []
        for name in sorted(os.listdir(top)):
            if sources(name):
                files.append(os.path.join(top, name))
        for header, text in headers.items():  # that the package's own build would make
            with open(os.path.join(folder, header), "w") as made:
                made.write(text)
        run([compiler, *flags, "-iquote", top, "-iquote", folder, "-o", out, *files, *libraries], cwd=folder)
        if after:
            run([part.format(out) for part in after], cwd=folder)
        return out
    return build


def lua(*flags, **more):
    return from_files("lua5.4", "src",
                      lambda name: name.endswith(".c") and name != "luac.c",
                      *flags, "-DLUA_USE_POSIX", headers={
                          "lua5.4-deb-multiarch.h":
                          '#define DEB_HOST_MULTIARCH "x86_64-linux-gnu"\n'}, **more)


LUA_SCRIPT = r"""
local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end
local t = {}
for i = 1, 1000 do t[i] = {i, "", 0} end
for i = 1, 1e9 do
  t[i % 1000 + 1] = {i, tostring(i), fib(i % 12)}
  table.sort(t, function(a, b) return a[1] < b[1] end)
  local s = string.gsub(tostring(i), "%d", function(d) return d .. d end)
  local ok = pcall(error, s)
  local co = coroutine.wrap(function(x) coroutine.yield(string.rep("x", x % 50)) end)
  co(i)
end
"""


def lua_command(program, folder):
    script = os.path.join(folder, "script.lua")
    with open(script, "w") as out:
        out.write(LUA_SCRIPT)
    return [program, script]


def random_input(folder, size=64 << 20):
    path = os.path.join(folder, "input")
    seed = b"the quick brown fox jumps over the lazy dog 0123456789\n"
    with open(path, "wb") as out:
        import random
        generator = random.Random(7)
        written = 0
        while written < size:
            chunk = bytes(generator.choices(seed, k=1 << 16)) * 4
            out.write(chunk)
            written += len(chunk)
    return path


def bzip2(*flags, **more):
    parts = {"blocksort.c", "huffman.c", "crctable.c", "randtable.c", "compress.c", "decompress.c",
             "bzlib.c", "bzip2.c"}
    return from_files("bzip2", "", lambda name: name in parts, *flags,
                      "-D_FILE_OFFSET_BITS=64", **more)


def minigzip(*flags, **more):
    def build(folder):
        need(more.get("compiler", "gcc"))
        top = debian_source("zlib", CACHE)
        out = os.path.join(folder, "program")
        files = [os.path.join(top, n) for n in sorted(os.listdir(top)) if n.endswith(".c")]
        run([more.get("compiler", "gcc"), *flags, "-DHAVE_UNISTD_H", "-I", top, "-o", out, *files,
             os.path.join(top, "test", "minigzip.c")], cwd=folder)
        return out
    return build


def ninja(*flags, compiler="g++"):
    skip = ("test.cc", "-win32.cc", "_bench.cc", "browse.cc", ".in.cc")
    return from_files("ninja-build", "src",
                      lambda name: name.endswith(".cc") and not any(s in name for s in skip),
                      *flags, "-std=c++17", "-DNINJA_PYTHON=\"python3\"", compiler=compiler,
                      libraries=())


def ninja_command(program, folder):
    with open(os.path.join(folder, "build.ninja"), "w") as out:
        out.write("rule touch\n  command = sleep 0.05; touch $out\n")
        for i in range(20000):
            out.write("build out%d: touch %s\n" % (i, "out%d" % (i - 1) if i % 7 else ""))
    return [program, "-C", folder, "-j", "2", "-d", "explain"]


def installed(path, *also):
    def build(folder):
        for each in (path, *also):
            if not os.path.exists(each):
                raise Unavailable(each + " is not installed")
        return path
    return build


PYTHON = "/usr/bin/python3.11"
PYTHON_DEBUG = "/usr/lib/debug/.build-id"  # of python3.11-dbg

PYTHON_SLEEP = """
import time, json
def deep(n, tag):
    if n == 0:
        time.sleep(100)
    return json.dumps({tag: deep(n - 1, tag + 'x')})
sorted([3, 1, 2], key=lambda v: deep(12, 'a'))
"""
PYTHON_BUSY = """
import re, json, threading
def work(seed):
    while True:
        data = {str(i * seed): [i, str(i), {'k': i / 3}] for i in range(500)}
        text = json.dumps(data, indent=1)
        re.sub(r'(\\d+)', lambda m: m.group(1)[::-1], text)
        json.loads(text)
        sorted(data, key=lambda k: hash(k) ^ seed)
for n in range(4):
    threading.Thread(target=work, args=(n + 1,), daemon=True).start()
work(9)
"""


def python_command(code):
    return lambda program, folder: [program, "-S", "-c", code]


def itself(program, folder):
    return [program]


def with_input(*options, size=64 << 20):
    return lambda program, folder: [program, *options, random_input(folder, size)]


PROGRAMS = [
    # Somebody else's programs, stopped at a random instant of real work.
    Program("python3.11 asleep", installed(PYTHON), python_command(PYTHON_SLEEP), 1.0),
    Program("python3.11 busy, 5 threads", installed(PYTHON), python_command(PYTHON_BUSY), 1.5),
    Program("lua -O0", lua("-g", "-O0"), lua_command, 0.5, quick=False),
    Program("lua -O1", lua("-g", "-O1"), lua_command, 0.5),
    Program("lua -O2", lua("-g", "-O2"), lua_command, 0.5),
    Program("lua -O3", lua("-g", "-O3"), lua_command, 0.5),
    Program("lua -O2 -flto", lua("-g", "-O2", "-flto"), lua_command, 0.5),
    Program("lua -O2 DWARF 4", lua("-g", "-gdwarf-4", "-O2"), lua_command, 0.5),
    Program("lua -O2 DWARF 3", lua("-g", "-gdwarf-3", "-gstrict-dwarf", "-O2"), lua_command, 0.5),
    Program("lua -O2 split DWARF 5", lua("-g", "-gsplit-dwarf", "-O2"), lua_command, 0.5),
    Program("lua -O2 split DWARF 4", lua("-g", "-gdwarf-4", "-gsplit-dwarf", "-O2"), lua_command,
            0.5),
    Program("lua -O2 .dwp", lua("-g", "-gdwarf-4", "-gsplit-dwarf", "-O2",
                                after=["dwp", "-e", "{0}", "-o", "{0}.dwp"]), lua_command, 0.5),
    Program("lua -O2 static", lua("-g", "-O2", "-static"), lua_command, 0.5),
    Program("lua -O1 static-pie", lua("-g", "-O1", "-static-pie"), lua_command, 0.5),
    Program("lua -O2 stripped", lua("-O2", "-s"), lua_command, 0.5),
    Program("lua -O2 no frame tables", lua("-g", "-O2", "-fno-asynchronous-unwind-tables",
                                           "-fno-unwind-tables"), lua_command, 0.5),
    Program("lua clang -O0", lua("-g", "-O0", compiler="clang"), lua_command, 0.5),
    Program("lua clang -O2", lua("-g", "-O2", compiler="clang"), lua_command, 0.5),
    Program("lua clang -O2 DWARF 4", lua("-g", "-gdwarf-4", "-O2", compiler="clang"), lua_command,
            0.5),
    Program("lua clang -O2 split", lua("-g", "-gsplit-dwarf", "-O2", compiler="clang"),
            lua_command, 0.5),
    Program("lua -O2 dwz", lua("-g", "-O2", after=["dwz", "{0}"]), lua_command, 0.5),
    Program("bzip2 -O2", bzip2("-g", "-O2"), with_input("-k", "-c"), 1.0,
            signal.SIGABRT),
    Program("bzip2 clang -O3", bzip2("-g", "-O3", compiler="clang"), with_input("-k", "-c"), 1.0,
            signal.SIGABRT),
    Program("minigzip -O3", minigzip("-g", "-O3"), with_input("-9", "-c"), 0.5),
    Program("ninja C++ -O0", ninja("-g", "-O0"), ninja_command, 1.0),
    Program("ninja C++ -O2", ninja("-g", "-O2"), ninja_command, 1.0),
    Program("ninja C++ clang -O2", ninja("-g", "-O2", compiler="clang++"), ninja_command, 1.0),
    # Programs that stress one feature each; they end by themselves.
    Program("C types", own("types.c", "-g", "-O0"), itself, quick=True),
    Program("C types -O2", own("types.c", "-g", "-O2"), itself),
    Program("C types clang DWARF 4", own("types.c", "-g", "-gdwarf-4", "-O0", compiler="clang"),
            itself),
    Program("inlining -O2", own("inlining.c", "-g", "-O2"), itself, quick=True),
    Program("inlining -O3 clang", own("inlining.c", "-g", "-O3", compiler="clang"), itself),
    Program("signal on alternate stack", own("altstack.c", "-g", "-O1"), itself, quick=True),
    Program("1,000 threads", own("threads.c", "-g", "-O2"), itself, quick=False),
    Program("stack smashed", own("smashed.c", "-g", "-O1", "-fno-stack-protector"), itself),
    Program("deep recursion", own("recursion.c", "-g", "-O1", "-fno-optimize-sibling-calls"),
            itself),
    Program("thread-locals, variable arrays", own("locals.c", "-g", "-O0"), itself, quick=True),
    Program("C++ classes", own("classes.cc", "-g", "-O0", compiler="g++"), itself, quick=True),
    Program("C++ classes -O2", own("classes.cc", "-g", "-O2", compiler="g++"), itself),
    Program("C++ type units", own("classes.cc", "-g", "-O0", "-fdebug-types-section",
                                  compiler="g++"), itself),
    Program("C++ split type units", own("classes.cc", "-g", "-gdwarf-4", "-gsplit-dwarf",
                                        "-fdebug-types-section", "-O0", compiler="g++"), itself),
    Program("C++ type units in .dwp", own("classes.cc", "-g", "-gdwarf-4", "-gsplit-dwarf",
                                          "-fdebug-types-section", "-O0", compiler="g++",
                                          after=["dwp", "-e", "{0}", "-o", "{0}.dwp"]), itself),
    Program("C++ classes clang", own("classes.cc", "-g", "-O1", compiler="clang++"), itself),
    Program("Rust", own("rust.rs", compiler="rustc"), itself),
    Program("Rust -O", own("rust.rs", "-O", compiler="rustc"), itself),
]


def make_core(program, folder):
    """Builds and runs `program` in `folder`; returns (program path, core path)."""
    path = program.build(folder)
    argv = program.command(path, folder)
    for name in os.listdir(folder):
        if name.startswith("core"):
            os.unlink(os.path.join(folder, name))

    def limits():
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    child = subprocess.Popen(argv, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL, preexec_fn=limits)
    if program.kill_after is not None:
        time.sleep(program.kill_after)
        child.send_signal(program.kill_signal)
    child.wait(timeout=60)
    cores = [name for name in os.listdir(folder) if name.startswith("core")]
    if not cores:
        raise Unavailable("no core file appeared (kernel.core_pattern: %s)"
                          % open("/proc/sys/kernel/core_pattern").read().strip())
    return path, os.path.join(folder, cores[0])
