"""Events: the property collector tells what changes, in one call that waits."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

from lxml import etree

from providers.base import Events, EventTopic, ProviderEvent, Unreachable
from providers.vsphere.errors import fault_is, vendor_calls
from providers.vsphere.native import MethodFault, vim, vmodl
from providers.vsphere.part import Part
from providers.vsphere.properties import Element, below, child, children, in_view, wanted

#: Whatever of these changes is a reason to read the VM again.
_PATHS = (
    "name",
    "runtime.powerState",
    "runtime.connectionState",
    "runtime.host",
    "config.template",
    "config.annotation",
    "config.changeVersion",
    "config.hardware.device",
    "guest.net",
    "snapshot",
)
_LONGEST_S = 20
_COLLECTOR: Any = vmodl.query.PropertyCollector


class VsphereEvents(Part, Events):
    def watch(self, report: Callable[[ProviderEvent], None], stop: threading.Event) -> None:
        """Waits at the server; a second line breaks the waiting off when `stop` is set."""
        with vendor_calls():
            collector = self.connection.content.propertyCollector.CreatePropertyCollector()
            spec = _COLLECTOR.FilterSpec(
                objectSet=[in_view(self.shown())], propSet=[wanted(vim.VirtualMachine, *_PATHS)]
            )
            collector.CreateFilter(spec, False)
        over = threading.Event()
        breaker = threading.Thread(target=self._break_off, args=(collector, stop, over), daemon=True)
        breaker.start()
        try:
            with vendor_calls():
                self._follow(collector, report, stop)
        finally:
            over.set()
            breaker.join(1.0)

    def _follow(self, collector: Any, report: Callable[[ProviderEvent], None], stop: threading.Event) -> None:
        wait_s = max(1, int(min(_LONGEST_S, self.config.timeout_s / 2)))
        options = _COLLECTOR.WaitOptions(maxWaitSeconds=wait_s, maxObjectUpdates=500)
        version, is_first = "", True
        while not stop.is_set():
            try:
                body = self.connection.stub.raw(collector, "WaitForUpdatesEx", version, options)
            except MethodFault as exc:
                if stop.is_set():
                    return
                if fault_is(exc, "vmodl.fault.ManagedObjectNotFound", "vim.fault.NotAuthenticated"):
                    raise Unreachable("The server ended the session.", str(exc)) from exc
                raise
            update = next(etree.fromstring(body, _parser()).iter("{urn:vim25}returnval"), None)
            if update is None:
                continue
            version = below(update, "version")
            if not is_first:
                for event in _events(update):
                    report(event)
            is_first = is_first and below(update, "truncated") == "true"

    def _break_off(self, collector: Any, stop: threading.Event, over: threading.Event) -> None:
        while not stop.wait(0.2):
            if over.is_set():
                return
        try:
            with vendor_calls():
                collector.CancelWaitForUpdates()
        except Exception:  # noqa: S110 - the waiting ends by itself a little later
            pass


def _parser() -> etree.XMLParser:
    return etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True)


def _events(update: Element) -> Iterator[ProviderEvent]:
    """One event for each VM, however often it is named."""
    seen: set[tuple[str, bool]] = set()
    for filtered in children(update, "filterSet"):
        for each in children(filtered, "objectSet"):
            obj, kind = child(each, "obj"), below(each, "kind")
            external_id, gone = (obj.text or "") if obj is not None else "", kind == "leave"
            if external_id and (external_id, gone) not in seen:
                seen.add((external_id, gone))
                yield ProviderEvent(topic=EventTopic.VM, external_id=external_id, gone=gone, hint=kind)
