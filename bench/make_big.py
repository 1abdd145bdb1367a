#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds a program with 200 MiB or more of debug information: make_big.py FOLDER

20 different units, C++ with the standard library's large headers and C with thousands of structures,
each linked 13 times under other names. 8 threads go through functions of 40 of these 260 units, then
one of them aborts. Leaves FOLDER/big.
"""
import concurrent.futures
import os
import subprocess
import sys

CXX_UNITS, C_UNITS, COPIES = 8, 12, 13
FLAGS = ["-g", "-O1", "-fno-eliminate-unused-debug-types"]

CXX = """
#include <algorithm>
#include <filesystem>
#include <functional>
#include <future>
#include <iostream>
#include <map>
#include <random>
#include <regex>
#include <string>
#include <thread>
#include <unordered_map>
#include <variant>
#include <vector>
namespace unit{n} {{
struct record {{ int id; double weight; std::string name; std::map<int, std::string> table; }};
template <typename T> struct holder {{ T value; std::vector<T> history; }};
}}
extern "C" int go_on(void *state, int step);
extern "C" int entry(void *state, int step) {{
    unit{n}::record record {{step, step * 1.5, "record", {{}}}};
    unit{n}::holder<long> holder {{step + 7, {{1, 2, 3}}}};
    std::variant<int, std::string> either = record.name;
    record.table[step] = "entry";
    std::function<int(int)> add = [&](int x) {{ return x + record.id; }};
    int below = go_on(state, step + 1);
    return add(below) + (int)holder.history.size() + (int)either.index() + (int)record.table.size();
}}
"""

C_RECORD = """struct u{n}_record_{i} {{ int number_{i}; struct u{n}_record_{j} *previous_{i};
 char name_{i}[{size}]; double weight_{i}; enum u{n}_kind_{i} {{ U{n}_K{i}_A, U{n}_K{i}_B }} kind_{i};
 unsigned flag_{i} : 3; }};
"""
C_FUNCTION = """__attribute__((noinline)) static int work_{i}(struct u{n}_record_{i} *r, int n) {{
 int total = r->number_{i} * n; for (int j = 0; j < n; j++) {{ int part = total ^ j; total += part; }}
 return total; }}
"""
C_ENTRY = """
int go_on(void *state, int step);
int entry(void *state, int step) {{
 struct u{n}_record_7 record = {{ .number_7 = step, .name_7 = "seven", .kind_7 = U{n}_K7_B }};
 int below = go_on(state, step + 1);
 int sum = work_0(state, below) + record.number_7;
 {calls}
 return sum; }}
"""

MAIN = """
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
struct state {{ int number_0; int worker; }};
{declarations}
static int (*const steps[])(void *, int) = {{ {names} }};
static pthread_barrier_t ready;
int go_on(void *state, int step) {{
    struct state *mine = state;
    if (step < (int)(sizeof(steps) / sizeof(steps[0])))
        return steps[step](state, step);
    pthread_barrier_wait(&ready);
    if (mine->worker != 0)
        pause();
    usleep(300000);
    abort();
}}
static void *run(void *state) {{ return (void *)(long)go_on(state, 0); }}
int main(void) {{
    static struct {{ struct state state; char room[4096]; }} states[8];
    pthread_t threads[8];
    pthread_barrier_init(&ready, NULL, 8);
    for (int i = 0; i < 8; i++) {{
        states[i].state.worker = i;
        pthread_create(&threads[i], NULL, run, &states[i]);
    }}
    pthread_join(threads[0], NULL);
}}
"""


def c_unit(n):
    """Source of one C unit."""
    text = "".join(C_RECORD.format(n=n, i=i, j=max(i - 1, 0), size=i % 50 + 6) for i in range(8000))
    text += "".join(C_FUNCTION.format(n=n, i=i) for i in range(300))
    calls = "".join(f"sum += work_{i}(state, sum);" for i in range(300))
    return text + C_ENTRY.format(n=n, calls=calls)


def compile_unit(folder, n):
    """Compiles unit n; returns its copies, objects whose entry points are entry_N_K."""
    is_cxx = n < CXX_UNITS
    source = os.path.join(folder, f"unit{n}." + ("cc" if is_cxx else "c"))
    with open(source, "w", encoding="utf-8") as out:
        out.write(CXX.format(n=n) if is_cxx else c_unit(n))
    compiler = ["g++", "-std=c++17"] if is_cxx else ["gcc"]
    subprocess.run([*compiler, *FLAGS, "-c", source, "-o", source + ".o"], check=True)
    copies = []
    for k in range(COPIES):
        copies.append(f"{source}.{k}.o")
        subprocess.run(["objcopy", "--redefine-sym", f"entry=entry_{n}_{k}", source + ".o",
                        copies[-1]], check=True)
    os.unlink(source + ".o")
    return copies


def main():
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = sum(pool.map(lambda n: compile_unit(folder, n), range(CXX_UNITS + C_UNITS)), [])
    names = [f"entry_{n}_{k}" for k in (2, 9) for n in range(CXX_UNITS + C_UNITS)]
    main_source = os.path.join(folder, "main.c")
    with open(main_source, "w", encoding="utf-8") as out:
        out.write(MAIN.format(declarations="".join(f"int {n}(void *, int);" for n in names),
                              names=", ".join(names)))
    subprocess.run(["gcc", "-g", "-O1", "-c", main_source, "-o", main_source + ".o"], check=True)
    subprocess.run(["g++", "-o", os.path.join(folder, "big"), main_source + ".o", *objects,
                    "-pthread"], check=True)
    for name in objects:
        os.unlink(name)


if __name__ == "__main__":
    main()
