"""How a driver tells how far it is, and learns that it should stop."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Reporter handed to every long operation; drivers know no more of jobs than this."""

    def report(self, percent: int, sentence: str) -> None:
        """Say how far the operation is (0–100) and what it does now, as a sentence for the person waiting."""

    def checkpoint(self) -> None:
        """Raise `Cancelled` when the operation should stop; call it between steps that can be undone."""


class Quiet:
    """A reporter that tells nobody: for scripts and tests."""

    def report(self, percent: int, sentence: str) -> None:
        del percent, sentence

    def checkpoint(self) -> None:
        return None


QUIET: Progress = Quiet()
