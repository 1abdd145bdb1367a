#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`strobe watch --otlp` against a collector that checks each field. TAP on stdout.

usage: otlp.py STROBE CC FOLDER_OF_watched.c
"""
import http.server
import importlib
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import threading
import time

sys.path.insert(0, sys.argv[3])
watching = importlib.import_module("watching")
STROBE, CC, SOURCES, FOLDER, Skip = watching.STROBE, watching.CC, watching.SOURCES, watching.FOLDER, watching.Skip


def line(mark):
    return watching.line("watched.c", mark)


# What a message may have, and of what kind: a type, a nested message, a list of one, a pattern of text.
INT64, HEX = re.compile(r"-?\d+"), re.compile(r"[0-9a-f]+")
NUMBER = (int, float)
VALUE = {"stringValue": str, "intValue": INT64}
ATTRIBUTES = [{"key": str, "value": VALUE}]
SCOPE = {"name": str, "version": str}
RESOURCE = {"attributes": ATTRIBUTES}
POINT = {"attributes": ATTRIBUTES, "startTimeUnixNano": INT64, "timeUnixNano": INT64}
LOG = {"timeUnixNano": INT64, "observedTimeUnixNano": INT64, "severityNumber": int, "severityText": str, "body": VALUE, "attributes": ATTRIBUTES}
SPAN = {"traceId": HEX, "spanId": HEX, "name": str, "kind": int, "startTimeUnixNano": INT64, "endTimeUnixNano": INT64, "status": {},
        "attributes": ATTRIBUTES}
METRIC = {"name": str, "unit": str, "description": str,
          "sum": {"isMonotonic": bool, "aggregationTemporality": int, "dataPoints": [{**POINT, "asDouble": NUMBER}]},
          "gauge": {"dataPoints": [{**POINT, "asDouble": NUMBER}]},
          "histogram": {"aggregationTemporality": int, "dataPoints": [{**POINT, "count": INT64, "sum": NUMBER, "min": NUMBER, "max": NUMBER,
                                                                       "bucketCounts": [INT64], "explicitBounds": [NUMBER]}]},
          "summary": {"dataPoints": [{**POINT, "count": INT64, "sum": NUMBER, "quantileValues": [{"quantile": NUMBER, "value": NUMBER}]}]}}
SCHEMAS = {
    "/v1/logs": {"resourceLogs": [{"resource": RESOURCE, "scopeLogs": [{"scope": SCOPE, "logRecords": [LOG]}]}]},
    "/v1/traces": {"resourceSpans": [{"resource": RESOURCE, "scopeSpans": [{"scope": SCOPE, "spans": [SPAN]}]}]},
    "/v1/metrics": {"resourceMetrics": [{"resource": RESOURCE, "scopeMetrics": [{"scope": SCOPE, "metrics": [METRIC]}]}]},
}


def check(value, schema, where=""):
    if isinstance(schema, dict):
        assert isinstance(value, dict) and set(value) <= set(schema), (where, value)
        for key, part in value.items():
            check(part, schema[key], f"{where}.{key}")
    elif isinstance(schema, list):
        assert isinstance(value, list), (where, value)
        for part in value:
            check(part, schema[0], where + "[]")
    elif isinstance(schema, re.Pattern):
        assert isinstance(value, str) and schema.fullmatch(value), (where, value)
    else:
        assert isinstance(value, schema), (where, value)


class Collector:
    """`answer` may give (status, headers) for the N-th request of a path."""

    def __init__(self, answer=None, port=0, delay=0, certificate=None):
        self.bodies = {path: [] for path in SCHEMAS}
        self.problems, self.headers, self.times, self.refused = [], [], [], 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.times.append((self.path, time.monotonic()))
                status, headers = (answer and answer(self.path, sum(p == self.path for p, _ in outer.times))) or (200, {})
                time.sleep(delay)
                try:
                    outer.headers.append(dict(self.headers))
                    document = json.loads(body)
                    check(document, SCHEMAS[self.path])
                    if status == 200:
                        outer.bodies[self.path].append(document)
                    else:
                        outer.refused += 1
                except (AssertionError, KeyError, ValueError) as error:
                    outer.problems.append(error)
                try:
                    self.send_response(status)
                    for name, value in {**headers, "Content-Length": "2"}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(b"{}")
                except OSError:
                    pass  # it was not waited for

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            # The handshake is made by the thread of its connection.
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def records(self, path):
        """(resource, record) of all."""
        outer, scope, inner = {"/v1/logs": ("resourceLogs", "scopeLogs", "logRecords"), "/v1/traces": ("resourceSpans", "scopeSpans", "spans"),
                               "/v1/metrics": ("resourceMetrics", "scopeMetrics", "metrics")}[path]
        return [(pairs(r["resource"]["attributes"]), record) for body in self.bodies[path] for r in body[outer] for s in r[scope]
                for record in s[inner]]


def until(condition):
    return watching.until(condition, lambda: (FOLDER / "said").read_text(encoding="utf-8"))


def pairs(attributes):
    return {a["key"]: next(iter(a["value"].values())) for a in attributes}


CONFIG = """
- {id: logs, path: watched.c, line: SERVE, log_msg: '"{n}" \\\\ é', snapshot: no_collect, fire_count: -1, fire_period: 0}
- {id: shot, path: watched.c, line: SERVE, fire_count: 2, fire_period: 0}
- {id: spans, method_name: serve, span: method, snapshot: no_collect, fire_count: -1, fire_period: 0}
- id: numbers
  path: watched.c
  line: SERVE
  snapshot: no_collect
  fire_count: -1
  fire_period: 0
  metrics:
    - {name: hits, type: counter, labels: {who: "{request->user->name}", fixed: text}, unit: "1", help: a count}
    - {name: now, type: gauge, expression: n}
    - {name: spread, type: histogram, expression: n % 100}
    - {name: some, type: summary, expression: n % 10}
