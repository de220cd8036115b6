"""What a person may choose from when creating a machine: projects, providers, and what the chosen provider has."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar
from uuid import UUID

from django.db.models import Q

from kvweb.accounts.access import Person, projects_with
from kvweb.accounts.models import Project
from kvweb.ui.words import size_words
from networking import selectors as networks
from networking.models import Network
from providers.base import NetworkMode
from providers.models import Health, Provider
from storage import selectors as storage
from storage.models import Image, Pool
from vms import prices
from vms.models import Flavor

T = TypeVar("T", Image, Pool, Network)

EMPTY = "empty"
OWN = "own"
#: How the title of the image begins that every new portal has.
GUEST = "kvweb guest"
#: Networks that the provider routes from their first address.
ROUTED = frozenset({NetworkMode.NAT, NetworkMode.ROUTE, NetworkMode.OPEN})


@dataclass(frozen=True, slots=True)
class Size:
    """One size to choose: the portal's own, or one of the provider's flavors."""

    key: str
    name: str
    vcpus: int
    memory_mib: int
    disk_gib: int = 0
    flavor: str = ""
    """external_id at the provider; empty for the portal's own sizes, which travel as numbers."""
    too_large: str = ""
    """Why it cannot be had at this provider, as a sentence."""
    price: str = ""
    """What it costs there, in words; empty where no price is published."""


