"""From the SDK's exceptions to ours. What each service answers: https://docs.openstack.org/api-quick-start/ and the
fault bodies of Nova ({"conflictingRequest": {"message": …}}), Neutron ({"NeutronError": {"type", "message"}}) …
"""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from typing import Any

import requests
from keystoneauth1 import exceptions as keystone
from openstack import exceptions as sdk

from providers.base import (
    AlreadyExists,
    AuthenticationFailed,
    Conflict,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    ProviderError,
    QuotaExceeded,
    RateLimited,
    TimedOut,
    Unreachable,
    translated,
)

_QUOTA = re.compile(r"quota|OverLimit|limit exceeded|exceeded.*allowed", re.IGNORECASE)
_MISSING = re.compile(
    r"could not be found|not found|does not exist|no such|Can not find requested image", re.IGNORECASE
)
_BUSY = re.compile(r"task_state (\S+)|while it is in (?:vm_state|task_state) (\S+)")
#: Neutron names its errors; these say that a value is taken.
_TAKEN = frozenset({"MacAddressInUse", "IpAddressInUse", "IpAddressAlreadyAllocated"})
#: OpenSSL's words; the last: an authority of the same name has another key.
_UNTRUSTED = ("self-signed", "self signed", "unable to get local issuer", "unable to get issuer", "signature failure")
#: What gateways in front of a service answer when nobody is behind them.
_AWAY = frozenset({502, 503, 504})


def vendor_calls() -> AbstractContextManager[None]:
    return translated(translate)


def translate(error: Exception) -> ProviderError | None:
    """One exception of the SDK, of Keystone's library or of requests as ours; None for what none of them raised."""
    if isinstance(error, sdk.HttpException):
        return of_response(error)
    if isinstance(error, keystone.SSLError | requests.exceptions.SSLError):
        return Unreachable(certificate_sentence(str(error)), str(error))
    if isinstance(error, keystone.Unauthorized):
        return AuthenticationFailed(detail=str(error))
    if isinstance(error, keystone.ConnectTimeout | requests.exceptions.Timeout):
        return Unreachable("The cloud did not answer in time.", str(error))
    if isinstance(
        error,
        keystone.ConnectionError
        | keystone.DiscoveryFailure
        | requests.exceptions.ConnectionError
        | requests.exceptions.ChunkedEncodingError,
    ):
        return Unreachable("The cloud does not answer.", str(error))
    if isinstance(error, keystone.HttpError) and error.http_status in _AWAY:
        return Unreachable("The cloud's identity service is not at work.", str(error))
    if isinstance(error, keystone.EndpointNotFound):
        return InvalidRequest("The cloud's catalogue does not have this service here.", str(error), field="region")
    return None


def of_response(error: sdk.HttpException) -> ProviderError | None:
    """An answer with a status from 400 on; None for 500 and whatever else says nothing about us."""
    status, text = int(error.status_code or 0), said(error)
    url: Any = error.url
    detail = f"{status}: {text} ({url})"
    kind = neutron_type(error)
    if status == 401:
        return AuthenticationFailed("The cloud does not accept the credentials any more.", detail)
    if kind == "OverQuota" or (status in (403, 413) and _QUOTA.search(text)):
        return QuotaExceeded(f"The project's quota is used up{_what(text)}.", detail)
    if status in (429, 413):
        return RateLimited(detail=detail, retry_after_s=_retry_after(error))
    if status == 403:
        return PermissionDenied("The account may not do this; see which roles it needs in the documentation.", detail)
    if status == 404:
        return NotFound(detail=detail)
    if status == 409:
        if kind in _TAKEN:
            return AlreadyExists("This address is taken by another card.", detail)
        busy = _BUSY.search(text)
        if busy:
            word = (busy.group(1) or busy.group(2)).rstrip(".")
            return Conflict(f"The VM is in the state “{word}”, which does not allow this.", detail)
        return Conflict(detail=detail)
    if status == 400:
        if "availability zone" in text:
            return NotFound("The cloud has no such zone.", detail, field="zone")
        # Nova answers 400, not 404, for what a request names and nobody has.
        return (
            NotFound("Something that was named does not exist at the cloud.", detail)
            if _MISSING.search(text)
            else InvalidRequest(detail=detail)
        )
    if status in _AWAY:
        return Unreachable("A service of the cloud is not at work.", detail)
    if status == 408:
        return TimedOut(detail=detail)
    return None


def said(error: sdk.HttpException) -> str:
    """The service's own sentence."""
    body = _body(error)
    if isinstance(body.get("faultstring"), str):
        # Octavia names the guilty side first.
        return str(body["faultstring"])
    for value in body.values():
        if isinstance(value, dict) and value.get("message"):
            return str(value["message"])
        if isinstance(value, str) and value:
            return value
    return str(error)


def neutron_type(error: sdk.HttpException) -> str:
    inner = _body(error).get("NeutronError")
    return str(inner.get("type", "")) if isinstance(inner, dict) else ""


def certificate_sentence(text: str) -> str:
    """What is wrong with a certificate, as far as TLS tells."""
    if any(words in text for words in _UNTRUSTED):
        return "The cloud's certificate is from an authority that is not trusted; give its certificate in the form."
    if "expired" in text or "not yet valid" in text:
        return "The cloud's certificate is not valid now; look at its dates and at the clock of this machine."
    if "Hostname mismatch" in text or "doesn't match" in text or "not valid for" in text:
        return "The cloud's certificate is for another host name than the address says."
    return "The cloud's certificate was not accepted."


def _body(error: sdk.HttpException) -> dict[str, Any]:
    response = getattr(error, "response", None)
    try:
        body = response.json() if response is not None else {}
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _what(text: str) -> str:
    found = re.search(r"[Qq]uota exceeded for (?:resources: \['(\w+)'|(\w+))", text)
    word = found and (found.group(1) or found.group(2))
    return f" for {word}" if word else ""


def _retry_after(error: sdk.HttpException) -> float:
    response = getattr(error, "response", None)
    try:
        return max(float(response.headers.get("Retry-After", 5)), 1.0) if response is not None else 5.0
    except ValueError:
        return 5.0
