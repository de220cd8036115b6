"""What the guest agent tells of the system inside: its file systems, its name, who is signed in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, cast

from providers.base import Conflict, GuestFileSystem, GuestRecord
from providers.kvm.errors import has_code
from providers.kvm.native import LibvirtError, libvirt
from providers.kvm.xml.build import read
from providers.kvm.xml.buses import buses_are_counted_alike

#: How long the agent may take for each answer. One that is silent is not asked on.
_ANSWER_S = 1
#: How long one that is asked to do something may take for a word before.
_PROBE_S = 5
#: How long a guest may take to write out what its file systems hold back, and to stand still.
FREEZE_S = 60
_FILE_SYSTEMS = libvirt.VIR_DOMAIN_GUEST_INFO_FILESYSTEM
_ALL = (
    _FILE_SYSTEMS
    | libvirt.VIR_DOMAIN_GUEST_INFO_OS
    | libvirt.VIR_DOMAIN_GUEST_INFO_HOSTNAME
    | libvirt.VIR_DOMAIN_GUEST_INFO_USERS
)
#: An old agent knows fewer commands, and one may have been told not to answer some.
_NOT_ALL = (libvirt.VIR_ERR_OPERATION_UNSUPPORTED, libvirt.VIR_ERR_INTERNAL_ERROR)
_NAMES = ("AGENT_UNRESPONSIVE", "AGENT_UNSYNCED", "AGENT_COMMAND_TIMEOUT", "AGENT_COMMAND_FAILED")
#: Nobody answers, or nothing that helps. Older versions of libvirt know only some of these errors.
SILENT: tuple[int, ...] = tuple(
    getattr(libvirt, f"VIR_ERR_{name}") for name in _NAMES if hasattr(libvirt, f"VIR_ERR_{name}")
)

#: As virDomainGetGuestInfo gives them: "fs.count", "fs.0.mountpoint", "fs.0.disk.count" …
Told = Mapping[str, Any]


def ask(domain: Any) -> GuestRecord:
    """Ask; raises Conflict when there is nobody to answer."""
    if not domain.isActive():
        raise Conflict("The VM does not run.")
    try:
        told = _told(domain)
        return guest_record(told, names_disks=buses_are_counted_alike(read(domain.XMLDesc())))
    except LibvirtError as exc:
        if has_code(exc, libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED):
            raise Conflict("This machine has no channel for a guest agent.", str(exc)) from exc
        if has_code(exc, *SILENT):
            raise Conflict("No guest agent answers in this machine.", str(exc)) from exc
        raise


def answers(domain: Any) -> bool:
    """Whether the agent answers at all. One that did once and hangs now would keep libvirt waiting without end."""
    try:
        with answered_soon(domain, within_s=_PROBE_S):
            told = domain.guestInfo(libvirt.VIR_DOMAIN_GUEST_INFO_HOSTNAME)
    except LibvirtError as exc:
        if has_code(exc, *SILENT):
            return False
        if not has_code(exc, *_NOT_ALL):
            raise
        return True
    # libvirt 9.0 takes the first silence of an agent for an answer without a name.
    return bool(told)


@contextmanager
def answered_soon(domain: Any, *, within_s: int = _ANSWER_S) -> Iterator[None]:
    """What the agent is asked meanwhile may take so long. Others may want more, so libvirt has its patience back."""
    domain.agentSetResponseTimeout(within_s)
    try:
        yield
    finally:
        # A machine that has gone meanwhile has no patience to give back.
        with suppress(LibvirtError):
            domain.agentSetResponseTimeout(libvirt.VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK)


def thaw(domain: Any) -> None:
    """After a freeze that was given up: the guest may have begun it all the same."""
    with suppress(LibvirtError), answered_soon(domain):
        domain.fsThaw()


def _told(domain: Any) -> Told:
    with answered_soon(domain):
        try:
            return cast(Told, domain.guestInfo(_ALL))
        except LibvirtError as exc:
            if not has_code(exc, *_NOT_ALL):
                raise
            return cast(Told, domain.guestInfo(_FILE_SYSTEMS))


def guest_record(told: Told, *, names_disks: bool = True) -> GuestRecord:
    """Pure: from the flat answer to a record, without its disks where libvirt cannot know them."""
    users = [str(told[f"user.{number}.name"]) for number in _counted(told, "user") if told.get(f"user.{number}.name")]
    return GuestRecord(
        os=str(told.get("os.pretty-name") or told.get("os.name") or ""),
        hostname=str(told.get("hostname") or ""),
        users=tuple(dict.fromkeys(users)) if "user.count" in told else None,
        file_systems=tuple(_file_systems(told, names_disks)) if "fs.count" in told else None,
    )


def _file_systems(told: Told, names_disks: bool) -> Iterator[GuestFileSystem]:
    for number in _counted(told, "fs"):
        here = f"fs.{number}"
        total, used = told.get(f"{here}.total-bytes"), told.get(f"{here}.used-bytes")
        is_sized = total is not None and used is not None
        disks = [told.get(f"{here}.disk.{disk}.alias") for disk in _counted(told, f"{here}.disk")]
        yield GuestFileSystem(
            mount_point=str(told.get(f"{here}.mountpoint") or ""),
            type=str(told.get(f"{here}.fstype") or ""),
            total_bytes=total if is_sized else None,
            used_bytes=used if is_sized else None,
            # libvirt finds the disk by its place on the bus and tells its target, as in the VM's document.
            disks=tuple(dict.fromkeys(str(target) for target in disks if target)) if names_disks else (),
        )


def _counted(told: Told, what: str) -> range:
    return range(int(told.get(f"{what}.count") or 0))