"""


class Watch:
    def __init__(self, port, *arguments, server="http://127.0.0.1"):
        config = FOLDER / "points.yaml"
        config.write_text(CONFIG.replace("SERVE", str(line("SERVE"))), encoding="utf-8")
        self.output = FOLDER / f"results-{time.monotonic_ns()}.jsonl"
        self.target = subprocess.Popen([FOLDER / "watched", "1000000", "1"], stdout=subprocess.DEVNULL)
        time.sleep(0.1)
        self.said = open(FOLDER / "said", "w+", encoding="utf-8")
        self.process = subprocess.Popen([STROBE, "watch", str(self.target.pid), "-f", config, "-o", self.output, "--status", "--otlp",
                                         f"{server}:{port}", *map(str, arguments)], stderr=self.said)

    def __enter__(self):
        return self

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(60)
        self.said.seek(0)
        said = self.said.read()
        if "CAP_BPF" in said or "uprobe_multi" in said:
            raise Skip(said.strip())
        assert status == 0, (status, said)
        return said

    def told(self):
        """What it said so far."""
        return (FOLDER / "said").read_text(encoding="utf-8")

    def results(self, kind):
        """Those that are written whole."""
        text = self.output.read_text(encoding="utf-8") if self.output.exists() else ""
        return [r for r in map(json.loads, text[: text.rfind("\n") + 1].splitlines()) if r["kind"] == kind]

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.said.close()
        self.target.send_signal(signal.SIGTERM)
        assert self.target.wait(10) == 3


def everything():
    """logs, snapshots, spans and metrics arrive whole, in OTLP's fields"""
    with Collector() as collector, Watch(collector.port, "--resource", "service.name=tested", "--otlp-header", "X-Key=secret") as watch:
        time.sleep(3)
        said = watch.stop()
        logs, shots, spans, metrics = (watch.results(kind) for kind in ("log", "snapshot", "span", "metric"))
    assert not collector.problems, collector.problems[:3]
    assert all(h["X-Key"] == "secret" and h["Content-Type"] == "application/json" for h in collector.headers)
    records = collector.records("/v1/logs")
    assert all(resource["service.name"] == "tested" and resource["process.pid"] == str(watch.target.pid) for resource, _ in records)
    by = {name: [r for _, r in records if pairs(r["attributes"])["tracepoint"] == name] for name in ("logs", "shot")}
    assert [r["body"]["stringValue"] for r in by["logs"]] == [r["log_msg"] for r in logs] and len(logs) > 100, said
    assert [r["timeUnixNano"] for r in by["logs"]] == [str(r["time_ns"]) for r in logs]
    assert [json.loads(pairs(r["attributes"])["snapshot"]) for r in by["shot"]] == shots and len(shots) == 2
    place = pairs(by["shot"][0]["attributes"])
    assert place["code.function.name"] == "serve" and place["code.line.number"] == str(line("SERVE")) and place["thread.name"] == "watched"
    got = [s for _, s in collector.records("/v1/traces")]
    assert [(s["traceId"], s["spanId"], s["name"]) for s in got] == [(s["trace_id"], s["span_id"], s["name"]) for s in spans] and got
    assert all(len(s["traceId"]) == 32 and len(s["spanId"]) == 16 and s["kind"] == 1 for s in got)
    assert [int(s["endTimeUnixNano"]) - int(s["startTimeUnixNano"]) for s in got] == [s["duration_ns"] for s in spans]
    check_metrics([m for _, m in collector.records("/v1/metrics")], metrics)


