#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Seeds the fuzzers' corpora in BUILD/corpus with what needs a compiler, and prints the path of a core
file for the expression fuzzer. usage: make_corpora.py BUILD"""
import os
import resource
import subprocess
import sys

SOURCE = """
struct node { struct node *next; int weight : 5; union { char c[4]; float f; } u; };
struct node *head, global = { 0, 3 };
static inline int twice(struct node *n, int by) { int k = n->weight * by; return k * 2; }
__attribute__((noinline)) int work(struct node *n, int by) { struct node copy = *n;
 int list[3] = {1, 2, by}; return twice(&copy, by) + list[by % 3] + *(volatile int *)0; }
int main(void) { head = &global; return work(head, 4); }
"""
# Structures as plans know them: unions, open ends, bases, links in what they are members of.
CLASSES = """struct list_head { list_head *next, **prev; };
struct Root { Root *root; virtual int get() { return 1; } }; struct Left : virtual Root { Left *left; int (*call)(int); };
struct Right : virtual Root { Right &right; char room[16]; Right(Right &r) : right(r) {} };
struct Join : Left, Right { list_head link; union { long number; Join *join; void *any; list_head *list[2]; };
 unsigned flag : 3; Root Join::*member; int (Root::*method)(); Join(Right &r) : Right(r) {} };
template <class T> struct Box { T *items[3][2]; long count; struct { T *inner; } in; T last[0]; };
typedef struct { list_head node; Box<Join *> box; } entry;
entry entries[4]; Join *joined;
int main() { return joined->get() + (int)sizeof(entries); }
void __cxa_pure_virtual() {}
"""
FLAGS = [["-O0", "-gdwarf-5"], ["-O2", "-gdwarf-5"], ["-O2", "-gdwarf-4"], ["-O1", "-gdwarf-3"],
         ["-O2", "-gdwarf-5", "-gz=zlib"], ["-O2", "-s"]]


def build_modules(folder):
    """Small programs without libc, linked where the fuzzer maps them."""
    for number, flags in enumerate(FLAGS):
        start = "\nvoid _start(void) { main(); }\n"
        subprocess.run(["gcc", "-x", "c", "-", *flags, "-nostdlib", "-static", "-no-pie",
                        "-Wl,-Ttext=0x401000", "-o", os.path.join(folder, f"program{number}")],
                       input=SOURCE + start, text=True, check=True, cwd="/")


def build_classes(folder):
    """C++, with virtual tables that lead to no type information."""
    for number, flags in enumerate([["-gdwarf-5"], ["-gdwarf-4", "-fdebug-types-section"]]):
        start = '\nextern "C" void _start(void) { main(); }\n'
        subprocess.run(["g++", "-x", "c++", "-", "-O0", *flags, "-w", "-fno-rtti", "-nostdlib", "-static", "-no-pie",
                        "-fno-exceptions", "-fno-asynchronous-unwind-tables", "-Wl,-Ttext=0x401000", "-o",
                        os.path.join(folder, f"classes{number}")],
                       input=CLASSES + start, text=True, check=True, cwd="/")


def make_core(folder):
    """The core of a program with all sorts of types."""
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    program = os.path.join(folder, "types")
    source = os.path.join(here, "tests", "parity", "programs", "types.c")
    subprocess.run(["gcc", "-g", "-O0", "-w", "-o", program, source], check=True)

    def limits():
        hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
        resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))

    subprocess.run([program], cwd=folder, preexec_fn=limits, check=False,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for name in os.listdir(folder):
        if name.startswith("core"):
            return os.path.join(folder, name)
    sys.exit("make_corpora: no core file: core_pattern leads elsewhere")


def main():
    build = os.path.abspath(sys.argv[1])
    corpus = os.path.join(build, "corpus")
    for target in ("core", "module", "expression", "location"):
        os.makedirs(os.path.join(corpus, target), exist_ok=True)
    build_modules(os.path.join(corpus, "module"))
    build_classes(os.path.join(corpus, "module"))
    folder = os.path.join(build, "fuzz-core")
    os.makedirs(folder, exist_ok=True)
    core = make_core(folder)
    with open(core, "rb") as whole, open(os.path.join(corpus, "core", "types"), "wb") as seed:
        seed.write(whole.read(24 << 10))
    print(core)


if __name__ == "__main__":
    main()
