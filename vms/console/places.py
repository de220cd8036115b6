"""How many consoles everybody has open, and whether there is a place for one more."""

from __future__ import annotations

from collections import Counter

from django.conf import settings

from vms.console.admission import Ticket
from vms.console.closing import Closing, Code


class Places:
    """Changed in the loop's thread only; `refusal` may be asked in any."""

    def __init__(self) -> None:
        #: By their grants, each of which is good for one console.
        self._taken: set[int] = set()
        self._per_holder: Counter[str] = Counter()
        self._per_vm: Counter[int] = Counter()
        self._per_provider: Counter[int] = Counter()

    def refusal(self, ticket: Ticket) -> Closing | None:
        """Why there is no place for this one now, with the number that is the most."""
        if len(self._taken) >= settings.CONSOLES_MAX:
            most = settings.CONSOLES_MAX
            return Closing(Code.TOO_MANY, f"The portal carries {_consoles(most)}, which is the most. Try again later.")
        of_guests = ticket.guest_link_pk is not None
        most = settings.CONSOLES_PER_GUEST_LINK if of_guests else settings.CONSOLES_PER_USER
        if self._per_holder[ticket.holder] >= most:
            whose = "This guest link has" if of_guests else "You have"
            return Closing(Code.TOO_MANY, f"{whose} {_consoles(most)} open, which is the most. Close one.")
        if self._per_vm[ticket.vm_pk] >= settings.CONSOLES_PER_VM:
            most = settings.CONSOLES_PER_VM
            return Closing(Code.TOO_MANY, f"This machine has {_consoles(most)} open, which is the most. Close one.")
        return None

    def take(self, ticket: Ticket) -> None:
        self._taken.add(ticket.grant_pk)
        self._per_holder[ticket.holder] += 1
        self._per_vm[ticket.vm_pk] += 1
        self._per_provider[ticket.provider_pk] += 1

    def give_back(self, ticket: Ticket) -> None:
        """Those that were refused and only waited to read why have taken nobody's place, and give none back."""
        if ticket.grant_pk not in self._taken:
            return
        self._taken.remove(ticket.grant_pk)
        self._per_provider[ticket.provider_pk] -= 1
        self._per_holder[ticket.holder] -= 1
        self._per_vm[ticket.vm_pk] -= 1
        # Of people and machines there come ever new ones.
        if self._per_holder[ticket.holder] <= 0:
            del self._per_holder[ticket.holder]
        if self._per_vm[ticket.vm_pk] <= 0:
            del self._per_vm[ticket.vm_pk]

    def at(self, provider_pk: int) -> int:
        """How many consoles of this provider are open."""
        return self._per_provider[provider_pk]


def _consoles(count: int) -> str:
    return "1 console" if count == 1 else f"{count} consoles"
