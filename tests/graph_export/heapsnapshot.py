# SPDX-License-Identifier: Apache-2.0
"""Reads a .heapsnapshot as its own header describes it, and computes from it what DevTools does."""
import json

import tap


class Snapshot:
    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            whole = json.load(file)
        meta = whole["snapshot"]["meta"]
        fields, edge_fields = meta["node_fields"], meta["edge_fields"]
        self.strings = whole["strings"]
        numbers = whole["nodes"]
        tap.equal(len(numbers) % len(fields), 0, "rest of nodes")
        self.nodes = [dict(zip(fields, numbers[i:i + len(fields)])) for i in range(0, len(numbers), len(fields))]
        numbers = whole["edges"]
        tap.equal(len(numbers) % len(edge_fields), 0, "rest of edges")
        edges = [dict(zip(edge_fields, numbers[i:i + len(edge_fields)])) for i in range(0, len(numbers), len(edge_fields))]
        tap.equal(len(self.nodes), whole["snapshot"]["node_count"], "node_count")
        tap.equal(len(edges), whole["snapshot"]["edge_count"], "edge_count")
        tap.equal(sum(node["edge_count"] for node in self.nodes), len(edges), "sum of edge_count")
        at = 0
        for node in self.nodes:
            node["type"] = meta["node_types"][0][node["type"]]
            node["name"] = self.strings[node["name"]]
            node["edges"] = edges[at:at + node["edge_count"]]
            at += node["edge_count"]
        for edge in edges:
            edge["type"] = meta["edge_types"][0][edge["type"]]
            tap.equal(edge["to_node"] % len(fields), 0, "to_node")
            edge["to_node"] //= len(fields)
            assert 0 <= edge["to_node"] < len(self.nodes), "to_node is beyond the nodes"
            if edge["type"] not in ("element", "hidden"):
                edge["name_or_index"] = self.strings[edge["name_or_index"]]
        for node in self.nodes:
            assert 0 <= node["self_size"] < 1 << 32 and 0 < node["id"] < 1 << 32, node
        tap.equal(len({node["id"] for node in self.nodes}), len(self.nodes), "unique ids")

    def reached(self, without=None):
        """What is reached from node 0 by edges that are not weak, when one node is taken away."""
        if without == 0:
            return set()
        seen, stack = {0}, [0]
        while stack:
            for edge in self.nodes[stack.pop()]["edges"]:
                to = edge["to_node"]
                if edge["type"] != "weak" and to != without and to not in seen:
                    seen.add(to)
                    stack.append(to)
        return seen

    def retained(self, index):
        gone = self.reached() - self.reached(without=index)
        return sum(self.nodes[i]["self_size"] for i in gone)
