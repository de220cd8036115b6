"""transfer_server: serves what is under /transfer/: chunks of images on their way in, and images on their way out.

The same application as the web process, behind a server with a thread for each request. A body is read in one piece
from its socket, which costs a quarter of what an event loop takes for it, and a thread may wait for a provider. Only
nginx can reach the socket; it keeps slow and odd clients away.
"""

from __future__ import annotations

import logging
import queue
import signal
import sys
import threading
from argparse import ArgumentParser
from socket import socket
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from django.conf import settings
from django.core.management.base import BaseCommand

from kvweb.portal.management.commands.console_proxy import listen

logger = logging.getLogger(__name__)

#: Transfers at a time; what comes beyond waits in the socket's queue.
TRANSFERS_MOST = 64
#: A client that sends or takes nothing for this long has gone.
SILENCE_S = 120


class Server(WSGIServer):
    """A server on a socket that is listening already. Its threads stay: a new one for each request would open the
    database and the cache anew, which takes as long as all the rest of a chunk."""

    def __init__(self, listener: socket, application: Any) -> None:
        super().__init__(("", 0), Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.server_name, self.server_port = "transfer", 0
        self.setup_environ()
        self.set_app(application)
        self._busy = threading.BoundedSemaphore(TRANSFERS_MOST)
        self._requests: queue.SimpleQueue[tuple[Any, Any]] = queue.SimpleQueue()
        self._idle = threading.Semaphore(0)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._busy.acquire()
        self._requests.put((request, client_address))
        if not self._idle.acquire(blocking=False):
            # They end with the process.
            threading.Thread(target=self._work, name="transfer", daemon=True).start()

    def _work(self) -> None:
        while True:
            request, client_address = self._requests.get()
            try:
                self.finish_request(request, client_address)
            except Exception:
                self.handle_error(request, client_address)
            finally:
                self.shutdown_request(request)
                self._idle.release()
                self._busy.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Mostly a browser that went away in the middle."""
        del request, client_address
        logger.debug("A transfer was broken off: %s", sys.exc_info()[1])


class Handler(WSGIRequestHandler):
    timeout = SILENCE_S

    def setup(self) -> None:
        # A peer on a path has no address.
        self.client_address = ("", 0)
        super().setup()

    def get_environ(self) -> dict[str, Any]:
        """Whoever speaks on the socket is nginx, so its word for the browser's address holds."""
        environ: dict[str, Any] = super().get_environ()
        environ["REMOTE_ADDR"] = self.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
        return environ

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        del format, args


class Command(BaseCommand):
    help = "Carry images between browsers and pools."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--listen",
            default=f"unix:{settings.KVWEB_HOME / 'run' / 'transfer.sock'}",
            help="unix:/path/to/socket (default: %(default)s)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        del args
        from kvweb.wsgi import application

        server = Server(listen(options["listen"]), application)
        for number in (signal.SIGTERM, signal.SIGINT):
            # Shutting down waits for the loop, which this very thread runs.
            signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
        logger.info("Transfers are served at %s", options["listen"])
        server.serve_forever(poll_interval=0.2)
        server.socket.close()
