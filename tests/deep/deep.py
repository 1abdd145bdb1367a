#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`strobe watch --deep` against a server in DEEP's protocol. TAP on stdout.

usage: deep.py STROBE CC FOLDER_OF_watched.c
"""
import base64
import concurrent.futures
import importlib
import json
import os
import pathlib
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

try:
    import grpc
except ImportError:
    # The packages of Debian are those of Debian's own interpreter.
    if sys.executable != "/usr/bin/python3" and subprocess.run(["/usr/bin/python3", "-c", "import grpc"], capture_output=True,
                                                               check=False).returncode == 0:
        os.execv("/usr/bin/python3", ["/usr/bin/python3", *sys.argv])
    print("1..0 # SKIP python3-grpcio is not installed")
    sys.exit(0)

sys.path.insert(0, sys.argv[3])
watching = importlib.import_module("watching")
STROBE, CC, SOURCES, FOLDER, Skip = watching.STROBE, watching.CC, watching.SOURCES, watching.FOLDER, watching.Skip
subprocess.run(["protoc", f"--python_out={FOLDER}", f"--proto_path={pathlib.Path(__file__).parent}", "wire.proto"], check=True)
sys.path.insert(0, str(FOLDER))
wire = importlib.import_module("wire_pb2")


def line(mark):
    return watching.line("watched.c", mark)


class Server:
    """A server. `answers` makes a PollResponse of the request; `refuse` may give a status for a call."""

    def __init__(self, answers, port=0, refuse=None, credentials=None, slow=0):
        self.answers, self.refuse, self.slow = answers, refuse, slow
        self.polls, self.snapshots, self.metadata = [], [], []
        self.grpc = grpc.server(concurrent.futures.ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
        unary = grpc.unary_unary_rpc_method_handler
        self.grpc.add_generic_rpc_handlers((
            grpc.method_handlers_generic_handler("deepproto.proto.poll.v1.PollConfig", {
                "poll": unary(self.poll, wire.PollRequest.FromString, lambda message: message if isinstance(message, bytes)
                              else message.SerializeToString())}),
            grpc.method_handlers_generic_handler("deepproto.proto.tracepoint.v1.SnapshotService", {
                "send": unary(self.send, wire.Snapshot.FromString, wire.SnapshotResponse.SerializeToString)})))
        address = f"127.0.0.1:{port}"
        self.port = self.grpc.add_secure_port(address, credentials) if credentials else self.grpc.add_insecure_port(address)
        self.grpc.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.grpc.stop(0).wait()

    def check(self, what, context):
        self.metadata.append(dict(context.invocation_metadata()))
        status = self.refuse(what, dict(context.invocation_metadata())) if self.refuse else None
        if status:
            context.abort(status, "no: 100% refused\u00e9")

    def poll(self, request, context):
        self.polls.append((time.monotonic(), request))
        self.check("poll", context)
        time.sleep(self.slow)
        return self.answers(request)

    def send(self, snapshot, context):
        self.check("send", context)
        self.snapshots.append(snapshot)
        return wire.SnapshotResponse()

    def wait(self, snapshots=0, polls=0, seconds=60):
        end = time.monotonic() + seconds
        while len(self.snapshots) < snapshots or len(self.polls) < polls:
            assert time.monotonic() < end, (len(self.snapshots), len(self.polls))
            time.sleep(0.02)


def until(condition):
    return watching.until(condition, lambda: (FOLDER / "said").read_text(encoding="utf-8"))


def point(name, mark="SERVE", **arguments):
    """A tracepoint on a line."""
    arguments = {"fire_count": "-1", "fire_period": "100", **arguments}
    return wire.TracePointConfig(ID=name, path="watched.c", line_number=line(mark), args=arguments)


def update(code, *points):
    return wire.PollResponse(ts_nanos=1, current_hash=code, response=points, response_type=wire.UPDATE)


def constant(*points):
    """The same tracepoints to all, once."""
    return lambda request: (wire.PollResponse(ts_nanos=2, current_hash="h1", response_type=wire.NO_CHANGE)
                            if request.current_hash == "h1" else update("h1", *points))


class Watch:
    """The program, and `strobe watch` on it."""

    def __init__(self, port, *arguments, scheme="http", interval="0.2", host="127.0.0.1"):
        self.output = FOLDER / f"results-{time.monotonic_ns()}.jsonl"
        self.target = subprocess.Popen([FOLDER / "watched", "1000000", "1"], stdout=subprocess.DEVNULL)
        time.sleep(0.1)
        self.said = open(FOLDER / "said", "w+", encoding="utf-8")
        self.process = subprocess.Popen([STROBE, "watch", str(self.target.pid), "--deep", f"{scheme}://{host}:{port}", "--deep-interval",
                                         interval, "-o", self.output, "--status", *map(str, arguments)], stderr=self.said)

    def __enter__(self):
        return self

    def stop(self):
        """Ends it in order; what it said."""
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

    def results(self):
        """Those that are written whole."""
        text = self.output.read_text(encoding="utf-8") if self.output.exists() else ""
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    def memory(self):
        return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8"))[1])

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.said.close()
        self.target.send_signal(signal.SIGTERM)
        assert self.target.wait(10) == 3


def pairs(attributes):
    return {pair.key: pair.value.string_value for pair in attributes}


def fields():
    """a snapshot arrives with every field of the tables, and the poll's too"""
    wanted = point("tp-1", frame_type="all_frame", log_msg="n={n}", max_string_length="3", snapshot="collect", span_name="ignored",
                   log_lable="ignored", fire_count="1")
    wanted.watches.extend(["request->user->age + 1", "nonsense"])
    wanted.metrics.append(wire.Metric(name="served", type=wire.HISTOGRAM, expression="n", labelExpressions=[
        wire.LabelExpression(key="who", expression="request->user->name"),
        wire.LabelExpression(key="fixed", static=wire.AnyValue(int_value=7))]))
    with Server(constant(wanted)) as server, Watch(server.port, "--resource", "service.name=tested", "--resource", "a=b") as watch:
        before = time.time_ns()
        server.wait(snapshots=1, polls=3)
        time.sleep(0.5)
        said = watch.stop()
        results = watch.results()
    request = server.polls[0][1]
    assert request.current_hash == "" and abs(request.ts_nanos - before) < 20e9, request
    resource = pairs(request.resource.attributes)
    assert resource["service.name"] == "tested" and resource["a"] == "b" and resource["telemetry.sdk.name"] == "strobe", resource
    assert resource["process.pid"] == str(watch.target.pid) and resource["process.executable.path"].endswith("/watched"), resource
    assert len(server.snapshots) == 1 and "1 sent, 0 dropped" in said, said
    snapshot = server.snapshots[0]
    shown = next(r for r in results if r["kind"] == "snapshot")
    assert len(snapshot.ID) == 16 and snapshot.ID.hex() == shown["id"]
    echo = snapshot.tracepoint
    assert (echo.ID, echo.path, echo.line_number) == ("tp-1", "watched.c", line("SERVE"))
    assert list(echo.watches) == list(wanted.watches)
    assert dict(echo.args) == {"fire_count": "1", "fire_period": "100", "frame_type": "all_frame", "stack_type": "stack",
                               "log_msg": "n={n}", "max_string_length": "3", "snapshot": "collect"}, echo.args
    metric = echo.metrics[0]
    assert (metric.name, metric.type, metric.expression, metric.namespace) == ("served", wire.HISTOGRAM, "n", "deep"), metric
    assert metric.labelExpressions[0].expression == "request->user->name" and metric.labelExpressions[1].static.string_value == "7"
    assert snapshot.ts_nanos == shown["time_ns"] and snapshot.duration_nanos == shown["duration_ns"]
    assert snapshot.log_msg == shown["log_msg"]
    assert pairs(snapshot.resource) == resource
    attributes = pairs(snapshot.attributes)
    assert attributes["context"] == shown["context"] and attributes["tracepoint"] == "tp-1"
    assert attributes["thread_name"] == "watched" and attributes["thread_id"] == str(shown["thread"]["tid"]), attributes
    check_frames(snapshot, shown)
    check_variables(snapshot, shown)


