"""vSphere's faults as ours, by their TYPE: texts are translated by servers and differ between versions.

Types are those of the vSphere Web Services API (https://developer.broadcom.com/xapis/vsphere-web-services-api/latest/).
The nearest ancestor in the table counts, since every fault is a special case of another.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from contextlib import AbstractContextManager
from typing import Any

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
    translated,
)

_Known = tuple[type[ProviderError], str]

_BY_TYPE: dict[str, _Known] = {
    # who
    "vim.fault.InvalidLogin": (AuthenticationFailed, "The server refused the user or the password."),
    "vim.fault.PasswordExpired": (AuthenticationFailed, "The password of the account has expired."),
    "vim.fault.NotAuthenticated": (AuthenticationFailed, "The server ended the session."),
    "vim.fault.NoPermission": (PermissionDenied, "The account may not do this."),
    "vmodl.fault.SecurityError": (AuthenticationFailed, "The server refused the account."),
    # what
    "vmodl.fault.ManagedObjectNotFound": (NotFound, "It does not exist at the server any more."),
    "vim.fault.NotFound": (NotFound, "It does not exist at the server any more."),
    "vim.fault.FileNotFound": (NotFound, "The file is not on the datastore any more."),
    "vim.fault.InvalidDatastore": (NotFound, "There is no such datastore."),
    "vim.fault.DuplicateName": (AlreadyExists, "This name is taken."),
    "vim.fault.AlreadyExists": (AlreadyExists, "Something with this name exists already."),
    "vim.fault.FileAlreadyExists": (AlreadyExists, "There is a file of this name on the datastore already."),
    # how
    "vim.fault.InvalidName": (InvalidRequest, "The server does not take this name."),
    "vmodl.fault.InvalidRequest": (InvalidRequest, "The server does not understand this request."),
    "vmodl.fault.InvalidArgument": (InvalidRequest, "The server does not accept these values."),
    "vim.fault.VmConfigFault": (InvalidRequest, "The server does not accept this configuration of the VM."),
    "vim.fault.CustomizationFault": (InvalidRequest, "The guest cannot be set up like this."),
    "vim.fault.InvalidFolder": (InvalidRequest, "It cannot be put into this folder."),
    "vmodl.fault.NotSupported": (NotSupported, "The server cannot do this."),
    "vmodl.fault.NotImplemented": (NotSupported, "The server cannot do this."),
    "vmodl.fault.MethodNotFound": (NotSupported, "The server is too old for this."),
    "vim.fault.RestrictedVersion": (NotSupported, "The licence of this host does not let programs change anything."),
    "vmodl.fault.NotEnoughLicenses": (QuotaExceeded, "The licences are used up."),
    "vim.fault.LicenseEntityNotFound": (NotSupported, "The licence does not cover this."),
    # when
    "vim.fault.InvalidState": (Conflict, "The present state does not allow this."),
    "vim.fault.InvalidPowerState": (Conflict, "The VM is not in the power state that this needs."),
    "vim.fault.TaskInProgress": (Conflict, "Something else is being done with it; try again in a moment."),
    "vim.fault.ConcurrentAccess": (Conflict, "It was changed by somebody else at the same time; try again."),
    "vim.fault.ResourceInUse": (Conflict, "It is in use."),
    "vim.fault.FileLocked": (Conflict, "The file is in use."),
    "vim.fault.ToolsUnavailable": (Conflict, "VMware Tools do not run in the guest."),
    "vim.fault.SnapshotFault": (Conflict, "The state of the VM does not allow this snapshot."),
    "vim.fault.MigrationFault": (Conflict, "The VM cannot be moved there as it is."),
    "vmodl.fault.RequestCanceled": (Conflict, "It was broken off at the server."),
    "vim.fault.FileFault": (Conflict, "The datastore does not let this file be used."),
    # where
    "vim.fault.NoDiskSpace": (OutOfCapacity, "The datastore is full."),
    "vim.fault.InsufficientResourcesFault": (OutOfCapacity, "No host has room for this."),
    "vim.fault.NoCompatibleHost": (OutOfCapacity, "No host can take this VM."),
    "vim.fault.HostConnectFault": (Transient, "The VM's host does not answer to the vCenter."),
    "vmodl.fault.HostCommunication": (Transient, "The VM's host does not answer to the vCenter."),
    "vim.fault.Timedout": (TimedOut, "The server took too long."),
}

#: OpenSSL's verdicts (https://docs.openssl.org/3.0/man1/openssl-verification-options/).
_CERTIFICATE: dict[int, str] = {
    9: "The server's certificate is not valid yet; is the clock of one of the two wrong?",
    10: "The server's certificate has expired.",
    18: "The server signed its certificate itself. Give that certificate as the authority.",
    19: "The authority that signed the server's certificate is not known here. Give its certificate.",
    20: "The authority that signed the server's certificate is not known here. Give its certificate.",
    21: "The authority that signed the server's certificate is not known here. Give its certificate.",
    62: "The server's certificate is for another name than this address.",
    64: "The server's certificate is for another address than this one.",
}


class Answer(Exception):
    """The server answered with an HTTP status that has no meaning in SOAP."""

    def __init__(self, status: int, reason: str, retry_after: str = "") -> None:
        super().__init__(f"HTTP {status} {reason}")
        self.status = status
        self.retry_after = retry_after


def name_of(kind: type) -> str:
    """ "vim.fault.InvalidLogin" for a class of pyvmomi, whose own name says it all."""
    return kind.__name__


def fault_is(error: BaseException, *names: str) -> bool:
    """Whether it is one of these faults or a special case of one."""
    return bool({name_of(kind) for kind in type(error).__mro__} & set(names))


def translate(error: Exception) -> ProviderError | None:
    """One exception of the SDK or of the line as ours; None for anything unknown."""
    if isinstance(error, Answer):
        return _of_status(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = _CERTIFICATE.get(error.verify_code, "The server's certificate cannot be trusted.")
        return Unreachable(reason, str(error))
    if isinstance(error, ssl.SSLError):
        return Unreachable("No secure connection to the server could be made.", str(error))
    if isinstance(error, socket.gaierror):
        return Unreachable("The name of the server cannot be resolved.", str(error))
    if isinstance(error, ConnectionRefusedError):
        return Unreachable("Nothing listens at this address and port.", str(error))
    if isinstance(error, TimeoutError):
        return Unreachable("The server does not answer in time.", str(error))
    if isinstance(error, OSError | http.client.HTTPException):
        return Unreachable("The connection to the server is lost.", f"{type(error).__name__}: {error}")
    return _of_fault(error)


def _of_status(answer: Answer) -> ProviderError | None:
    detail = str(answer)
    if answer.status in (429, 503):
        seconds = float(answer.retry_after) if answer.retry_after.isdigit() else 5.0
        return RateLimited(detail=detail, retry_after_s=max(seconds, 1.0))
    if answer.status in (401, 403):
        return AuthenticationFailed(detail=detail)
    if answer.status in (301, 302, 307, 308, 404):
        return InvalidRequest("There is no vSphere interface at this address.", detail, field="host")
    if answer.status in (502, 504):
        return Unreachable("The server is there, but its service does not answer.", detail)
    return None


def _of_fault(error: Exception) -> ProviderError | None:
    for kind in type(error).__mro__:
        known = _BY_TYPE.get(name_of(kind))
        if known is not None:
            family, reason = known
            fault: Any = error
            detail = f"{name_of(type(error))}: {getattr(fault, 'msg', None) or ''}"
            if name_of(kind) == "vim.fault.NoPermission" and getattr(fault, "privilegeId", None):
                reason = f"The account lacks the privilege “{fault.privilegeId}”."
            if name_of(kind) == "vmodl.fault.InvalidArgument" and getattr(fault, "invalidProperty", None):
                detail += f" ({fault.invalidProperty})"
            return family(reason, detail)
    return None


def vendor_calls() -> AbstractContextManager[None]:
    """Around every use of the SDK: only our errors come out."""
    return translated(translate)
