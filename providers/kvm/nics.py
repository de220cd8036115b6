"""Network cards of a VM: plugged in, changed, unplugged; now and for its next start."""

from __future__ import annotations

import errno
import time
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import dataclass
from itertools import count
from typing import Any
from uuid import UUID

from providers.base import AlreadyExists, Conflict, NicChange, Nics, NicSpec, NotFound, VmRecord
from providers.kvm import plugs, storage
from providers.kvm.creation import attempt, mac_of
from providers.kvm.design import BRIDGE_PREFIX, card, check_nic
from providers.kvm.errors import has_code, vendor_calls
from providers.kvm.inventory import Inventory
from providers.kvm.machines import KvmMachines
from providers.kvm.native import LibvirtError, libvirt
from providers.kvm.options import KvmOptions
from providers.kvm.part import Part
from providers.kvm.xml import cards
from providers.kvm.xml.build import Element, read, text_at, write

#: How long a guest may take to let go of a card. Linux does it within a second; one that still boots does not at all.
LET_GO_S = 15.0

#: How long the cable of a card that moves is out; long enough for a guest to see it.
CABLE_OUT_S = 0.5

_LIVE = libvirt.VIR_DOMAIN_AFFECT_LIVE
_CONFIG = libvirt.VIR_DOMAIN_AFFECT_CONFIG

#: Models for the old bus; a q35 machine takes them in only behind a bridge that it gets at a start.
_OLD_BUS = frozenset({"e1000", "rtl8139", "ne2k_pci", "pcnet"})


@dataclass(frozen=True)
class _Documents:
    """A VM as it runs and as it will start; None where it does not run, or has no definition."""

    live: Element | None
    kept: Element | None

    @classmethod
    def of(cls, domain: Any) -> _Documents:
        return cls(
            read(domain.XMLDesc(0)) if domain.isActive() else None,
            read(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)) if domain.isPersistent() else None,
        )

    @property
    def flags(self) -> int:
        return int((_LIVE if self.live is not None else 0) | (_CONFIG if self.kept is not None else 0))

    def cards(self, nic_id: str) -> tuple[Element | None, Element | None]:
        """The card now and at the next start; raises NotFound when neither has it."""
        found = tuple(cards.find_card(root, nic_id) if root is not None else None for root in (self.live, self.kept))
        if found == (None, None):
            raise NotFound("The VM has no such network card (any more).", nic_id)
        return found[0], found[1]

    def macs(self) -> dict[str, str]:
        """MAC → network, of all cards."""
        roots = [root for root in (self.kept, self.live) if root is not None]
        return {
            text_at(each, "mac/@address").lower(): network_of(each)
            for root in roots
            for each in root.iterfind("devices/interface")
        }


def network_of(element: Element) -> str:
    """external_id of the network that a card is in."""
    network, bridge = text_at(element, "source/@network"), text_at(element, "source/@bridge")
    return network or (BRIDGE_PREFIX + bridge if bridge else "")


