"""A vendor's web server on loopback, which can misbehave in every way that a test asks for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[[BaseHTTPRequestHandler], None]


class Vendor:
    """`files` are served as they are; `odd` addresses answer by a function. `asked` is what was asked for."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.files: dict[str, bytes] = {}
        self.odd: dict[str, Answer] = {}
        self.asked: list[str] = []

    def offer(self, path: str, content: bytes) -> str:
        self.files[path] = content
        return f"{self.url}{path}"

    def behave(self, path: str, answer: Answer) -> str:
        self.odd[path] = answer
        return f"{self.url}{path}"


@contextmanager
def vendor() -> Iterator[Vendor]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            here.asked.append(self.path)
            with suppress(OSError):
                if self.path in here.odd:
                    here.odd[self.path](self)
                elif self.path in here.files:
                    content = here.files[self.path]
                    begin(self, len(content))
                    self.wfile.write(content)
                else:
                    self.send_error(404)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    here = Vendor(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield here
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def begin(request: BaseHTTPRequestHandler, length: int | None) -> None:
    request.send_response(200)
    if length is not None:
        request.send_header("Content-Length", str(length))
    request.end_headers()


def redirect(to: str) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(302)
        request.send_header("Location", to)
        request.end_headers()

    return answer


def cut(content: bytes, *, promised: int) -> Answer:
    """Breaks off before all that was promised."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        begin(request, promised)
        request.wfile.write(content)

    return answer


def endless(piece: bytes) -> Answer:
    """Never says how much, and never stops."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        begin(request, None)
        while True:
            request.wfile.write(piece)

    return answer


def drip(content: bytes, *, every_s: float) -> Answer:
    """A few bytes at a time."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        begin(request, len(content))
        for start in range(0, len(content), 64):
            request.wfile.write(content[start : start + 64])
            request.wfile.flush()
            time.sleep(every_s)

    return answer
