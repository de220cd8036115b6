"""The SDK's and the vendor's errors as ours: one table of codes, and what a missing permission is called.

Codes are those of https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html and of the other
services' references. The vendor's text goes into `detail` only: it names accounts, users and policies.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    ReadTimeoutError,
    SSLError,
)

from providers.base import (
    AlreadyExists,
    AuthenticationFailed,
    Conflict,
    InvalidRequest,
    NotFound,
    OutOfCapacity,
    PermissionDenied,
    ProviderError,
    QuotaExceeded,
    RateLimited,
    Rejected,
    TimedOut,
    Unreachable,
    translated,
)

_Known = tuple[type[ProviderError], str]

_WRONG_KEY: _Known = (AuthenticationFailed, "AWS does not know this access key; is it deleted, or mistyped?")
_WRONG_SECRET: _Known = (AuthenticationFailed, "The secret does not belong to this access key.")
_EXPIRED: _Known = (AuthenticationFailed, "The session token has run out; lend a new one.")
_CLOCK: _Known = (AuthenticationFailed, "The portal's clock is wrong by more than AWS allows; set the time there.")
_SLOW: _Known = (RateLimited, "AWS asks to slow down.")
_STATE: _Known = (Conflict, "The present state does not allow this; try again when it has settled.")
_QUOTA: _Known = (QuotaExceeded, "The account's quota at AWS is used up.")

_BY_CODE: dict[str, _Known] = {
    "AuthFailure": (AuthenticationFailed, "AWS refused the key: it is wrong, or this region is not enabled for it."),
    "InvalidClientTokenId": _WRONG_KEY,
    "InvalidAccessKeyId": _WRONG_KEY,
    "UnrecognizedClientException": _WRONG_KEY,
    "SignatureDoesNotMatch": _WRONG_SECRET,
    "InvalidSignatureException": _WRONG_SECRET,
    "IncompleteSignature": _WRONG_SECRET,
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "InvalidToken": _EXPIRED,
    "RequestExpired": _CLOCK,
    "RequestTimeTooSkewed": _CLOCK,
    "OptInRequired": (AuthenticationFailed, "The account has not signed up for this service."),
    "Blocked": (AuthenticationFailed, "AWS has blocked the account; see the messages there."),
    "PendingVerification": (AuthenticationFailed, "AWS is still verifying the account in this region."),
    "RequestLimitExceeded": _SLOW,
    "Throttling": _SLOW,
    "ThrottlingException": _SLOW,
    "ThrottledException": _SLOW,
    "TooManyRequestsException": _SLOW,
    "PriorRequestNotComplete": _SLOW,
    "SlowDown": _SLOW,
    "EC2ThrottledException": _SLOW,
    "InsufficientInstanceCapacity": (OutOfCapacity, "AWS has no room for this size in this zone; try another."),
    "InsufficientHostCapacity": (OutOfCapacity, "AWS has no room for this size in this zone; try another."),
    "InsufficientCapacity": (OutOfCapacity, "AWS has no room for this at the moment."),
    "InsufficientVolumeCapacity": (OutOfCapacity, "AWS has no room for this volume in this zone; try another."),
    "InsufficientAddressCapacity": (OutOfCapacity, "AWS has no public address left at the moment."),
    "InsufficientFreeAddressesInSubnet": (OutOfCapacity, "The subnet has no address left."),
    "InstanceLimitExceeded": (QuotaExceeded, "The account may have no more VMs of this size in this region."),
    "VcpuLimitExceeded": (QuotaExceeded, "The account may have no more vCPUs of this family in this region."),
    "VolumeLimitExceeded": (QuotaExceeded, "The account may have no more volumes of this type."),
    "UnsupportedOperation": (Conflict, "AWS does not do this with it as it is now."),
    "Unsupported": (InvalidRequest, "AWS does not have this in this zone; try another zone or size."),
    "UnsupportedHostConfiguration": (InvalidRequest, "AWS does not have this in this zone."),
    "OperationNotPermitted": (Conflict, "AWS does not permit this; is it protected against deletion?"),
    "VolumeInUse": (Conflict, "A VM has this volume."),
    "InvalidVolume.ZoneMismatch": (Conflict, "The volume is in another zone than the VM."),
    "InvalidParameterCombination": (InvalidRequest, "AWS does not take these values together."),
    "DependencyViolation": (Conflict, "Something at AWS still uses it."),
    "InvalidTarget": (Conflict, "Start the VM first: AWS takes only running ones as targets."),
    "Gateway.NotAttached": (Conflict, "The card's network has no way to the internet."),
    "AddressLimitExceeded": (QuotaExceeded, "The account may have no more elastic addresses in this region."),
    "SerialConsoleAccessDisabledException": (
        Rejected,
        "The account does not allow serial consoles.",
    ),
    "SerialConsoleSessionLimitExceededException": (Conflict, "Somebody else has this serial console open."),
    "SerialConsoleSessionUnavailableException": (Conflict, "AWS cannot open this serial console at the moment."),
    "EC2InstanceStateInvalidException": (Conflict, "Start the VM first."),
    "EC2InstanceTypeInvalidException": (Conflict, "AWS has no serial line for VMs of this size."),
    "EC2InstanceUnavailableException": (Conflict, "AWS cannot reach the VM at the moment."),
    "EC2InstanceNotFoundException": (NotFound, "The VM does not exist any more."),
    "BucketNotEmpty": (Conflict, "The bucket is not empty."),
    "BucketAlreadyExists": (AlreadyExists, "Somebody at AWS has a bucket of this name; they are unique world-wide."),
    "BucketAlreadyOwnedByYou": (AlreadyExists, "There is a bucket of this name already."),
    "OperationAborted": (Conflict, "AWS is still busy with this bucket; try again in a minute."),
    "NoSuchBucket": (NotFound, "There is no such bucket."),
    "NoSuchKey": (NotFound, "There is no such file in the bucket."),
    "404": (NotFound, "It does not exist at AWS."),
    "NoSuchHostedZone": (NotFound, "There is no such zone."),
    "InvalidChangeBatch": (InvalidRequest, "Route 53 does not take this record."),
    "InvalidRequest": (InvalidRequest, "AWS does not take these values."),
    "ValidationError": (InvalidRequest, "AWS does not take these values."),
    "TooManyBuckets": _QUOTA,
    "InternalError": (ProviderError, "AWS has a fault of its own at the moment."),
}

#: Where the code itself does not stand in the table: how it ends or begins.
_BY_SHAPE: tuple[tuple[re.Pattern[str], _Known], ...] = (
    (re.compile(r"^InvalidInstanceID\."), (NotFound, "The VM does not exist any more.")),
    (re.compile(r"^InvalidAMIID\."), (NotFound, "There is no such image.")),
    (re.compile(r"^(InvalidVolume(ID)?)\.(NotFound|Malformed)$"), (NotFound, "There is no such volume.")),
    (re.compile(r"^InvalidInstanceType"), (NotFound, "There is no such size.")),
    (re.compile(r"^InvalidKeyPair\.NotFound$"), (InvalidRequest, "The account has no such key pair.")),
    (re.compile(r"(Duplicate|AlreadyExists|AlreadyAssociated)(Exception)?$|^Duplicate"), (AlreadyExists, "")),
    (re.compile(r"(\.|_)?NotFound(Exception)?$|(\.|_)(Malformed|Unavailable|Unknown)$"), (NotFound, "")),
    (re.compile(r"(LimitExceeded|QuotaExceeded|MaxIOPSLimitExceeded)(Exception)?$|^TooMany"), _QUOTA),
    (re.compile(r"^Incorrect|InUse(Exception)?$|State$|InvalidState"), _STATE),
    (re.compile(r"^(Invalid|Missing|Malformed|Unknown|Validation)"), (InvalidRequest, "")),
)
_FORBIDDEN = frozenset(
    {"UnauthorizedOperation", "AccessDenied", "AccessDeniedException", "Client.UnauthorizedOperation"}
)
_NEEDS = re.compile(r"not authorized to perform:? ([a-z0-9-]+:[A-Za-z]+)")


def code_of(exc: BaseException) -> str:
    """The vendor's code of an error, also through our own class; empty for what came from elsewhere."""
    if isinstance(exc, ProviderError) and exc.__cause__ is not None:
        exc = exc.__cause__
    return str(exc.response.get("Error", {}).get("Code", "")) if isinstance(exc, ClientError) else ""


