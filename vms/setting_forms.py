"""What is asked before a machine's settings change: its size, a group of its options, its start with the host."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from django import forms

from kvweb.accounts.actions import ActionForm
from kvweb.ui.words import size_words
from vms import option_fields, prices
from vms.create_rows import number
from vms.models import VirtualMachine
from vms.option_fields import PREFIX, Option

UNCHANGED = "Nothing was changed."


class ResizeForm(ActionForm):
    """Only what differs is asked of the provider."""

    subject: VirtualMachine
    body_template = "vms/_settings_form.html"

    vcpus = number(1, 1024, "CPU", label="CPUs")
    memory_mib = number(16, 16_777_216, "MiB", label="Memory (MiB)")

    def dress(self) -> None:
        can = self.subject.can.reshape
        for name in ("vcpus", "memory_mib"):
            if not (can and getattr(can, name.partition("_")[0])):
                del self.fields[name]
            else:
                self.fields[name].required = True
                self.take(name, getattr(self.subject, name))

    @property
    def question(self) -> str:
        vm, can = self.subject, self.subject.can.reshape
        if vm.is_off or can is None:
            return ""
        if can.hot_vcpus or can.hot_memory:
            return "It runs: what it can take now it takes now, the rest at its next start."
        return "It runs: the change waits for its next start."

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        wanted = {name: value for name, value in cleaned.items() if value != getattr(self.subject, name)}
        # What waits is taken back by asking for what it has.
        if not wanted and not self.errors and not self.subject.pending:
            self.add_error(None, UNCHANGED)
        return dict(cleaned) if self.subject.pending else wanted


class FlavorForm(ActionForm):
    """Sizes of the provider for the same sort of processor."""

    subject: VirtualMachine

    flavor = forms.ChoiceField(label="Size", error_messages={"invalid_choice": "This size is not there any more."})

    def dress(self) -> None:
        found = self.subject.provider.host.get("flavors", [])
        now = next((one for one in found if self.subject.flavor in {one["external_id"], one["name"]}), None)
        kind = (now or {}).get("architecture", "")
        self.fields["flavor"].choices = [  # type: ignore[attr-defined]
            (one["external_id"], _size_words(one)) for one in found if one.get("architecture", "") == kind or not now
        ]
        self.now = now["external_id"] if now else ""
        self.take("flavor", self.now)

    @property
    def question(self) -> str:
        return "" if self.subject.is_off else "It runs: most clouds want it stopped first."

    def clean_flavor(self) -> str:
        flavor: str = self.cleaned_data["flavor"]
        if flavor == self.now:
            raise forms.ValidationError(UNCHANGED)
        return flavor


def _size_words(flavor: Mapping[str, Any]) -> str:
    """ "cx32: 4 CPUs, 8 GiB, €5.99 a month"."""
    cpus = f"{flavor['vcpus']} CPU{'s' if flavor['vcpus'] != 1 else ''}"
    price = prices.words(flavor.get("prices") or [], "")
    return f"{flavor['name']}: " + ", ".join(filter(None, [cpus, size_words(flavor["memory_mib"]), price]))


class AutostartForm(ActionForm):
    subject: VirtualMachine

    autostart = forms.BooleanField(required=False, label="Start it whenever its host starts")

    def dress(self) -> None:
        self.take("autostart", bool(self.subject.autostart))


class ShowScreenForm(ActionForm):
    subject: VirtualMachine

    shows_screen = forms.BooleanField(required=False, label="Show pictures of its screen in lists and on its page")

    question = "Only people who may open its console see them, and they are taken only while somebody looks."

    def dress(self) -> None:
        self.take("shows_screen", self.subject.shows_screen)


class ProtectForm(ActionForm):
    subject: VirtualMachine

    is_protected = forms.BooleanField(required=False, label="Keep it from being deleted")

    question = (
        "Nobody deletes it here, alone or among many, until this is taken back. At its provider it can be deleted."
    )

    def dress(self) -> None:
        self.take("is_protected", self.subject.is_protected)


class OptionsForm(ActionForm):
    """One group of the kind's options, which the link names."""

    subject: VirtualMachine
    body_template = "vms/_settings_form.html"
    is_wide = True

    group = forms.CharField(widget=forms.HiddenInput)

    def dress(self) -> None:
        for one in self.found:
            value = self.before.get(one.name, one.default)
            self.fields[f"{PREFIX}{one.name}"] = option_fields.field_for(one, self.subject.provider, self.user, value)

    @cached_property
    def group_name(self) -> str:
        return str((self.data if self.is_bound else self.initial).get("group") or "")

    @cached_property
    def before(self) -> dict[str, Any]:
        return dict(self.subject.options or {})

    @cached_property
    def found(self) -> list[Option]:
        return option_fields.groups(option_fields.options(self.subject.provider, "settings")).get(self.group_name, [])

    @property
    def title(self) -> str:
        return f"{self.group_name} of “{self.subject.name}”" if self.found else ""

    @property
    def question(self) -> str:
        return "" if self.subject.is_off else "It runs: what it cannot take now waits for its next start."

    @property
    def reason(self) -> str:
        return "" if self.found else "There are no such settings at this provider."

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        open_to = [one for one in self.found if not self.fields[f"{PREFIX}{one.name}"].disabled]
        wanted = option_fields.changed(open_to, cleaned, self.before)
        model = option_fields.options_model(self.subject.provider)
        if model is not None and not self.errors:
            option_fields.check(self, model, wanted)
        if not wanted and not self.errors:
            self.add_error(None, UNCHANGED)
        return {"options": wanted, "group": self.group_name}

    def refuse(self, field: str, reason: str) -> None:
        option_fields.refuse(self, field, reason)
