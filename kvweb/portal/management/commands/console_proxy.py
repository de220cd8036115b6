"""console_proxy: carries every console of the portal in one process. nginx sends it what is under /ws/console/."""

from __future__ import annotations

import gc
import logging
import resource
import signal
import socket
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from vms.console.proxy import Proxy

logger = logging.getLogger(__name__)
BACKLOG = 1024
#: After so long a thread lets another one go on that waits for the interpreter.
SWITCH_S = 0.0005


class Command(BaseCommand):
    help = "Carry consoles between browsers and machines."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--listen",
            default=f"unix:{settings.KVWEB_HOME / 'run' / 'console.sock'}",
            help="unix:/path/to/socket or host:port (default: %(default)s)",
        )
        parser.add_argument(
            "--behind-proxy",
            action="store_true",
            help="on host:port, believe X-Forwarded-* headers: only for a port that nothing but your proxy can reach",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        del args
        where: str = options["listen"]
        listener = listen(where)
        _allow_many_files()
        # A query in a thread would keep the loop, and so every console, waiting for 5 ms at a time.
        sys.setswitchinterval(SWITCH_S)
        proxy = Proxy(listener, trust_forwarded=where.startswith("unix:") or options["behind_proxy"])
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: proxy.stop())
        # What was loaded stays: looking for rubbish in it would stop every console for a tenth of a second.
        gc.collect()
        gc.freeze()
        logger.info("Consoles are served at %s", where)
        proxy.run()


def listen(where: str) -> socket.socket:
    """The listening socket; one on a path is for its owner alone, and replaces what an earlier run left there."""
    if where.startswith("unix:"):
        path = Path(where.removeprefix("unix:"))
        path.parent.mkdir(parents=True, exist_ok=True)
        # Bound under another name and moved into place: nobody can connect before the mode is right, and a proxy that
        # still stops does not take the new one's socket away.
        draft = path.with_suffix(".new")
        draft.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(draft))
        draft.chmod(0o600)
        listener.listen(BACKLOG)
        draft.replace(path)
        return listener
    host, _, port = where.rpartition(":")
    if not host or not port.isdecimal():
        raise CommandError(f"--listen is “{where}”; write unix:/path or host:port.")
    family, kind, protocol, _, address = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(address)
    listener.listen(BACKLOG)
    return listener


def _allow_many_files() -> None:
    """Each console needs two descriptors, and the usual soft limit is 1024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
