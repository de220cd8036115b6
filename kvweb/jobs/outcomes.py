"""How a handler ends a job before its end: for good, or to be tried again."""

from __future__ import annotations

#: Codes of ends after which nobody knows how far the work got.
UNCERTAIN = frozenset({"worker_gone", "unreachable", "timed_out", "unexpected"})


class Failed(Exception):
    """The job ends failed; `reason` is shown beside the object, `field` names the form field it is about."""

    def __init__(self, reason: str, code: str = "failed", *, field: str = "", detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code
        self.field = field
        self.detail = detail


class TryLater(Failed):
    """The same, but worth another try after `after_s` seconds where the handler allows retries."""

    def __init__(self, reason: str, code: str, *, after_s: float = 5.0, detail: str = "") -> None:
        super().__init__(reason, code, detail=detail)
        self.after_s = after_s


class Stopped(Exception):
    """The person asked to stop, and the handler has undone its work."""