def same_name(name, shown):
    return (name.ID, name.name, list(name.modifiers)) == (shown["id"], shown["name"], shown["modifiers"])


def check_frames(snapshot, shown):
    assert len(snapshot.frames) == len(shown["frames"]) >= 2
    for frame, other in zip(snapshot.frames, shown["frames"]):
        assert (frame.file_name, frame.method_name, frame.line_number) == (other["file"] or "", other["function"] or "", other["line"])
        assert frame.app_frame == other["app_frame"] and frame.native_frame and not frame.HasField("is_async")
        assert (frame.short_path if frame.HasField("short_path") else None) == other["short_path"]
        assert (frame.class_name if frame.HasField("class_name") else None) == other["class"]
        assert frame.column_number == other["column"]
        assert not frame.HasField("transpiled_file_name") and not frame.HasField("transpiled_line_number")
        assert len(frame.variables) == len(other["variables"])
        assert all(same_name(a, b) for a, b in zip(frame.variables, other["variables"]))
    assert snapshot.frames[0].method_name == "serve" and snapshot.frames[0].line_number == line("SERVE")


def check_variables(snapshot, shown):
    assert set(snapshot.var_lookup) == set(shown["variables"]) and len(snapshot.var_lookup) > 10
    for key, variable in snapshot.var_lookup.items():
        other = shown["variables"][key]
        assert variable.type == (other["type"] or "") and variable.truncated == other["truncated"]
        assert variable.value == other["value"] or other["value"] is None, (variable, other)
        assert int(variable.hash) == int(other["hash"], 16)
        assert len(variable.children) == len(other["children"])
        assert all(same_name(a, b) for a, b in zip(variable.children, other["children"]))
    by_name = {name.name: snapshot.var_lookup[name.ID] for name in snapshot.frames[0].variables}
    assert int(by_name["local"].value) == 2 * int(by_name["n"].value) + 1
    assert any(v.truncated for v in snapshot.var_lookup.values())
    watches = {(w.expression, w.source): w for w in snapshot.watches}
    good = watches["request->user->age + 1", wire.WATCH]
    assert good.WhichOneof("result") == "good_result" and snapshot.var_lookup[good.good_result.ID].value == "31"
    bad = watches["nonsense", wire.WATCH]
    assert bad.WhichOneof("result") == "error_result" and "nonsense" in bad.error_result
    assert ("n", wire.LOG) in watches, list(watches)