def is_forbidden(exc: BaseException) -> bool:
    """Whether the key lacks a permission, as opposed to being wrong."""
    return code_of(exc) in _FORBIDDEN


def translate(exc: Exception) -> ProviderError | None:
    """Ours for the SDK's; None for what is not known, which then leaves with its cause."""
    if isinstance(exc, ClientError):
        return _refusal(exc)
    detail = f"{type(exc).__name__}: {exc}"
    if isinstance(exc, SSLError):
        return Unreachable("The certificate of the endpoint is not trusted; is the authority right?", detail)
    if isinstance(exc, EndpointConnectionError):
        name_failed = "resol" in str(exc).lower() or "name or service" in str(exc).lower()
        hint = " Is the region right?" if name_failed else ""
        return Unreachable(f"AWS cannot be reached from the portal.{hint}", detail)
    if isinstance(exc, ConnectTimeoutError | ConnectionClosedError):
        return Unreachable("AWS cannot be reached from the portal.", detail)
    if isinstance(exc, ReadTimeoutError):
        return TimedOut("AWS did not answer in time.", detail)
    if isinstance(exc, HTTPClientError):
        return Unreachable("The connection to AWS broke.", detail)
    if isinstance(exc, NoCredentialsError | PartialCredentialsError):
        return AuthenticationFailed("There is no key: enter one, or give this machine a role.", detail)
    if isinstance(exc, ParamValidationError):
        return InvalidRequest("AWS does not take these values.", detail)
    if isinstance(exc, BotoCoreError) and "proxy" in detail.lower():
        return Unreachable("The proxy between the portal and AWS cannot be used.", detail)
    return None


