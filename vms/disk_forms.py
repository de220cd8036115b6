"""What is asked before a disk is attached, grown or detached, and which image goes into the drive."""

from __future__ import annotations

from functools import cached_property
from math import ceil
from typing import Any

from django import forms

from kvweb.accounts.actions import ActionForm
from kvweb.ui.words import size_words
from storage.models import Pool, Volume
from storage.selectors import usable_images, usable_pools, usable_volumes
from vms.create_rows import number
from vms.models import VirtualMachine
from vms.row_choice import RowChoice, offer
from vms.shared_volumes import shared_volumes

MOST_GIB = 65_536


def disk_of(vm: VirtualMachine, target: str) -> dict[str, Any] | None:
    """One of its disks or drives by its target, as it was last told."""
    return next((disk for disk in vm.disks or [] if disk["external_id"] == target), None)


def is_data(disk: dict[str, Any]) -> bool:
    return bool(disk.get("device", "disk") == "disk")


def pool_words(pool: Pool) -> str:
    return f"{pool} ({size_words(pool.available_gib * 1024)} free)" if pool.capacity_gib else str(pool)


def volume_words(volume: Volume) -> str:
    words = [size_words(volume.size_gib * 1024), volume.format, "shared" if volume.is_used else ""]
    return f"{volume} ({', '.join(word for word in words if word)})"


class AttachDiskForm(ActionForm):
    """A new disk of a size, or a volume that exists."""

    subject: VirtualMachine
    body_template = "vms/_attach_disk.html"
    is_wide = True

    source = forms.ChoiceField(
        choices=[("new", "A new disk"), ("existing", "A volume that exists")], widget=forms.RadioSelect, required=False
    )
    size_gib = number(1, MOST_GIB, "GiB", label="Size (GiB)")
    pool = RowChoice(words=pool_words, required=False, label="Pool")
    volume = RowChoice(words=volume_words, required=False, label="Volume")
    bus = forms.ChoiceField(required=False, label="Bus", help_text="virtio is the fastest where the guest knows it.")
    format = forms.ChoiceField(required=False, label="Format")
    cache = forms.ChoiceField(required=False, label="Cache", help_text="How the host caches what the guest writes.")
    allocate = forms.BooleanField(
        required=False, label="Take the whole space now", help_text="Otherwise the disk grows as it is written."
    )
    shareable = forms.BooleanField(
        required=False,
        label="Other machines may have it too",
        help_text="Their guests must know how to share a disk, or they destroy its content.",
    )
    read_only = forms.BooleanField(required=False, label="Read only")

    def dress(self) -> None:
        can = self.subject.can.disks
        offer(self, "pool", self.pools, empty="the provider’s usual one")
        offer(self, "volume", self.volumes)
        if can is None:
            return
        self._offer("bus", sorted(can.buses, key=lambda bus: (bus != "virtio", bus)), "the usual one")
        self._offer("cache", sorted(can.caches), "the usual way")
        volumes = self.subject.can.volumes
        self._offer("format", sorted(volumes.formats - {"iso"}) if volumes else [], "the usual one")
        if not can.shared:
            del self.fields["shareable"]
        if not (can.existing and self.volumes.exists()):
            del self.fields["source"]
            del self.fields["volume"]
        self.take("source", "new")
        self.take("size_gib", 10)

    def _offer(self, name: str, values: list[str], usual: str) -> None:
        """Choices of the provider; a field without any choice goes."""
        if len(values) < 2:
            del self.fields[name]
            return
        self.fields[name].choices = [("", usual), *((value, value) for value in values)]  # type: ignore[attr-defined]

    @cached_property
    def pools(self) -> Any:
        return usable_pools(self.subject.provider)

    @cached_property
    def volumes(self) -> Any:
        """Volumes of the machine's project that no machine has, and those that others share."""
        vm, can = self.subject, self.subject.can.disks
        shared = shared_volumes(vm) if can and can.shared else []
        return usable_volumes(vm.provider, vm.project) | vm.provider.volumes.filter(pk__in=shared)

    @property
    def choices(self) -> list[Any]:
        """What most people leave as it is."""
        return [self[name] for name in ("format", "cache") if name in self.fields]

    @property
    def switches(self) -> list[Any]:
        return [self[name] for name in ("allocate", "read_only", "shareable") if name in self.fields]

    @property
    def reason(self) -> str:
        if not self.pools.exists() and "volume" not in self.fields and self.subject.can.pools is not None:
            return f"“{self.subject.provider}” has no pool that is switched on, so there is no place for a disk."
        return ""

    def clean(self) -> dict[str, Any]:
        cleaned = dict(super().clean() or self.cleaned_data)
        is_new = cleaned.pop("source", "new") != "existing"
        if is_new:
            cleaned.pop("volume", None)
            self._check_room(cleaned)
        else:
            cleaned.pop("size_gib", None)
            if not cleaned.get("volume") and "volume" not in self.errors:
                self.add_error("volume", "Choose a volume.")
            elif cleaned.get("volume") and cleaned["volume"].is_used:
                # Only shared ones are offered, and each machine has to say so.
                cleaned["shareable"] = True
        self._check_sharing(cleaned)
        cleaned["thin"] = not cleaned.pop("allocate", False)
        return cleaned

    def _check_sharing(self, cleaned: dict[str, Any]) -> None:
        volume = cleaned.get("volume")
        format_ = volume.format if volume else cleaned.get("format")
        if cleaned.get("shareable") and format_ not in {"raw", "", None}:
            field = "shareable" if volume or "format" not in self.fields else "format"
            self.add_error(field, f"Only raw disks can be shared: two writers ruin one of the format {format_}.")

    def _check_room(self, cleaned: dict[str, Any]) -> None:
        size_gib, pool = cleaned.get("size_gib"), cleaned.get("pool")
        if size_gib is None and "size_gib" not in self.errors:
            self.add_error("size_gib", "Say how large it is to be.")
        elif size_gib and self.subject.can.disks and size_gib < self.subject.can.disks.least_gib:
            self.add_error("size_gib", f"Disks have at least {self.subject.can.disks.least_gib} GiB here.")
        elif size_gib and pool and cleaned.get("allocate") and 0 < pool.available_gib < size_gib:
            self.add_error("size_gib", f"“{pool}” has {size_words(pool.available_gib * 1024)} left.")


