"""Memory in a VM's document: how much, the most, and where the host takes it from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from providers.kvm.xml.amounts import kib_of, mib_in
from providers.kvm.xml.build import Element, add
from providers.kvm.xml.edit import child, drop_all, drop_if_empty, put


def read_memory(root: Element) -> dict[str, Any]:
    found: dict[str, Any] = {}
    now, most = memory_of(root)
    if now != most:
        found["max_memory_mib"] = most
    pages = root.find("memoryBacking/hugepages")
    if pages is not None:
        page = pages.find("page")
        found["hugepages"] = str(kib_of(page.get("size"), page.get("unit")) if page is not None else 2048)
    return found


def memory_of(root: Element) -> tuple[int, int]:
    """MiB now and at most."""
    most = mib_in(root.find("memory"))
    return mib_in(root.find("currentMemory")) or most, most


def write_amount(root: Element, now_mib: int, most_mib: int) -> None:
    put(root, "memory", most_mib * 1024, unit="KiB")
    put(root, "currentMemory", now_mib * 1024, unit="KiB")


def write_memory(root: Element, wanted: Mapping[str, Any]) -> None:
    if "hugepages" in wanted:
        drop_all(root, "memoryBacking/hugepages")
        if wanted["hugepages"]:
            pages = add(child(root, "memoryBacking"), "hugepages")
            add(pages, "page", size=wanted["hugepages"], unit="KiB")
        drop_if_empty(root.find("memoryBacking"))


def share_memory(root: Element) -> None:
    """Let other processes of the host see it, as virtiofs needs."""
    backing = child(root, "memoryBacking")
    if backing.find("hugepages") is None and backing.find("source") is None:
        add(backing, "source", type_="memfd")
    put(backing, "access", mode="shared")
