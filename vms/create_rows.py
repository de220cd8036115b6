"""Rows of the create form: network cards, further disks, files and users of the guest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django import forms
from django.core.exceptions import ValidationError

from kvweb.accounts import sshkeys
from storage.models import Pool
from vms import validators
from vms.create_choices import ROUTED, Offer
from vms.specs import NicWish

MOST_NICS, MOST_DISKS, MOST_FILES, MOST_USERS = 8, 16, 16, 16

T = TypeVar("T")


def number(least: int, most: int, unit: str, **options: Any) -> forms.IntegerField:
    return forms.IntegerField(
        required=False,
        min_value=least,
        max_value=most,
        error_messages={
            "invalid": "A whole number, please.",
            "min_value": f"At least {least} {unit}.",
            "max_value": f"At most {most} {unit}.",
        },
        **options,
    )


class Row(forms.Form):
    """A row that was sent is meant, also when it says no more than the usual: Django would pass over such a one."""

    def __init__(self, *args: Any, offer: Offer, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "empty_permitted": False})
        self.offer = offer


class NicForm(Row):
    """One network card."""

    network = forms.CharField(label="Network", error_messages={"required": "Choose a network."})
    address = forms.CharField(label="Fixed address", required=False, max_length=60)
    gateway = forms.CharField(label="Gateway", required=False, max_length=60)
    address6 = forms.CharField(label="IPv6 address", required=False, max_length=60)
    gateway6 = forms.CharField(label="IPv6 gateway", required=False, max_length=60)
    dns = forms.CharField(label="Name servers", required=False, max_length=300)

    def __init__(self, *args: Any, offer: Offer, **kwargs: Any) -> None:
        super().__init__(*args, offer=offer, **kwargs)
        self.fields["network"].widget = forms.Select(choices=[(str(one.uuid), one.label) for one in offer.networks])
        self.fields["address"].widget.attrs["placeholder"] = "automatic"
        self.fields["gateway"].widget.attrs["placeholder"] = "usual one of the network"
        self.fields["address6"].widget.attrs["placeholder"] = "2001:db8::7/64"
        self.fields["dns"].widget.attrs["placeholder"] = "the gateway"

    def clean(self) -> dict[str, Any]:
        cleaned = dict(self.cleaned_data)
        network = self.offer.network(cleaned.get("network", ""))
        if network is None:
            if cleaned.get("network") and self.offer.provider is not None:
                self.add_error("network", "This network is not there any more; choose another.")
            return cleaned
        if network.type == "public" and cleaned.get("address"):
            self.add_error("address", "Public addresses are given by the provider; leave this empty.")
            return cleaned
        address, cidr = self._checked("address", lambda text: validators.fixed_address(text, network.cidrs), ("", ""))
        address6 = self._checked("address6", validators.fixed_address6, "")
        gateway = self._checked("gateway", validators.gateway, "")
        gateway6 = self._checked("gateway6", validators.gateway, "")
        dns: tuple[str, ...] = self._checked("dns", validators.addresses, ())
        for name, wanted, beside in (("gateway", gateway, address), ("gateway6", gateway6, address6)):
            if wanted and not beside and not self.errors:
                self.add_error(name, "A gateway needs a fixed address beside it.")
        if gateway6 and ":" not in gateway6:
            self.add_error("gateway6", "This is no IPv6 address.")
        if dns and not (address or address6) and not self.errors:
            self.add_error("dns", "Name servers need a fixed address beside them; otherwise DHCP tells.")
        if self.errors:
            return cleaned
        cleaned["wish"] = NicWish(
            network=network.external_id,
            address=address,
            gateway=gateway,
            address6=address6,
            gateway6=gateway6,
            dns=dns,
            cidr=cidr,
            has_router=network.mode in ROUTED,
        )
        return cleaned

    def _checked(self, name: str, check: Callable[[str], T], otherwise: T) -> T:
        """The field's value as `check` reads it; a refusal goes beside the field."""
        try:
            return check(self.cleaned_data.get(name, ""))
        except ValidationError as exc:
            self.add_error(name, exc)
            return otherwise


