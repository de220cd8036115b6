"""The form that makes a network, and the one that changes it: what is wrong is said before anything is done."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from ipaddress import ip_network
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Q

from kvweb.accounts.models import Project
from networking import addresses, modes
from networking.action_forms import HOST_NAME
from networking.addresses import BadRange, Taken
from networking.models import Network
from providers.base import NetworkMode
from providers.base.specs import NetworkSpec
from providers.models import Provider
from providers.resource_forms import PLAIN, plain_name, text_field

#: Fields that belong to a range; they are read only where the mode has one.
RANGE_FIELDS = ("cidr", "dhcp", "dhcp_start", "dhcp_end", "ipv6_cidr", "domain")


def taken_at(provider: Provider, *, but: Network | None = None) -> list[Taken]:
    """The ranges of the provider's networks."""
    networks = Network.objects.filter(provider=provider, missing_since=None)
    # What was never made stands in nobody's way.
    networks = networks.exclude(~Q(problem=""), external_id="")
    if but is not None:
        networks = networks.exclude(pk=but.pk)
    return [Taken(network.name, cidr) for network in networks for cidr in network.cidrs]


class RangeForm(forms.Form):
    """The fields that can be changed later too. `mode` and `taken` come from the subclass."""

    cidr = text_field("Address range", "Empty: the provider takes a free one.")
    dhcp = forms.BooleanField(required=False, initial=True, label="Give out addresses (DHCP)")
    dhcp_start = text_field("First address given out", "")
    dhcp_end = text_field("Last address given out", "Both empty: all but the gateway's.")
    ipv6_cidr = text_field("IPv6 range", "A second range, such as fd00:20:30::/64.")
    domain = text_field("Domain", "Names of machines end with it, for instance lan.example.org.")
    forward_device = text_field("Let out by", "A device of the host, for instance eth0; empty: any.")
    bridge = text_field("Bridge of the host", "For instance br0. It must be there already.")
    vlan = forms.IntegerField(
        required=False, min_value=1, max_value=4094, label="VLAN", help_text="1 to 4094; empty: none."
    )
    mtu = forms.IntegerField(
        required=False, min_value=68, max_value=65535, label="MTU", help_text="Empty: the usual 1500."
    )
    autostart = forms.BooleanField(required=False, initial=True, label="Start with the host")

    @property
    def opens_more(self) -> bool:
        """Whether something stands in the fields that are folded away, or is wrong with them."""
        names = [name for name in ("domain", "ipv6_cidr", "forward_device", "mtu") if name in self.fields]
        return any(self[name].errors or self[name].value() for name in names)

    def mode_of(self, cleaned: dict[str, Any]) -> NetworkMode | None:
        raise NotImplementedError

    def taken(self, cleaned: dict[str, Any]) -> list[Taken]:
        raise NotImplementedError

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        mode = self.mode_of(cleaned)
        if mode is None:
            return cleaned
        if not modes.MODES[mode].has_range:
            cleaned.update(dict.fromkeys(RANGE_FIELDS, ""), dhcp=False)
        else:
            self._check_ranges(cleaned)
        if not modes.MODES[mode].goes_out and mode is not NetworkMode.BRIDGE:
            cleaned["forward_device"] = ""
        if mode is not NetworkMode.BRIDGE:
            cleaned["bridge"] = ""
        elif not cleaned.get("bridge") and not cleaned.get("forward_device"):
            self.add_error("bridge", "Name a bridge of the host.")
        return cleaned

    def _check_ranges(self, cleaned: dict[str, Any]) -> None:
        taken = self.taken(cleaned)
        network = self._read(cleaned, "cidr", taken, 4)
        self._read(cleaned, "ipv6_cidr", taken, 6)
        domain = cleaned.get("domain", "")
        if domain and not HOST_NAME.fullmatch(domain):
            self.add_error("domain", "This is no domain name.")
        start, end = cleaned.get("dhcp_start", ""), cleaned.get("dhcp_end", "")
        if not cleaned.get("dhcp") or not (start or end):
            cleaned["dhcp_start"] = cleaned["dhcp_end"] = ""
        elif network is None:
            if "cidr" not in self.errors:
                self.add_error("cidr", "Say which range the addresses are of.")
        elif not (start and end):
            self.add_error("dhcp_end" if start else "dhcp_start", "Give both ends, or none.")
        else:
            self._guard("dhcp_start", lambda: addresses.check_dhcp(network, start, end))

    def _read(
        self, cleaned: dict[str, Any], name: str, taken: Iterable[Taken], version: int
    ) -> addresses.AnyNetwork | None:
        """The range of one field; what is wrong with it, or who has it already, stands beside the field."""
        text = cleaned.get(name, "")
        if not text:
            return None
        found: addresses.AnyNetwork | None = self._guard(name, lambda: addresses.read_range(text, version=version))
        if found is None:
            return None
        other = addresses.overlap(found, taken)
        if other is not None:
            free = addresses.free_range(taken) if version == 4 else ""
            self.add_error(
                name, f"“{other.name}” has addresses of it ({other.cidr}).{f' {free} is free.' if free else ''}"
            )
        cleaned[name] = str(found)
        return found

    def _guard(self, name: str, work: Callable[[], Any]) -> Any:
        try:
            return work()
        except BadRange as exc:
            self.add_error(name, str(exc))
            return None


