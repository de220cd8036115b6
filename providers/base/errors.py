"""The errors that a driver raises: one tree with two families, because a worker only asks "try again or not"."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ClassVar


class ProviderError(Exception):
    """A provider could not do what was asked.

    `reason` is one sentence for the person at the screen, `detail` is the vendor's text for the log and is never shown.
    """

    code: ClassVar[str] = "provider_error"
    default_reason: ClassVar[str] = "The provider could not do this."

    def __init__(self, reason: str = "", detail: str = "", *, field: str = "") -> None:
        self.reason = reason or self.default_reason
        self.detail = detail
        #: Name of the spec or config field that the reason is about, empty when it is about the whole.
        self.field = field
        super().__init__(self.reason)


class Rejected(ProviderError):
    """Asking again without a change would give the same answer."""

    code = "rejected"


class AuthenticationFailed(Rejected):
    code = "authentication_failed"
    default_reason = "The provider refused the credentials."


class PermissionDenied(Rejected):
    """The credentials are right, and their account lacks a right at the provider."""

    code = "permission_denied"
    default_reason = "The account at the provider may not do this."


class InvalidRequest(Rejected):
    code = "invalid_request"
    default_reason = "The provider does not accept these values."


class NotFound(Rejected):
    code = "not_found"
    default_reason = "It does not exist at the provider any more."


class AlreadyExists(Rejected):
    code = "already_exists"
    default_reason = "Something with this name exists already."


class Conflict(Rejected):
    """The object's state does not allow it now ("Stop the VM first.")."""

    code = "conflict"
    default_reason = "The present state does not allow this."


class QuotaExceeded(Rejected):
    code = "quota_exceeded"
    default_reason = "The provider's quota is used up."


class NotSupported(Rejected):
    code = "not_supported"
    default_reason = "This provider cannot do this."


class Transient(ProviderError):
    """May succeed when tried again later."""

    code = "transient"


class Unreachable(Transient):
    code = "unreachable"
    default_reason = "The provider does not answer."


class RateLimited(Transient):
    code = "rate_limited"
    default_reason = "The provider asks to slow down."

    def __init__(self, reason: str = "", detail: str = "", *, retry_after_s: float = 5.0) -> None:
        super().__init__(reason, detail)
        self.retry_after_s = retry_after_s


class OutOfCapacity(Transient):
    code = "out_of_capacity"
    default_reason = "The provider has no room left for this."


class TimedOut(Transient):
    code = "timed_out"
    default_reason = "The provider took too long."


class Cancelled(Exception):
    """Raised by `Progress.checkpoint()` when the person asked to stop; a driver undoes its work and lets it pass."""


@contextmanager
def translated(translate: Callable[[Exception], ProviderError | None]) -> Iterator[None]:
    """Let only ProviderError (and Cancelled) out of the block.

    `translate` maps a vendor's exception to ours; what it does not know (None) leaves as a plain ProviderError with the
    original as its cause, so nothing that failed looks like something else.
    """
    try:
        yield
    except (ProviderError, Cancelled):
        raise
    except Exception as exc:
        known = translate(exc)
        if known is None:
            known = ProviderError(detail=f"{type(exc).__name__}: {exc}")
        raise known from exc
