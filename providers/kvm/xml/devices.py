"""Reading the host's own devices, to show what is built in (https://libvirt.org/formatnode.html)."""

from __future__ import annotations

from dataclasses import dataclass

from providers.kvm.xml.amounts import number_of
from providers.kvm.xml.build import Element, read, text_at
from providers.kvm.xml.capabilities import read_node_device


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenDevice:
    sort: str
    """ "pci", "usb", "net" or "storage"."""
    name: str
    """How the host calls it: an address, "eth0", "/dev/sda"."""
    words: str = ""
    driver: str = ""


def read_device(text: str) -> SeenDevice | None:
    """None for what is none of the four sorts, such as a bus or the computer itself."""
    root = read(text)
    sort = text_at(root, "capability/@type")
    driver = text_at(root, "driver/name")
    if sort == "pci":
        name, words, _ = read_node_device(text)
        return SeenDevice(sort="pci", name=name, words=words or _numbers(root), driver=driver)
    if sort == "usb_device":
        name, words, _ = read_node_device(text)
        return SeenDevice(sort="usb", name=name, words=words, driver=driver)
    if sort == "net":
        state, speed = text_at(root, "capability/link/@state"), number_of(text_at(root, "capability/link/@speed"), 0)
        # A speed that is not known is the largest number of 32 bits.
        said = f"{speed} Mbit/s" if 0 < speed < 1_000_000 else ""
        words = ", ".join(filter(None, (text_at(root, "capability/address"), state, said)))
        return SeenDevice(sort="net", name=text_at(root, "capability/interface"), words=words, driver=driver)
    if sort == "storage":
        size_gib = number_of(text_at(root, "capability/size"), 0) / 2**30
        model = " ".join(filter(None, (text_at(root, f"capability/{tag}") for tag in ("vendor", "model"))))
        words = ", ".join(filter(None, (model, f"{size_gib:.0f} GiB" if size_gib >= 1 else "")))
        return SeenDevice(sort="storage", name=text_at(root, "capability/block"), words=words, driver=driver)
    return None


def _numbers(root: Element) -> str:
    """Vendor and product by their numbers, of a device that no list of names knows."""
    found = [text_at(root, f"capability/{tag}/@id").removeprefix("0x") for tag in ("vendor", "product")]
    return ":".join(found) if all(found) else ""
