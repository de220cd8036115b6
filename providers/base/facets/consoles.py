"""Consoles: how to reach the screen or the serial line of a running VM."""

from __future__ import annotations

from abc import ABC, abstractmethod

from providers.base.records import ConsoleKind, ConsoleTarget


class Consoles(ABC):
    @abstractmethod
    def open(self, external_id: str, kind: ConsoleKind) -> ConsoleTarget:
        """Where the console is now.

        Raises Conflict when the VM does not run or has no console of this kind, NotFound when it is gone.
        """
