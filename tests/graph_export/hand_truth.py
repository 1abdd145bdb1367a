# SPDX-License-Identifier: Apache-2.0
"""What hand_exports says of its graphs."""
import os

NAMES = ["small", "hostile", "huge", "empty", "random4", "random5", "random6", "random7"]
NONE = -1


class Truth:
    """What hand_exports says of a graph."""

    def __init__(self, folder, name):
        self.nodes, self.edges = [], []
        with open(os.path.join(folder, name + ".truth"), encoding="ascii") as file:
            for line in file:
                word = line.split()
                if word[0] == "n":
                    self.nodes.append(dict(reachable=int(word[2]), idom=int(word[3]), size=int(word[4]),
                                           retained=int(word[5]), type=text(word[6]), name=text(word[7])))
                else:
                    self.edges.append(tuple(int(number) for number in word[1:]))


def text(digits):
    """The text as it should come out: U+FFFD for each byte that is not UTF-8."""
    if digits == "-":
        return None
    data, at, out = bytes.fromhex(digits).rstrip(b"\0"), 0, ""
    while at < len(data):
        for size in (1, 2, 3, 4):
            try:
                out += data[at:at + size].decode("utf-8")
                break
            except UnicodeDecodeError:
                pass
        else:
            out, size = out + "\ufffd", 1
        at += size
    return out


def match(snapshot, truth, with_unreachable):
    """Index in the snapshot of each node that is in it."""
    wanted = [i for i, node in enumerate(truth.nodes) if node["reachable"] or with_unreachable]
    return {node: at + 1 for at, node in enumerate(wanted)}
