"""Changing a document that exists: only what is named changes, everything else stays as it was written.

A VM may have been made by hand or by another tool, with elements that nothing here knows. So its tree is edited and
never written anew; comments, foreign namespaces and unknown attributes survive.
"""

from __future__ import annotations

from lxml import etree

from providers.base import InvalidRequest
from providers.kvm.xml.build import Element, Value, add

#: As in `build`, but blanks and CDATA stay: they belong to whoever wrote them.
_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False, strip_cdata=False)


def open_document(text: str) -> Element:
    """The root of a document that is to be changed; raises InvalidRequest for what is no XML."""
    try:
        return etree.fromstring(text.encode(), _PARSER)
    except etree.XMLSyntaxError as exc:
        raise InvalidRequest("The hypervisor's document cannot be read.", str(exc)) from exc


def close_document(root: Element) -> str:
    """The document as text, with comments that stand outside its root."""
    return etree.tostring(root.getroottree(), encoding="unicode")


def child(parent: Element, tag: str) -> Element:
    """The first child of this name, made at the end when there is none."""
    found = parent.find(tag)
    return found if found is not None else add(parent, tag)


def put(parent: Element, tag: str, text: Value = None, /, **attributes: Value) -> Element:
    """The child with this text and these attributes; None leaves the text, and takes an attribute away."""
    element = child(parent, tag)
    if text is not None:
        element.text = str(text)
    for name, value in attributes.items():
        key = name.rstrip("_")
        if value is None:
            element.attrib.pop(key, "")
        else:
            element.set(key, ("yes" if value else "no") if isinstance(value, bool) else str(value))
    return element


def drop(element: Element | None) -> None:
    """Take an element out; the text after it, which lxml counts as its own, stays."""
    parent = element.getparent() if element is not None else None
    if element is None or parent is None:
        return
    tail = element.tail or ""
    if tail.strip():
        before = element.getprevious()
        if before is not None:
            before.tail = (before.tail or "") + tail
        else:
            parent.text = (parent.text or "") + tail
    parent.remove(element)


def drop_all(root: Element, path: str) -> None:
    for element in list(root.iterfind(path)):
        drop(element)


def drop_if_empty(element: Element | None) -> None:
    """Take an element out that has neither attributes nor children any more."""
    if element is not None and not element.attrib and not len(element):
        drop(element)
