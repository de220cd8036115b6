"""libvirt's errors as ours: one table, and the few cases where the code alone does not tell.

Codes are the published numbers of `virErrorNumber` and `virErrorDomain` (https://libvirt.org/html/libvirt-virterror.html).
libvirt's own text goes into `detail` only: it names paths and commands of the host.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from providers.base import (
    AlreadyExists,
    AuthenticationFailed,
    Conflict,
    InvalidRequest,
    NotFound,
    NotSupported,
    OutOfCapacity,
    ProviderError,
    TimedOut,
    Unreachable,
    translated,
)
from providers.kvm.native import LibvirtError, libvirt

T = TypeVar("T")

_Known = tuple[type[ProviderError], str]

_BY_CODE: dict[int, _Known] = {
    libvirt.VIR_ERR_NO_MEMORY: (OutOfCapacity, "The host has no memory left for this."),
    libvirt.VIR_ERR_NO_SUPPORT: (NotSupported, "This hypervisor cannot do this."),
    libvirt.VIR_ERR_UNKNOWN_HOST: (Unreachable, "The name of the host cannot be resolved."),
    libvirt.VIR_ERR_NO_CONNECT: (Unreachable, "The hypervisor does not answer."),
    libvirt.VIR_ERR_INVALID_CONN: (Unreachable, "The connection to the hypervisor is lost."),
    libvirt.VIR_ERR_INVALID_ARG: (InvalidRequest, "The hypervisor does not accept these values."),
    libvirt.VIR_ERR_XML_ERROR: (InvalidRequest, "The hypervisor does not accept these values."),
    libvirt.VIR_ERR_XML_DETAIL: (InvalidRequest, "The hypervisor does not accept these values."),
    libvirt.VIR_ERR_XML_INVALID_SCHEMA: (InvalidRequest, "The hypervisor does not accept these values."),
    libvirt.VIR_ERR_OS_TYPE: (InvalidRequest, "The hypervisor does not run this kind of system."),
    libvirt.VIR_ERR_INVALID_MAC: (InvalidRequest, "This is not a valid MAC address."),
    libvirt.VIR_ERR_OVERFLOW: (InvalidRequest, "A number is larger than the hypervisor can take."),
    libvirt.VIR_ERR_CONFIG_UNSUPPORTED: (InvalidRequest, "The hypervisor does not support this configuration."),
    libvirt.VIR_ERR_CPU_INCOMPATIBLE: (InvalidRequest, "The host's processor does not fit the wanted one."),
    libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED: (NotSupported, "This hypervisor cannot do this."),
    libvirt.VIR_ERR_OPERATION_UNSUPPORTED: (NotSupported, "This hypervisor cannot do this."),
    libvirt.VIR_ERR_DOM_EXIST: (AlreadyExists, "A VM with this name exists already."),
    libvirt.VIR_ERR_NETWORK_EXIST: (AlreadyExists, "A network with this name exists already."),
    libvirt.VIR_ERR_STORAGE_VOL_EXIST: (AlreadyExists, "A volume with this name exists already."),
    libvirt.VIR_ERR_STORAGE_POOL_BUILT: (AlreadyExists, "A storage pool exists there already."),
    libvirt.VIR_ERR_OPERATION_DENIED: (AuthenticationFailed, "The connection to the hypervisor may only read."),
    libvirt.VIR_ERR_AUTH_FAILED: (AuthenticationFailed, "The hypervisor refused the credentials."),
    libvirt.VIR_ERR_AUTH_CANCELLED: (AuthenticationFailed, "The hypervisor refused the credentials."),
    libvirt.VIR_ERR_AUTH_UNAVAILABLE: (AuthenticationFailed, "The hypervisor asks for a sign-in that is not set up."),
    libvirt.VIR_ERR_ACCESS_DENIED: (AuthenticationFailed, "The hypervisor does not allow this to the portal's user."),
    libvirt.VIR_ERR_RPC: (Unreachable, "The connection to the hypervisor is lost."),
    libvirt.VIR_ERR_GNUTLS_ERROR: (Unreachable, "No secure connection to the hypervisor could be made."),
    libvirt.VIR_ERR_SSH: (Unreachable, "No ssh connection to the hypervisor could be made."),
    libvirt.VIR_ERR_LIBSSH: (Unreachable, "No ssh connection to the hypervisor could be made."),
    libvirt.VIR_ERR_NO_DOMAIN: (NotFound, "The VM does not exist any more."),
    libvirt.VIR_ERR_NO_NETWORK: (NotFound, "The network does not exist any more."),
    libvirt.VIR_ERR_NO_STORAGE_POOL: (NotFound, "The storage pool does not exist any more."),
    libvirt.VIR_ERR_NO_STORAGE_VOL: (NotFound, "The volume does not exist any more."),
    libvirt.VIR_ERR_NO_INTERFACE: (NotFound, "The host's network card does not exist any more."),
    libvirt.VIR_ERR_NO_DOMAIN_SNAPSHOT: (NotFound, "The snapshot does not exist any more."),
    libvirt.VIR_ERR_NO_DOMAIN_METADATA: (NotFound, "The VM has no such metadata."),
    libvirt.VIR_ERR_DEVICE_MISSING: (NotFound, "The VM has no such device."),
    libvirt.VIR_ERR_OPERATION_INVALID: (Conflict, "The present state does not allow this."),
    libvirt.VIR_ERR_RESOURCE_BUSY: (Conflict, "Something else is at work on it; try again in a moment."),
    libvirt.VIR_ERR_OPERATION_ABORTED: (Conflict, "The operation was broken off at the hypervisor."),
    libvirt.VIR_ERR_SNAPSHOT_REVERT_RISKY: (Conflict, "The VM differs too much from this snapshot."),
    libvirt.VIR_ERR_BLOCK_COPY_ACTIVE: (Conflict, "One of its disks is being copied."),
    libvirt.VIR_ERR_AGENT_UNRESPONSIVE: (Conflict, "The guest's agent does not answer."),
    libvirt.VIR_ERR_AGENT_UNSYNCED: (Conflict, "The guest's agent does not answer."),
    libvirt.VIR_ERR_OPERATION_TIMEOUT: (TimedOut, "The hypervisor took too long."),
}

#: Errors of the transport arrive with a general code; only their origin tells that the line is dead.
_TRANSPORT = frozenset({libvirt.VIR_FROM_RPC, libvirt.VIR_FROM_REMOTE})
_GENERAL = frozenset({libvirt.VIR_ERR_INTERNAL_ERROR, libvirt.VIR_ERR_SYSTEM_ERROR, libvirt.VIR_ERR_OPERATION_FAILED})

#: What the C library of the host says for ENOSPC and EDQUOT, in the language that daemons run in. Helpers of libvirt
#: (qemu-img) hand on no number, only their text.
_NO_SPACE = ("No space left on device", "Disk quota exceeded")
#: What qemu-img and QEMU say of a qcow2 file of version 2.
_HAS_SNAPSHOTS = "Can't resize a v2 image which has snapshots"
#: Of devices of the host, shared folders and the like, in savevm and in a migration.
_STUCK_DEVICE = ("State blocked by non-migratable device", "Migration is disabled", "with attached host device")
#: What libvirt and QEMU say of a VM that cannot start, or take a device, as the host is; with a general code mostly.
_SAID_OF_THE_HOST: tuple[tuple[str, str], ...] = (
    (r"network '.*' is not active", "A network that this needs is switched off."),
    (r"storage pool '.*' is not active", "A storage pool that this needs is switched off."),
    (r"Cannot access (storage|backing) file .*: No such file", "A file of one of its disks is missing at the host."),
    (
        r"Cannot access (storage|backing) file .*: Permission",
        "The host's QEMU may not open a file of one of its disks.",
    ),
    (r'Failed to get ".*" lock', "One of its disks is in use already, by another machine or program."),
    (r"Image is not in \S+ format", "One of its disks is not of the format that its settings say."),
    (r"Cannot get interface MTU", "A bridge or device of the host that one of its cards needs is missing."),
    (r"referenced filter '.*' is missing", "The traffic filter of one of its cards is missing at the host."),
    (r"virtiofs export directory .* does not exist", "A folder of the host that it shares is missing."),
    (r"IDE controllers are unsupported", "This machine has no IDE; choose the bus sata."),
    (r"hugetlbfs filesystem is not mounted", "The host has no huge pages set up."),
    (r"does not support hotplugging", "This machine takes no such device while it runs; stop it first."),
)
_NO_MEMORY = ("Cannot allocate memory", "cannot set up guest memory")


def translate(error: Exception) -> ProviderError | None:
    """One exception of libvirt as ours; None for anything that is not libvirt's."""
    if not isinstance(error, LibvirtError):
        return None
    vendor: Any = error
    code, domain, number = vendor.get_error_code(), vendor.get_error_domain(), vendor.get_int1()
    text = str(vendor.get_error_message() or error)
    detail = f"libvirt {code}/{domain}: {text}"
    if any(words in text for words in _NO_SPACE) or (
        code == libvirt.VIR_ERR_SYSTEM_ERROR and number in {errno.ENOSPC, errno.EDQUOT}
    ):
        return OutOfCapacity("The storage of the host is full.", detail)
    if any(words in text for words in _NO_MEMORY):
        return OutOfCapacity("The host has no memory left for this.", detail)
    if domain in _TRANSPORT and (said := _said_of_the_line(text)) is not None:
        kind, reason = said
        return kind(reason, detail)
    if domain in _TRANSPORT and code in _GENERAL:
        if "authentication" in text.lower() or "permission denied" in text.lower():
            return AuthenticationFailed("The hypervisor refused the credentials.", detail)
        return Unreachable("The connection to the hypervisor is lost.", detail)
    if any(words in text for words in _STUCK_DEVICE):
        return Conflict("One of its devices cannot have its memory saved or moved while it runs.", detail)
    for pattern, said_of_host in _SAID_OF_THE_HOST:
        if re.search(pattern, text):
            return Conflict(said_of_host, detail)
    if _HAS_SNAPSHOTS in text:
        return Conflict("Its format cannot grow with snapshots inside; delete those first.", detail)
    if code == libvirt.VIR_ERR_SYSTEM_ERROR and number == errno.EFBIG:
        return InvalidRequest("The host's file system takes no file of this size.", detail)
    known = _BY_CODE.get(code)
    if known is None:
        return ProviderError("The hypervisor could not do this.", detail)
    kind, reason = known
    return kind(reason, detail)


