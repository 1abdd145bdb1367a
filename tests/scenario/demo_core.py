# SPDX-License-Identifier: Apache-2.0
"""The core of the demo's server, for tests that need a whole one."""
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def make_demo_core(server, folder):
    """Path of a fresh core in `folder`; ends the program as skipped where none can be had."""
    drive = os.path.join(ROOT, "examples", "demo", "drive.py")
    done = subprocess.run([sys.executable, drive, server, folder], text=True, capture_output=True,
                          check=False, timeout=120)
    if done.returncode != 0:
        print(f"1..0 # SKIP {done.stderr.strip()}")
        sys.exit(0)
    return done.stdout.split()[2]


class Cases:
    """Tells cases in TAP."""

    def __init__(self):
        self.count = self.failed = 0

    def skip(self, title, reason):
        """One case that cannot be tried here."""
        self.count += 1
        print("ok", self.count, "-", title, "# SKIP", reason)

    def check(self, good, title, *details):
        """One case; details are told when it fails."""
        self.count += 1
        if not good:
            self.failed += 1
            for detail in details:
                for line in str(detail).splitlines()[:60]:
                    print("#", line)
        print("ok" if good else "not ok", self.count, "-", title)
        sys.stdout.flush()

    def end(self):
        """The plan, and the exit status."""
        print(f"1..{self.count}")
        sys.exit(1 if self.failed else 0)
