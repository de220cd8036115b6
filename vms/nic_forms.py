"""What is asked before a network card is added, changed or removed."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any

from django import forms

from kvweb.accounts.actions import ActionForm
from networking.models import Network
from networking.selectors import usable
from providers.base import NicChange
from vms.create_rows import number
from vms.models import VirtualMachine
from vms.row_choice import RowChoice, offer

MAC = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}")


def nic_of(vm: VirtualMachine, external_id: str) -> dict[str, Any] | None:
    """One of its cards, as it was last told."""
    return next((nic for nic in vm.nics or [] if nic["external_id"] == external_id), None)


def _network_words(network: Network) -> str:
    return network.label


class CardForm(ActionForm):
    """What a new card and a changed one have in common; fields that the provider does not know are taken away."""

    subject: VirtualMachine
    body_template = "vms/_nic_form.html"
    is_wide = True

    network = RowChoice(words=_network_words, missing="Choose a network.", label="Network")
    model = forms.ChoiceField(
        required=False, label="Model", help_text="virtio is the fastest where the guest knows it."
    )
    filter = forms.ChoiceField(
        required=False,
        label="Traffic filter",
        help_text="“clean-traffic” stops the guest from using other addresses than its own.",
    )
    vlan = number(1, 4094, "", label="VLAN tag")
    isolated = forms.BooleanField(
        required=False,
        label="Isolated from other cards",
        help_text="It reaches the network’s router, and no other isolated card.",
    )

    def dress(self) -> None:
        can = self.subject.can.nics
        offer(self, "network", self.networks)
        self._offer("model", sorted(can.models, key=lambda one: (one != "virtio", one)) if can else [], "the usual one")
        self._offer("filter", sorted(can.filters) if can else [], "none", least=1)
        if not (can and can.vlan):
            del self.fields["vlan"]
        if not (can and can.isolation):
            del self.fields["isolated"]

    @cached_property
    def networks(self) -> Any:
        return usable(self.subject.provider, self.subject.project)

    def _offer(self, name: str, values: list[str], usual: str, least: int = 2) -> None:
        if len(values) < least:
            del self.fields[name]
            return
        self.fields[name].choices = [("", usual), *((value, value) for value in values)]  # type: ignore[attr-defined]

    @property
    def reason(self) -> str:
        return "" if self.networks.exists() else f"“{self.subject.provider}” has no network that is switched on."

    @property
    def choices(self) -> list[Any]:
        """What most people leave as it is."""
        return [self[name] for name in ("mac", "filter", "vlan") if name in self.fields]

    @property
    def switches(self) -> list[Any]:
        return [self[name] for name in ("is_linked", "isolated") if name in self.fields]


class AddNicForm(CardForm):
    mac = forms.CharField(
        required=False,
        max_length=17,
        label="Hardware address",
        widget=forms.TextInput(attrs={"placeholder": "automatic", "spellcheck": "false"}),
    )

    def clean_mac(self) -> str:
        mac = str(self.cleaned_data.get("mac") or "").strip().lower().replace("-", ":")
        if mac and not MAC.fullmatch(mac):
            raise forms.ValidationError("A hardware address looks like 52:54:00:12:34:56.")
        if mac and int(mac[:2], 16) & 1:
            raise forms.ValidationError("This is a group address; the first byte must be even.")
        return mac


class OneNic:
    """About one card, which the link names."""

    subject: VirtualMachine

    @cached_property
    def found(self) -> dict[str, Any] | None:
        is_bound, data, initial = (getattr(self, name) for name in ("is_bound", "data", "initial"))
        return nic_of(self.subject, str((data.get("nic") if is_bound else initial.get("nic")) or ""))

    def clean_nic(self) -> str:
        if self.found is None:
            raise forms.ValidationError("This card is not there any more.")
        return str(self.found["external_id"])


class ChangeNicForm(OneNic, CardForm):
    """Only what differs from the card is asked of the provider."""

    nic = forms.CharField(widget=forms.HiddenInput)
    is_linked = forms.BooleanField(
        required=False, label="Cable plugged in", help_text="Without it the guest sees a card whose link is down."
    )

    def dress(self) -> None:
        super().dress()
        can, nic = self.subject.can.nics, self.found or {}
        if not (can and can.link):
            del self.fields["is_linked"]
        if not (can and can.change_model):
            self.fields.pop("model", None)
        current = self.networks.filter(external_id=nic.get("network", "")).first()
        # A card in a network that is not ours to choose stays where it is unless another is chosen.
        if current is None or not (can and can.change_network):
            self.fields["network"].required = False
            offer(
                self, "network", self.networks if can and can.change_network else self.networks.none(), empty="as it is"
            )
        self.take("network", current.uuid if current else "")
        for name in ("model", "filter", "vlan", "isolated"):
            self.take(name, nic.get(name))
        self.take("is_linked", nic.get("is_linked", True))

    @property
    def title(self) -> str:
        return f"Change card {self.found['external_id']} of “{self.subject.name}”" if self.found else ""

    @property
    def reason(self) -> str:
        return "" if self.found else "This card is not there any more."

    def clean(self) -> dict[str, Any]:
        cleaned = dict(super().clean() or self.cleaned_data)
        nic = self.found or {}
        network = cleaned.pop("network", None)
        wanted: dict[str, Any] = {name: cleaned.pop(name) for name in NicChange.model_fields if name in cleaned}
        wanted["network"] = network.external_id if network else None
        if "vlan" in wanted:
            wanted["vlan"] = wanted["vlan"] or 0
        was = {"vlan": nic.get("vlan") or 0, "is_linked": nic.get("is_linked", True)}
        changed = {
            name: value
            for name, value in wanted.items()
            if value is not None and value != was.get(name, nic.get(name) or type(value)())
        }
        # "The usual one" is no model to change to.
        if changed.get("model") == "":
            del changed["model"]
        if not changed and not self.errors:
            self.add_error(None, "Nothing was changed.")
        return {"nic": cleaned.get("nic"), "change": NicChange(**changed)}


class RemoveNicForm(OneNic, ActionForm):
    subject: VirtualMachine

    nic = forms.CharField(widget=forms.HiddenInput)

    @property
    def title(self) -> str:
        return f"Remove card {self.found['external_id']} from “{self.subject.name}”?" if self.found else ""

    @property
    def question(self) -> str:
        addresses = ", ".join((self.found or {}).get("addresses") or [])
        return f"The machine is no longer reached at {addresses}." if addresses else "Its hardware address is given up."

    @property
    def reason(self) -> str:
        return "" if self.found else "This card is not there any more."


class AddressForm(OneNic, ActionForm):
    """About the public address of one card; a page may be older than what the card has."""

    subject: VirtualMachine
    nic = forms.CharField(widget=forms.HiddenInput)

    @property
    def reason(self) -> str:
        return "This card is not there any more." if self.found is None else self.objection(self.found)

    def objection(self, nic: dict[str, Any]) -> str:
        raise NotImplementedError

    def clean_nic(self) -> str:
        found = super().clean_nic()
        if self.reason:
            raise forms.ValidationError(self.reason)
        return found


class GiveAddressForm(AddressForm):
    @property
    def title(self) -> str:
        return f"Give “{self.subject.name}” a public address?"

    @property
    def question(self) -> str:
        return "Then it can be reached from outside, as far as its firewall lets anybody in."

    def objection(self, nic: dict[str, Any]) -> str:
        return "It has a public address already." if nic.get("public_address") else ""


class TakeAddressForm(AddressForm):
    @property
    def title(self) -> str:
        return f"Take the public address of “{self.subject.name}” away?"

    @property
    def question(self) -> str:
        address = (self.found or {}).get("public_address")
        return f"The machine is no longer reached at {address}, and somebody else may get the address."

    def objection(self, nic: dict[str, Any]) -> str:
        return "" if nic.get("public_address") else "The card has no public address."