def updates():
    """hashes are told; no change keeps; an update changes; what is unchanged keeps its count; an empty update removes all"""
    stages = {"": update("h1", point("one", fire_count="1", fire_period="0")),
              "h1": update("h2", point("one", fire_count="1", fire_period="0"), point("two", "DEEP", fire_count="2", fire_period="0")),
              "h2": update("h3")}
    seen = []

    def answers(request):
        seen.append(request.current_hash)
        if seen.count(request.current_hash) < 3 and request.current_hash:
            return wire.PollResponse(current_hash=request.current_hash)
        return stages.get(request.current_hash, wire.PollResponse(current_hash=request.current_hash))

    with Server(answers) as server, Watch(server.port) as watch:
        server.wait(polls=9)
        said = watch.stop()
    assert [h for i, h in enumerate(seen) if i == 0 or seen[i - 1] != h] == ["", "h1", "h2", "h3"], seen
    assert [s.tracepoint.ID for s in server.snapshots] == ["one", "two", "two"], [s.tracepoint.ID for s in server.snapshots]
    assert "one:" not in said and "two:" not in said, said
    gaps = [b[0] - a[0] for a, b in zip(server.polls, server.polls[1:])]
    assert all(0.15 < gap < 1.5 for gap in gaps), gaps


def rejected():
    """a tracepoint that is wrong is left out alone, with its reason; files need leave"""
    points = [point("bad", stage="sideways"), point("good"), point("files", snap="/tmp/never"), point("function", method_name="deep")]
    points[3].line_number = 0xffffffff
    points[3].path = ""
    with Server(constant(*points)) as server, Watch(server.port) as watch:
        server.wait(snapshots=6)
        said = watch.stop()
    assert {s.tracepoint.ID for s in server.snapshots} == {"good", "function"}, said
    assert re.search(r"'bad' is not taken: stage: 'sideways'", said) and "'files' is not taken: snap" in said, said


