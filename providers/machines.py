"""Which machines use a pool, a volume or a network. The machines' app stands above and says it through this door."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from kvweb.accounts.access import Person


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What storage and networks need to know of a machine: a name to show, a page to lead to, its cards and disks."""

    provider_id: int
    external_id: str
    name: str
    address: str
    """Of its page."""
    project_id: int | None
    """None while it belongs to nobody."""
    is_visible: bool
    """Whether the person who asked may see it."""
    nics: list[dict[str, Any]] = field(default_factory=list)
    """With `devices="nics"`, as `disks` with "disks"."""
    disks: list[dict[str, Any]] = field(default_factory=list)


#: Names of machines on a page that is about something else; of more, the number.
MOST_SHOWN = 50

#: What is read besides the names: devices of many machines are much to read.
Devices = Literal["", "nics", "disks"]

#: (person, ids of providers, external ids or None for all, devices, words that the devices mention or none for all) →
#: machines. Without a person nothing is visible.
Finder = Callable[[Person | None, Collection[int], Collection[str] | None, Devices, Collection[str]], Iterable[Machine]]

#: The app of machines puts its finder here when it loads.
finders: list[Finder] = []


#: ids of providers → (provider's id, network as the card tells it, machine's external id), once for each card.
CardFinder = Callable[[Collection[int]], Iterable[tuple[int, str, str]]]
card_finders: list[CardFinder] = []


def plugged_at(providers: Collection[int]) -> dict[tuple[int, str], set[str]]:
    """Provider and network → external ids of the machines with a card in it: for lists, which show numbers only; one
    query that leaves all else of the machines unread."""
    found: dict[tuple[int, str], set[str]] = {}
    for find in card_finders if providers else ():
        for provider_id, network, external_id in find(providers):
            found.setdefault((provider_id, network), set()).add(external_id)
    return found


def machines_at(
    providers: Collection[int],
    *,
    person: Person | None = None,
    external_ids: Collection[str] | None = None,
    devices: Devices = "",
    mentioning: Collection[str] = (),
) -> list[Machine]:
    """Machines of these providers, or those of them that are named, with cards or disks where asked for; one query.

    `mentioning` leaves those unread whose devices hold none of these words; who asks still looks where they stand.
    """
    if not providers or (external_ids is not None and not external_ids):
        return []
    return [machine for find in finders for machine in find(person, providers, external_ids, devices, mentioning)]


@dataclass(frozen=True, slots=True)
class Users:
    """Who uses a thing, as one person may know it: machines of their projects by name, the others by number."""

    named: list[Machine] = field(default_factory=list)
    others: int = 0

    @property
    def shown(self) -> list[Machine]:
        """As many as a page has room for."""
        return self.named[:MOST_SHOWN]

    @property
    def unshown(self) -> int:
        return len(self.named) - len(self.shown)

    @property
    def count(self) -> int:
        return len(self.named) + self.others

    def __bool__(self) -> bool:
        return self.count > 0


def users_of(machines: Iterable[Machine]) -> Users:
    listed = sorted(machines, key=lambda machine: machine.name)
    return Users([one for one in listed if one.is_visible], sum(not one.is_visible for one in listed))