class KvmNics(Part, Nics):
    """A card's identity is its MAC: aliases are given anew at each start, and positions move."""

    def add(self, external_id: str, nic: NicSpec) -> VmRecord:
        check_nic(nic)
        with vendor_calls():
            domain = self.domain(external_id)
            documents = _Documents.of(domain)
            macs = documents.macs()
            if nic.mac and macs.get(nic.mac.lower()) == nic.network:
                return self._record(domain)
            plug = plugs.plug_of(self.raw, nic.network)
            plugs.check_plug(self.raw, plug, filter_=nic.filter, isolated=nic.isolated, vlan=nic.vlan)
            uuid = UUID(external_id)
            free = next(mac for index in count() if (mac := mac_of(uuid, index)) not in macs)
            nic = nic.model_copy(update={"mac": nic.mac.lower() or free})
            self._refuse_taken(nic.mac)
            with ExitStack() as undo:
                given = plugs.keep_address(plug, nic, domain.name())
                if given is not None:
                    undo.callback(attempt, given)
                _attach(domain, write(cards.card_element(card(nic, KvmOptions()))), documents.flags)
                undo.pop_all()
            return self._record(domain)

    def remove(self, external_id: str, nic_id: str) -> VmRecord:
        with vendor_calls():
            domain = self.domain(external_id)
            documents = _Documents.of(domain)
            now, then = documents.cards(nic_id)
            if now is not None:
                _detach(domain, now, nic_id)
            if then is not None:
                domain.detachDeviceFlags(_text(then), _CONFIG)
            gone = now if now is not None else then
            if gone is not None:
                plugs.give_back(self.raw, network_of(gone), {text_at(gone, "mac/@address").lower()})
            return self._record(domain)

    def update(self, external_id: str, nic_id: str, change: NicChange) -> VmRecord:
        """The running card changes where libvirt and the machine allow it; the rest waits for the next start."""
        check_nic(NicSpec(network="", model=change.model or ""))
        with vendor_calls():
            domain = self.domain(external_id)
            documents = _Documents.of(domain)
            now, then = documents.cards(nic_id)
            any_card = then if then is not None else now
            if any_card is None:  # pragma: no cover - `cards` has raised
                raise NotFound
            self._check(any_card, change)
            if now is not None and not self._change_live(domain, documents, now, change) and then is None:
                raise Conflict("The running VM does not take this change; stop it first.")
            if then is not None:
                wanted = _changed(then, change, keep_place=_same_bus(documents.kept, then, change.model))
                if _text(wanted) != _text(then):
                    domain.updateDeviceFlags(_text(wanted), _CONFIG)
            before = network_of(any_card)
            if change.network not in (None, before):
                plugs.give_back(self.raw, before, {text_at(any_card, "mac/@address").lower()})
            return self._record(domain)

    # -- checks -----------------------------------------------------------------------------------------------------

    def _refuse_taken(self, mac: str) -> None:
        for _, known in Inventory.of(self.connection).everything():
            if any(each.mac == mac for each in known.machine.cards):
                raise AlreadyExists(f"“{known.machine.name}” has a card with this MAC already.", field="mac")

    def _check(self, element: Element, change: NicChange) -> None:
        """What the card will be must be what its network can do, also where only the network changes."""
        if change.network is None and change.filter is None and change.isolated is None and not change.vlan:
            return
        filter_ = text_at(element, "filterref/@filter") if change.filter is None else change.filter
        isolated = text_at(element, "port/@isolated") == "yes" if change.isolated is None else change.isolated
        # A tag belongs to the network that it was asked for in.
        vlan = cards.vlan_of(element) if change.vlan is None and change.network is None else change.vlan or None
        before = network_of(element)
        is_new = change.network not in (None, before)
        plug = plugs.plug_of(self.raw, change.network or before, is_new=is_new)
        plugs.check_plug(self.raw, plug, filter_=filter_, isolated=isolated, vlan=vlan)

    # -- a running card ---------------------------------------------------------------------------------------------

    def _change_live(self, domain: Any, documents: _Documents, now: Element, change: NicChange) -> bool:
        """True when the running card is as wished; False when it cannot be before the next start."""
        wanted = _changed(now, change, keep_place=True)
        if _text(wanted) == _text(now):
            return True
        if text_at(wanted, "model/@type") != text_at(now, "model/@type"):
            fits = _same_bus(documents.live, now, change.model)
            return fits and _replace(domain, now, wanted)
        try:
            if network_of(wanted) != network_of(now):
                _replug(domain, now, wanted)
            else:
                domain.updateDeviceFlags(_text(wanted), _LIVE)
        except LibvirtError as exc:
            if _is_not_for_running(exc):
                return False
            raise
        return True

    def _record(self, domain: Any) -> VmRecord:
        return KvmMachines(self.connection, self.config).record(domain)


