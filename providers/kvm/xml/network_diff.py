"""What must be told to libvirt so that a running network becomes another, without a restart where that can be."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from enum import Enum

from lxml import etree

from providers.kvm.xml.build import Element, write


class Section(Enum):
    """Sections that `virNetworkUpdate` takes, and of which it tells dnsmasq at once."""

    RANGE = "ip/dhcp/range"
    HOST = "ip/dhcp/host"
    DNS = "dns/host"


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """One call of `virNetworkUpdate`."""

    section: Section
    is_add: bool
    ip_index: int = -1
    document: str = ""


def updates(before: Element, after: Element) -> Sequence[Update] | None:
    """The calls that lead from one document to the other, or None when only a restart does.

    What is removed comes first, since an address or a name can only stand in one element.
    """
    if _rest(before) != _rest(after):
        return None
    pairs = [
        (Section.DNS, -1, _texts(before, "dns/host"), _texts(after, "dns/host")),
    ]
    for index, (old, new) in enumerate(zip(before.findall("ip"), after.findall("ip"), strict=True)):
        pairs += [
            (Section.HOST, index, _texts(old, "dhcp/host"), _texts(new, "dhcp/host")),
            (Section.RANGE, index, _texts(old, "dhcp/range"), _texts(new, "dhcp/range")),
        ]
    gone = [_update(section, False, at, text) for section, at, old, new in pairs for text in old if text not in new]
    # A host is only taken where DHCP is on already, so ranges come before hosts.
    come = [
        _update(section, True, at, text) for section, at, old, new in reversed(pairs) for text in new if text not in old
    ]
    return [*gone, *come]


def _update(section: Section, is_add: bool, ip_index: int, document: str) -> Update:
    return Update(section=section, is_add=is_add, ip_index=ip_index, document=document)


def _texts(element: Element, path: str) -> list[str]:
    return [write(_bare(each)) for each in element.findall(path)]


def _bare(element: Element) -> Element:
    copy = deepcopy(element)
    copy.tail = None
    return copy


def _rest(root: Element) -> bytes:
    """The document without what can be updated, and without what libvirt keeps for others."""
    copy = deepcopy(root)
    etree.strip_tags(copy, etree.Comment)
    for path in ("metadata", *(section.value for section in Section)):
        for element in copy.findall(path):
            _remove(element)
    for empty in (*copy.findall("ip/dhcp"), *copy.findall("dns")):
        if not len(empty) and not empty.attrib:
            _remove(empty)
    return canonical(copy)


def _remove(element: Element) -> None:
    parent = element.getparent()
    if parent is not None:
        parent.remove(element)


def canonical(root: Element) -> bytes:
    """A text that is equal for documents that differ in nothing but the order of elements and attributes."""
    return etree.tostring(_sorted(root), method="c14n")


def _sorted(element: Element) -> Element:
    copy = etree.Element(element.tag)
    copy.attrib.update(element.attrib)
    copy.text = (element.text or "").strip() or None
    copy.extend(sorted(map(_sorted, element), key=lambda child: etree.tostring(child, method="c14n")))
    return copy
