"""Small assertions that promises share: what must be raised, and a reporter that remembers or stops."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from providers.base import Cancelled, ProviderError


@dataclass(slots=True)
class Refusal:
    """What a block was refused with; to be read after the block."""

    error: ProviderError = field(default_factory=ProviderError)


@contextmanager
def refused(*kinds: type[ProviderError]) -> Iterator[Refusal]:
    """The block must raise one of these, with a sentence for the user."""
    expected = " or ".join(kind.__name__ for kind in kinds)
    refusal = Refusal()
    try:
        yield refusal
    except kinds as exc:
        refusal.error = exc
        reason: object = exc.reason
        if not isinstance(reason, str) or not reason.strip():
            raise AssertionError(f"{type(exc).__name__} has no sentence for the user.") from exc
        return
    except Exception as exc:
        raise AssertionError(f"Expected {expected}, got {type(exc).__name__}: {exc}") from exc
    raise AssertionError(f"Expected {expected}, but it was done.")


class Recorder:
    """A reporter that remembers what it was told, and stops at the given checkpoint (counted from one)."""

    def __init__(self, stop_at: int = 0) -> None:
        self.stop_at = stop_at
        self.percents: list[int] = []
        self.sentences: list[str] = []
        self.checkpoints = 0

    def report(self, percent: int, sentence: str) -> None:
        self.percents.append(percent)
        self.sentences.append(sentence)

    def checkpoint(self) -> None:
        self.checkpoints += 1
        if self.checkpoints == self.stop_at:
            raise Cancelled
