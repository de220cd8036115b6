"""Smaller devices in a VM's document: TPM, watchdog, random numbers, agent, screen, devices and folders of the host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from providers.kvm.xml.build import Element, add, attribute_at, text_at
from providers.kvm.xml.edit import child, drop, drop_all, put
from providers.kvm.xml.memory import share_memory
from providers.kvm.xml.screens import add_vnc, drop_spice

AGENT_CHANNEL = "org.qemu.guest_agent.0"


def read_extras(root: Element) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if root.find("devices/tpm") is not None:
        found["tpm"] = True
    watchdog = root.find("devices/watchdog")
    if watchdog is not None:
        found["watchdog"] = watchdog.get("model") or ""
        found["watchdog_action"] = watchdog.get("action") or "reset"
    found["rng"] = root.find("devices/rng") is not None
    found["agent"] = _agent(root) is not None
    found["video"] = attribute_at(root, "devices/video/model", "type") or "none"
    lists = {"pci_devices": _pci(root), "usb_devices": _usb(root), "shares": _shares(root)}
    return found | {name: list(there) for name, there in lists.items() if there}


def write_extras(root: Element, wanted: Mapping[str, Any], *, listen: str = "none") -> None:
    """Change what is named. `video` is a model or "none", never empty; `listen` is for a screen that is new."""
    devices = child(root, "devices")
    if "tpm" in wanted:
        drop_all(devices, "tpm")
        if wanted["tpm"]:
            tpm = add(
                devices, "tpm", model="tpm-crb" if "q35" in attribute_at(root, "os/type", "machine") else "tpm-tis"
            )
            add(tpm, "backend", type_="emulator", version="2.0")
    if "watchdog" in wanted or "watchdog_action" in wanted:
        _watchdog(devices, wanted)
    if "rng" in wanted:
        drop_all(devices, "rng")
        if wanted["rng"]:
            add_rng(devices)
    if "agent" in wanted:
        drop(_agent(root))
        if wanted["agent"]:
            add_agent(devices)
    if "video" in wanted:
        _video(devices, wanted["video"], listen)
    if "pci_devices" in wanted:
        _keep_only(devices, _pci(root), wanted["pci_devices"], _pci_element)
    if "usb_devices" in wanted:
        _keep_only(devices, _usb(root), wanted["usb_devices"], _usb_element)
    if "shares" in wanted:
        _keep_only(devices, _shares(root), wanted["shares"], _share_element)
        if wanted["shares"]:
            share_memory(root)


def add_rng(devices: Element) -> None:
    rng = add(devices, "rng", model="virtio")
    add(rng, "backend", "/dev/urandom", model="random")


def add_agent(devices: Element) -> None:
    channel = add(devices, "channel", type_="unix")
    add(channel, "target", type_="virtio", name=AGENT_CHANNEL)


def add_screen(devices: Element, model: str, listen: str, *, tablet: bool) -> None:
    if tablet:
        # An absolute pointer: without it the browser's pointer and the guest's part company.
        add(devices, "input", type_="tablet", bus="usb")
    add_vnc(devices, listen)
    video = add(devices, "video")
    add(video, "model", type_=model)


def _agent(root: Element) -> Element | None:
    target = root.find(f"devices/channel/target[@name='{AGENT_CHANNEL}']")
    return target.getparent() if target is not None else None


def _watchdog(devices: Element, wanted: Mapping[str, Any]) -> None:
    there = devices.find("watchdog")
    model = wanted.get("watchdog", there.get("model") if there is not None else "")
    if not model:
        drop(there)
        return
    action = wanted.get("watchdog_action") or (there.get("action") if there is not None else "") or "reset"
    changed = put(devices, "watchdog", action=action)
    if changed.get("model") != model:
        changed.set("model", model)
        # The other model sits on another bus.
        drop_all(changed, "address")


def _video(devices: Element, model: str, listen: str) -> None:
    if model == "none":
        drop_spice(devices)
        for tag in ("video", "graphics"):
            drop_all(devices, tag)
        return
    if devices.find("graphics") is None:
        drop_all(devices, "video")
        add_screen(devices, model, listen, tablet=devices.find("input[@type='tablet']") is None)
        return
    there = put(child(devices, "video"), "model")
    # Memory and heads are said per model.
    there.attrib.clear()
    there.set("type", model)
    for extra in list(there):
        drop(extra)


def _pci(root: Element) -> dict[str, Element]:
    found = {}
    for device in root.iterfind("devices/hostdev[@type='pci']"):
        address = device.find("source/address")
        if address is not None:
            numbers = [int(address.get(name) or "0", 0) for name in ("domain", "bus", "slot", "function")]
            found["{:04x}:{:02x}:{:02x}.{:x}".format(*numbers)] = device
    return found


def _usb(root: Element) -> dict[str, Element]:
    """By vendor and product; a device that is named by its socket is left to whoever wrote that."""
    found = {}
    for device in root.iterfind("devices/hostdev[@type='usb']"):
        vendor, product = attribute_at(device, "source/vendor", "id"), attribute_at(device, "source/product", "id")
        if vendor and product:
            found[f"{int(vendor, 0):04x}:{int(product, 0):04x}"] = device
    return found


def _shares(root: Element) -> dict[str, Element]:
    return {
        f"{text_at(system, 'target/@dir')}={text_at(system, 'source/@dir')}": system
        for system in root.iterfind("devices/filesystem")
        if attribute_at(system, "driver", "type") == "virtiofs" and attribute_at(system, "source", "dir")
    }


def _keep_only(devices: Element, there: Mapping[str, Element], wanted: Any, make: Any) -> None:
    for key, element in there.items():
        if key not in wanted:
            drop(element)
    for key in wanted:
        if key not in there:
            make(devices, key)


def _pci_element(devices: Element, address: str) -> None:
    device = add(devices, "hostdev", mode="subsystem", type_="pci", managed=True)
    domain, bus, rest = address.split(":")
    slot, function = rest.split(".")
    add(
        add(device, "source"),
        "address",
        domain=f"0x{domain}",
        bus=f"0x{bus}",
        slot=f"0x{slot}",
        function=f"0x{function}",
    )


def _usb_element(devices: Element, identity: str) -> None:
    vendor, product = identity.split(":")
    device = add(devices, "hostdev", mode="subsystem", type_="usb", managed=True)
    # Not there at the start must not keep the machine from starting.
    source = add(device, "source", startupPolicy="optional")
    add(source, "vendor", id=f"0x{vendor}")
    add(source, "product", id=f"0x{product}")


def _share_element(devices: Element, share: str) -> None:
    tag, _, folder = share.partition("=")
    system = add(devices, "filesystem", type_="mount", accessmode="passthrough")
    add(system, "driver", type_="virtiofs")
    add(system, "source", dir=folder)
    add(system, "target", dir=tag)
