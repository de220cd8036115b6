"""How callers of the contract write options of hardware, as the kinds' typed options write them."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from providers.base import InvalidRequest
from providers.kcontract.core import whole_number

#: Words for a CPU that are modes of the hypervisor and no models.
CPU_MODES = frozenset({"host-passthrough", "host-model", "maximum"})
_AWAY = frozenset({"disable", "forbid"})
#: A VM that is to grow while it runs can have so many times what it starts with, memory in so many steps.
ROOM, SLOTS = 4, 16


def shaped(key: str, value: Any, known: Iterable[str]) -> tuple[str, Any]:
    """Key and value as the options model takes them; what needs no other shape passes as it is."""
    if key == "cpumodel" and value in CPU_MODES and "cpu_mode" in known:
        return "cpu_mode", value
    shape = {
        "cpuflags": cpu_flags,
        "cpupinning": pinning,
        "numa": cells,
        "sharedfolders": shares,
    }.get(key)
    return key, shape(value) if shape else value


def expanded(
    wanted: Mapping[str, Any], known: Container[str], *, vcpus: int, memory_mib: int, most_mib: int
) -> dict[str, Any]:
    """Words of the contract that are several options of a kind, or say no number where its options want one.

    `most_mib` is what the host has in all; 0 where it does not tell.
    """
    found = dict(wanted)
    if "cpuhotplug" in found and "cpu_hotplug" not in known and "max_vcpus" in known:
        del found["cpuhotplug"]
        found.setdefault("max_vcpus", vcpus * ROOM)
    if "memoryhotplug" in found and "memory_hotplug" not in known and "max_memory_mib" in known:
        del found["memoryhotplug"]
        room = memory_mib * ROOM
        found.setdefault("max_memory_mib", min(room, most_mib) if most_mib else room)
        if "memory_slots" in known:
            found.setdefault("memory_slots", SLOTS)
    if "nested" in found and "nested" not in known and "cpu_flags" in known:
        del found["nested"]
        # Whichever of the two makers' words the host's processor knows.
        found["cpuflags"] = merged(cpu_flags(found.get("cpuflags", ())), ["-vmx", "-svm"])
    if "vnc" in found and "vnc" not in known and "video" in known:
        del found["vnc"]
        found.setdefault("video", "none")
    return found


def cpu_flags(value: Any, *, disable: bool = False) -> list[str]:
    """ "vmx", "-hle" or {"name": "vmx", "policy": "disable"} → "+vmx", "-hle"."""
    found = []
    for flag in _listed(value, "cpuflags"):
        if isinstance(flag, Mapping):
            is_away, name = flag.get("policy") in _AWAY, str(flag.get("name", ""))
        else:
            is_away, name = str(flag).startswith("-"), str(flag)
        found.append(("-" if is_away or disable else "+") + name.lstrip("+-"))
    return found


def pinning(value: Any) -> list[str]:
    """{"vcpus": "0-1", "hostcpus": "2-3"} → "0=2-3", "1=2-3"; texts pass."""
    found = []
    for pin in _listed(value, "cpupinning"):
        if not isinstance(pin, Mapping):
            found.append(str(pin))
            continue
        first, _, last = str(pin.get("vcpus", "")).partition("-")
        if "hostcpus" not in pin:
            raise InvalidRequest("cpupinning: each pin has “vcpus” and “hostcpus”.", field="cpupinning")
        numbers = range(whole_number(first, "vcpus"), whole_number(last or first, "vcpus") + 1)
        found += [f"{number}={pin['hostcpus']}" for number in numbers]
    return found


def cells(value: Any) -> list[str]:
    """{"vcpus": "0-1", "memory": 512} → "0-1=512"; texts pass."""
    found = []
    for cell in _listed(value, "numa"):
        is_mapping = isinstance(cell, Mapping)
        found.append(f"{cell.get('vcpus')}={cell.get('memory')}" if is_mapping else str(cell))
    return found


def shares(value: Any) -> list[str]:
    """ "/srv/data" → "data=/srv/data"; "tag=/path" passes."""
    return [
        share if "=" in share else f"{PurePosixPath(share).name}={share}"
        for share in map(str, _listed(value, "sharedfolders"))
    ]


def merged(there: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """CPU flags with these among them; the same name is said once."""
    names = {flag.lstrip("+-") for flag in wanted}
    return [*(flag for flag in there if flag.lstrip("+-") not in names), *wanted]


def _listed(value: Any, what: str) -> list[Any]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise InvalidRequest(f"{what} is a list.", field=what)
    return list(value)
