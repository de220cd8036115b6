"""manage.py watch_providers: the process that hears what changes at providers, and measures what their machines use."""

from __future__ import annotations

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand

from kvweb.portal.measure import Meters
from kvweb.portal.watch import Watcher
from vms.file_systems_reader import readers
from vms.screenshots_camera import cameras


class Command(BaseCommand):
    help = "Watches providers for changes and brings the news to the database and to open pages."

    def handle(self, *args: Any, **options: Any) -> None:
        del args, options
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        measuring = threading.Thread(target=Meters().run, args=(stop,), name="measure", daemon=True)
        measuring.start()
        picturing = threading.Thread(target=cameras().run, args=(stop,), name="screens", daemon=True)
        picturing.start()
        reading = threading.Thread(target=readers().run, args=(stop,), name="guests", daemon=True)
        reading.start()
        Watcher().run(stop)
        measuring.join(timeout=5)
        picturing.join(timeout=5)
        reading.join(timeout=5)
