"""manage.py watch_providers: the process that hears what changes at providers."""

from __future__ import annotations

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand

from kvweb.portal.watch import Watcher


class Command(BaseCommand):
    help = "Watches providers for changes and brings the news to the database and to open pages."

    def handle(self, *args: Any, **options: Any) -> None:
        del args, options
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        Watcher().run(stop)
