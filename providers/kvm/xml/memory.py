"""Memory in a VM's document: how much, the most, and where the host takes it from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from providers.base import InvalidRequest
from providers.kvm.xml.amounts import kib_of, mib_in, number_of
from providers.kvm.xml.build import Element, add, attribute_at, node
from providers.kvm.xml.edit import child, drop, drop_all, drop_if_empty, put

#: A Linux guest on x86 takes memory in blocks of this size.
MODULE_MIB = 128
#: The name of the module that holds the last of a VM's memory.
_LAST = "ua-kvweb-last-memory"


def read_memory(root: Element) -> dict[str, Any]:
    found: dict[str, Any] = {}
    now, most = memory_of(root)
    if now != most:
        found["max_memory_mib"] = most
    if slots_of(root):
        found["memory_slots"] = slots_of(root)
    tune = root.find("numatune/memory")
    if tune is not None:
        found["numa_mode"] = tune.get("mode", "strict")
        if nodes := tune.get("nodeset", ""):
            found["numa_nodes"] = nodes
    pages = root.find("memoryBacking/hugepages")
    if pages is not None:
        page = pages.find("page")
        found["hugepages"] = str(kib_of(page.get("size"), page.get("unit")) if page is not None else 2048)
    return found


def memory_of(root: Element) -> tuple[int, int]:
    """MiB now and at most."""
    built_in = built_in_mib(root)
    return mib_in(root.find("currentMemory")) or built_in, mib_in(root.find("maxMemory")) or built_in


def built_in_mib(root: Element) -> int:
    """All memory that the VM has as it is, modules included: what its balloon can give."""
    return mib_in(root.find("memory"))


def slots_of(root: Element) -> int:
    """How many modules can be plugged in, those that are there included."""
    most = root.find("maxMemory")
    return number_of(most.get("slots"), 0) if most is not None else 0


def write_amount(root: Element, now_mib: int, most_mib: int, slots: int | None = None) -> None:
    """Of the document that it starts from. With slots it starts with what it has now, and the rest is plugged in."""
    slots = slots_of(root) if slots is None else slots
    had = root.find("maxMemory")
    put(root, "currentMemory", now_mib * 1024, unit="KiB")
    for device in root.findall("devices/memory"):
        if attribute_at(device, "alias", "name") == _LAST:
            drop(device)
    if slots:
        put(root, "maxMemory", most_mib * 1024, unit="KiB", slots=slots)
        put(root, "memory", now_mib * 1024, unit="KiB")
        if now_mib == most_mib:
            # QEMU starts with slots only where something fits into them, so the last piece is in one.
            last = module(MODULE_MIB)
            add(last, "alias", name=_LAST)
            child(root, "devices").append(last)
        _fit_cell(root)
    else:
        drop(had)
        put(root, "memory", most_mib * 1024, unit="KiB")
        if had is not None and has_own_cell(root):
            drop_all(root, "cpu/numa")
            drop_if_empty(root.find("cpu"))


def write_slots(root: Element, slots: int) -> None:
    """Raises InvalidRequest where nothing can be plugged in: the most is what it has."""
    now, most = memory_of(root)
    if slots and most <= now:
        raise InvalidRequest(
            "Say the most memory that it can have; slots are for what is above its memory.",
            field="options.memory_slots",
        )
    write_amount(root, now, most, slots)


def has_own_cell(root: Element) -> bool:
    """Whether its one NUMA cell is there for the modules' sake: libvirt plugs them into a cell."""
    return len(root.findall("cpu/numa/cell")) == 1


def _fit_cell(root: Element) -> None:
    """The one cell has all CPUs and all memory but that of modules; several are left to who asked for them."""
    cells = root.findall("cpu/numa/cell")
    if len(cells) > 1:
        return
    cell = cells[0] if cells else add(child(child(root, "cpu"), "numa"), "cell", id=0)
    cpus = number_of((root.findtext("vcpu") or "").strip(), 1)
    cell.set("cpus", f"0-{cpus - 1}" if cpus > 1 else "0")
    cell.set("memory", str(cells_mib(root) * 1024))
    cell.set("unit", "KiB")


def cells_mib(root: Element) -> int:
    """What its NUMA cells share: all but modules."""
    return built_in_mib(root) - sum(mib_in(size) for size in root.iterfind("devices/memory/target/size"))


def fit_cell(root: Element) -> None:
    """After a change of the CPUs' number; nothing where there are no slots."""
    if slots_of(root):
        _fit_cell(root)


def module(size_mib: int) -> Element:
    """A module of memory, as for attach."""
    device = node("memory", model="dimm")
    target = add(device, "target")
    add(target, "size", size_mib * 1024, unit="KiB")
    add(target, "node", 0)
    return device


def write_memory(root: Element, wanted: Mapping[str, Any]) -> None:
    if "numa_nodes" in wanted or "numa_mode" in wanted:
        _write_nodes(root, wanted)
    if "hugepages" in wanted:
        drop_all(root, "memoryBacking/hugepages")
        if wanted["hugepages"]:
            pages = add(child(root, "memoryBacking"), "hugepages")
            add(pages, "page", size=wanted["hugepages"], unit="KiB")
        drop_if_empty(root.find("memoryBacking"))


def _write_nodes(root: Element, wanted: Mapping[str, Any]) -> None:
    """Nodes of the host; without any the way of using them says nothing either."""
    there = root.find("numatune/memory")
    nodes = wanted.get("numa_nodes", there.get("nodeset", "") if there is not None else "")
    if nodes:
        mode = wanted.get("numa_mode") or (there.get("mode") if there is not None else None) or "strict"
        # Nodes that are named and a daemon of the host's that chooses them exclude each other.
        put(child(root, "numatune"), "memory", mode=mode, nodeset=nodes, placement=None)
    else:
        drop(there)
        drop_if_empty(root.find("numatune"))


def share_memory(root: Element) -> None:
    """Let other processes of the host see it, as virtiofs needs."""
    backing = child(root, "memoryBacking")
    if backing.find("hugepages") is None and backing.find("source") is None:
        add(backing, "source", type_="memfd")
    put(backing, "access", mode="shared")
