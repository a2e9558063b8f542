"""A small server that keeps the ingest contract of docs/architecture.md, for tests and benchmarks of the harness."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LINE_STREAMS = ("points", "samples")
FRAME_LIMIT_BYTES = 1_000_000


class IngestServer:
    """Stores streams by offset in memory and remembers what came. ``refuse_with`` makes it answer that status instead.

    ``stop`` is what answers carry under that name; ``meet`` takes where a task is reached and gives the cluster to tell
    it. ``record_at`` maps a stream to ``(time, size)`` of each growth.
    """

    def __init__(self, *, token: str = "1.secret", port: int = 0):
        self.token = token
        self.streams: dict[str, bytearray] = {}
        self.closed: set[str] = set()
        self.headers: list[dict] = []
        self.exits: list[dict] = []
        self.outputs: list[list] = []
        self.notices: dict[str, str] = {}
        self.record_at: dict[str, list[tuple[float, int]]] = {}
        self.arrivals: list[float] = []
        self.stop: dict | None = None
        self.meet: Callable[[dict], object] | None = None
        self.refuse_with: int | None = None
        self.problems: list[str] = []
        self._lock = threading.Lock()
        self._port = port
        self._http: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        assert self._http is not None
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def start(self) -> IngestServer:
        self._http = _Http(("127.0.0.1", self._port), _handler(self))
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def close(self) -> None:
        """Goes away: refuses connections from now on and drops the open ones. What is stored stays."""
        if self._http is not None:
            self._http.shutdown()
            self._http.server_close()
            self._http.drop_connections()
            self._http = None

    def __enter__(self) -> IngestServer:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def lines(self, stream: str) -> list[dict]:
        return [json.loads(line) for line in bytes(self.streams.get(stream, b"")).splitlines() if line.strip()]

    def is_complete(self) -> bool:
        return bool(self.exits) and self.closed >= {"output", "points", "samples", "harness"}

    def receive(self, token: str, body: bytes) -> tuple[int, dict]:
        """One request, as the contract has it."""
        if token != f"Bearer {self.token}":
            return 401, {"error": "The token is not this task's."}
        if self.refuse_with is not None:
            return self.refuse_with, {"error": "Refused for a test."}
        if len(body) > FRAME_LIMIT_BYTES:
            self.problems.append(f"a frame of {len(body)} bytes")
            return 413, {"error": "The frame is larger than 1 MB."}
        first, _, data = body.partition(b"\n")
        header = json.loads(first)
        with self._lock:
            self.arrivals.append(time.monotonic())
            self.headers.append(header)
            accepted = {}
            at = 0
            for segment in header["segments"]:
                piece = data[at : at + segment["size"]]
                at += segment["size"]
                accepted[segment["stream"]] = self._store(segment, piece)
            if at != len(data):
                self.problems.append("segments and body differ in size")
                return 422, {"error": "Segments and body differ in size."}
            self.notices.update(header.get("notice", {}))
            if "outputs" in header:
                self.outputs.append(header["outputs"])
            if "exit" in header:
                self.exits.append(header["exit"])
            meeting = {"cluster": self.meet(header["meet"])} if "meet" in header and self.meet else {}
            return 200, {"accepted": accepted, "stop": self.stop, **meeting}

    def _store(self, segment: dict, piece: bytes) -> int:
        name = segment["stream"]
        stored = self.streams.setdefault(name, bytearray())
        if segment["offset"] > len(stored):
            return len(stored)
        if len(piece) != segment["size"]:
            self.problems.append(f"{name}: {len(piece)} bytes announced as {segment['size']}")
        fresh = piece[len(stored) - segment["offset"] :]
        if name in LINE_STREAMS:
            fresh = fresh[: fresh.rfind(b"\n") + 1]
        if fresh and name in self.closed:
            self.problems.append(f"{name}: bytes after its end")
        if fresh:
            stored += fresh
            self.record_at.setdefault(name, []).append((time.time(), len(stored)))
        if segment["eof"] and segment["offset"] + segment["size"] == len(stored):
            self.closed.add(name)
        return len(stored)


class _Http(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address, handler):
        super().__init__(address, handler)
        self.open_sockets = set()

    def process_request(self, request, client_address):
        self.open_sockets.add(request)
        super().process_request(request, client_address)

    def drop_connections(self) -> None:
        for connection in list(self.open_sockets):
            with contextlib.suppress(OSError):
                connection.shutdown(2)
                connection.close()


def _handler(server: IngestServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path != "/api/v1/ingest":
                status, answer = 404, {"error": "There is nothing here."}
            else:
                status, answer = server.receive(self.headers.get("Authorization", ""), body)
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def handle(self) -> None:
            with contextlib.suppress(OSError, ValueError):
                super().handle()

        def log_message(self, *_: object) -> None:
            pass

    return Handler
