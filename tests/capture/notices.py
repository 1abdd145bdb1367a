#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Lets the battery's targets do to themselves what a careless capture would (--sabotage): these
checks must fail, and no others of those that are run. TAP on stdout.

usage: notices.py BATTERY
"""
import re
import subprocess
import sys

HELD = ["pipe-end", "socket-end", "file-lock", "port", "epoll-set", "lease"]
NOTICED = {
    "fork": ["wait-any", "wait-any-wall", "wait-child", "sigchld", "children-list", "no-process", *HELD],
    "clone": ["wait-any-wall", "wait-any-wclone", "children-list", "no-process", *HELD],
    "memory": ["maps", "status"],
}
UNMOVED = ["descriptors", "code", "signal-masks", "poll", "nanosleep", "pages"]


def failures(battery, how, checks):
    """Names of checks that fail."""
    out = subprocess.run([battery, "--ms", "400", "--sabotage", how, *checks], text=True, check=False,
                         errors="replace", stdout=subprocess.PIPE).stdout
    return set(re.findall(r"^not ok \d+ - ([^:]+):", out, re.M))


def main():
    """Each kind of sabotage."""
    failed = 0
    print(f"1..{len(NOTICED)}")
    for number, (how, checks) in enumerate(NOTICED.items(), 1):
        got = failures(sys.argv[1], how, checks + UNMOVED)
        good = got == set(checks)
        failed += not good
        if not good:
            print(f"# not noticed: {sorted(set(checks) - got)}, failed besides: {sorted(got - set(checks))}")
        print("ok" if good else "not ok", number, f"- sabotage by {how} is noticed by {len(checks)} checks")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
