"""Reading a VM's document, whoever wrote it: what is unknown is passed over, what is missing has a modest default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from providers.kvm.xml import note
from providers.kvm.xml.amounts import number_of
from providers.kvm.xml.build import Element, attribute_at, read, text_at
from providers.kvm.xml.cards import vlan_of
from providers.kvm.xml.elements import Note
from providers.kvm.xml.memory import built_in_mib, memory_of
from providers.kvm.xml.pending import pending
from providers.kvm.xml.shape import read_shape


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenDrive:
    target: str
    device: str = "disk"
    source: str = ""
    """Path, device or "pool/volume"; empty for a drive without a medium."""
    pool: str = ""
    volume: str = ""
    format: str = ""
    bus: str = ""
    boot: bool = False
    read_only: bool = False
    cache: str = ""
    shareable: bool = False
    backing: tuple[str, ...] = ()
    """Paths of the chain below, as far as a running VM's document tells them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenCard:
    alias: str
    """The alias that libvirt gave, else the position."""
    mac: str = ""
    kind: str = ""
    network: str = ""
    bridge: str = ""
    model: str = ""
    target: str = ""
    filter: str = ""
    isolated: bool = False
    vlan: int | None = None
    is_linked: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenGraphics:
    type: str
    port: int = -1
    listen: str = ""
    """Address, empty for none."""
    socket: str = ""
    password: str = ""
    tls_port: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenMachine:
    uuid: str
    name: str
    description: str = ""
    vcpus: int = 1
    vcpus_max: int = 1
    memory_mib: int = 0
    """What it has now; a balloon that is not blown up yet makes it more than was asked for."""
    memory_most_mib: int = 0
    memory_built_in_mib: int = 0
    """Less than the most where the rest can be plugged in."""
    """The most that it may have, which is what the host must keep for it."""
    virt_type: str = ""
    drives: tuple[SeenDrive, ...] = ()
    later_drives: tuple[SeenDrive, ...] = ()
    """What a running VM will have at its next start only."""
    cards: tuple[SeenCard, ...] = ()
    graphics: tuple[SeenGraphics, ...] = ()
    has_serial: bool = False
    agent_connected: bool = False
    note: Note = field(default_factory=Note)
    options: Mapping[str, Any] = field(default_factory=dict)
    """As at its next start."""
    pending: tuple[str, ...] = ()

    @property
    def all_drives(self) -> tuple[SeenDrive, ...]:
        """Now and at its next start: what must not be taken away."""
        return (*self.drives, *self.later_drives)


def read_machine(text: str, next_text: str = "") -> SeenMachine:
    """One domain document, and the one that it will start from where that may differ; raises InvalidRequest."""
    root = read(text)
    after = read(next_text) if next_text else root
    most = number_of(text_at(root, "vcpu"), 1)
    first_boot = text_at(root, "os/boot[1]/@dev")
    drives = tuple(_drive(disk, first_boot) for disk in root.iterfind("devices/disk"))
    return SeenMachine(
        uuid=text_at(root, "uuid"),
        name=root.findtext("name") or "",
        description=root.findtext("description") or "",
        vcpus=number_of(attribute_at(root, "vcpu", "current"), most),
        vcpus_max=most,
        memory_mib=memory_of(root)[0],
        memory_most_mib=memory_of(root)[1],
        memory_built_in_mib=built_in_mib(root),
        virt_type=root.get("type") or "",
        drives=drives,
        later_drives=_further(drives, after, first_boot) if next_text else (),
        cards=tuple(_card(card, index) for index, card in enumerate(root.iterfind("devices/interface"))),
        graphics=tuple(_graphics(graphics) for graphics in root.iterfind("devices/graphics")),
        has_serial=root.find("devices/console") is not None or root.find("devices/serial") is not None,
        agent_connected=root.find("devices/channel/target[@name='org.qemu.guest_agent.0'][@state='connected']")
        is not None,
        note=note.from_document(root),
        options=read_shape(after),
        pending=pending(root, after) if next_text else (),
    )


def _further(drives: tuple[SeenDrive, ...], after: Element, first_boot: str) -> tuple[SeenDrive, ...]:
    """Drives of the next start with a content that none of these has."""
    known = {(drive.source, drive.volume) for drive in drives} | {("", "")}
    later = (_drive(disk, first_boot) for disk in after.iterfind("devices/disk"))
    return tuple(drive for drive in later if (drive.source, drive.volume) not in known)


def _drive(disk: Element, first_boot: str) -> SeenDrive:
    device = disk.get("device") or "disk"
    source = disk.find("source")
    order = disk.find("boot")
    wanted = {"hd": "disk", "cdrom": "cdrom", "fd": "floppy"}.get(first_boot)
    return SeenDrive(
        target=attribute_at(disk, "target", "dev"),
        device=device,
        source=_where(source),
        pool=(source.get("pool") or "") if source is not None else "",
        volume=(source.get("volume") or "") if source is not None else "",
        format=attribute_at(disk, "driver", "type"),
        bus=attribute_at(disk, "target", "bus"),
        boot=order.get("order") == "1" if order is not None else wanted == device,
        read_only=disk.find("readonly") is not None,
        cache=attribute_at(disk, "driver", "cache"),
        shareable=disk.find("shareable") is not None,
        backing=tuple(_chain(disk)),
    )


def _where(source: Element | None) -> str:
    if source is None:
        return ""
    for name in ("file", "dev", "dir"):
        if source.get(name):
            return source.get(name) or ""
    if source.get("volume"):
        return f"{source.get('pool')}/{source.get('volume')}"
    return source.get("name") or ""


def _chain(disk: Element) -> list[str]:
    found = []
    step = disk.find("backingStore")
    while step is not None:
        where = _where(step.find("source"))
        if where:
            found.append(where)
        step = step.find("backingStore")
    return found


def _card(card: Element, index: int) -> SeenCard:
    source = card.find("source")
    return SeenCard(
        alias=attribute_at(card, "alias", "name") or f"net{index}",
        mac=attribute_at(card, "mac", "address").lower(),
        kind=card.get("type") or "",
        network=(source.get("network") or "") if source is not None else "",
        # A running card of a libvirt network names the bridge of that network too.
        bridge=(source.get("bridge") or source.get("dev") or "") if source is not None else "",
        model=attribute_at(card, "model", "type"),
        target=attribute_at(card, "target", "dev"),
        filter=attribute_at(card, "filterref", "filter"),
        isolated=attribute_at(card, "port", "isolated") == "yes",
        vlan=vlan_of(card),
        is_linked=attribute_at(card, "link", "state") != "down",
    )


def _graphics(graphics: Element) -> SeenGraphics:
    listen = graphics.find("listen")
    kind = listen.get("type") if listen is not None else "address"
    address = graphics.get("listen") or ""
    if listen is not None and kind in {"address", "network"}:
        address = listen.get("address") or address
    return SeenGraphics(
        type=graphics.get("type") or "",
        port=number_of(graphics.get("port") or "", -1),
        listen=address if kind not in {"none", "socket"} else "",
        socket=graphics.get("socket") or (listen.get("socket") or "" if listen is not None else ""),
        password=graphics.get("passwd") or "",
        tls_port=number_of(graphics.get("tlsPort") or "", -1),
    )
