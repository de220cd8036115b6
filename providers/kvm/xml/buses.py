"""Whether a guest counts its PCI buses as its document does: by that libvirt finds the disk that an agent speaks of.

The document numbers buses as they were added, a guest as it finds them: through every bridge to its end before the next
one. They differ when a bridge stands behind another (an old PCI card on a q35 machine has one), and then libvirt names
another disk than the agent meant, or none.
"""

from __future__ import annotations

from collections.abc import Iterator

from providers.kvm.xml.build import Element

_ROOTS = frozenset({"pci-root", "pcie-root"})
#: What leads to one more bus. Expanders, which begin at a number of their own, are not among them.
_BRIDGES = frozenset(
    {
        "pci-bridge",
        "dmi-to-pci-bridge",
        "pcie-to-pci-bridge",
        "pcie-root-port",
        "pcie-switch-upstream-port",
        "pcie-switch-downstream-port",
    }
)


def buses_are_counted_alike(root: Element) -> bool:
    """Of a running VM's document."""
    behind: dict[int, list[tuple[int, int, int]]] = {}
    for controller in root.iterfind("devices/controller[@type='pci']"):
        model, address = controller.get("model"), controller.find("address")
        if model in _ROOTS:
            continue
        if model not in _BRIDGES or address is None:
            return False
        bus, slot, function = (int(address.get(name) or "0", 0) for name in ("bus", "slot", "function"))
        behind.setdefault(bus, []).append((slot, function, int(controller.get("index") or "0")))

    def found_below(bus: int) -> Iterator[int]:
        for *_, index in sorted(behind.get(bus, [])):
            yield index
            yield from found_below(index)

    found = list(found_below(0))
    return found == list(range(1, len(found) + 1))
