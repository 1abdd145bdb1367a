#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Walks the list of graph_heap's core with drgn: graph_drgn.py CORE PROGRAM NODES; prints nodes a second."""
import sys
import time

import drgn


def main():
    core, path, most = sys.argv[1], sys.argv[2], int(sys.argv[3])
    program = drgn.Program()
    program.set_core_dump(core)
    program.load_debug_info([path])
    node, count = program["head"], 0
    begun = time.monotonic()
    while node and count < most:
        node = node.next.read_()
        count += 1
    print(count / (time.monotonic() - begun))


if __name__ == "__main__":
    main()
