"""The smallest builder that documents need: values are escaped by lxml, absent values leave no trace."""

from __future__ import annotations

from lxml import etree

from providers.base import InvalidRequest

Element = etree._Element

#: What an attribute or a text may be given as; None leaves it out.
Value = str | int | bool | None

#: lxml refuses to fetch anything for a document, and ours have no entities: they come from strangers' hypervisors.
_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False, remove_blank_text=True)


def node(tag: str, text: Value = None, /, **attributes: Value) -> Element:
    """A free element. A trailing underscore of a name is dropped (`type_`), True and False become yes and no."""
    element = etree.Element(tag)
    _fill(element, text, attributes)
    return element


def add(parent: Element, tag: str, text: Value = None, /, **attributes: Value) -> Element:
    """An element at the end of `parent`."""
    element = etree.SubElement(parent, tag)
    _fill(element, text, attributes)
    return element


def write(root: Element) -> str:
    """The document as text."""
    return etree.tostring(root, encoding="unicode")


def read(text: str) -> Element:
    """The root of a document; raises InvalidRequest for what is no XML."""
    try:
        return etree.fromstring(text.encode(), _PARSER)
    except etree.XMLSyntaxError as exc:
        raise InvalidRequest("The hypervisor's document cannot be read.", str(exc)) from exc


def text_at(root: Element, path: str) -> str:
    """Text or attribute at an XPath, stripped; empty when it is not there."""
    answer = root.xpath(path)
    found = (answer[0] if answer else "") if isinstance(answer, list) else answer
    if isinstance(found, etree._Element):
        return (found.text or "").strip()
    return str(found).strip()


def attribute_at(root: Element, path: str, name: str) -> str:
    """The attribute of the first element at a simple path; empty when it is not there. Costs a fifth of an XPath."""
    found = root.find(path)
    return "" if found is None else found.get(name) or ""


def _fill(element: Element, text: Value, attributes: dict[str, Value]) -> None:
    try:
        for name, value in attributes.items():
            if value is not None:
                element.set(name.rstrip("_"), _said(value))
        if text is not None:
            element.text = _said(text)
    except ValueError as exc:
        # Control characters cannot stand in XML 1.0, not even escaped.
        raise InvalidRequest("Control characters are not allowed here.", str(exc)) from exc


def _said(value: str | int | bool) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