def authorisation():
    """Basic authorisation in both spellings, other headers; a wrong one is told, and tried again"""
    (FOLDER / "password").write_text("se cret\nnot this\n", encoding="utf-8")
    right = base64.b64encode(b"user:se cret").decode()

    def refuse(_, metadata):
        return None if metadata.get("authorization") in (f"Basic {right}", f"Basic%20{right}") else grpc.StatusCode.UNAUTHENTICATED

    for extra, spelling in (([], "Basic "), (["--deep-percent-space"], "Basic%20")):
        with Server(constant(point("p")), refuse=refuse) as server, \
                Watch(server.port, "--deep-user", "user", "--deep-password-file", FOLDER / "password", "--deep-header",
                      "X-Scope-OrgID=tenant", *extra) as watch:
            server.wait(snapshots=1)
            watch.stop()
        assert all(m["authorization"] == spelling + right and m["x-scope-orgid"] == "tenant" for m in server.metadata), server.metadata
        assert all(m["user-agent"].startswith("strobe/") for m in server.metadata)
    with Server(constant(point("p")), refuse=refuse) as server, Watch(server.port, "--deep-user", "nobody") as watch:
        server.wait(polls=3)
        said = watch.stop()
    assert not server.snapshots and said.count("UNAUTHENTICATED: no: 100% refused") == 2, said  # once as it happens, once as status


def errors():
    """a snapshot that is refused is dropped and counted; one that finds no place is sent again, and arrives once"""
    counts = {"send": 0}

    def refuse(what, _):
        counts[what] = counts.get(what, 0) + 1
        if what == "send" and counts["send"] <= 3:
            return [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.CANCELLED][counts["send"] - 1]
        return grpc.StatusCode.INVALID_ARGUMENT if what == "send" and counts["send"] == 5 else None

    with Server(constant(point("p", fire_count="5")), refuse=refuse) as server, Watch(server.port) as watch:
        server.wait(snapshots=4)
        time.sleep(0.3)
        said = watch.stop()
    assert len({s.ID for s in server.snapshots}) == len(server.snapshots) == 4
    assert "4 sent, 1 dropped, 3 sent again" in said, said


def reachable_later():
    """a server that is not there, comes, goes and comes again: what was collected meanwhile arrives"""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with Watch(port, f"watched.c:{line('DEEP')}", "--period", 100) as watch:
        until(lambda: len([r for r in watch.results() if r["kind"] == "snapshot"]) > 3)
        collected = len([r for r in watch.results() if r["kind"] == "snapshot"])
        with Server(constant(point("p")), port=port) as server:
            server.wait(snapshots=collected + 5)
            first = {s.ID for s in server.snapshots}
        time.sleep(1)
        with Server(constant(point("p")), port=port) as server:
            server.wait(snapshots=5)
            assert server.polls[0][1].current_hash == "h1"
            said = watch.stop()
            second = {s.ID for s in server.snapshots}
        ids = {bytes.fromhex(r["id"]) for r in watch.results() if r["kind"] == "snapshot"}
    # One that was taken by a server in the moment of its end may come twice, never not at all.
    assert first | second == ids, (len(first), len(second), len(ids))
    assert "cannot connect" in said and "answers again" in said and " 0 dropped" in said, said


def goaway():
    """a connection that the server takes leave of is followed by another; calls under way end"""
    with Server(constant(point("p", fire_period="20"))) as server, Watch(server.port) as watch:
        server.wait(snapshots=5)
        port = server.port
        stopped = server.grpc.stop(30)  # GOAWAY, then it waits for the calls
        stopped.wait()
        with Server(constant(point("p", fire_period="20")), port=port) as again:
            again.wait(snapshots=5)
            said = watch.stop()
            ids = {bytes.fromhex(r["id"]) for r in watch.results() if r["kind"] == "snapshot"}
            got = {s.ID for s in server.snapshots} | {s.ID for s in again.snapshots}
    assert got == ids and " 0 dropped" in said, (len(got), len(ids), said)