def is_of_a_line(error: Exception) -> bool:
    """Whether it tells of a connection between two programs, and not of what was asked over it."""
    vendor: Any = error
    return vendor.get_error_domain() in _TRANSPORT


UNKNOWN_HOST_KEY = "The host's SSH key is not known."

#: What ssh and GnuTLS say of a line that could not be made, in the order in which it has to be looked for. libvirt
#: hands it on as its own text with a general code.
_SAID_OF_THE_LINE: tuple[tuple[str, _Known], ...] = (
    (
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        (AuthenticationFailed, "The host shows another SSH key than the known one: ask its owner before you go on."),
    ),
    ("Host key verification failed", (AuthenticationFailed, UNKNOWN_HOST_KEY)),
    (r"Permission denied \(", (AuthenticationFailed, "The host refused the portal's SSH key or user.")),
    ("Could not resolve hostname", (Unreachable, "The name of the host cannot be resolved.")),
    (r"port \d+: Connection refused", (Unreachable, "The host does not take connections at this port.")),
    (r"port \d+: Connection timed out", (Unreachable, "The host does not answer.")),
    (r"port \d+: No route to host", (Unreachable, "The host does not answer.")),
    ("Our own certificate", (AuthenticationFailed, "The TLS client certificate does not fit the given authority.")),
    ("owner does not match", (AuthenticationFailed, "The host's TLS certificate is for another name.")),
    ("expired", (AuthenticationFailed, "The host's TLS certificate has expired.")),
    ("is not trusted", (AuthenticationFailed, "The host's TLS certificate is not signed by the given authority.")),
    (
        "verify peer's certificate",
        (AuthenticationFailed, "The host's TLS certificate is not signed by the given authority."),
    ),
    ("TLS confirmation", (AuthenticationFailed, "The host did not accept the portal's TLS certificate.")),
    ("error in libcrypto", (AuthenticationFailed, "The SSH private key cannot be read; it must have no passphrase.")),
)


def _said_of_the_line(text: str) -> _Known | None:
    return next((known for pattern, known in _SAID_OF_THE_LINE if re.search(pattern, text)), None)


#: The object was removed, or switched off, by somebody else.
GONE = (
    libvirt.VIR_ERR_NO_DOMAIN,
    libvirt.VIR_ERR_NO_NETWORK,
    libvirt.VIR_ERR_NO_STORAGE_POOL,
    libvirt.VIR_ERR_NO_STORAGE_VOL,
    libvirt.VIR_ERR_NO_INTERFACE,
)


def vendor_calls() -> AbstractContextManager[None]:
    """Around every block that calls libvirt: only our errors leave it."""
    return translated(translate)


def has_code(error: Exception, *codes: int) -> bool:
    """Whether this is libvirt's error with one of these numbers."""
    if not isinstance(error, LibvirtError):
        return False
    vendor: Any = error
    return vendor.get_error_code() in codes


def still_there(found: Iterable[Any], read: Callable[[Any], T]) -> Iterator[T]:
    """Read each of the objects, passing over those that were removed since libvirt listed them."""
    for each in found:
        try:
            yield read(each)
        except LibvirtError as exc:
            if not has_code(exc, *GONE):
                raise
