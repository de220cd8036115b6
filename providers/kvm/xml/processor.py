"""The processor in a VM's document: model, flags, number, topology, pinning, NUMA cells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from providers.base import InvalidRequest
from providers.kvm.xml.amounts import mib_of, number_of
from providers.kvm.xml.build import Element, add, attribute_at
from providers.kvm.xml.edit import child, drop, drop_all, drop_if_empty, put
from providers.kvm.xml.memory import fit_cell, has_own_cell, slots_of

#: The word for a document that names no processor at all.
EMULATOR_DEFAULT = "emulator-default"
_AWAY = frozenset({"disable", "forbid"})
_TOPOLOGY = ("sockets", "cores", "threads")


def read_processor(root: Element) -> dict[str, Any]:
    """What differs from a plain processor, by the names of the options."""
    found: dict[str, Any] = {}
    cpu = root.find("cpu")
    model = (root.findtext("cpu/model") or "").strip()
    mode = cpu.get("mode", "") if cpu is not None else ""
    if mode in {"", "custom"}:
        found.update({"cpu_model": model} if model else {"cpu_mode": EMULATOR_DEFAULT})
    else:
        found["cpu_mode"] = mode
    if cpu is not None:
        flags = [
            ("-" if feature.get("policy") in _AWAY else "+") + (feature.get("name") or "")
            for feature in cpu.iterfind("feature")
        ]
        if flags:
            found["cpu_flags"] = flags
        topology = cpu.find("topology")
        if topology is not None:
            found.update({name: number_of(topology.get(name), 1) for name in _TOPOLOGY})
        cells = [f"{cell.get('cpus', '')}={mib_of(cell.get('memory'), cell.get('unit'))}" for cell in _cells(cpu)]
        # The one cell of a VM with slots for memory is not a wish of its own.
        if cells and not (slots_of(root) and has_own_cell(root)):
            found["numa"] = cells
    now, most = vcpus_of(root)
    if now != most:
        found["max_vcpus"] = most
    pins = {number_of(pin.get("vcpu"), -1): pin.get("cpuset", "") for pin in root.iterfind("cputune/vcpupin")}
    if pins:
        found["pinning"] = [f"{vcpu}={cpuset}" for vcpu, cpuset in sorted(pins.items())]
    return found


def vcpus_of(root: Element) -> tuple[int, int]:
    """The number now and the most there may be."""
    most = number_of((root.findtext("vcpu") or "").strip(), 1)
    return number_of(attribute_at(root, "vcpu", "current"), most), most


def write_vcpus(root: Element, now: int, most: int) -> None:
    put(root, "vcpu", most, current=now if now < most else None)
    # libvirt's own list of single CPUs must agree with the number; it makes the list again.
    drop_all(root, "vcpus")
    fit_cell(root)


def write_processor(root: Element, wanted: Mapping[str, Any]) -> None:
    """Change what is named. `cpu_mode` is libvirt's mode or EMULATOR_DEFAULT, never empty."""
    if wanted.get("cpu_model"):
        _custom(child(root, "cpu"), wanted["cpu_model"])
    elif "cpu_mode" in wanted or "cpu_model" in wanted:
        _mode(root, wanted.get("cpu_mode") or EMULATOR_DEFAULT)
    if "cpu_flags" in wanted:
        _flags(root, wanted["cpu_flags"])
    if set(_TOPOLOGY) & set(wanted):
        _topology(root, wanted)
    if "numa" in wanted:
        _numa(root, wanted["numa"])
    if "pinning" in wanted:
        _pinning(root, wanted["pinning"])
    drop_if_empty(root.find("cpu"))


def _custom(cpu: Element, model: str) -> None:
    cpu.set("mode", "custom")
    cpu.set("match", "exact")
    for name in ("check", "migratable"):
        cpu.attrib.pop(name, "")
    # Flags and vendor that came with another model's name may not fit this one's.
    drop_all(cpu, "vendor")
    put(cpu, "model", model)


def _mode(root: Element, mode: str) -> None:
    cpu = root.find("cpu") if mode == EMULATOR_DEFAULT else child(root, "cpu")
    if cpu is None or (mode != EMULATOR_DEFAULT and cpu.get("mode") == mode):
        return
    for name in ("match", "check", "migratable"):
        cpu.attrib.pop(name, "")
    for tag in ("model", "vendor"):
        drop_all(cpu, tag)
    if mode == EMULATOR_DEFAULT:
        cpu.attrib.pop("mode", "")
        drop_all(cpu, "feature")
    else:
        cpu.set("mode", mode)


def _flags(root: Element, flags: Any) -> None:
    wanted = {flag.lstrip("+-"): "disable" if flag.startswith("-") else "require" for flag in flags}
    cpu = root.find("cpu")
    if cpu is None or not (cpu.get("mode") or cpu.find("model") is not None):
        if wanted:
            raise InvalidRequest("Flags need a CPU that is chosen; choose one first.", field="options.cpu_flags")
        return
    for feature in list(cpu.iterfind("feature")):
        name = feature.get("name") or ""
        if name not in wanted:
            drop(feature)
            continue
        policy = wanted.pop(name)
        if (feature.get("policy") in _AWAY) != (policy == "disable"):
            feature.set("policy", policy)
    for name, policy in wanted.items():
        add(cpu, "feature", policy=policy, name=name)


def _topology(root: Element, wanted: Mapping[str, Any]) -> None:
    before = root.find("cpu/topology")
    values = {
        name: wanted.get(name, number_of(before.get(name), 0) if before is not None else 0) or 0 for name in _TOPOLOGY
    }
    if not any(values.values()):
        drop_all(root, "cpu/topology")
        return
    if not all(values.values()):
        missing = next(name for name, value in values.items() if not value)
        raise InvalidRequest("Give sockets, cores and threads, or none of them.", field=f"options.{missing}")
    put(child(root, "cpu"), "topology", dies=None, clusters=None, **values)


def _cells(cpu: Element) -> list[Element]:
    return list(cpu.iterfind("numa/cell"))


def _numa(root: Element, cells: Any) -> None:
    if not cells:
        drop_all(root, "cpu/numa")
        return
    numa = child(child(root, "cpu"), "numa")
    there = list(numa.iterfind("cell"))
    for surplus in there[len(cells) :]:
        drop(surplus)
    for index, text in enumerate(cells):
        cpus, _, memory = text.rpartition("=")
        cell = there[index] if index < len(there) else add(numa, "cell", id=index)
        for name, value in (("cpus", cpus), ("memory", str(int(memory) * 1024)), ("unit", "KiB")):
            cell.set(name, value)


def _pinning(root: Element, pins: Any) -> None:
    tune = root.find("cputune")
    if tune is None and not pins:
        return
    tune = child(root, "cputune")
    wanted = dict(pin.split("=", 1) for pin in pins)
    for pin in list(tune.iterfind("vcpupin")):
        cpuset = wanted.pop(pin.get("vcpu") or "", None)
        if cpuset is None:
            drop(pin)
        else:
            pin.set("cpuset", cpuset)
    for vcpu, cpuset in wanted.items():
        add(tune, "vcpupin", vcpu=vcpu, cpuset=cpuset)
    drop_if_empty(tune)