def slow():
    """a slow server does not hold up the watching; a silent one is given up"""
    with Server(constant(point("p")), slow=2) as server, Watch(server.port, "serve", "--log", "{n}", "--period", 10) as watch:
        server.wait(polls=2)
        watch.stop()
        times = [r["time_ns"] for r in watch.results() if r["kind"] == "log"]
    gaps = sorted(b - a for a, b in zip(times, times[1:]))
    assert len(gaps) > 50 and gaps[-1] < 1.5e9, gaps[-5:]
    silent = socket.create_server(("127.0.0.1", 0))
    with Watch(silent.getsockname()[1], "serve", "--log", "{n}", "--period", 10) as watch:
        until(lambda: "did not answer in time" in watch.told() or "silent" in watch.told())
        said = watch.stop()
        times = [r["time_ns"] for r in watch.results()]
    silent.close()
    assert "did not answer in time" in said or "silent" in said, said
    assert max(b - a for a, b in zip(times, times[1:])) < 5e9


def bounded():
    """a server that takes polls and no snapshots: memory is bounded, drops are counted and told"""
    def refuse(what, _):
        return grpc.StatusCode.UNAVAILABLE if what == "send" else None

    points = [point(f"p{i}", fire_period="0", frame_type="all_frame", max_variables="1000", max_collection_size="1000") for i in range(8)]
    with Server(constant(*points), refuse=refuse) as server, Watch(server.port) as watch:
        server.wait(polls=2)
        end = time.monotonic() + 60
        while "are dropped so far" not in (FOLDER / "said").read_text(encoding="utf-8"):
            assert time.monotonic() < end and watch.process.poll() is None
            time.sleep(0.1)
        full = watch.memory()
        time.sleep(3)
        memory = watch.memory()
        said = watch.stop()
    dropped = int(re.search(r"(\d+) dropped", said[said.rindex("sent, "):])[1])
    print(f"# {full} KiB when the queue was full, then {memory} KiB, {dropped} dropped")
    assert dropped and memory < full + 30000 < 400000, (full, memory, dropped)


class Hostile(threading.Thread):
    """Answers each connection with what `make` gives."""

    def __init__(self, make):
        super().__init__(daemon=True)
        self.listener, self.make, self.served = socket.create_server(("127.0.0.1", 0)), make, 0
        self.port = self.listener.getsockname()[1]
        self.start()

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.served += 1
            with connection:
                connection.settimeout(2)
                try:
                    connection.recv(65536)
                    for piece in self.make():
                        connection.sendall(piece)
                except OSError:
                    pass


def frame(kind, flags, stream, payload):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


SETTINGS = frame(4, 0, 0, b"")
# :status 200; content-type left out: nobody looks at it.
HEADERS = frame(1, 4, 1, b"\x88")


def endless(body, limit=3000):
    yield SETTINGS + HEADERS
    for _ in range(limit):
        yield frame(0, 0, 1, body)


def hostile():
    """garbage, floods and endless answers: no crash, memory and time are bounded, the watching goes on"""
    noise = random.Random(1)
    makers = {
        "noise": lambda: [noise.randbytes(5000)],
        "no answer but goodbye": lambda: [SETTINGS + frame(7, 0, 0, struct.pack(">II", 0, 0))],
        "an endless body": lambda: endless(bytes(16384)),
        "a length that is not there": lambda: [SETTINGS + HEADERS + frame(0, 1, 1, b"\0\xff\xff\xff\xff12")],
        "pings": lambda: [SETTINGS] + [frame(6, 0, 0, bytes(8)) * 1000] * 200,
        "settings": lambda: [SETTINGS * 5000] * 20,
        "headers without an end": lambda: [SETTINGS + frame(1, 0, 1, b"\x88")] + [frame(9, 0, 1, b"\x40\x01a\x7f\xff\x10" + b"a" * 9000)] * 500,
        "resets": lambda: [SETTINGS + frame(3, 0, 1, struct.pack(">I", 11))],
        "deep nests": lambda: [SETTINGS + HEADERS + frame(0, 0, 1, b"\0" + struct.pack(">I", 8000) + b"\x1a" * 8000)],
        "many empty messages": lambda: [SETTINGS + HEADERS] + [frame(0, 0, 1, b"\0" + struct.pack(">I", 4000000))] +
                                       [frame(0, 0, 1, b"\x1a\0" * 8000)] * 250,
    }
    for name, make in makers.items():
        server = Hostile(make)
        with Watch(server.port, "serve", "--log", "{n}", "--period", 10, interval="0.1") as watch:
            until(lambda: server.served and len(watch.results()) > 20)
            time.sleep(1)
            memory = watch.memory()
            watch.stop()
            results = watch.results()
        server.listener.close()
        gaps = [b["time_ns"] - a["time_ns"] for a, b in zip(results, results[1:])]
        print(f"# {name}: {server.served} connections, {memory} KiB, longest gap {max(gaps) // 1000000} ms")
        assert server.served and memory < 200000 and max(gaps) < 5e9, (name, memory, max(gaps))


