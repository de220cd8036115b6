"""Which options this host can give a VM: for forms as choices and reasons, and as a check of what is asked for. No I/O.

What is refused here has its sentence; what only libvirt can know (whether CPU flags go together) it refuses itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from providers.base import InvalidRequest
from providers.kvm.hostfacts import HostFacts
from providers.kvm.options import KvmOptions, cpus_in

_MODES = {
    "host-passthrough": "the host's own (host-passthrough)",
    "host-model": "like the host's (host-model)",
    "maximum": "all that is emulated (maximum)",
    "emulator-default": "the emulator's default",
}
_HARDWARE = {"cpu_mode": "CPU mode", "cpu_model": "CPU model", "video": "screen", "machine": "machine"}
_SPICE = {"both": "VNC and SPICE", "spice": "SPICE"}
#: Values that ask nothing of the host, of options that some hosts refuse.
_HARMLESS = {"graphics": "vnc"}
_PAGES = {2048: "2 MiB", 1048576: "1 GiB"}


def options_of(values: Mapping[str, Any]) -> KvmOptions:
    """The options of this kind; raises InvalidRequest that names the wrong one."""
    try:
        return KvmOptions.model_validate(dict(values))
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in ("options", *first["loc"]))
        is_form = first["type"] == "string_pattern_mismatch"
        text = "This has not the right form" if is_form else str(first["msg"]).removeprefix("Value error, ")
        raise InvalidRequest(f"{text}.", field=where) from None


def choices(facts: HostFacts) -> dict[str, dict[str, str]]:
    """Of options whose values depend on the host: value → words."""
    found = {
        "cpu_mode": {"": "automatic"} | {mode: words for mode, words in _MODES.items() if _has_mode(facts, mode)},
        "cpu_model": {"": "none"} | {model: model for model in facts.cpu_models},
        "machine": {"": "automatic"} | {machine: machine for machine in facts.machines if machine != "virt"},
        "video": {"": "automatic"} | {video: video for video in _videos(facts)} | {"none": "none"},
        "graphics": {"": "automatic: VNC", "vnc": "VNC"} | (_SPICE if not _why_no_spice(facts) else {}),
        "hugepages": {"": "no"} | {str(size): _PAGES.get(size, f"{size} KiB") for size in facts.hugepages_kib},
        "pci_devices": {key: f"{key} {words}".strip() for key, words in facts.pci_devices},
        "usb_devices": {key: f"{key} {words}".strip() for key, words in facts.usb_devices},
    }
    return {name: values for name, values in found.items() if values}


def refusals(facts: HostFacts) -> dict[str, str]:
    """Options that this host cannot give, each with its reason."""
    found = {
        "secure_boot": "" if facts.has_secure_boot else "The host has no UEFI firmware with Secure Boot.",
        "tpm": "" if facts.has_tpm else "The host has no TPM emulator; it comes with the package swtpm.",
        "hugepages": "" if facts.hugepages_kib else "The host has set no huge pages aside.",
        "pci_devices": "" if facts.pci_devices else "The host has no IOMMU switched on, or nothing to hand over.",
        "usb_devices": "" if facts.usb_devices else "The host has no USB devices.",
        "shares": "" if facts.has_virtiofs else "The host has no virtiofsd, which shares folders with machines.",
        "firmware": "" if facts.has_efi and facts.is_x86 else "The host has one firmware only.",
        "graphics": _why_no_spice(facts),
        "clipboard": "" if facts.has_vdagent else "The host's QEMU or libvirt is too old, or was built without SPICE.",
        "watchdog": "" if facts.is_x86 else "There is none on this architecture.",
        "watchdog_action": "" if facts.is_x86 else "There is no watchdog on this architecture.",
    }
    return {name: reason for name, reason in found.items() if reason}


def check_options(wanted: Mapping[str, Any], facts: HostFacts) -> None:
    """Raise InvalidRequest, with its field, for what the host cannot give. `wanted` holds only what was asked for."""
    for name, reason in refusals(facts).items():
        if wanted.get(name) and wanted[name] != _HARMLESS.get(name):
            raise InvalidRequest(reason, field=f"options.{name}")
    offered = choices(facts)
    for name, word in _HARDWARE.items():
        value = wanted.get(name)
        if value and value not in offered.get(name, {}):
            raise InvalidRequest(f"The host has no {word} “{value}”.", field=f"options.{name}")
    if wanted.get("video") == "none" and wanted.get("graphics"):
        raise InvalidRequest("A machine without a screen has no protocol for it.", field="options.graphics")
    for name in ("pci_devices", "usb_devices"):
        missing = next((key for key in wanted.get(name, ()) if key not in offered.get(name, {})), None)
        if missing is not None:
            raise InvalidRequest(f"The host has no device “{missing}” to hand over.", field=f"options.{name}")
    if facts.max_vcpus and wanted.get("max_vcpus", 0) > facts.max_vcpus:
        raise InvalidRequest(f"The host's machines have at most {facts.max_vcpus} vCPUs.", field="options.max_vcpus")
    if facts.memory_mib and wanted.get("max_memory_mib", 0) > facts.memory_mib:
        raise InvalidRequest(f"The host has {facts.memory_mib} MiB of memory in all.", field="options.max_memory_mib")
    absent = cpus_in(wanted["numa_nodes"]) - facts.numa_nodes if wanted.get("numa_nodes") and facts.numa_nodes else ()
    if absent:
        raise InvalidRequest(f"The host has no NUMA node {min(absent)}.", field="options.numa_nodes")
    for pin in wanted.get("pinning", ()):
        beyond = cpus_in(pin.partition("=")[2]) - facts.cpus if facts.cpus else frozenset()
        if beyond:
            raise InvalidRequest(f"The host has no CPU number {min(beyond)}.", field="options.pinning")


def with_nodes(wanted: Mapping[str, Any], there: Mapping[str, Any], facts: HostFacts) -> dict[str, Any]:
    """What is wanted, with all NUMA nodes of the host where a way of using them is wanted and none are named."""
    nodes = wanted.get("numa_nodes", there.get("numa_nodes"))
    if wanted.get("numa_mode") and not nodes and facts.numa_nodes:
        return {**wanted, "numa_nodes": ",".join(map(str, sorted(facts.numa_nodes)))}
    return dict(wanted)


def check_room(wanted: Mapping[str, Any], *, vcpus: int, memory_mib: int) -> None:
    """Raise InvalidRequest for a most that is less than what the VM has; 0 is no room and always fits."""
    if 0 < wanted.get("max_vcpus", 0) < vcpus:
        raise InvalidRequest(f"It has {vcpus} CPUs; the most cannot be less.", field="options.max_vcpus")
    if 0 < wanted.get("max_memory_mib", 0) < memory_mib:
        raise InvalidRequest(
            f"It has {memory_mib} MiB of memory; the most cannot be less.", field="options.max_memory_mib"
        )


def check_whole(options: Mapping[str, Any], *, most_vcpus: int, memory_mib: int) -> None:
    """Raise InvalidRequest where options do not go together with the VM's size."""
    topology = [options.get(name) or 0 for name in ("sockets", "cores", "threads")]
    if any(topology) and topology[0] * topology[1] * topology[2] != most_vcpus:
        raise InvalidRequest(
            f"Sockets × cores × threads must be {most_vcpus}, the most CPUs that it can have.", field="options.sockets"
        )
    cells = [cell.rpartition("=") for cell in options.get("numa") or ()]
    if cells:
        given = [cpu for cpus, _, _ in cells for cpu in sorted(cpus_in(cpus))]
        if sorted(given) != list(range(most_vcpus)):
            raise InvalidRequest(
                f"The NUMA cells must have each of the CPUs 0 to {most_vcpus - 1} once.", field="options.numa"
            )
        if sum(int(memory) for _, _, memory in cells) != memory_mib:
            raise InvalidRequest(f"The NUMA cells must share all {memory_mib} MiB.", field="options.numa")
    for pin in options.get("pinning") or ():
        if int(pin.partition("=")[0]) >= most_vcpus:
            raise InvalidRequest(f"It has no CPU number {pin.partition('=')[0]}.", field="options.pinning")


