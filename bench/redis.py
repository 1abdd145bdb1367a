#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What tracepoints in redis-server's command loop cost: redis-benchmark with none, with a condition that is false, with a snapshot a
second, in turns; medians, and the spread of the rounds without any. On a machine that does other work as well, the processor time tells more.

usage: redis.py [--build BUILD] [--rounds N] --server REDIS-SERVER --place server.c:LINE [--requests N]

REDIS-SERVER is built with -O2 -g, redis-benchmark is found in the path. --place: a line of call() or processCommand().
"""
import argparse
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time


def benchmark(socket, requests, pid):
    """(requests a second of SET and GET, pipelined; ns that the server's thread runs for each)."""
    with open(f"/proc/{pid}/schedstat", encoding="utf-8") as file:
        before = int(file.read().split()[0])
    told = subprocess.run(["redis-benchmark", "-s", socket, "-n", str(requests), "-c", "20", "-P", "8", "-t",
                           "set,get", "--csv"], check=True, text=True, capture_output=True).stdout
    rates = [float(m) for m in re.findall(r'"(?:SET|GET)","([0-9.]+)"', told)]
    with open(f"/proc/{pid}/schedstat", encoding="utf-8") as file:
        return statistics.harmonic_mean(rates), (int(file.read().split()[0]) - before) / (2 * requests)


def watch(options, pid, arguments, results):
    """A watcher whose tracepoint is armed."""
    command = [os.path.join(options.build, "strobe"), "watch", "--engine", "agent", "-o", results, str(pid),
               *arguments]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    for _ in range(600):
        time.sleep(0.1)
        if process.poll() is not None:
            sys.exit(f"redis.py: {' '.join(command)} ended")
        with open(f"/proc/{pid}/maps", encoding="utf-8") as maps:
            if "strobe hits" in maps.read(): # the agent's ring
                time.sleep(0.5)
                return process
    sys.exit("redis.py: not armed within 60 s")


def measure(options, arguments):
    """What benchmark() says of a new server with a tracepoint (None = without), and how many snapshots there were."""
    folder = tempfile.mkdtemp(prefix="redis-")
    socket, results = os.path.join(folder, "socket"), os.path.join(folder, "results")
    server = subprocess.Popen([options.server, "--port", "0", "--unixsocket", socket, "--save", "", "--dir", folder],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while not os.path.exists(socket):
        time.sleep(0.05)
    benchmark(socket, options.requests // 10, server.pid)
    watcher = watch(options, server.pid, arguments, results) if arguments else None
    pair, snapshots = benchmark(socket, options.requests, server.pid), 0
    if watcher:
        watcher.send_signal(signal.SIGINT)
        watcher.wait()
        with open(results, encoding="utf-8") as file:
            snapshots = sum('"kind":"snapshot"' in line for line in file)
    server.terminate()
    server.wait()
    shutil.rmtree(folder)
    return pair, snapshots


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--server", required=True)
    parser.add_argument("--place", required=True)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--requests", type=int, default=200000)
    options = parser.parse_args()
    cases = {"none": None,
             "false condition": [options.place + " if c->argc == 12345"],
             "snapshot a second": [options.place, "--period", "1000"]}
    rates = {name: [] for name in cases}
    snapshots = 0
    for _ in range(options.rounds):
        for name, arguments in cases.items(): # in turns
            pair, fired = measure(options, arguments)
            rates[name].append(pair)
            snapshots += fired
    for unit, of in (("requests/s", 0), ("ns of the server's processor time a request", 1)):
        values = {name: [pair[of] for pair in rates[name]] for name in cases}
        base = statistics.median(values["none"])
        spread = statistics.quantiles(values["none"], n=4)
        print(f"none: {base:.0f} {unit}, middle half of the rounds {spread[0]:.0f} to {spread[2]:.0f}")
        for name in list(cases)[1:]:
            pairs = statistics.median(b / a for a, b in zip(values["none"], values[name]))
            print(f"{name}: {statistics.median(values[name]):.0f} {unit}, "
                  f"{100 * (statistics.median(values[name]) / base - 1):+.1f} %; round by round {100 * (pairs - 1):+.1f} %")
    print(f"{snapshots} snapshots")


if __name__ == "__main__":
    main()
