"""A VM's network cards (formatdomain.html#network-interfaces): written anew, found, and changed in place."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy

from providers.kvm.xml.build import Element, add, node, text_at
from providers.kvm.xml.elements import Card

#: Names that belong to one run of the VM.
_OF_THE_RUN = ("alias", "target")


def card_element(card: Card) -> Element:
    """An <interface>, as for define and for attach."""
    interface = node("interface", type_="bridge" if card.bridge else "network")
    if card.mac:
        add(interface, "mac", address=card.mac)
    add(interface, "source", network=card.network or None, bridge=card.bridge or None)
    if card.vlan is not None:
        add(add(interface, "vlan"), "tag", id=card.vlan)
    add(interface, "model", type_=card.model)
    if card.filter:
        _filter(interface, card.filter, card.filter_address)
    if card.isolated:
        add(interface, "port", isolated=True)
    if card.boot_order is not None:
        add(interface, "boot", order=card.boot_order)
    return interface


def find_card(root: Element, nic_id: str) -> Element | None:
    """The <interface> with this MAC, or with this alias where a card has no MAC."""
    for index, card in enumerate(root.iterfind("devices/interface")):
        mac = text_at(card, "mac/@address").lower()
        if nic_id.lower() == mac or (not mac and nic_id == (text_at(card, "alias/@name") or f"net{index}")):
            return card
    return None


def moved(card: Element, *, network: str = "", bridge: str = "") -> None:
    """Plug it into another network or bridge. What tells a switch's port belongs to the old one."""
    card.set("type", "bridge" if bridge else "network")
    for tag in ("source", "virtualport", "vlan"):
        _drop(card, tag)
    source = node("source", network=network or None, bridge=bridge or None)
    card.insert(1 if card.find("mac") is not None else 0, source)


def set_model(card: Element, model: str, *, keep_place: bool) -> None:
    """Another model; `keep_place` says that it fits into the same slot."""
    found = card.find("model")
    (add(card, "model") if found is None else found).set("type", model)
    # Rings and queues are the old model's.
    _drop(card, "driver")
    if not keep_place:
        _drop(card, "address")


def set_filter(card: Element, name: str, address: str = "") -> None:
    _drop(card, "filterref")
    if name:
        _filter(card, name, address)


def set_isolated(card: Element, isolated: bool) -> None:
    _drop(card, "port")
    if isolated:
        add(card, "port", isolated=True)


def set_vlan(card: Element, vlan: int | None) -> None:
    _drop(card, "vlan")
    if vlan is not None:
        add(add(card, "vlan"), "tag", id=vlan)


def set_link(card: Element, is_linked: bool) -> None:
    _drop(card, "link")
    if not is_linked:
        add(card, "link", state="down")


def vlan_of(card: Element) -> int | None:
    tag = text_at(card, "vlan[not(@trunk='yes')]/tag[1]/@id")
    return int(tag) if tag.isdigit() else None


def fresh(card: Element) -> Element:
    """A copy for an attach into the same slot."""
    copy = deepcopy(card)
    copy.tail = None
    for tag in _OF_THE_RUN:
        _drop(copy, tag)
    source = copy.find("source")
    if source is not None and source.get("network"):
        # What libvirt tells about the running card's port.
        for name in ("portid", "bridge"):
            if name in source.attrib:
                del source.attrib[name]
    return copy


def pending_cards(live: Element, after: Element) -> Iterator[str]:
    """One text for each card that will be another at the next start."""
    now, then = _by_mac(live), _by_mac(after)
    for mac in now.keys() - then.keys():
        yield f"Card {mac}: removed"
    for mac in then.keys() - now.keys():
        yield f"Card {mac}: added"
    for mac in now.keys() & then.keys():
        before, after_it = _facts(now[mac]), _facts(then[mac])
        for what, old in before.items():
            # Without a tag of its own a card has its network's, which the running document tells as well.
            if old != after_it[what] and (what != "VLAN" or after_it[what]):
                yield f"Card {mac}: {what} {old or 'none'} → {after_it[what] or 'none'}"


def _by_mac(root: Element) -> dict[str, Element]:
    cards = root.iterfind("devices/interface")
    return {mac: card for card in cards if (mac := text_at(card, "mac/@address").lower())}


def _facts(card: Element) -> dict[str, str]:
    return {
        "network": text_at(card, "source/@network") or text_at(card, "source/@bridge") or text_at(card, "source/@dev"),
        "model": text_at(card, "model/@type"),
        "filter": text_at(card, "filterref/@filter"),
        "isolated": text_at(card, "port/@isolated"),
        "VLAN": text_at(card, "vlan/tag[1]/@id"),
    }


def _filter(card: Element, name: str, address: str) -> None:
    reference = add(card, "filterref", filter=name)
    if address:
        # Without it libvirt takes the first address that the guest uses for its own.
        add(reference, "parameter", name="IP", value=address)


def _drop(card: Element, tag: str) -> None:
    for each in card.findall(tag):
        card.remove(each)