class DiskForm(Row):
    """One more disk."""

    size_gib = number(1, 65_536, "GiB", label="Size (GiB)")
    pool = forms.CharField(label="Pool", required=False)

    def __init__(self, *args: Any, offer: Offer, **kwargs: Any) -> None:
        super().__init__(*args, offer=offer, **kwargs)
        self.fields["size_gib"].required = True
        self.fields["size_gib"].error_messages["required"] = "Say how large it should be."
        self.fields["pool"].widget = forms.Select(choices=pool_choices(offer))

    def clean_size_gib(self) -> int:
        size_gib: int = self.cleaned_data["size_gib"]
        disks = self.offer.provider.can.disks if self.offer.provider else None
        if disks is not None and size_gib < disks.least_gib:
            raise ValidationError(f"Further disks have at least {disks.least_gib} GiB here.", code="too_small")
        return size_gib

    def clean_pool(self) -> Pool | None:
        return chosen_pool(self.offer, self.cleaned_data["pool"])


class FileForm(Row):
    """A file that is written at the first start."""

    path = forms.CharField(
        label="Path",
        max_length=400,
        error_messages={"required": "Say where it should be."},
        widget=forms.TextInput(attrs={"placeholder": "/etc/motd", "spellcheck": "false"}),
    )
    content = forms.CharField(
        label="Content",
        required=False,
        strip=False,
        max_length=64_000,
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false"}),
    )
    permissions = forms.CharField(
        label="Permissions", required=False, max_length=4, widget=forms.TextInput(attrs={"placeholder": "644"})
    )
    owner = forms.CharField(
        label="Owner", required=False, max_length=65, widget=forms.TextInput(attrs={"placeholder": "root:root"})
    )

    def clean_path(self) -> str:
        return validators.guest_path(self.cleaned_data["path"])

    def clean_content(self) -> str:
        return str(self.cleaned_data["content"]).replace("\r\n", "\n")

    def clean_permissions(self) -> str:
        return validators.permissions(self.cleaned_data["permissions"])

    def clean_owner(self) -> str:
        return validators.owner(self.cleaned_data["owner"])


class UserForm(Row):
    """One more user of the guest, who signs in with keys."""

    name = forms.CharField(
        label="User name",
        error_messages={"required": "Give the user a name."},
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    keys = forms.CharField(
        label="Public SSH keys, one a line",
        required=False,
        max_length=16_000,
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false", "placeholder": "ssh-ed25519 AAAA…"}),
    )
    sudo = forms.BooleanField(label="May become root", required=False)

    def clean_name(self) -> str:
        return validators.user_name(self.cleaned_data["name"])

    def clean_keys(self) -> tuple[str, ...]:
        found = []
        for number_, line in enumerate(str(self.cleaned_data["keys"]).splitlines(), start=1):
            if line.strip():
                try:
                    found.append(sshkeys.parse(line).line)
                except sshkeys.BadKey as exc:
                    raise ValidationError(f"Line {number_}: {exc}", code="bad_key") from None
        return tuple(found)


def pool_choices(offer: Offer) -> list[tuple[str, str]]:
    return [("", "Usual pool"), *((str(pool.uuid), _pool_words(pool)) for pool in offer.pools)]


def _pool_words(pool: Pool) -> str:
    """A pool that is not switched on, or has no bounds, tells no room."""
    return f"{pool.name} ({pool.available_gib:.0f} GiB free)" if pool.capacity_gib else pool.name


def chosen_pool(offer: Offer, wanted: str) -> Pool | None:
    pool = offer.pool(wanted)
    if wanted and pool is None and offer.provider is not None:
        raise ValidationError("This pool is not there any more; choose another.", code="gone")
    return pool


NicForms = forms.formset_factory(NicForm, extra=0, max_num=MOST_NICS, validate_max=True)
DiskForms = forms.formset_factory(DiskForm, extra=0, max_num=MOST_DISKS, validate_max=True)
FileForms = forms.formset_factory(FileForm, extra=0, max_num=MOST_FILES, validate_max=True)
UserForms = forms.formset_factory(UserForm, extra=0, max_num=MOST_USERS, validate_max=True)
#: Name on the page → prefix in the POST, formset.
FORMSETS: dict[str, tuple[str, Any]] = {
    "nics": ("nic", NicForms),
    "disks": ("disk", DiskForms),
    "guest_files": ("file", FileForms),
    "guest_users": ("user", UserForms),
}
