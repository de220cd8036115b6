"""What actions on a network ask for: an address to keep, names for the DNS, projects."""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from kvweb.accounts.actions import ActionForm
from kvweb.accounts.models import Project
from networking import addresses
from networking.models import Network
from providers.machines import machines_at
from providers.resource_forms import PLAIN

HOST_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*", re.IGNORECASE)


def ranges_of(network: Network) -> list[addresses.AnyNetwork]:
    return [ip_network(cidr, strict=False) for cidr in network.cidrs]


def names_in_cards(network: Network) -> set[str]:
    """By which cards tell the network they are plugged into."""
    return {name for name in (network.external_id, network.bridge) if name}


def has_card_in(machine_nics: list[dict[str, Any]], network: Network) -> list[dict[str, Any]]:
    """The cards that are plugged into the network."""
    names = names_in_cards(network)
    return [nic for nic in machine_nics if nic.get("network") in names]


class ReserveForm(ActionForm):
    """A card and the address that is kept for it."""

    body_template = "networking/_reserve_fields.html"

    mac = forms.CharField(
        label="Card", max_length=40, widget=forms.TextInput({**PLAIN, "list": "cards", "placeholder": "52:54:00:…"}),
        help_text="The MAC address of a machine's card.", error_messages={"required": "Whose address?"},
    )  # fmt: skip
    address = forms.CharField(
        label="Address", max_length=60, widget=forms.TextInput(PLAIN), error_messages={"required": "Which address?"}
    )
    name = forms.CharField(
        label="Name", max_length=120, required=False, widget=forms.TextInput(PLAIN),
        help_text="By which the network's DNS knows it; may stay empty.",
    )  # fmt: skip

    @property
    def title(self) -> str:
        return f"Keep an address in “{self.subject.name}”"

    def dress(self) -> None:
        network: Network = self.subject
        used = [lease.get("address", "") for lease in (*network.leases, *network.reservations)]
        ranges = ranges_of(network)
        if ranges:
            self.take("address", addresses.free_address(ranges[0], used))
            self.fields["address"].help_text = f"Inside {', '.join(map(str, ranges))}."
        self.cards = self._cards(network)

    def _cards(self, network: Network) -> list[tuple[str, str]]:
        """MAC and name of the machines' cards in this network, for the list of suggestions."""
        machines = machines_at(
            [network.provider_id], person=self.user, devices="nics", mentioning=names_in_cards(network)
        )
        found = [
            (str(nic.get("mac", "")), machine.name)
            for machine in machines
            if machine.is_visible
            for nic in has_card_in(machine.nics, network)
        ]
        return sorted((card for card in found if card[0]), key=lambda card: card[1])[:200]

    def clean_mac(self) -> str:
        try:
            return addresses.read_mac(self.cleaned_data["mac"])
        except addresses.BadRange as exc:
            raise ValidationError(str(exc)) from None

    def clean_address(self) -> str:
        try:
            address = addresses.read_address(self.cleaned_data["address"])
        except addresses.BadRange as exc:
            raise ValidationError(str(exc)) from None
        inside = [one for one in ranges_of(self.subject) if one.version == address.version and address in one]
        if not inside:
            raise ValidationError("It lies outside this network.")
        if address == addresses.gateway_of(inside[0]):
            raise ValidationError("It is the gateway's own.")
        return str(address)

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"].strip().lower()
        if name and not HOST_NAME.fullmatch(name):
            raise ValidationError("Use letters, digits and “-”.")
        return name

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        for kept in self.subject.reservations:
            if kept["address"] == cleaned.get("address") and kept["mac"] != cleaned.get("mac"):
                self.add_error("address", f"It is kept for {kept.get('name') or kept['mac']} already.")
        return cleaned


class ReleaseForm(ActionForm):
    """Which address is not to be kept any more; the row that it stands in names it."""

    mac = forms.CharField(max_length=40, widget=forms.HiddenInput)

    def _kept(self) -> dict[str, Any]:
        mac = self["mac"].value() or ""
        return next((kept for kept in self.subject.reservations if kept["mac"] == mac), {})

    @property
    def title(self) -> str:
        return f"Release {self._kept().get('address', 'an address')}"

    @property
    def question(self) -> str:
        kept = self._kept()
        return f"It is kept for {kept.get('name') or kept.get('mac')}. The card then gets any free address."

    @property
    def reason(self) -> str:
        return "" if self._kept() else "This address is not kept for anybody."

    def clean_mac(self) -> str:
        mac: str = self.cleaned_data["mac"]
        if not any(kept["mac"] == mac for kept in self.subject.reservations):
            raise ValidationError("This address is not kept for anybody.")
        return mac


class DnsForm(ActionForm):
    """All names at once, a line each: as people know them from /etc/hosts."""

    is_wide = True

    hosts = forms.CharField(
        label="Names",
        required=False,
        widget=forms.Textarea({"rows": 8, "spellcheck": "false", "class": "code", "placeholder": "10.20.30.5 printer"}),
        help_text="One line an address: the address, and its names after it.",
    )

    @property
    def title(self) -> str:
        return f"Names in “{self.subject.name}”"

    def dress(self) -> None:
        lines = [" ".join([host["address"], *host["names"]]) for host in self.subject.dns_hosts]
        self.take("hosts", "\n".join(lines))

    def clean_hosts(self) -> list[dict[str, Any]]:
        found: dict[str, list[str]] = {}
        for number, line in enumerate(self.cleaned_data["hosts"].splitlines(), 1):
            words = line.partition("#")[0].split()
            if not words:
                continue
            found.setdefault(self._address(number, words[0]), []).extend(self._names(number, words[1:]))
        return [{"address": address, "names": list(dict.fromkeys(names))} for address, names in found.items()]

    @staticmethod
    def _address(number: int, word: str) -> str:
        try:
            return str(addresses.read_address(word))
        except addresses.BadRange:
            raise ValidationError(f"Line {number}: “{word}” is no address.") from None

    @staticmethod
    def _names(number: int, words: list[str]) -> list[str]:
        if not words:
            raise ValidationError(f"Line {number}: say which names the address has.")
        for word in words:
            if not HOST_NAME.fullmatch(word):
                raise ValidationError(f"Line {number}: “{word}” is no host name.")
        return [word.lower() for word in words]


class OfferForm(ActionForm):
    projects = forms.ModelMultipleChoiceField(
        Project.objects.none(), required=False, to_field_name="uuid", label="Projects",
        widget=forms.CheckboxSelectMultiple,
        help_text="None chosen: every project that may use the provider. Machines that are plugged in stay so.",
    )  # fmt: skip

    @property
    def title(self) -> str:
        return f"Who may use “{self.subject.name}”"

    def dress(self) -> None:
        projects: Any = self.fields["projects"]
        projects.queryset = Project.objects.filter(is_unassigned=False)
        self.initial["projects"] = [project.uuid for project in self.subject.projects.all()]
