"""How providers look on pages: badge, what is wrong and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass

from kvweb.jobs.models import Job
from kvweb.ui.badges import Badge, badge_of
from kvweb.ui.words import size_words
from providers.base import Plugin, ProviderError
from providers.models import Health, Provider
from providers.registry import plugin

#: A host's way of running machines, in words.
VIRTUALISATION = {
    "kvm": "Hardware virtualisation (KVM)",
    "qemu": "Software emulation: machines are slow",
    "simulated": "Simulated: there are no real machines",
}

LOOK_AT_JOB = "Check again; if it stays, its job says more."
#: What to do about a failure, by its code.
ADVICE = {
    "authentication_failed": "Enter the credentials again with “Edit”; the portal then checks at once.",
    "unreachable": "See that it runs, that the address is right, and that the portal's machine can reach it over the "
    "network. The portal keeps trying by itself.",
    "timed_out": "It may be busy. The portal keeps trying by itself.",
    "not_supported": "Install what is missing on the portal's machine, then check again.",
    "unknown_kind": "Bring the kind's folder or package back, or remove this provider.",
    "invalid_request": "Correct the settings with “Edit”.",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the connection is, as a person would say it."""

    sentence: str
    advice: str = ""
    level: str = "ok"


@badge_of.register
def provider_badge(provider: Provider) -> Badge:
    if not provider.is_enabled:
        return Badge("Disabled", "secondary", "ban")
    if provider.health == Health.OK:
        return Badge("Connected", "green", "circle-check")
    if provider.health == Health.FAILED:
        is_refused = provider.health_code == "authentication_failed"
        return Badge("Refuses the credentials" if is_refused else "Not reachable", "red", "alert-triangle")
    return Badge("Not checked yet", "secondary", "help")


@dataclass(frozen=True, slots=True)
class Share:
    """How much of the host's CPUs or memory its running machines may take."""

    label: str
    words: str
    percent: int

    @property
    def is_full(self) -> bool:
        return self.percent >= 90


def capacity(provider: Provider) -> list[Share]:
    """Of a provider `with_allocation`; nothing where the host tells no totals."""
    host = provider.host or {}
    found = []
    for label, used, total, words in (
        ("CPUs", getattr(provider, "cpus_allocated", 0), host.get("cpus_total"), str),
        ("Memory", getattr(provider, "memory_allocated_mib", 0), host.get("memory_total_mib"), size_words),
    ):
        if total:
            percent = min(100, round(100 * used / total))
            found.append(Share(label, f"{words(used) if used else '0'} of {words(total)}", percent))
    return found


def virtualisation(provider: Provider) -> str:
    """How its machines run, where it tells."""
    details = (provider.host or {}).get("details") or {}
    return VIRTUALISATION.get(str(details.get("virt_type", "")), "")


def plugin_of(provider: Provider) -> Plugin | None:
    """Its kind's manifest; None when the kind is not installed any more."""
    try:
        return plugin(provider.kind)
    except ProviderError:
        return None


def kind_label(provider: Provider) -> str:
    found = plugin_of(provider)
    return found.label if found else provider.kind


def verdict(provider: Provider, last_check: Job | None) -> Verdict:
    """What is wrong and what to do, or that nothing is."""
    if not provider.is_enabled:
        return Verdict("It is disabled: nothing is asked of it, and its machines are shown as they were.", level="off")
    if last_check is not None and last_check.is_active:
        return Verdict(last_check.message or "Its connection is being checked.", level="busy")
    if provider.health == Health.FAILED:
        reason = provider.health_reason or "The provider does not answer."
        return Verdict(reason, ADVICE.get(provider.health_code, LOOK_AT_JOB), "failed")
    if last_check is not None and last_check.has_failed and provider.health != Health.OK:
        return Verdict(last_check.reason, ADVICE.get(last_check.code, LOOK_AT_JOB), "failed")
    if provider.health == Health.UNKNOWN:
        return Verdict("Its connection has not been checked yet.", level="off")
    return Verdict("The portal is connected and can do everything below.")
