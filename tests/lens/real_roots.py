#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""real_roots.py SHOW_ROOTS STROBE MANY_THREADS

Roots of servers and an interpreter that run here: no two overlap, none lies in what an allocator has, and there are of
each kind as many as such a program must have, of the process and of a snapshot that lacks most of its memory."""
import os
import shutil
import subprocess
import sys
import tempfile
import time

SHOW, STROBE, MANY = sys.argv[1:4]
results = []
PYTHON = """
import threading, time
def wait(n):
    if n:
        wait(n - 1)
    time.sleep(1000)
for n in range(5):
    threading.Thread(target=wait, args=(n,), daemon=True).start()
time.sleep(1000)
"""
NGINX = """daemon off; worker_processes 1; pid {0}/pid; error_log {0}/log;
events {{ worker_connections 64; }}
http {{ access_log off; client_body_temp_path {0}; proxy_temp_path {0}; fastcgi_temp_path {0}; uwsgi_temp_path {0};
scgi_temp_path {0}; server {{ listen unix:{0}/socket; }} }}
"""


def ok(good, what, *why):
    results.append(bool(good))
    print("ok" if good else "not ok", f"{len(results)} - {what}")
    for line in why if not good else ():
        print("#", line)


def summary(target, *options):
    done = subprocess.run([SHOW, target, "--summary", *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=120, check=False)
    told = {}
    for line in done.stdout.splitlines():
        kind, count, size = line.split()
        told[kind] = int(count), int(size)
    return done, told


def look_at(name, pid, threads, directory):
    done, told = summary(pid, "--heap")
    ok(done.returncode == 0, f"{name}: nothing overlaps, nor lies in the heap", done.stderr)
    ok(told and told["register"][0] == 16 * threads and told["frame"][0] >= threads and
       told["thread-local"][0] >= threads and told["global"][0] > 20 and told["data"][1] > 1000 and
       told["library"][0] >= 2 * threads, f"{name}: it has roots of {threads} threads and its modules", told)
    whole, every = summary(pid)
    ok(whole.returncode == 0 and every["mapping"][1] > told["mapping"][1],
       f"{name}: the heap is the program's own mapping to who knows no heap", every, told)
    path = os.path.join(directory, "stacks.core")
    subprocess.run([STROBE, "snap", pid, "--contents", "stacks", "-o", path], check=True, stdout=subprocess.DEVNULL)
    part, less = summary(path)
    ok(part.returncode == 0 and less["frame"][0] >= threads and less["register"][0] == 16 * threads,
       f"{name}: a snapshot without most pages has its threads' roots, too", part.stderr, less)


def try_out(name, command, threads):
    if not shutil.which(command[0]):
        print(f"# {name} is not installed here")
        return
    with tempfile.TemporaryDirectory() as directory:
        if name == "nginx":
            with open(os.path.join(directory, "conf"), "w", encoding="utf-8") as conf:
                conf.write(NGINX.format(directory))
            command = [*command, "-p", directory, "-c", os.path.join(directory, "conf")]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=directory)
        try:
            for _ in range(100):
                time.sleep(0.1)
                if process.poll() is None and len(os.listdir(f"/proc/{process.pid}/task")) >= threads:
                    break
            time.sleep(1)
            if process.poll() is not None:
                print(f"# {name} does not run here")
                return
            threads = len(os.listdir(f"/proc/{process.pid}/task"))
            look_at(name, str(process.pid), threads, directory)
        finally:
            process.terminate()
            process.wait()


def many_threads(count, frames):
    """Each of many threads has what one has."""
    with subprocess.Popen([MANY, str(count)], stdout=subprocess.PIPE, text=True) as process:
        if process.stdout.readline() != "ready\n":
            print(f"# no {count} threads here")
            return
        done, told = summary(str(process.pid), "--heap")
        process.kill()
    ok(done.returncode == 0, f"{count} threads: nothing overlaps", done.stderr)
    ok(told["register"][0] == 16 * (count + 1) and told["argument"][0] >= 4 * frames * count and
       told["local"][0] >= 2 * frames * count and told["frame"][0] >= frames * count and
       told["thread-local"][0] >= count, f"{count} threads of {frames} frames: roots of all", told)


def main():
    try_out("redis-server", ["redis-server", "--port", "0", "--save", "", "--unixsocket", "socket"], 4)
    try_out("python3", ["python3", "-c", PYTHON], 6)
    try_out("nginx", ["nginx"], 1)
    many_threads(1000, 30)
    print(f"1..{len(results)}")
    sys.exit(0 if all(results) else 1)


main()