class NetworkForm(RangeForm):
    """A new network."""

    provider = forms.ModelChoiceField(
        Provider.objects.none(), to_field_name="uuid", empty_label=None, label="Provider",
        error_messages={"required": "Choose a provider.", "invalid_choice": "Choose a provider of the list."},
    )  # fmt: skip
    name = forms.CharField(
        max_length=63, label="Name", widget=forms.TextInput(PLAIN), error_messages={"required": "Give it a name."}
    )
    mode = forms.ChoiceField(
        initial="nat", label="Mode", error_messages={"required": "Choose one.", "invalid_choice": "Choose one."}
    )
    projects = forms.ModelMultipleChoiceField(
        Project.objects.none(), required=False, to_field_name="uuid", label="Who may use it",
        widget=forms.CheckboxSelectMultiple,
        help_text="None chosen: every project that may use the provider.",
    )  # fmt: skip

    field_order = ("provider", "name", "mode")

    def __init__(self, *args: Any, providers: Iterable[Provider], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.providers = list(providers)
        provider: Any = self.fields["provider"]
        provider.queryset = Provider.objects.filter(pk__in=[one.pk for one in self.providers])
        offered = {mode for one in self.providers if one.can.networks for mode in one.can.networks.modes}
        self.modes = [mode for mode in modes.MODES if mode in offered]
        mode_field: Any = self.fields["mode"]
        mode_field.choices = [(mode.value, modes.MODES[mode].label) for mode in self.modes]
        if self.modes and NetworkMode.NAT not in self.modes:
            self.initial.setdefault("mode", self.modes[0].value)
        projects: Any = self.fields["projects"]
        projects.queryset = Project.objects.filter(is_unassigned=False)
        self._keep_what_providers_can()

    def _keep_what_providers_can(self) -> None:
        """Fields that none of the providers understands are not offered."""
        features = [one.can.networks for one in self.providers if one.can.networks is not None]
        for name, flag in (
            ("ipv6_cidr", "ipv6"), ("vlan", "vlan"), ("mtu", "mtu"), ("forward_device", "forward_device"),
            ("dhcp_start", "dhcp_range"), ("dhcp_end", "dhcp_range"),
        ):  # fmt: skip
            if not any(getattr(one, flag) for one in features):
                del self.fields[name]

    @property
    def cards(self) -> list[dict[str, Any]]:
        chosen = self["mode"].value()
        return [
            {"name": mode.value, "words": modes.MODES[mode], "is_chosen": chosen == mode.value} for mode in self.modes
        ]

    def clean_name(self) -> str:
        return plain_name(self.cleaned_data["name"])

    def mode_of(self, cleaned: dict[str, Any]) -> NetworkMode | None:
        return NetworkMode(cleaned["mode"]) if cleaned.get("mode") else None

    def taken(self, cleaned: dict[str, Any]) -> list[Taken]:
        provider = cleaned.get("provider")
        return taken_at(provider) if provider is not None else []

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        provider, name, mode = cleaned.get("provider"), cleaned.get("name"), self.mode_of(cleaned)
        if provider is None:
            return cleaned
        known = Network.objects.filter(provider=provider, name=name, missing_since=None).exclude(external_id="")
        if name and known.exists():
            self.add_error("name", f"“{provider.name}” has a network called “{name}” already.")
        if mode is not None and mode not in provider.can.networks.modes:
            self.add_error("mode", f"“{provider.name}” has no networks of this mode.")
        return cleaned

    @property
    def spec(self) -> NetworkSpec:
        """Of a form that is valid."""
        return NetworkSpec(
            name=self.cleaned_data["name"],
            mode=NetworkMode(self.cleaned_data["mode"]),
            **{name: self.cleaned_data[name] for name in RangeForm.base_fields if name in self.cleaned_data},
        )

    @property
    def typed(self) -> dict[str, Any]:
        """What was typed, for trying again."""
        values = {
            name: self.data.get(name, "") for name in self.fields if name not in {"projects", "dhcp", "autostart"}
        }
        switches = {name: name in self.data for name in ("dhcp", "autostart")}
        return values | switches


class NetworkEditForm(RangeForm):
    """The same fields for a network that exists; only what was changed is sent."""

    def __init__(self, data: Any = None, *, network: Network) -> None:
        self.network = network
        super().__init__(data, initial=_facts(network))
        can = network.can.networks
        for name, flag in (
            ("ipv6_cidr", "ipv6"), ("vlan", "vlan"), ("mtu", "mtu"), ("forward_device", "forward_device"),
            ("dhcp_start", "dhcp_range"), ("dhcp_end", "dhcp_range"),
        ):  # fmt: skip
            if can is None or not getattr(can, flag):
                del self.fields[name]
        self.fields["cidr"].help_text = "A range that machines have addresses of should stay."

    def mode_of(self, cleaned: dict[str, Any]) -> NetworkMode | None:
        del cleaned
        return NetworkMode(self.network.mode)

    def taken(self, cleaned: dict[str, Any]) -> list[Taken]:
        del cleaned
        return taken_at(self.network.provider, but=self.network)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if not self.changes and not self.errors:
            raise ValidationError("Nothing is different from what it is.")
        return cleaned

    @property
    def changes(self) -> dict[str, Any]:
        """Names and values of what is different from what the network is now."""
        before = _facts(self.network)
        found = {
            name: self.cleaned_data[name]
            for name in self.fields
            if name in self.cleaned_data and (self.cleaned_data[name] or None) != (before[name] or None)
        }
        if "cidr" in found and found["cidr"] and not {"dhcp_start", "dhcp_end"} & set(found):
            # The old ends do not lie in the new range.
            first, last = addresses.dhcp_range(ip_network(found["cidr"]))
            found.update({"dhcp_start": str(first), "dhcp_end": str(last)} if self.cleaned_data.get("dhcp") else {})
        return found


def _facts(network: Network) -> dict[str, Any]:
    old = [cidr for cidr in network.cidrs if ":" not in cidr]
    new = [cidr for cidr in network.cidrs if ":" in cidr]
    return {
        "cidr": old[0] if old else "",
        "dhcp": bool(network.dhcp),
        "dhcp_start": network.dhcp_start,
        "dhcp_end": network.dhcp_end,
        "ipv6_cidr": new[0] if new else "",
        "domain": network.domain,
        "forward_device": network.forward_device,
        "bridge": network.bridge if network.mode == NetworkMode.BRIDGE else "",
        "vlan": network.vlan,
        "mtu": network.mtu,
        "autostart": network.autostart is not False,
    }
