"""What one VM of this kind may ask for beyond VmSpec: at its creation, and of most things later too.

`group`, `words`, `only` and `needs_admin` in a field's schema are for the form that is made of this model: under which
heading, the words for its values, "create" or "settings" for what can be said at one time only, and what reaches so far
into the host that only administrators may say it.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

PROCESSOR, MEMORY, START, DEVICES, HOST = "Processor", "Memory", "Start", "Devices", "From the host"

#: "0-3,^2": numbers and ranges, as libvirt's cpuset attributes take them.
CPUSET = r"\^?\d{1,4}(-\d{1,4})?(,\^?\d{1,4}(-\d{1,4})?)*"

CpuFlag = Annotated[str, StringConstraints(pattern=r"^[+-]?[a-z0-9][a-z0-9._-]{0,39}$", to_lower=True)]
Pin = Annotated[str, StringConstraints(pattern=rf"^\d{{1,4}}={CPUSET}$")]
Cell = Annotated[str, StringConstraints(pattern=rf"^{CPUSET}=\d{{1,9}}$")]
BootWord = Annotated[
    str, StringConstraints(pattern=r"^(disk|cdrom|network|[a-z]{2,3}[a-z]{0,2}|[0-9a-f]{2}(:[0-9a-f]{2}){5})$")
]
PciAddress = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$")]
UsbIdentity = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{4}:[0-9a-f]{4}$")]
#: The tag is what the guest mounts; QEMU takes at most 36 bytes.
Share = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,35}=/[^\x00-\x1f]{0,1000}$")]


def _shown(group: str, **more: Any) -> dict[str, Any]:
    return {"group": group, **more}


class KvmOptions(BaseModel):
    """`VmSpec.options` of this kind; every default leaves the choice to the design."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cpu_mode: Literal["", "host-passthrough", "host-model", "maximum", "emulator-default"] = Field(
        default="",
        title="CPU",
        description="Automatic: the host's own CPU under KVM, the fullest emulated one otherwise.",
        json_schema_extra=_shown(PROCESSOR),
    )
    cpu_model: str = Field(
        default="",
        max_length=60,
        pattern=r"^[A-Za-z0-9._-]*$",
        title="CPU model",
        description="A model by its name, the same on every host; it wins over “CPU”.",
        json_schema_extra=_shown(PROCESSOR),
    )
    cpu_flags: tuple[CpuFlag, ...] = Field(
        default=(),
        max_length=100,
        title="CPU flags",
        description="One a line: “+vmx” is added, “-hle” is taken away.",
        json_schema_extra=_shown(PROCESSOR),
    )
    max_vcpus: int = Field(
        default=0,
        ge=0,
        le=1024,
        title="Most CPUs",
        description="Up to so many can be added while it runs. 0: none.",
        json_schema_extra=_shown(PROCESSOR),
    )
    sockets: int = Field(
        default=0,
        ge=0,
        le=1024,
        title="Sockets",
        description="Sockets × cores × threads are the most CPUs it can have. 0: the emulator's choice.",
        json_schema_extra=_shown(PROCESSOR),
    )
    cores: int = Field(default=0, ge=0, le=1024, title="Cores per socket", json_schema_extra=_shown(PROCESSOR))
    threads: int = Field(default=0, ge=0, le=16, title="Threads per core", json_schema_extra=_shown(PROCESSOR))
    pinning: tuple[Pin, ...] = Field(
        default=(),
        max_length=1024,
        title="Pinned CPUs",
        description="One a line: “0=2-3” keeps the machine's first CPU on the host's third and fourth.",
        json_schema_extra=_shown(PROCESSOR, needs_admin=True),
    )
    max_memory_mib: int = Field(
        default=0,
        ge=0,
        le=16 * 1024 * 1024,
        title="Most memory (MiB)",
        description="Up to so much can be given while it runs, by its balloon. 0: none beyond its memory.",
        json_schema_extra=_shown(MEMORY),
    )
    memory_slots: int = Field(
        default=0,
        ge=0,
        le=32,
        title="Slots for memory",
        description="With slots, memory above what it has is plugged in while it runs, in steps of 128 MiB. "
        "0: its balloon gives it.",
        json_schema_extra=_shown(MEMORY),
    )
    numa: tuple[Cell, ...] = Field(
        default=(),
        max_length=64,
        title="NUMA cells",
        description="One a line: “0-1=512” is a cell of the first two CPUs and 512 MiB. All must be given out.",
        json_schema_extra=_shown(MEMORY),
    )
    numa_nodes: str = Field(
        default="",
        pattern=rf"^({CPUSET})?$",
        max_length=200,
        title="NUMA nodes of the host",
        description="Its memory comes from these: “0” or “0-1”. Empty: wherever the host has some.",
        json_schema_extra=_shown(MEMORY, needs_admin=True),
    )
    numa_mode: Literal["strict", "preferred", "interleave", "restrictive"] = Field(
        default="strict",
        title="How they are used",
        description="Counts where nodes of the host are chosen; without them all are meant.",
        json_schema_extra=_shown(
            MEMORY,
            needs_admin=True,
            words={
                "strict": "only these (strict)",
                "preferred": "these first (preferred)",
                "interleave": "by turns (interleave)",
                "restrictive": "as the host's cgroups say (restrictive)",
            },
        ),
    )
    hugepages: Literal["", "2048", "1048576"] = Field(
        default="",
        title="Huge pages",
        description="Its memory comes from pages that the host has set aside.",
        json_schema_extra=_shown(MEMORY, needs_admin=True, words={"": "no", "2048": "2 MiB", "1048576": "1 GiB"}),
    )
    machine: Literal["", "q35", "pc"] = Field(
        default="",
        title="Machine",
        description="Automatic: q35 where the emulator has it.",
        json_schema_extra=_shown(START, only="create"),
    )
    firmware: Literal["", "bios", "uefi"] = Field(
        default="",
        title="Firmware",
        description="A system that is installed starts with the firmware it was installed with.",
        json_schema_extra=_shown(START, only="settings", words={"bios": "BIOS", "uefi": "UEFI"}),
    )
    secure_boot: bool = Field(
        default=False,
        title="Secure Boot",
        description="UEFI starts only what is signed.",
        json_schema_extra=_shown(START),
    )
    tpm: bool = Field(
        default=False,
        title="TPM 2.0",
        description="An emulated security chip, as Windows 11 asks for.",
        json_schema_extra=_shown(START),
    )
    boot_order: tuple[BootWord, ...] = Field(
        default=(),
        max_length=32,
        title="Boot order",
        description="One a line: “disk”, “cdrom”, “network”, a drive as “vda” or a card by its MAC address.",
        json_schema_extra=_shown(START),
    )
    boot_menu: bool = Field(
        default=False,
        title="Boot menu",
        description="The firmware waits three seconds for a key.",
        json_schema_extra=_shown(START),
    )
    clock: Literal["", "utc", "localtime"] = Field(
        default="",
        title="Clock",
        description="Windows wants the local time.",
        json_schema_extra=_shown(START, words={"": "automatic: UTC", "utc": "UTC", "localtime": "local time"}),
    )
    disk_bus: Literal["", "virtio", "scsi", "sata"] = Field(
        default="", title="Disk bus", description="Automatic: virtio.", json_schema_extra=_shown(DEVICES, only="create")
    )
    nic_model: Literal["", "virtio", "e1000e", "e1000", "rtl8139"] = Field(
        default="",
        title="Card model",
        description="Automatic: virtio.",
        json_schema_extra=_shown(DEVICES, only="create"),
    )
    video: Literal["", "virtio", "vga", "bochs", "qxl", "none"] = Field(
        default="",
        title="Screen",
        description="Automatic: virtio where the emulator has it, else vga.",
        json_schema_extra=_shown(DEVICES),
    )
    graphics: Literal["", "vnc", "both", "spice"] = Field(
        default="",
        title="Screen protocol",
        description="VNC opens in the browser. SPICE is for a viewer on one's own computer, which must reach the host.",
        json_schema_extra=_shown(
            DEVICES, words={"": "automatic: VNC", "vnc": "VNC", "both": "VNC and SPICE", "spice": "SPICE"}
        ),
    )
    clipboard: bool = Field(
        default=False,
        title="Clipboard",
        description="Shared with the console where the guest has spice-vdagent. Under VNC the machine then cannot be "
        "moved or snapshotted with its memory while it runs, before QEMU 10.1.",
        json_schema_extra=_shown(DEVICES),
    )
    watchdog: Literal["", "i6300esb", "ib700"] = Field(
        default="",
        title="Watchdog",
        description="Acts when the guest stops asking it not to.",
        json_schema_extra=_shown(DEVICES, words={"": "none"}),
    )
    watchdog_action: Literal["", "reset", "shutdown", "poweroff", "pause", "none"] = Field(
        default="",
        title="Watchdog's action",
        description="Automatic: reset.",
        json_schema_extra=_shown(DEVICES),
    )
    rng: bool = Field(
        default=True,
        title="Random numbers",
        description="A virtio device that feeds the guest's generator.",
        json_schema_extra=_shown(DEVICES),
    )
    agent: bool = Field(
        default=True,
        title="Guest agent",
        description="The channel over which the guest's agent tells addresses and freezes file systems.",
        json_schema_extra=_shown(DEVICES),
    )
    pci_devices: tuple[PciAddress, ...] = Field(
        default=(),
        max_length=32,
        title="PCI devices",
        description="Handed to the machine while it runs; the host cannot use them then.",
        json_schema_extra=_shown(HOST, needs_admin=True),
    )
    usb_devices: tuple[UsbIdentity, ...] = Field(
        default=(),
        max_length=32,
        title="USB devices",
        description="Handed to the machine while it runs.",
        json_schema_extra=_shown(HOST, needs_admin=True),
    )
    shares: tuple[Share, ...] = Field(
        default=(),
        max_length=16,
        title="Shared folders",
        description="One a line: “data=/srv/data”; the guest mounts “data” as virtiofs.",
        json_schema_extra=_shown(HOST, needs_admin=True),
    )

    @field_validator("boot_order", "pinning", "pci_devices", "usb_devices", "shares")
    @classmethod
    def _each_once(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        keys = [value.partition("=")[0] for value in values]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            raise ValueError(f"“{twice}” is there twice")
        return values

    @model_validator(mode="after")
    def _whole_topology(self) -> KvmOptions:
        given = [name for name in ("sockets", "cores", "threads") if getattr(self, name)]
        if given and len(given) < 3 and {"sockets", "cores", "threads"} <= self.model_fields_set:
            raise ValueError("Give sockets, cores and threads, or none of them")
        return self


def cpus_in(cpuset: str) -> frozenset[int]:
    """The numbers that a cpuset names ("0-3,^2" → 0, 1, 3)."""
    found: set[int] = set()
    for part in cpuset.split(","):
        first, _, last = part.removeprefix("^").partition("-")
        numbers = range(int(first), int(last or first) + 1)
        found = found - set(numbers) if part.startswith("^") else found | set(numbers)
    return frozenset(found)


def is_cpuset(text: str) -> bool:
    return re.fullmatch(CPUSET, text) is not None
