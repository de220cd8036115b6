"""Rows of the create form: network cards and further disks."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from storage.models import Pool
from vms import validators
from vms.create_choices import ROUTED, Offer
from vms.specs import NicWish

MOST_NICS, MOST_DISKS = 8, 16


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

    def __init__(self, *args: Any, offer: Offer, **kwargs: Any) -> None:
        super().__init__(*args, offer=offer, **kwargs)
        self.fields["network"].widget = forms.Select(choices=[(str(one.uuid), one.label) for one in offer.networks])
        self.fields["address"].widget.attrs["placeholder"] = "automatic"
        self.fields["gateway"].widget.attrs["placeholder"] = "usual one of the network"

    def clean(self) -> dict[str, Any]:
        cleaned = dict(self.cleaned_data)
        network = self.offer.network(cleaned.get("network", ""))
        if network is None:
            if cleaned.get("network") and self.offer.provider is not None:
                self.add_error("network", "This network is not there any more; choose another.")
            return cleaned
        try:
            address, cidr = validators.fixed_address(cleaned.get("address", ""), network.cidrs)
        except ValidationError as exc:
            self.add_error("address", exc)
            return cleaned
        try:
            gateway = validators.gateway(cleaned.get("gateway", ""))
        except ValidationError as exc:
            self.add_error("gateway", exc)
            return cleaned
        if gateway and not address:
            self.add_error("gateway", "A gateway needs a fixed address beside it.")
        cleaned["wish"] = NicWish(
            network=network.external_id,
            address=address,
            gateway=gateway,
            cidr=cidr,
            has_router=network.mode in ROUTED,
        )
        return cleaned


class DiskForm(Row):
    """One more disk."""

    size_gib = number(1, 65_536, "GiB", label="Size (GiB)")
    pool = forms.CharField(label="Pool", required=False)

    def __init__(self, *args: Any, offer: Offer, **kwargs: Any) -> None:
        super().__init__(*args, offer=offer, **kwargs)
        self.fields["size_gib"].required = True
        self.fields["size_gib"].error_messages["required"] = "Say how large it should be."
        self.fields["pool"].widget = forms.Select(choices=pool_choices(offer))

    def clean_pool(self) -> Pool | None:
        return chosen_pool(self.offer, self.cleaned_data["pool"])


def pool_choices(offer: Offer) -> list[tuple[str, str]]:
    named = [(str(pool.uuid), f"{pool.name} ({pool.available_gib:.0f} GiB free)") for pool in offer.pools]
    return [("", "Usual pool"), *named]


def chosen_pool(offer: Offer, wanted: str) -> Pool | None:
    pool = offer.pool(wanted)
    if wanted and pool is None and offer.provider is not None:
        raise ValidationError("This pool is not there any more; choose another.", code="gone")
    return pool


NicForms = forms.formset_factory(NicForm, extra=0, max_num=MOST_NICS, validate_max=True)
DiskForms = forms.formset_factory(DiskForm, extra=0, max_num=MOST_DISKS, validate_max=True)
#: Name on the page → prefix in the POST, formset.
FORMSETS: dict[str, tuple[str, Any]] = {"nics": ("nic", NicForms), "disks": ("disk", DiskForms)}
