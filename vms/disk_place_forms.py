"""What is asked before a disk moves to another pool, and before a medium is pulled out."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from django import forms

from kvweb.accounts.actions import ActionForm
from storage.models import Pool
from storage.selectors import usable_pools
from vms.disk_forms import OneDiskForm, is_data, pool_words
from vms.models import VirtualMachine
from vms.row_choice import RowChoice, offer


class MoveDiskForm(OneDiskForm):
    pool = RowChoice(words=pool_words, missing="Choose a pool.", label="To the pool")

    def dress(self) -> None:
        offer(self, "pool", self.pools)

    @cached_property
    def pools(self) -> Any:
        """Where it is not yet."""
        here = self.found["pool"] if self.found else ""
        return usable_pools(self.subject.provider).exclude(external_id=here)

    @property
    def title(self) -> str:
        return f"Move disk {self.found['external_id']} of “{self.subject.name}”" if self.found else ""

    @property
    def question(self) -> str:
        return "The disk is copied and plugged in again in its place; then the original is deleted."

    @property
    def reason(self) -> str:
        if self.found and not self.pools.exists():
            return f"“{self.subject.provider}” has no other pool that is switched on."
        return super().reason

    def clean_pool(self) -> Pool:
        pool: Pool = self.cleaned_data["pool"]
        size_gib = self.found["size_gib"] if self.found else 0
        if 0 < pool.capacity_gib < size_gib:
            raise forms.ValidationError("This pool is smaller than the disk.")
        return pool


class EjectIsoForm(ActionForm):
    subject: VirtualMachine

    force = forms.BooleanField(
        required=False,
        label="Also when the guest holds it",
        help_text="Programs in the guest that read it fail. Otherwise a medium that is mounted stays in.",
    )

    def dress(self) -> None:
        if self.subject.is_off:
            del self.fields["force"]

    @property
    def question(self) -> str:
        held = (disk.get("volume", "") for disk in self.subject.disks or [] if not is_data(disk))
        name = next((volume for volume in held if volume), "").rpartition("/")[2]
        return f"“{name}” is taken out of the drive. It stays where it is kept." if name else ""
