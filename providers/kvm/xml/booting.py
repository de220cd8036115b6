"""How a VM starts, in its document: firmware, Secure Boot, order, menu, clock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from providers.base import InvalidRequest
from providers.kvm.xml.amounts import number_of
from providers.kvm.xml.build import Element, add, attribute_at, text_at
from providers.kvm.xml.edit import child, drop_all, drop_if_empty, put

#: libvirt's words for kinds of devices (os/boot/@dev) and ours.
KINDS = {"hd": "disk", "cdrom": "cdrom", "network": "network"}
#: What may carry <boot order="…">.
_BOOTABLE = ("disk", "interface", "hostdev", "redirdev")


def read_booting(root: Element) -> dict[str, Any]:
    found: dict[str, Any] = {"firmware": "uefi" if has_uefi(root) else "bios"}
    if has_secure_boot(root):
        found["secure_boot"] = True
    order = boot_order(root)
    if order:
        found["boot_order"] = order
    if attribute_at(root, "os/bootmenu", "enable") == "yes":
        found["boot_menu"] = True
    clock = attribute_at(root, "clock", "offset")
    if clock in {"utc", "localtime"}:
        found["clock"] = clock
    return found


def has_uefi(root: Element) -> bool:
    return attribute_at(root, "os", "firmware") == "efi" or attribute_at(root, "os/loader", "type") == "pflash"


def has_secure_boot(root: Element) -> bool:
    """As the document asks for it; where it names a firmware file itself, as that file is said to be."""
    asked = text_at(root, "os/firmware/feature[@name='secure-boot']/@enabled")
    return asked == "yes" if asked else attribute_at(root, "os/loader", "secure") == "yes"


def boot_order(root: Element) -> list[str]:
    """Names of devices in their order, or kinds of devices where the document names only those."""
    numbered = [
        (number_of(order.get("order"), 0), name)
        for device in root.iterfind("devices/*")
        if (order := device.find("boot")) is not None and (name := _name(device))
    ]
    if numbered:
        return [name for _, name in sorted(numbered)]
    kinds = [KINDS.get(boot.get("dev") or "", "") for boot in root.iterfind("os/boot")]
    return [kind for kind in kinds if kind]


def write_booting(root: Element, wanted: Mapping[str, Any]) -> None:
    system = child(root, "os")
    if "firmware" in wanted or "secure_boot" in wanted:
        uefi = wanted.get("firmware", "uefi" if has_uefi(root) else "bios") == "uefi"
        _firmware(root, system, uefi=uefi, secure=bool(wanted.get("secure_boot", uefi and has_secure_boot(root))))
    if "boot_order" in wanted:
        _order(root, system, wanted["boot_order"])
    if "boot_menu" in wanted:
        drop_all(system, "bootmenu")
        if wanted["boot_menu"]:
            add(system, "bootmenu", enable=True, timeout=3000)
    if wanted.get("clock"):
        # What belongs to other offsets only.
        put(root, "clock", offset=wanted["clock"], adjustment=None, basis=None, start=None, timezone=None)


def _firmware(root: Element, system: Element, *, uefi: bool, secure: bool) -> None:
    """libvirt chooses the file, and the place for what the firmware keeps."""
    if secure and not uefi:
        raise InvalidRequest("Secure Boot needs the firmware UEFI.", field="options.secure_boot")
    for tag in ("loader", "nvram", "firmware"):
        drop_all(system, tag)
    if not uefi:
        system.attrib.pop("firmware", "")
        return
    system.set("firmware", "efi")
    if "x86" in attribute_at(root, "os/type", "arch") or attribute_at(root, "os/type", "arch") == "i686":
        features = add(system, "firmware")
        if secure:
            add(features, "feature", enabled=True, name="enrolled-keys")
        add(features, "feature", enabled=secure, name="secure-boot")


def _order(root: Element, system: Element, words: Any) -> None:
    drop_all(system, "boot")
    devices = [device for device in root.iterfind("devices/*") if device.tag in _BOOTABLE]
    for device in devices:
        drop_all(device, "boot")
    number = 0
    for word in words:
        meant = [device for device in devices if word in (_kind(device), _name(device))]
        if not meant and word not in KINDS.values():
            raise InvalidRequest(f"It has no device “{word}” to start from.", field="options.boot_order")
        for device in meant:
            if device.find("boot") is None:
                number += 1
                add(device, "boot", order=number)
    drop_if_empty(root.find("os"))


def _kind(device: Element) -> str:
    if device.tag == "interface":
        return "network"
    if device.tag == "disk":
        return {"cdrom": "cdrom", "floppy": "floppy"}.get(device.get("device") or "", "disk")
    return ""


def _name(device: Element) -> str:
    """What a person calls it: a drive by its target, a card by its MAC address."""
    return (
        attribute_at(device, "target", "dev")
        if device.tag == "disk"
        else attribute_at(device, "mac", "address").lower()
    )
