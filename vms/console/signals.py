"""The quick road from "taken back" to "closed": a Redis message that makes the proxy look now instead of in 5 seconds.

A message carries no decision. The proxy reads the rows again, so a lost or a forged message does no harm. The same road
brings restarts of guests, for the marks in their serial logs.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable

import redis
from django.conf import settings

from kvweb.events.bus import redis_client
from kvweb.events.services import CHANNEL as NEWS

logger = logging.getLogger(__name__)

CHANNEL = "kvweb:consoles"
RESTARTED = "restarted:"


def announce() -> None:
    """Ask the proxy to check all open consoles now; without Redis it does so within 5 seconds anyway."""
    try:
        redis_client().publish(CHANNEL, "check")
    except Exception as exc:
        logger.info("The console proxy was not told at once: %s", exc)


def announce_restart(vm_uuid: str) -> None:
    """Tell the console service that this machine's guest began anew; without Redis only a mark in a log is missing."""
    try:
        redis_client().publish(CHANNEL, RESTARTED + vm_uuid)
    except Exception as exc:
        logger.info("The console proxy was not told of a restart: %s", exc)


class Listener:
    """A thread that hears revocations and news of machines, and calls back; connects again when Redis went away."""

    def __init__(
        self, *, on_check: Callable[[], None], on_vm: Callable[[str], None], on_restart: Callable[[str], None]
    ) -> None:
        self._on_check, self._on_vm, self._on_restart = on_check, on_vm, on_restart
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="console-signals", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()

    def _run(self) -> None:
        pause = 0.5
        while not self._stopped.is_set():
            try:
                self._listen()
                pause = 0.5
            except Exception as exc:
                logger.info("No news from Redis (%s); consoles are checked every few seconds only.", exc)
                self._stopped.wait(pause)
                pause = min(pause * 2, 10)

    def _listen(self) -> None:
        client = redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=1.0, health_check_interval=20)
        with client.pubsub(ignore_subscribe_messages=True) as subscription:  # type: ignore[no-untyped-call]
            subscription.subscribe(CHANNEL)
            subscription.psubscribe(NEWS.format(project="*"))
            # Something may have been said while nobody listened.
            self._on_check()
            while not self._stopped.is_set():
                message = subscription.get_message(timeout=1.0)
                if message is not None:
                    self._hear(message)

    def _hear(self, message: dict[str, object]) -> None:
        if message.get("type") == "message":
            data = message.get("data")
            text = data.decode(errors="replace") if isinstance(data, bytes) else ""
            if text.startswith(RESTARTED):
                self._on_restart(text.removeprefix(RESTARTED))
            else:
                self._on_check()
            return
        try:
            subject = json.loads(str(message.get("data", b""), "utf-8"))["subject"]  # type: ignore[call-overload]
        except (ValueError, KeyError, TypeError):
            return
        if isinstance(subject, str) and subject.startswith("vm:"):
            self._on_vm(subject.partition(":")[2])
