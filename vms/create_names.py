"""Which names are free at a provider."""

from __future__ import annotations

from collections.abc import Sequence

from providers.models import Provider
from vms.choices import Presence
from vms.models import VirtualMachine


def taken(provider: Provider) -> str:
    """Says no more than this: the machine of that name may be a stranger's."""
    return f"This name is taken at “{provider}”; choose another."


def name_is_taken(provider: Provider, name: str, *, besides: VirtualMachine | None = None) -> bool:
    """Whether a machine of the name is there or on its way, whoever it belongs to."""
    rows = VirtualMachine.objects.filter(provider=provider, name=name, presence__in=[Presence.WANTED, Presence.PRESENT])
    return rows.exclude(pk=besides.pk).exists() if besides else rows.exists()


def free_name(provider: Provider | None, name: str) -> str:
    """ "web-1" → "web-2", "web" → "web-2": the next name that nobody has."""
    if provider is None or not name_is_taken(provider, name):
        return name
    stem, dash, number = name.rpartition("-")
    base, first = (stem, int(number) + 1) if dash and stem and number.isdecimal() else (name, 2)
    candidates: Sequence[str] = [f"{base[:57]}-{n}" for n in range(first, first + 200)]
    names = VirtualMachine.objects.filter(
        provider=provider, name__in=candidates, presence__in=[Presence.WANTED, Presence.PRESENT]
    ).values_list("name", flat=True)
    used = set(names)
    return next((one for one in candidates if one not in used), "")