def _is_not_for_running(error: Exception) -> bool:
    """Whether libvirt takes this change of a card only while the VM is off."""
    if has_code(error, libvirt.VIR_ERR_OPERATION_UNSUPPORTED, libvirt.VIR_ERR_CONFIG_UNSUPPORTED):
        return True
    # A port of Open vSwitch that is told to change is plugged into a Linux bridge by mistake (libvirt 9.0).
    vendor: Any = error
    return has_code(error, libvirt.VIR_ERR_SYSTEM_ERROR) and vendor.get_int1() == errno.EOPNOTSUPP


def _changed(element: Element, change: NicChange, *, keep_place: bool) -> Element:
    wanted = deepcopy(element)
    if change.network is not None and change.network != network_of(element):
        is_bridge = change.network.startswith(BRIDGE_PREFIX)
        name = change.network.removeprefix(BRIDGE_PREFIX)
        cards.moved(wanted, network="" if is_bridge else name, bridge=name if is_bridge else "")
    if change.model and change.model != text_at(element, "model/@type"):
        cards.set_model(wanted, change.model, keep_place=keep_place)
    if change.filter is not None and change.filter != text_at(element, "filterref/@filter"):
        cards.set_filter(wanted, change.filter)
    if change.isolated is not None:
        cards.set_isolated(wanted, change.isolated)
    if change.vlan is not None:
        cards.set_vlan(wanted, change.vlan or None)
    if change.is_linked is not None:
        cards.set_link(wanted, change.is_linked)
    return wanted


def _same_bus(root: Element | None, element: Element, model: str | None) -> bool:
    """Whether the other model fits into the slot of the card. In a machine without PCI Express everything does."""
    if root is None or model is None or root.find("devices/controller[@model='pcie-root']") is None:
        return True
    return (model in _OLD_BUS) == (text_at(element, "model/@type") in _OLD_BUS)


def _attach(domain: Any, document: str, flags: int) -> None:
    try:
        domain.attachDeviceFlags(document, flags)
    except LibvirtError as exc:
        if "No more available PCI" in str(exc) or "no free slot" in str(exc).lower():
            raise Conflict(
                "The running VM has no free slot for another card; stop it first.", str(exc), field="model"
            ) from exc
        raise


def _detach(domain: Any, element: Element, nic_id: str) -> None:
    """Unplug it from the running VM; raises Conflict when the guest does not let go, since libvirt only asks it to."""
    try:
        domain.detachDeviceFlags(_text(element), _LIVE)
    except LibvirtError as exc:
        # An earlier request that the guest has not answered yet.
        if "in the process of unplug" not in str(exc):
            raise

    def is_gone() -> bool:
        return cards.find_card(read(domain.XMLDesc(0)), nic_id) is None

    if not storage.wait_for(is_gone, LET_GO_S, interval_s=0.1):
        raise Conflict(
            "The guest does not let go of the card. Try again once the guest has started, or stop the VM first."
        )


def _replug(domain: Any, now: Element, wanted: Element) -> None:
    """Move a running card as hands would: pull the cable, plug it in elsewhere.

    A guest whose cable was never out has no reason to ask for another address.
    """
    without_cable = deepcopy(wanted)
    cards.set_link(without_cable, is_linked=False)
    domain.updateDeviceFlags(_text(without_cable), _LIVE)
    time.sleep(CABLE_OUT_S)
    try:
        domain.updateDeviceFlags(_text(wanted), _LIVE)
    except LibvirtError:
        domain.updateDeviceFlags(_text(now), _LIVE)
        raise


def _replace(domain: Any, now: Element, wanted: Element) -> bool:
    """Another model in place of a running card; False, with the old one back, when the machine does not take it."""
    _detach(domain, now, text_at(now, "mac/@address").lower())
    try:
        domain.attachDeviceFlags(_text(cards.fresh(wanted)), _LIVE)
    except LibvirtError:
        domain.attachDeviceFlags(_text(cards.fresh(now)), _LIVE)
        return False
    return True


def _text(element: Element) -> str:
    copy = deepcopy(element)
    copy.tail = None
    return write(copy)
