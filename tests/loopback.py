"""A server on this machine that plays a network: answers by a function, fails where told to, keeps a log."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Request:
    path: str
    query: Mapping[str, str]  # the last value of each
    headers: Mapping[str, str]  # names in lower case


@dataclass(frozen=True)
class Reply:
    """JSON unless the body is bytes."""

    body: object = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_after: int | None = None  # bytes of the body, after which the connection is reset
    drop: bool = False  # no answer at all: the connection is reset
    delay_s: float = 0.0


Play = Callable[[Request], Reply]


@dataclass
class Server:
    url: str  # http://127.0.0.1:port
    log: list[Request] = field(default_factory=list)  # robots.txt left out
    faults: deque[Reply | None] = field(default_factory=deque)  # the next answers; None: the real one
    robots: Reply = field(default_factory=lambda: Reply(status=404))

    @property
    def paths(self) -> list[str]:
        return [request.path for request in self.log]


@contextlib.contextmanager
def serve(play: Play) -> Iterator[Server]:
    """Answers on a free port until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # or a body waits 40 ms behind its headers

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
            request = Request(parts.path, query, {name.lower(): value for name, value in self.headers.items()})
            if parts.path == "/robots.txt":
                self._send(server.robots)
                return
            server.log.append(request)
            fault = server.faults.popleft() if server.faults else None
            self._send(fault if fault is not None else play(request))

        def _send(self, reply: Reply) -> None:
            time.sleep(reply.delay_s)
            if reply.drop:
                self._reset()
                return
            body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            self.send_response_only(reply.status)
            if "Date" not in reply.headers:
                self.send_header("Date", self.date_time_string())
            if not isinstance(reply.body, bytes):
                self.send_header("Content-Type", "application/json")
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if reply.cut_after is None:
                self.wfile.write(body)
            else:
                self.wfile.write(body[: reply.cut_after])
                self.wfile.flush()
                self._reset()

        def _reset(self) -> None:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True

        def handle(self) -> None:
            with contextlib.suppress(OSError, ValueError):
                super().handle()

        def log_message(self, *args: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server = Server(f"http://127.0.0.1:{http.server_address[1]}")
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