def check_metrics(got, metrics):
    last = {m["name"]: m for m in got}
    values = {name: [m["metric"]["value"] for m in metrics if m["metric"]["name"] == name] for name in ("hits", "now", "spread", "some")}
    assert set(last) == {"strobe.hits", "strobe.now", "strobe.spread", "strobe.some"}, set(last)
    hits = last["strobe.hits"]
    assert hits["unit"] == "1" and hits["description"] == "a count" and hits["sum"]["isMonotonic"] and hits["sum"]["aggregationTemporality"] == 2
    assert hits["sum"]["dataPoints"][0]["asDouble"] == len(values["hits"]) > 100
    assert pairs(hits["sum"]["dataPoints"][0]["attributes"]) == {"who": "alice", "fixed": "text"}
    assert last["strobe.now"]["gauge"]["dataPoints"][0]["asDouble"] == values["now"][-1]
    point = last["strobe.spread"]["histogram"]["dataPoints"][0]
    bounds = point["explicitBounds"]
    counts = [0] * (len(bounds) + 1)
    for value in values["spread"]:
        counts[next((i for i, bound in enumerate(bounds) if value <= bound), len(bounds))] += 1
    assert list(map(int, point["bucketCounts"])) == counts and int(point["count"]) == sum(counts)
    assert (point["sum"], point["min"], point["max"]) == (sum(values["spread"]), min(values["spread"]), max(values["spread"]))
    point = last["strobe.some"]["summary"]["dataPoints"][0]
    assert int(point["count"]) == len(values["some"]) and point["sum"] == sum(values["some"])
    assert point["quantileValues"] == [{"quantile": 0, "value": min(values["some"])}, {"quantile": 1, "value": max(values["some"])}]
    sums = [m["sum"]["dataPoints"][0]["asDouble"] for m in got if m["name"] == "strobe.hits"]
    assert sums == sorted(sums) and len(sums) > 1


