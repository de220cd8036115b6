"""Reading properties of many objects with one call and its pages, straight from the answer's XML.

pyvmomi makes Python objects of every device of every VM, which takes longer than the server and the line together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from lxml import etree

from providers.vsphere.connection import Connection
from providers.vsphere.native import vim, vmodl

#: Objects on one page: few enough that a page's XML stays small, many enough that pages are few.
PAGE = 500
_COLLECTOR: Any = vmodl.query.PropertyCollector
_VIM = "{urn:vim25}"
_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"

Element = etree._Element


@dataclass(slots=True)
class Found:
    """One object with those of the asked properties that it has; each is the XML of a value."""

    kind: str
    id: str
    values: dict[str, Element]

    def text(self, path: str) -> str:
        value = self.values.get(path)
        return (value.text or "") if value is not None else ""

    def number(self, path: str) -> int | None:
        text = self.text(path)
        return int(text) if text else None

    def is_true(self, path: str) -> bool:
        return self.text(path) == "true"


def below(element: Element | None, path: str) -> str:
    """Text at a path below an element ("backing/fileName"), empty when there is none."""
    for tag in _tags(path):
        if element is None:
            return ""
        element = next(element.iterchildren(tag), None)
    return (element.text or "") if element is not None else ""


@cache
def _tags(path: str) -> tuple[str, ...]:
    return tuple(_VIM + step for step in path.split("/"))


def child(element: Element, name: str) -> Element | None:
    return next(element.iterchildren(_VIM + name), None)


def children(element: Element | None, name: str = "") -> Iterator[Element]:
    """The items of a list, or those children that have the name."""
    if element is None:
        return iter(())
    return element.iterchildren(_VIM + name if name else None)


def type_of(element: Element | None) -> str:
    """The vSphere type that an element says it has, without prefix."""
    if element is None:
        return ""
    name = element.get(_TYPE) or ""
    return name.rpartition(":")[2] if ":" in name else name


def wanted(kind: Any, *paths: str) -> Any:
    return _COLLECTOR.PropertySpec(type=kind, pathSet=list(paths))


def in_view(view: Any, *onwards: Any) -> Any:
    """All objects of a view, and what is reached from them."""
    return _COLLECTOR.ObjectSpec(obj=view, skip=True, selectSet=[step(vim.view.ContainerView, "view", *onwards)])


def one(obj: Any, *onwards: Any) -> Any:
    """One object, and what is reached from it."""
    return _COLLECTOR.ObjectSpec(obj=obj, skip=False, selectSet=list(onwards))


def step(kind: Any, path: str, *onwards: Any) -> Any:
    return _COLLECTOR.TraversalSpec(type=kind, path=path, skip=False, selectSet=list(onwards))


def retrieve(connection: Connection, objects: Sequence[Any], properties: Sequence[Any]) -> Iterator[Found]:
    """Every object with its properties, page by page. Raises the SDK's faults: inside `vendor_calls()`."""
    collector = connection.content.propertyCollector
    spec = _COLLECTOR.FilterSpec(objectSet=list(objects), propSet=list(properties))
    options = _COLLECTOR.RetrieveOptions(maxObjects=PAGE)
    body = connection.stub.raw(collector, "RetrievePropertiesEx", [spec], options)
    while True:
        result = _result(body)
        if result is None:
            return
        token = below(result, "token")
        for element in children(result, "objects"):
            yield _found(element)
        if not token:
            return
        body = connection.stub.raw(collector, "ContinueRetrievePropertiesEx", token)


def read_one(connection: Connection, obj: Any, *paths: str) -> Found:
    """One object's properties; raises ManagedObjectNotFound where it is gone."""
    return next(retrieve(connection, [one(obj)], [wanted(type(obj), *paths)]))


def typed(connection: Connection, obj: Any, path: str) -> Any:
    """One property as pyvmomi's objects, which is what a change must be sent back as; None when it is not set."""
    spec = _COLLECTOR.FilterSpec(objectSet=[one(obj)], propSet=[wanted(type(obj), path)])
    answer = connection.content.propertyCollector.RetrievePropertiesEx([spec], _COLLECTOR.RetrieveOptions())
    for each in answer.objects if answer else ():
        for found in each.propSet or ():
            return found.val
    return None


def parsed(body: bytes) -> Iterator[Element]:
    """Every value that a raw answer returns."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True, remove_comments=True)
    return etree.fromstring(body, parser).iter(f"{_VIM}returnval")


def _result(body: bytes) -> Element | None:
    return next(parsed(body), None)


def _found(element: Element) -> Found:
    obj = child(element, "obj")
    values: dict[str, Element] = {}
    for each in children(element, "propSet"):
        value = child(each, "val")
        if value is not None:
            values[below(each, "name")] = value
    return Found(
        kind=(obj.get("type") or "") if obj is not None else "",
        id=(obj.text or "") if obj is not None else "",
        values=values,
    )
