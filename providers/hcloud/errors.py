"""The API's errors as ours. Codes: https://docs.hetzner.cloud/reference/cloud#errors. Its texts go into `detail`."""

from __future__ import annotations

import ssl
from typing import Any

import requests
from hcloud import APIException

from providers.base import (
    AlreadyExists,
    AuthenticationFailed,
    Conflict,
    InvalidRequest,
    NotFound,
    NotSupported,
    OutOfCapacity,
    PermissionDenied,
    ProviderError,
    QuotaExceeded,
    RateLimited,
    TimedOut,
    Transient,
    Unreachable,
)

_BY_CODE: dict[str, tuple[type[ProviderError], str]] = {
    "unauthorized": (AuthenticationFailed, "Hetzner Cloud refused the token; it may have been deleted."),
    "token_readonly": (AuthenticationFailed, "The token may only read; make one with the permission “Read & Write”."),
    "forbidden": (PermissionDenied, "The token is not allowed to do this."),
    "deprecated_api_endpoint": (NotSupported, "Hetzner Cloud does not offer this any more."),
    "unsupported_error": (NotSupported, "Hetzner Cloud cannot do this here."),
    "not_found": (NotFound, ""),
    "invalid_input": (InvalidRequest, ""),
    "json_error": (InvalidRequest, ""),
    "invalid_server_type": (InvalidRequest, "This size does not fit: its disk is too small, or its processor another."),
    "uniqueness_error": (AlreadyExists, ""),
    "server_already_attached": (AlreadyExists, "The VM is in this network already."),
    "ip_not_available": (AlreadyExists, "This address is taken."),
    "locked": (Conflict, "Something else is being done to it at Hetzner; try again when that is over."),
    "conflict": (Conflict, "It was changed at the same moment; try again."),
    "protected": (Conflict, "It is protected at Hetzner; take the protection away first."),
    "resource_in_use": (Conflict, "It is still in use."),
    "incorrect_zone_mode": (Conflict, "This zone is copied from another name server; change its records there."),
    "server_not_stopped": (Conflict, "Stop the VM first."),
    "server_not_running": (Conflict, "The VM does not run."),
    "volume_already_attached": (Conflict, "The volume belongs to another VM at the moment."),
    "no_subnet_available": (Conflict, "The network has no subnet in this part of the world."),
    "resource_limit_exceeded": (QuotaExceeded, "The project's limit at Hetzner is reached; it can be raised there."),
    "resource_unavailable": (OutOfCapacity, "This size is sold out in this location at the moment; try another one."),
    "placement_error": (OutOfCapacity, "Hetzner found no place for this VM at the moment."),
    "no_space_left_in_location": (OutOfCapacity, "There is no room for this in this location at the moment."),
    "rate_limit_exceeded": (RateLimited, "Hetzner Cloud asks to slow down: the project's requests are used up."),
    "maintenance": (Transient, "Hetzner Cloud is being maintained; try again later."),
    "service_error": (Transient, "A service at Hetzner failed; try again later."),
    "server_error": (Transient, "Hetzner Cloud had an error of its own; try again later."),
    "unavailable": (Transient, "Hetzner Cloud is not available at the moment."),
    "bad_gateway": (Transient, "Hetzner Cloud is not available at the moment."),
    "timeout": (TimedOut, "Hetzner Cloud took too long."),
}  # fmt: skip

#: Names of the API's fields → ours, for the form.
_FIELDS = {"server_type": "flavor", "location": "zone", "ip_range": "cidr", "ip": "address", "size": "size_gib"}


def by_code(code: str, detail: str, details: Any = None) -> ProviderError | None:
    """Our error for one of the API's codes; None for one that nobody knows."""
    known = _BY_CODE.get(code)
    if known is None:
        return None
    kind, reason = known
    if kind is InvalidRequest:
        return InvalidRequest(reason, detail, field=_field(details))
    return kind(reason, detail)


def _field(details: Any) -> str:
    fields = details.get("fields") if isinstance(details, dict) else None
    name = str(fields[0].get("name", "")) if isinstance(fields, list) and fields else ""
    return _FIELDS.get(name, name)


def translate(exc: Exception) -> ProviderError | None:
    """For `translated`: what the library raises."""
    if isinstance(exc, APIException):
        return by_code(str(exc.code), str(exc), exc.details) or _by_status(exc)
    if isinstance(exc, requests.exceptions.SSLError):
        return Unreachable(_certificate_sentence(exc), str(exc))
    if isinstance(exc, requests.exceptions.ProxyError):
        return Unreachable("The proxy on the way to Hetzner Cloud does not answer.", str(exc))
    if isinstance(exc, requests.exceptions.Timeout):
        return Unreachable("Hetzner Cloud did not answer in time.", str(exc))
    if isinstance(exc, requests.exceptions.ConnectionError):
        return Unreachable(_connection_sentence(exc), str(exc))
    if isinstance(exc, requests.exceptions.RequestException):
        return Unreachable("The connection to Hetzner Cloud broke.", str(exc))
    return None


def _by_status(exc: APIException) -> ProviderError | None:
    """Answers that came from something before the API: a proxy, a gateway."""
    match exc.code:
        case 502 | 503 | 504:
            return Transient("Hetzner Cloud is not available at the moment.", str(exc))
        case 404:
            return InvalidRequest("There is no Hetzner Cloud API at this address.", str(exc), field="endpoint")
        case 401 | 403 | 407:
            return AuthenticationFailed("Something on the way to Hetzner Cloud refused the request.", str(exc))
    return None


def _certificate_sentence(exc: BaseException) -> str:
    text = str(exc)
    if "not yet valid" in text:
        return "The server's certificate is not valid yet; is this machine's clock right?"
    if "expired" in text:
        return "The server's certificate has expired, or this machine's clock is wrong."
    if "mismatch" in text or "doesn't match" in text:
        return "The server's certificate is for another name."
    if "self-signed" in text or "unable to get local issuer" in text:
        return "The server's certificate is signed by nobody whom this machine trusts; is a CA certificate needed?"
    return "No secure connection could be made to Hetzner Cloud."


def _connection_sentence(exc: BaseException) -> str:
    text = str(exc)
    if "Name or service not known" in text or "name resolution" in text or "NameResolution" in text:
        return "The name of the API's server cannot be resolved."
    if "refused" in text:
        return "The API's server refuses connections."
    return "Hetzner Cloud does not answer."


def check_pem(pem: str) -> None:
    """Raises InvalidRequest for a CA certificate that cannot be read."""
    try:
        ssl.create_default_context().load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError) as exc:
        raise InvalidRequest("The CA certificate cannot be read.", str(exc), field="ca") from exc
