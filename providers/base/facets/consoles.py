"""Consoles: how to reach the screen or the serial line of a running VM, its keyboard, and a picture of its screen."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from providers.base.errors import InvalidRequest, NotSupported
from providers.base.records import ConsoleKind, ConsoleTarget, Picture, ViewerRecord

#: Keys that are held together, in the order in which they go down; numbers of Linux (KEY_… of input-event-codes.h).
Stroke = Sequence[int]

MOST_STROKES = 64
MOST_KEYS = 5
HIGHEST_KEY = 255
LONGEST_HOLD_MS = 1000
#: So much of what a serial line said is read at once, in bytes.
MOST_OUTPUT = 64 * 1024


class Consoles(ABC):
    @abstractmethod
    def open(self, external_id: str, kind: ConsoleKind) -> ConsoleTarget:
        """Where the console is now.

        Raises Conflict when the VM does not run or has no console of this kind, NotFound when it is gone.
        """

    def send_keys(self, external_id: str, strokes: Sequence[Stroke], *, hold_ms: int = 20) -> None:
        """Press keys of the VM's keyboard, stroke after stroke; returns when the last one is up again.

        The guest's layout decides what is typed by them. What is pressed is neither logged nor kept.
        Raises Conflict when the VM does not run, InvalidRequest for what `checked_strokes` refuses, NotSupported where
        `ConsoleFeatures.send_keys` was not probed.
        """
        raise NotSupported

    def screenshot(self, external_id: str) -> Picture:
        """What the VM's screen shows now, in whatever image format the provider gives.

        Raises Conflict when it does not run or has no screen, NotSupported where `ConsoleFeatures.screenshot` was not
        probed.
        """
        raise NotSupported

    def output(self, external_id: str) -> bytes:
        """The newest of what the VM's serial line said, as the provider itself keeps it: MOST_OUTPUT bytes at most.

        Raises Conflict when the provider has none yet, NotFound when the VM is gone, NotSupported where
        `ConsoleFeatures.output` was not probed. What is returned is never empty.
        """
        raise NotSupported

    def viewer(self, external_id: str, ticket: str) -> ViewerRecord:
        """Whether the viewer that was given this `ViewerConsole.ticket` is there now; asked every few seconds.

        Must be there where SPICE is among the kinds. Raises Conflict when the VM does not run or not in the same run,
        NotFound when it is gone.
        """
        raise NotSupported

    def close_viewer(self, external_id: str, ticket: str = "") -> None:
        """Disconnect the viewer that came by this ticket, and let nobody come by it any more.

        Without `ticket` whoever is there. Where a later one was handed out, or the VM is off or gone, there is nothing
        left to do.
        """
        raise NotSupported


def checked_strokes(strokes: Sequence[Stroke], hold_ms: int) -> list[list[int]]:
    """The strokes as lists; raises InvalidRequest for too many, for no keys and for numbers that are none."""
    if not 1 <= hold_ms <= LONGEST_HOLD_MS:
        raise InvalidRequest(f"A key is held for 1 to {LONGEST_HOLD_MS} milliseconds.", field="hold_ms")
    if len(strokes) > MOST_STROKES:
        raise InvalidRequest(f"At most {MOST_STROKES} strokes go at once.", field="strokes")
    found = [list(stroke) for stroke in strokes]
    for stroke in found:
        if not 1 <= len(stroke) <= MOST_KEYS:
            raise InvalidRequest(f"A stroke is one to {MOST_KEYS} keys.", field="strokes")
        if any(type(key) is not int or not 1 <= key <= HIGHEST_KEY for key in stroke):
            raise InvalidRequest("A keyboard has no such key.", field="strokes")
    return found