def again():
    """429 with Retry-After and 503: sent again, later, once; other refusals are dropped and counted"""
    def answer(path, number):
        if path == "/v1/logs":
            return {1: (429, {"Retry-After": "2"}), 2: (503, {}), 4: (400, {})}.get(number)
        return None

    with Collector(answer) as collector, Watch(collector.port) as watch:
        until(lambda: sum(path == "/v1/logs" for path, _ in collector.times) >= 6)
        said = watch.stop()
        logs = watch.results("log")
    assert not collector.problems, collector.problems[:3]
    times = [t for path, t in collector.times if path == "/v1/logs"]
    assert times[1] - times[0] > 1.9 and times[2] - times[1] > 0.9, times
    got = [r["timeUnixNano"] for _, r in collector.records("/v1/logs") if pairs(r["attributes"])["tracepoint"] == "logs"]
    assert len(got) == len(set(got)) and set(got) <= {str(r["time_ns"]) for r in logs}, "one came twice"
    dropped = int(re.search(r"(\d+) dropped, 2 sent again", said)[1])
    assert 0 < dropped <= 512 and len(logs) + 2 - dropped - 2 <= len(got) < len(logs), (len(logs), len(got), dropped, said)
    assert "HTTP status 429" in said and "HTTP status 503" in said and "answers again" in said and "HTTP status 400" in said, said


def slow_or_gone():
    """a slow collector does not hold up the watching; one that is not there is told of once, and found when it comes"""
    with Collector(delay=3) as collector, Watch(collector.port) as watch:
        until(lambda: len(watch.results("log")) > 500)
        watch.stop()
        times = [r["time_ns"] for r in watch.results("log")]
    assert max(b - a for a, b in zip(times, times[1:])) < 500e6
    port = collector.port
    with Watch(port) as watch:
        until(lambda: "otlp: " in watch.told())
        with Collector(port=port) as collector:
            until(lambda: "answers again" in watch.told() and collector.bodies["/v1/logs"])
            said = watch.stop()
            logs = watch.results("log")
    got = [r for _, r in collector.records("/v1/logs") if pairs(r["attributes"])["tracepoint"] == "logs"]
    assert len(got) == len(logs) and " 0 dropped" in said and "answers again" in said, (len(got), len(logs), said)


def tls():
    """TLS with a certificate that is trusted; one that is not, or is another host's, is refused"""
    files = (FOLDER / "cert.pem", FOLDER / "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-keyout",
                    files[1], "-out", files[0], "-subj", "/CN=test", "-addext", "subjectAltName=DNS:localhost"],
                   check=True, capture_output=True)
    trusted = ["--ca-file", files[0]]
    with Collector(certificate=files) as collector:
        with Watch(collector.port, *trusted, server="https://localhost") as watch:
            until(lambda: collector.bodies["/v1/logs"] and collector.bodies["/v1/traces"])
            watch.stop()
        assert not collector.problems, collector.problems[:3]
        requests = len(collector.times)
        for arguments, host in (([], "localhost"), (trusted, "127.0.0.1")):
            with Watch(collector.port, *arguments, server=f"https://{host}") as watch:
                until(lambda: "otlp" in watch.told())
                said = watch.stop()
            assert re.search("certificate|subject name|SSL|TLS", said), said
        assert len(collector.times) == requests, "somebody that is not trusted was sent something"


def usage():
    """addresses and headers without a meaning are refused"""
    for arguments in (["--otlp", "localhost:4318"], ["--otlp", "file:///etc/passwd"], ["--otlp", "http://x", "--otlp-header", "nothing"]):
        run = subprocess.run([STROBE, "watch", str(os.getpid()), "main", *arguments], capture_output=True, text=True, timeout=20,
                             check=False)
        if "CAP_BPF" in run.stderr or "uprobe_multi" in run.stderr:
            raise Skip(run.stderr.strip())
        assert run.returncode in (1, 2) and "strobe: watch: " in run.stderr, (arguments, run)


CASES = [everything, again, slow_or_gone, tls, usage]


def prepare():
    subprocess.run([CC, "-g", "-O0", "-pthread", "-o", FOLDER / "watched", SOURCES / "watched.c", "-ldl"], check=True)


sys.exit(watching.main(CASES, prepare))