class Offer:
    """Everything the page shows and the form checks against; each list is read once.

    `is_strict` is for a form that was sent: what it names and does not exist is None. Without it the usual takes its
    place, as after a change of the project to one that the provider is not open to.
    """

    def __init__(
        self,
        user: Person,
        *,
        project: str = "",
        provider: str = "",
        image: str = "",
        zone: str = "",
        is_strict: bool = False,
    ) -> None:
        self.user, self.is_strict = user, is_strict
        self._wanted_project, self._wanted_provider, self._wanted_image = project, provider, image
        self._wanted_zone = zone

    # -- where ---------------------------------------------------------------------------------------------------------

    @cached_property
    def projects(self) -> list[Project]:
        return list(projects_with(self.user, "vm.create").filter(is_unassigned=False))

    @cached_property
    def project(self) -> Project | None:
        """The wanted one; without a wish the first that a provider is open to."""
        if self._wanted_project:
            wanted = next((one for one in self.projects if str(one.uuid) == self._wanted_project), None)
            if wanted is not None or self.is_strict:
                return wanted
        return next((one for one in self.projects if _providers_of(one)), next(iter(self.projects), None))

    @cached_property
    def all_providers(self) -> list[Provider]:
        """Open to the project, also those that are disabled: a page that was open for long may still name one."""
        return _providers_of(self.project, is_enabled=None) if self.project else []

    @cached_property
    def providers(self) -> list[Provider]:
        return [one for one in self.all_providers if one.is_enabled]

    @cached_property
    def provider(self) -> Provider | None:
        """The wanted one; without a wish that of the wanted image, else the first that answers and has images."""
        if self._wanted_provider:
            offered = self.all_providers if self.is_strict else self.providers
            wanted = next((one for one in offered if str(one.uuid) == self._wanted_provider), None)
            if wanted is not None or self.is_strict:
                return wanted
        if self._wanted_image:
            home = next((one for one in self.providers if self._has_image(one)), None)
            if home is not None:
                return home
        answering = [one for one in self.providers if one.is_reachable]
        with_images = (one for one in answering if storage.usable_images(one, self.project).exists())
        return next(with_images, next(iter(answering or self.providers), None))

    def _has_image(self, provider: Provider) -> bool:
        return _find(storage.usable_images(provider, self.project), self._wanted_image) is not None

    # -- what ----------------------------------------------------------------------------------------------------------

    @cached_property
    def _all_images(self) -> list[Image]:
        return list(storage.usable_images(self.provider, self.project)) if self.provider else []

    @cached_property
    def images(self) -> list[Image]:
        can = self.provider is not None and self.provider.can.machines.create_from_image
        return [image for image in self._all_images if can and not image.is_iso]

    @cached_property
    def isos(self) -> list[Image]:
        can = self.provider is not None and self.provider.can.machines.create_from_iso
        return [image for image in self._all_images if can and image.is_iso]

    @property
    def may_be_empty(self) -> bool:
        return self.provider is not None and self.provider.can.machines.create_empty

    @property
    def usual_image(self) -> Image | None:
        """The one that is chosen before anybody chooses: the only one, or the small one for trying out."""
        only = self._all_images if len(self._all_images) == 1 else []
        guests = [image for image in self.images if str(image).startswith(GUEST)]
        found = only or guests or self.images
        return found[0] if len(found) == 1 else None

    def image(self, wanted: str) -> Image | None:
        """By its uuid or, for links that people write by hand, by its name or title."""
        return _find([*self.images, *self.isos], wanted)

    # -- zones and sizes -----------------------------------------------------------------------------------------------

    @property
    def zones(self) -> dict[str, str]:
        """Where in the provider a machine may be made, in words; empty where there is no such choice."""
        return self.provider.can.machines.zones if self.provider else {}

    @property
    def usual_zone(self) -> str:
        """What the provider's settings name; empty: it chooses by itself."""
        named = (self.provider.config.get(name) for name in ("zone", "location")) if self.provider else ()
        return next((one for one in named if one in self.zones), "")

    @property
    def zone(self) -> str:
        """The wanted one where it exists, else the usual one."""
        return self._wanted_zone if self._wanted_zone in self.zones else self.usual_zone

    @property
    def may_have_own_size(self) -> bool:
        return self.provider is not None and self.provider.can.machines.own_size

    @property
    def may_have_own_disk(self) -> bool:
        """Whether the size of the first disk is a choice of its own, and not that of the flavor."""
        return self.may_have_own_size or any(not size.disk_gib for size in self.sizes)

    @cached_property
    def sizes(self) -> list[Size]:
        """The portal's sizes where sizes are free, the provider's flavors elsewhere."""
        if self.provider is None:
            return []
        if self.may_have_own_size:
            found = [
                Size(f"flavor:{one.name}", one.name, one.vcpus, one.memory_mib, one.disk_gib)
                for one in Flavor.objects.all()
            ]
        else:
            found = [
                Size(
                    key=f"provider:{one['external_id']}",
                    name=one["name"],
                    vcpus=one["vcpus"],
                    memory_mib=one["memory_mib"],
                    disk_gib=one.get("disk_gib") or 0,
                    flavor=one["external_id"],
                    too_large=self._why_not_here(one.get("zones") or []),
                    price=prices.words(one.get("prices") or [], self.zone),
                )
                for one in self.provider.host.get("flavors", [])
            ]
        return [size if size.flavor else self._judged(size) for size in found]

    def _why_not_here(self, zones: list[str]) -> str:
        if not zones or not self.zone or self.zone in zones:
            return ""
        return f"Not to be had in {self.zones[self.zone]} at the moment."

    def _judged(self, size: Size) -> Size:
        reason = self.too_many_cpus(size.vcpus) or self.too_much_memory(size.memory_mib)
        return replace(size, too_large=reason)

    def size(self, key: str) -> Size | None:
        return next((size for size in self.sizes if size.key == key), None)

    def usual_size(self, image: Image | None) -> Size | None:
        """The size that is chosen before anybody chooses: the smallest that suits the image, "small" without one."""
        fitting = [size for size in self.sizes if not size.too_large]
        least = image.min_memory_mib if image and image.min_memory_mib else 1024
        return next((size for size in fitting if size.memory_mib >= least), fitting[-1] if fitting else None)

    # -- limits of the provider ----------------------------------------------------------------------------------------

    @property
    def cpus(self) -> int:
        """How many there are; 0 when the provider tells none."""
        return (self.provider.host.get("cpus_total") if self.provider else 0) or 0

    @property
    def memory_mib(self) -> int:
        return (self.provider.host.get("memory_total_mib") if self.provider else 0) or 0

    def too_many_cpus(self, vcpus: int) -> str:
        if not self.cpus or vcpus <= self.cpus:
            return ""
        return f"“{self.provider}” has {self.cpus} CPUs."

    def too_much_memory(self, memory_mib: int) -> str:
        if not self.memory_mib or memory_mib <= self.memory_mib:
            return ""
        return f"“{self.provider}” has {size_words(self.memory_mib)} of memory."

    # -- disks and networks --------------------------------------------------------------------------------------------

    @cached_property
    def pools(self) -> list[Pool]:
        return list(storage.usable_pools(self.provider)) if self.provider else []

    def pool(self, wanted: str) -> Pool | None:
        return _find(self.pools, wanted)

    @property
    def usual_pool(self) -> Pool | None:
        """Where disks go when nobody chooses, as far as we can tell: the only one, or the one of that name."""
        wanted = (self.provider.config.get("pool") if self.provider else "") or "default"
        return self.pools[0] if len(self.pools) == 1 else _find(self.pools, wanted)

    @cached_property
    def networks(self) -> list[Network]:
        return list(networks.usable(self.provider, self.project)) if self.provider else []

    @property
    def guests_know_routes(self) -> bool:
        """Whether a fixed address comes with a gateway and name servers; a cloud's own networks tell them by DHCP."""
        return any(one.mode != NetworkMode.PROVIDER for one in self.networks)

    def network(self, wanted: str) -> Network | None:
        return _find(self.networks, wanted)

    @property
    def usual_network(self) -> Network | None:
        wanted = (self.provider.config.get("network") if self.provider else "") or "default"
        named = _find(self.networks, wanted)
        outside = (one for one in self.networks if one.mode in ROUTED or one.type == "public")
        return named or next(outside, next(iter(self.networks), None))

    @property
    def firmwares(self) -> list[str]:
        return sorted(self.provider.can.machines.firmwares) if self.provider else []


def sentence_about(provider: Provider) -> str:
    """Why nothing can be created there now; empty when it can."""
    if not provider.is_enabled:
        return f"“{provider}” is disabled; choose another."
    if provider.health == Health.FAILED:
        reason = provider.health_reason or "The provider does not answer."
        return f"“{provider}” cannot be reached at the moment: {reason}"
    return ""


def _providers_of(project: Project, *, is_enabled: bool | None = True) -> list[Provider]:
    found = Provider.objects.filter(Q(projects__isnull=True) | Q(projects=project)).distinct()
    return list(found if is_enabled is None else found.filter(is_enabled=is_enabled))


def _find(rows: Iterable[T], wanted: str) -> T | None:
    """By uuid; or, for links written by hand, by name or title."""
    if not wanted:
        return None
    listed = list(rows)
    try:
        uuid = UUID(wanted)
    except ValueError:
        return next((row for row in listed if wanted in (row.name, str(row))), None)
    return next((row for row in listed if row.uuid == uuid), None)