def tls():
    """TLS with a certificate that is trusted; one that is not, or is another host's, is refused"""
    run = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-keyout",
           FOLDER / "key.pem", "-out", FOLDER / "cert.pem", "-subj", "/CN=test", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(run, check=True, capture_output=True)
    credentials = grpc.ssl_server_credentials([((FOLDER / "key.pem").read_bytes(), (FOLDER / "cert.pem").read_bytes())])
    trusted = ["--ca-file", FOLDER / "cert.pem"]
    with Server(constant(point("p")), credentials=credentials) as server:
        with Watch(server.port, *trusted, scheme="https", host="localhost") as watch:
            server.wait(snapshots=3)
            watch.stop()
        polls = len(server.polls)
        for arguments, host, why in (([], "localhost", "certificate"), (trusted, "127.0.0.1", "address mismatch")):
            with Watch(server.port, *arguments, scheme="https", host=host) as watch:
                until(lambda: "TLS" in watch.told())
                said = watch.stop()
            assert why in said.lower() and "TLS" in said, said
        assert len(server.polls) == polls


def from_the_first():
    """a program behind -- waits for the server's first answer, so that its first steps are watched"""
    main = wire.TracePointConfig(ID="main", path="watched.c", args={"method_name": "main"})
    with Server(constant(main)) as server:
        run = subprocess.run([STROBE, "watch", "--deep", f"http://127.0.0.1:{server.port}", "-o", "/dev/null", "--status", "--", FOLDER / "watched",
                              "1", "1"], capture_output=True, text=True, timeout=30, check=False)
        if "CAP_BPF" in run.stderr or "uprobe_multi" in run.stderr:
            raise Skip(run.stderr.strip())
    assert run.returncode == 3 and len(server.snapshots) == 1, (run, len(server.snapshots))
    assert server.snapshots[0].frames[0].method_name == "main"


def usage():
    """addresses and headers without a meaning are refused"""
    for arguments in (["--deep", "ftp://x"], ["--deep", "http://"], ["--deep", "x:99999"], ["--deep", "x", "--deep-interval", "0"],
                      ["--deep", "x", "--deep-header", "nothing"], ["--deep", "x", "--deep-header", "a b=c"],
                      ["--deep", "x", "--ca-file", "/nowhere"], ["--deep", "x", "--deep-password-file", "/nowhere"]):
        run = subprocess.run([STROBE, "watch", str(os.getpid()), *arguments], capture_output=True, text=True, timeout=20, check=False)
        if "CAP_BPF" in run.stderr or "uprobe_multi" in run.stderr:
            raise Skip(run.stderr.strip())
        assert run.returncode in (1, 2) and run.stderr.startswith("strobe: watch: "), (arguments, run)


CASES = [fields, updates, rejected, authorisation, errors, reachable_later, goaway, slow, bounded, hostile, tls, from_the_first, usage]


def prepare():
    subprocess.run([CC, "-g", "-O0", "-pthread", "-o", FOLDER / "watched", SOURCES / "watched.c", "-ldl"], check=True)


sys.exit(watching.main(CASES, prepare))
