"""The create form: what a person may say about a new machine; each wrong thing is answered by a sentence beside it."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import cached_property
from math import ceil
from typing import Any, TypeVar

from django import forms
from django.core.exceptions import ValidationError

from kvweb.accounts import services as accounts
from kvweb.accounts import sshkeys
from kvweb.accounts.models import Project, User
from kvweb.jobs.models import Job
from providers.base import GuestFile, GuestUser
from providers.guest.passwords import hash_password
from providers.models import Provider
from storage.models import Image, Pool
from vms import create_memory, services, validators
from vms.create_choices import EMPTY, OWN, Offer, Size, sentence_about
from vms.create_names import name_is_taken, taken
from vms.create_options import CreateOptions, Group
from vms.create_rows import FORMSETS, chosen_pool, number, pool_choices
from vms.models import VirtualMachine
from vms.specs import DiskWish, Wish, vm_spec

IMAGE_GONE = "This image is not there any more; choose another."
#: Hashing is done while the person waits, and undone by a guest that may be emulated: slow, but not that slow.
HASH_ROUNDS = 20_000

T = TypeVar("T")


def _text(rows: int = 3, **options: Any) -> forms.CharField:
    widget = forms.Textarea(attrs={"rows": rows, "spellcheck": "false", **options.pop("attrs", {})})
    return forms.CharField(required=False, widget=widget, **options)


class CreateForm(forms.Form):
    """The page's form. Bound, it checks and creates; unbound, it shows what was typed, or sensible defaults."""

    project = forms.CharField(required=False, label="Project")
    provider = forms.CharField(required=False, label="Provider")
    name = forms.CharField(
        label="Name",
        error_messages={"required": "Give the machine a name."},
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false", "maxlength": 63}
        ),
        help_text="Also its host name. Letters, digits, “-”, “.” and “_”.",
    )
    image = forms.CharField(
        label="What it starts from",
        error_messages={"required": "Choose an image, or an empty machine."},
    )
    zone = forms.CharField(required=False, label="Location")
    size = forms.CharField(label="Size", error_messages={"required": "Choose a size."})
    vcpus = number(1, 1024, "CPU", label="CPUs")
    memory_mib = number(64, 16_777_216, "MiB", label="Memory (MiB)")
    disk_gib = number(1, 65_536, "GiB", label="Disk (GiB)")

    username = forms.CharField(required=False, label="User name", widget=forms.TextInput(attrs={"autocomplete": "off"}))
    password = forms.CharField(
        required=False,
        strip=False,
        label="Password",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=f"At least {validators.PASSWORD_LEAST} characters. Only its hash is kept, and that only until "
        "the machine is made.",
    )
    ssh_password_login = forms.BooleanField(required=False, label="Accept the password over SSH too")
    keys = forms.MultipleChoiceField(
        required=False,
        label="SSH keys",
        widget=forms.CheckboxSelectMultiple,
        error_messages={"invalid_choice": "One of these keys is not in your account any more."},
    )
    new_key = _text(2, label="Another public key", attrs={"placeholder": "ssh-ed25519 AAAA… you@laptop"})
    new_key_name = forms.CharField(required=False, label="Its name", max_length=80)
    keep_key = forms.BooleanField(required=False, label="Keep it in my account for next time")

    pool = forms.CharField(required=False, label="Pool")
    full_copy = forms.BooleanField(
        required=False,
        label="Full copy of the image",
        help_text="Takes its whole space at once and longer to make; without it the disk grows as it is written.",
    )
    firmware = forms.CharField(required=False, label="Firmware")
    autostart = forms.BooleanField(required=False, label="Start it whenever its host starts")
    description = _text(2, label="Description", max_length=2000, attrs={"spellcheck": "true"})
    hostname = forms.CharField(required=False, label="Host name", help_text="Empty: made from the name.")
    packages = forms.CharField(
        required=False, max_length=4000, label="Packages", help_text="Installed at the first start: “nginx htop”."
    )
    commands = _text(3, label="Commands", max_length=16_000, help_text="Run once at the first start, one a line.")
    user_data = _text(
        6,
        label="User data",
        help_text="For experts: stands in the place of user, password, keys, packages, files and commands. Begins with "
        "“#cloud-config” or “#!/bin/sh”, or is a message of several parts.",
        attrs={"placeholder": "#cloud-config"},
    )
    merge = forms.BooleanField(
        required=False,
        label="Use it beside the rest",
        help_text="What is said above holds too; where both say something, the user data wins.",
    )
    timezone = forms.CharField(
        required=False,
        max_length=60,
        label="Time zone",
        widget=forms.TextInput(attrs={"placeholder": "Europe/London", "spellcheck": "false"}),
    )
    #: Job of an earlier creation whose row is to be used again.
    again = forms.CharField(required=False, widget=forms.HiddenInput)
    #: Made new with each page, so that a double click is one machine.
    ticket = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(
        self,
        user: User,
        *,
        data: Mapping[str, Any] | None = None,
        typed: Mapping[str, Any] | None = None,
        retry_of: VirtualMachine | None = None,
    ) -> None:
        """`data` is a POST to be checked; `typed` is shown as it is: earlier input, a link's parameters, or nothing."""
        wanted = data if data is not None else typed or {}
        self.user, self.retry_of = user, retry_of
        self.offer = Offer(
            user,
            project=str(wanted.get("project") or ""),
            provider=str(wanted.get("provider") or ""),
            image=str(wanted.get("image") or ""),
            zone=str(wanted.get("zone") or ""),
            is_strict=data is not None,
        )
        initial = self._fitting({**self._defaults(wanted), **(typed or {})})
        if data is not None:
            data = self._completed(data, initial)
        super().__init__(data, initial=initial)
        self.options = CreateOptions(self, self.offer.provider, user)
        self.nics = self._formset("nics", initial["nics"])
        self.disks = self._formset("disks", initial["disks"])
        self.guest_files = self._formset("guest_files", initial["guest_files"])
        self.guest_users = self._formset("guest_users", initial["guest_users"])
        self._dress()

    def _formset(self, name: str, initial: list[dict[str, Any]]) -> Any:
        prefix, kind = FORMSETS[name]
        has_rows = self.is_bound and f"{prefix}-TOTAL_FORMS" in self.data
        if self.is_bound and not has_rows:
            # A POST that says nothing of cards (a script's) gets the usual one; the page always says.
            flat = {f"{prefix}-{i}-{key}": value for i, row in enumerate(initial) for key, value in row.items()}
            counts = {f"{prefix}-TOTAL_FORMS": len(initial), f"{prefix}-INITIAL_FORMS": 0}
            return kind({**flat, **counts}, prefix=prefix, form_kwargs={"offer": self.offer})
        data = self.data if self.is_bound else None
        return kind(data, initial=initial, prefix=prefix, form_kwargs={"offer": self.offer})

    def _completed(self, data: Mapping[str, Any], initial: dict[str, Any]) -> Any:
        """The POST with its gaps filled by the defaults: a name and an image are enough."""
        gaps = {key: initial[key] for key in ("project", "provider", "size") if key not in data and initial.get(key)}
        if not gaps:
            return data
        full = data.copy() if hasattr(data, "copy") else dict(data)
        full.update(gaps)
        return full

    def _defaults(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """What is filled in before anybody types: enough to finish with a name and an image."""
        offer = self.offer
        image = offer.image(str(wanted.get("image") or "")) or offer.usual_image
        size = offer.usual_size(image)
        network = offer.usual_network
        return {
            "project": str(offer.project.uuid) if offer.project else "",
            "provider": str(offer.provider.uuid) if offer.provider else "",
            "image": str(image.uuid) if image else "",
            "zone": offer.zone,
            "size": size.key if size else OWN if offer.may_have_own_size else "",
            "vcpus": 1,
            "memory_mib": 1024,
            "keys": [str(key.pk) for key in self._saved_keys],
            "keep_key": True,
            "nics": [{"network": str(network.uuid)}] if network else [],
            "disks": [],
            "guest_files": [],
            "guest_users": [],
            "ticket": uuid.uuid4().hex,
        }

    def _fitting(self, values: dict[str, Any]) -> dict[str, Any]:
        """Earlier values at another provider: what it does not have falls back to the usual, the rest stays."""
        offer, usual = self.offer, self._defaults(values)
        image = offer.image(str(values["image"]))
        if image is not None:
            values["image"] = str(image.uuid)
        elif not (values["image"] == EMPTY and offer.may_be_empty):
            values["image"] = usual["image"]
        chosen = offer.size(values["size"])
        if (chosen is None or (chosen.flavor and chosen.too_large)) and not (
            values["size"] == OWN and offer.may_have_own_size
        ):
            values["size"] = usual["size"]
        values["project"], values["provider"] = usual["project"], usual["provider"]
        values["zone"] = offer.zone
        for nic in values["nics"]:
            if offer.network(str(nic.get("network", ""))) is None and usual["nics"]:
                nic["network"] = usual["nics"][0]["network"]
        if not offer.networks:
            values["nics"] = []
        if values.get("firmware") not in offer.firmwares:
            values["firmware"] = ""
        return values

    @cached_property
    def _saved_keys(self) -> list[Any]:
        return list(self.user.ssh_keys.all())

    def _dress(self) -> None:
        """Choices of the selects, and what the browser can check while one types."""
        offer = self.offer
        self.fields["keys"].choices = [(str(key.pk), key.name) for key in self._saved_keys]  # type: ignore[attr-defined]
        self.fields["pool"].widget = forms.Select(choices=pool_choices(offer))
        usual = [] if offer.usual_zone else [("", "The provider's choice")]
        zones = sorted(offer.zones.items(), key=lambda one: one[1])
        self.fields["zone"].widget = forms.Select(choices=[*usual, *zones])
        words = {"bios": "BIOS", "uefi": "UEFI"}
        firmwares = [(one, words.get(one, one)) for one in offer.firmwares]
        self.fields["firmware"].widget = forms.Select(choices=[("", "The provider's choice"), *firmwares])
        for field, most in (("vcpus", offer.cpus), ("memory_mib", offer.memory_mib)):
            if most:
                self.fields[field].widget.attrs["max"] = most

    # -- what the page shows -------------------------------------------------------------------------------------------

    @property
    def chosen_image(self) -> Image | None:
        return self.offer.image(str(self["image"].value() or ""))

    @property
    def has_advanced_errors(self) -> bool:
        return self.is_bound and (
            self.options.has_errors
            or bool(ADVANCED & set(self.errors))
            or any(any(one.errors) for one in self._first_boot_rows)
            or any(self.disks.errors)
            or bool(self.disks.non_form_errors())
        )

    @property
    def has_advanced_values(self) -> bool:
        rows = any(one.forms for one in (self.disks, *self._first_boot_rows))
        return rows or self.options.has_values or any(self[name].value() for name in ADVANCED)

    @property
    def option_groups(self) -> list[Group]:
        return self.options.groups()

    @property
    def all_errors(self) -> list[tuple[str, str, str]]:
        """Label, sentence and the id of the field, in the order of the page."""
        found = [
            (str(self.fields[name].label or name), str(error), self[name].id_for_label or f"id_{name}")
            for name in self.fields
            for error in self.errors.get(name, [])
        ]
        rows = [("Network card", self.nics), ("Disk", self.disks)]
        rows += zip(("File", "User"), self._first_boot_rows, strict=False)
        for word, forms_ in rows:
            for index, one in enumerate(forms_.forms):
                found += [
                    (f"{word} {index + 1}", str(error), one[name].id_for_label)
                    for name, errors in one.errors.items()
                    if name in one.fields
                    for error in errors
                ]
            found += [(word, str(error), "") for error in forms_.non_form_errors()]
        return found + [("", str(error), "") for error in self.non_field_errors()]

    # -- checks --------------------------------------------------------------------------------------------------------

    def is_valid(self) -> bool:
        # All three are asked, so that one answer shows everything that is wrong.
        rows = [one.is_valid() for one in (self.nics, self.disks, *self._first_boot_rows)]
        return all([super().is_valid(), *rows])

    @property
    def _first_boot_rows(self) -> tuple[Any, ...]:
        """Files and users of the guest; none for a machine that is set up by its installer."""
        image = self.chosen_image
        return () if image is None or image.is_iso else (self.guest_files, self.guest_users)

    def clean_project(self) -> Project | None:
        if self.offer.project is None:
            raise ValidationError("You cannot create machines in this project; choose another.", code="project")
        return self.offer.project

    def clean_provider(self) -> Provider | None:
        provider = self.offer.provider
        if self.offer.project is None:
            return None
        if provider is None:
            raise ValidationError("This provider is not open to the project; choose another.", code="provider")
        if sentence := sentence_about(provider):
            raise ValidationError(sentence, code="unreachable")
        return provider

    def clean_name(self) -> str:
        return validators.name(self.cleaned_data["name"])

    def clean_image(self) -> Image | None:
        wanted = self.cleaned_data["image"]
        if self.offer.provider is None:
            return None
        if wanted == EMPTY:
            if not self.offer.may_be_empty:
                raise ValidationError(f"“{self.offer.provider}” cannot make empty machines; choose an image.")
            return None
        image = self.offer.image(wanted)
        if image is None:
            raise ValidationError(IMAGE_GONE, code="gone")
        return image

    def clean_zone(self) -> str:
        zone: str = self.cleaned_data["zone"]
        if zone and zone not in self.offer.zones:
            if self.offer.zones:
                raise ValidationError("This location is not there any more; choose another.", code="gone")
            return ""
        return zone or self.offer.usual_zone

    def clean_size(self) -> Size | None:
        wanted, offer = self.cleaned_data["size"], self.offer
        if offer.provider is None or (wanted == OWN and offer.may_have_own_size):
            return None
        size = offer.size(wanted)
        if size is None:
            raise ValidationError("This size is not there any more; choose another.", code="gone")
        if size.too_large:
            reason = size.too_large if size.flavor else f"This is too large: {size.too_large}"
            raise ValidationError(reason, code="too_large")
        return size

    def _clean_by(self, name: str, check: Callable[[str], T]) -> T:
        return check(self.cleaned_data[name])

    def clean_username(self) -> str:
        return self._clean_by("username", validators.user_name)

    def clean_password(self) -> str:
        return self._clean_by("password", validators.password)

    def clean_hostname(self) -> str:
        return self._clean_by("hostname", validators.host_name)

    def clean_packages(self) -> tuple[str, ...]:
        return self._clean_by("packages", validators.packages)

    def clean_commands(self) -> tuple[str, ...]:
        return self._clean_by("commands", validators.commands)

    def clean_timezone(self) -> str:
        return self._clean_by("timezone", validators.timezone)

    def clean_user_data(self) -> str:
        return self._clean_by("user_data", validators.user_data)

    def clean_new_key(self) -> sshkeys.PublicKey | None:
        text = self.cleaned_data["new_key"]
        if not text:
            return None
        try:
            return sshkeys.parse(text)
        except sshkeys.BadKey as exc:
            if sshkeys.is_private(text):
                self._forget("new_key")
            raise ValidationError(str(exc), code="bad_key") from None

    def _forget(self, name: str) -> None:
        """What must not be sent back to the browser."""
        data = self.data.copy() if hasattr(self.data, "copy") else dict(self.data)
        data[name] = ""
        self.data = data

    def clean_pool(self) -> Pool | None:
        return chosen_pool(self.offer, self.cleaned_data["pool"])

    def clean_firmware(self) -> str:
        firmware: str = self.cleaned_data["firmware"]
        if firmware and self.offer.provider is not None and firmware not in self.offer.firmwares:
            raise ValidationError(f"“{self.offer.provider}” does not have this firmware; choose another.")
        return firmware

    def clean(self) -> dict[str, Any]:
        self._pass_over_what_is_hidden()
        self._check_name_is_free()
        self._check_own_size()
        self._check_disk()
        self._check_counts()
        self.cleaned_data["options"] = self.options.clean()
        return self.cleaned_data

    def _pass_over_what_is_hidden(self) -> None:
        """What the page does not show for this choice is neither used nor complained about."""
        hidden: set[str] = set() if self.offer.may_have_own_disk else {"disk_gib"}
        if self.data.get("size") != OWN:
            hidden |= OWN_SIZE
        if self.offer.provider is None:
            # The one thing to say is that there is no provider; what it would have had follows from it.
            hidden |= {"image", "size"}
        image = self.cleaned_data.get("image")
        if "image" not in self.errors and self.offer.provider is not None and (image is None or image.is_iso):
            hidden |= FIRST_BOOT
        for name in hidden:
            self.errors.pop(name, None)
            if name in FIRST_BOOT or name == "disk_gib" or name not in self.cleaned_data:
                self.cleaned_data[name] = EMPTY_VALUES.get(name, "")

    def _check_name_is_free(self) -> None:
        name, provider = self.cleaned_data.get("name"), self.offer.provider
        if name and provider and name_is_taken(provider, name, besides=self.retry_of):
            self.add_error("name", ValidationError(taken(provider), code="taken"))

    def _check_own_size(self) -> None:
        if self.data.get("size") != OWN or self.offer.provider is None:
            return
        for name, check, ask in (
            ("vcpus", self.offer.too_many_cpus, "Say how many CPUs it should have."),
            ("memory_mib", self.offer.too_much_memory, "Say how much memory it should have."),
        ):
            if name in self.errors:
                continue
            value = self.cleaned_data.get(name)
            if value is None:
                self.add_error(name, ask)
            elif sentence := check(value):
                self.add_error(name, ValidationError(sentence, code="too_large"))

    def _check_disk(self) -> None:
        if {"disk_gib", "image", "provider"} & set(self.errors):
            return
        image, disk_gib = self.cleaned_data.get("image"), self._disk_gib
        if image is None or image.is_iso:
            if disk_gib is None and self.offer.provider is not None:
                self.add_error("disk_gib", "Say how large its disk should be; there is no image to tell.")
        elif disk_gib is not None and disk_gib < image.size_gib:
            self.add_error("disk_gib", f"This image needs at least {ceil(image.size_gib)} GiB.")

    def _check_counts(self) -> None:
        provider = self.offer.provider
        if provider is None:
            return
        can = provider.can.machines
        if not can.several_disks and self.disks.forms:
            self.add_error(None, f"“{provider}” makes machines with one disk.")
        if not can.several_nics and len(self.nics.forms) > 1:
            self.add_error(None, f"“{provider}” makes machines with one network card.")

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        self._check_room()

    def _check_room(self) -> None:
        """A disk that can never be filled is refused now, not when the guest has written half of it."""
        if not self.disks.is_valid() or {"disk_gib", "pool", "image", "provider"} & set(self.errors):
            return
        image, usual = self.cleaned_data.get("image"), self.offer.usual_pool
        first_pool = self.cleaned_data.get("pool") or usual
        wanted: dict[Pool | None, float] = defaultdict(float)
        if not (image and image.is_iso and self._disk_gib is None):
            wanted[first_pool] += self._disk_gib or (image.size_gib if image else 0)
        for row in self.disks.cleaned_data:
            wanted[row["pool"] or first_pool] += row["size_gib"]
        for pool, size_gib in wanted.items():
            if pool is not None and pool.capacity_gib and size_gib > pool.available_gib:
                self.add_error("disk_gib", f"The pool “{pool}” has {pool.available_gib:.1f} GiB free.")

    # -- what follows from it ------------------------------------------------------------------------------------------

    @property
    def _disk_gib(self) -> int | None:
        """As typed; else what the chosen size brings; None: as large as the image."""
        typed: int | None = self.cleaned_data.get("disk_gib")
        size: Size | None = self.cleaned_data.get("size")
        image: Image | None = self.cleaned_data.get("image")
        if typed is not None or size is None or not size.disk_gib or size.flavor:
            return typed
        return max(size.disk_gib, ceil(image.size_gib) if image else 0)

    def wish(self, *, start: bool) -> Wish:
        """The checked form as a wish. Hashes the password, which takes its time on purpose."""
        typed, image = self.cleaned_data, self.cleaned_data["image"]
        size: Size | None = typed["size"]
        pool: Pool | None = typed["pool"]
        is_iso = image is not None and image.is_iso
        return Wish(
            name=typed["name"],
            vcpus=size.vcpus if size else typed["vcpus"],
            memory_mib=size.memory_mib if size else typed["memory_mib"],
            flavor=size.flavor if size else "",
            zone=typed["zone"],
            image=image.external_id if image and not is_iso else "",
            iso=image.external_id if image and is_iso else "",
            disk_gib=self._disk_gib,
            pool=pool.external_id if pool else "",
            full_copy=typed["full_copy"],
            more_disks=tuple(
                DiskWish(size_gib=row["size_gib"], pool=row["pool"].external_id if row["pool"] else "")
                for row in self.disks.cleaned_data
            ),
            nics=tuple(row["wish"] for row in self.nics.cleaned_data if "wish" in row),
            username=typed["username"],
            default_user=image.default_user if image else "",
            password_hash=hash_password(typed["password"], rounds=HASH_ROUNDS) if typed["password"] else "",
            ssh_password_login=bool(typed["password"] and typed["ssh_password_login"]),
            ssh_keys=self._key_lines(),
            hostname=typed["hostname"],
            packages=typed["packages"],
            commands=typed["commands"],
            files=self._guest_files(),
            users=self._guest_users(),
            timezone=typed["timezone"],
            user_data=typed["user_data"],
            merge=typed["merge"],
            description=typed["description"],
            firmware=typed["firmware"],
            autostart=typed["autostart"],
            options=typed["options"],
            start=start,
        )

    def _guest_files(self) -> tuple[GuestFile, ...]:
        if not self._first_boot_rows:
            return ()
        return tuple(GuestFile(**row) for row in self.guest_files.cleaned_data)

    def _guest_users(self) -> tuple[GuestUser, ...]:
        if not self._first_boot_rows:
            return ()
        rows = self.guest_users.cleaned_data
        return tuple(GuestUser(name=row["name"], ssh_keys=row["keys"], sudo=row["sudo"]) for row in rows)

    def _key_lines(self) -> tuple[str, ...]:
        chosen = [key.public_key for key in self._saved_keys if str(key.pk) in self.cleaned_data["keys"]]
        new: sshkeys.PublicKey | None = self.cleaned_data["new_key"]
        return tuple(dict.fromkeys([*chosen, *([new.line] if new else [])]))

    def create(self, wish: Wish) -> tuple[VirtualMachine, Job]:
        """Keep the new key when that was asked for, and start the creation."""
        new: sshkeys.PublicKey | None = self.cleaned_data["new_key"]
        if new and self.cleaned_data["keep_key"]:
            accounts.add_ssh_key(
                self.user, name=self.cleaned_data["new_key_name"] or new.label[:80], public_key=new.line
            )
        return services.create(
            project=self.cleaned_data["project"],
            provider=self.cleaned_data["provider"],
            spec=vm_spec(wish),
            image=self.cleaned_data["image"],
            user=self.user,
            form=create_memory.kept(self.data, but=self.options.secrets),
            retry_of=self.retry_of,
        )


#: Fields that belong to one choice only: an own size, an image that is set up at its first boot.
OWN_SIZE = frozenset({"vcpus", "memory_mib"})
FIRST_BOOT = frozenset(
    "username password ssh_password_login keys new_key hostname packages commands timezone user_data merge".split()  # noqa: SIM905
)
EMPTY_VALUES: dict[str, Any] = {
    "image": None,
    "size": None,
    "vcpus": None,
    "memory_mib": None,
    "disk_gib": None,
    "ssh_password_login": False,
    "merge": False,
    "keys": (),
    "new_key": None,
    "packages": (),
    "commands": (),
}
#: Fields of the folded section; it opens by itself when one of them has a value or an error.
ADVANCED = frozenset(
    "pool full_copy firmware autostart description hostname packages commands timezone user_data merge".split()  # noqa: SIM905
)