def cpu_mode(wanted: str, facts: HostFacts) -> str:
    """The mode for a wish; for none the host's own processor under KVM. Emulation then offers all it has, since qemu64
    lacks what today's distributions require (x86-64-v2)."""
    if wanted:
        return wanted
    preferred = ("host-passthrough", "host-model") if facts.virt_type == "kvm" else ("maximum",)
    return next((mode for mode in preferred if mode in facts.cpu_modes), "emulator-default")


def video(wanted: str, facts: HostFacts) -> str:
    """The screen for a wish; for none virtio where the emulator has it."""
    if wanted:
        return wanted
    return "vga" if facts.videos and "virtio" not in facts.videos else "virtio"


def _why_no_spice(facts: HostFacts) -> str:
    if not facts.has_spice:
        return "The host's QEMU has no SPICE."
    # Without this address a viewer has no way to the host, and nothing should listen for it.
    return "" if facts.spice_address else "The provider has no SPICE address; an administrator can give it one."


def _has_mode(facts: HostFacts, mode: str) -> bool:
    return mode == "emulator-default" or mode in facts.cpu_modes


def _videos(facts: HostFacts) -> tuple[str, ...]:
    known = ("virtio", "vga", "bochs", "qxl")
    return tuple(video for video in known if not facts.videos or video in facts.videos)