class OneDiskForm(ActionForm):
    """About one disk, which the link names."""

    subject: VirtualMachine

    disk = forms.CharField(widget=forms.HiddenInput)

    @cached_property
    def found(self) -> dict[str, Any] | None:
        wanted = self.data.get("disk") if self.is_bound else self.initial.get("disk")
        disk = disk_of(self.subject, str(wanted or ""))
        return disk if disk and is_data(disk) else None

    @property
    def reason(self) -> str:
        return "" if self.found else "This disk is not there any more."

    def clean_disk(self) -> str:
        if self.found is None:
            raise forms.ValidationError("This disk is not there any more.")
        return str(self.found["external_id"])


class GrowDiskForm(OneDiskForm):
    body_template = "vms/_grow_disk.html"

    size_gib = number(1, MOST_GIB, "GiB", label="New size (GiB)")

    def dress(self) -> None:
        self.least = ceil(self.found["size_gib"] + 1e-6) if self.found else 1
        size = self.fields["size_gib"]
        size.required = True
        size.error_messages["required"] = "Say how large it is to be."
        size.widget.attrs["min"] = self.least
        self.take("size_gib", max(self.least, ceil(self.least * 1.5)))

    @property
    def most(self) -> int:
        """Where the slider ends; more can be typed."""
        return max(self.least * 4, 100)

    @property
    def title(self) -> str:
        return f"Grow disk {self.found['external_id']} of “{self.subject.name}”" if self.found else ""

    @property
    def question(self) -> str:
        if not self.found:
            return ""
        return f"It has {size_words(self.found['size_gib'] * 1024)}. A disk can grow and cannot shrink."

    def clean_size_gib(self) -> int:
        size_gib = int(self.cleaned_data["size_gib"])
        if self.found and size_gib <= self.found["size_gib"]:
            raise forms.ValidationError(f"It must be more than {size_words(self.found['size_gib'] * 1024)}.")
        return size_gib


class DetachDiskForm(OneDiskForm):
    """Keep the volume for later, or delete it: then the machine's name has to be typed."""

    body_template = "vms/_detach_disk.html"

    volume = forms.ChoiceField(
        choices=[("keep", "Keep the volume"), ("delete", "Delete it for good")],
        widget=forms.RadioSelect,
        required=False,
    )
    typed = forms.CharField(required=False)

    def dress(self) -> None:
        self.take("volume", "keep")

    @property
    def title(self) -> str:
        return f"Detach disk {self.found['external_id']} from “{self.subject.name}”" if self.found else ""

    @property
    def question(self) -> str:
        if not self.found:
            return ""
        boot = "The machine starts from this disk. " if self.found.get("boot") else ""
        runs = "" if self.subject.is_off else "The machine runs: unmount the disk in the guest first, or data are lost."
        return f"{boot}{runs}".strip()

    def clean(self) -> dict[str, Any]:
        cleaned = dict(super().clean() or self.cleaned_data)
        delete = cleaned.pop("volume", "") == "delete"
        if delete and cleaned.get("typed", "").strip() != self.subject.name:
            self.add_error("typed", f"Type “{self.subject.name}” exactly to confirm.")
        cleaned.pop("typed", None)
        return {**cleaned, "delete": delete}


class InsertIsoForm(ActionForm):
    subject: VirtualMachine

    image = RowChoice(missing="Choose an image.", label="ISO image")

    def dress(self) -> None:
        offer(self, "image", self.images)

    @cached_property
    def images(self) -> Any:
        return usable_images(self.subject.provider, self.subject.project).filter(is_iso=True)

    @property
    def reason(self) -> str:
        return "" if self.images.exists() else f"“{self.subject.provider}” has no ISO image to insert."