def _refusal(exc: ClientError) -> ProviderError | None:
    error = exc.response.get("Error", {})
    code, message = str(error.get("Code", "")), str(error.get("Message", ""))
    detail = f"{exc.operation_name}: {code}: {message}"
    if exc.operation_name == "AssumeRole" and code in _FORBIDDEN:
        return AuthenticationFailed(
            "The role cannot be taken on: it does not trust this key, or it asks for another external ID.",
            detail,
            field="role_arn",
        )
    if code in _FORBIDDEN:
        needed = _NEEDS.search(message)
        action = needed.group(1) if needed else exc.operation_name
        return PermissionDenied(f"The access key lacks the permission “{action}”.", detail)
    if code == "SignatureDoesNotMatch" and "expired" in message.lower():
        return _CLOCK[0](_CLOCK[1], detail)
    known = _BY_CODE.get(code) or next((found for shape, found in _BY_SHAPE if shape.search(code)), None)
    if known is None:
        status = int(exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) or 0)
        if status in (502, 503, 504):
            return Unreachable("AWS does not answer at the moment.", detail)
        return None
    kind, reason = known
    return kind(reason, detail)


@contextmanager
def vendor_calls() -> Iterator[None]:
    """Only our errors leave this block."""
    with translated(translate):
        yield


def state_reason(reason: str, message: str = "") -> ProviderError:
    """Why AWS took a VM away again that it had begun, from the reason that it writes down ("Server.X", "Client.X")."""
    code = reason.partition(".")[2] or reason
    known = _BY_CODE.get(code)
    detail = f"{reason}: {message}"
    if known is not None and known[0] is not ProviderError:
        return known[0](known[1], detail)
    if "encrypt" in message.lower() or code == "InvalidSnapshot.NotFound":
        return InvalidRequest("AWS could not make its disks; may the key for encryption be used?", detail)
    return ProviderError("AWS began the VM and gave it up.", detail)


__all__ = ["code_of", "is_forbidden", "state_reason", "translate", "vendor_calls"]
