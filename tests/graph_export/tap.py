# SPDX-License-Identifier: Apache-2.0
"""Cases told in TAP: @case("what holds") before a function; run() at the end."""
import sys
import traceback

CASES = []


class Skip(Exception):
    """The case cannot be run here, and why."""


def case(name):
    def add(function):
        CASES.append((name, function))
        return function
    return add


def equal(got, wanted, what=""):
    if got != wanted:
        raise AssertionError("%s is %r, not %r" % (what, got, wanted))


def run():
    print("1..%d" % len(CASES))
    failed = 0
    for number, (name, function) in enumerate(CASES, 1):
        try:
            function()
            print("ok %d - %s" % (number, name))
        except Skip as skip:
            print("ok %d - %s # SKIP %s" % (number, name, skip))
        except Exception:  # told, and the others still run
            failed += 1
            for line in traceback.format_exc().splitlines():
                print("# " + line)
            print("not ok %d - %s" % (number, name))
        sys.stdout.flush()
    sys.exit(1 if failed else 0)
