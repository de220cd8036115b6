"""Several people at one console: who is here, and who of them drives. All of it in the loop's thread.

A screen has one driver at a time; whoever may type can become it, and everybody else watches. A serial line is for all
who may type. What page and service say to each other about it stands in docs/consoles.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from providers.base import ConsoleKind
from vms.console.admission import Ticket
from vms.console.console import Console
from vms.console.loop import Loop

#: How long the keyboard waits for a driver whose connection was lost.
KEPT_S = 5.0
#: Whether this ticket's person may take the keyboard from others, asked of the rows; answered later.
MayLead = Callable[[Ticket, Callable[[bool], None]], None]


@dataclass(slots=True)
class Person:
    console: Console
    ticket: Ticket
    since: float
    #: When they asked for the keyboard; None: they do not.
    asked_at: float | None = None

    @property
    def may_type(self) -> bool:
        return not self.ticket.view_only


class Room:
    """All consoles of one kind on one machine."""

    def __init__(self, loop: Loop, kind: ConsoleKind, may_lead: MayLead, on_driver: Callable[[Console], None]) -> None:
        self._loop, self._may_lead, self._on_driver = loop, may_lead, on_driver
        self.has_driver = kind is ConsoleKind.VNC
        self.people: dict[Console, Person] = {}
        self.driver: Console | None = None
        #: Whose the keyboard is while it waits for them.
        self._kept_for = ""

    # -- coming and going ----------------------------------------------------------------------------------------------

    def enter(self, console: Console, ticket: Ticket) -> None:
        """Before a byte is read: whether this console drives."""
        person = Person(console, ticket, time.time())
        for other in self._of(ticket.holder):
            # A page whose line broke comes back before anybody knows that its old connection is dead.
            other.console.doubt()
        self.people[console] = person
        if not self.has_driver:
            console.drive(person.may_type)
        elif self.driver is None and person.may_type and self._kept_for in {"", ticket.holder}:
            self._kept_for = ""
            self.driver = console
            console.drive(True)
        else:
            console.drive(False)

    def leave(self, console: Console) -> None:
        person = self.people.pop(console, None)
        if person is None:
            return
        if self.driver is console:
            self.driver = None
            if not self._pass_on(person.ticket.holder):
                self._kept_for = person.ticket.holder
                self._loop.after(KEPT_S, self._settle)
        self.tell()

    def _settle(self) -> None:
        """Who was away for too long has lost the keyboard to who was there first."""
        if not self._kept_for:
            return
        self._kept_for = ""
        heir = next((person for person in self.people.values() if person.may_type), None)
        if self.driver is None and heir is not None:
            self._drive(heir, "You have the keyboard now.")
        self.tell()

    def _pass_on(self, left: str = "") -> bool:
        """To who asked first, else to who `left` and is back already; False when there is neither."""
        asking = [person for person in self.people.values() if person.asked_at is not None]
        back = [person for person in self._of(left) if person.may_type]
        if not asking and not back:
            return False
        heir = min(asking, key=lambda person: person.asked_at or 0) if asking else back[-1]
        self._drive(heir, "You have the keyboard now.")
        return True

    def _of(self, holder: str) -> list[Person]:
        return [person for person in self.people.values() if person.ticket.holder == holder]

    def _drive(self, person: Person, sentence: str) -> None:
        before, self.driver, person.asked_at, self._kept_for = self.driver, person.console, None, ""
        # First the one that stops: at no moment two consoles drive.
        if before is not None and before is not person.console:
            before.drive(False)
            self._on_driver(before)
        person.console.drive(True)
        self._on_driver(person.console)
        person.console.say(type="notice", sentence=sentence)

    # -- what people say -----------------------------------------------------------------------------------------------

    def heard(self, console: Console, message: Mapping[str, object]) -> None:
        me = self.people.get(console)
        if me is None or not self.has_driver:
            return
        match message.get("type"):
            case "ask":
                self._ask(me)
            case "withdraw":
                me.asked_at = None
            case "release" if self.driver is console:
                self._release(me)
            case "give" if self.driver is console:
                self._give(me, message.get("to"))
            case "refuse" if self.driver is console:
                self._refuse(me, message.get("to"))
            case "give" | "refuse" | "release":
                _tell_one(me, "You do not have the keyboard.")
            case "take":
                self._take(me)
                return
            case _:
                return
        self.tell()

    def _ask(self, me: Person) -> None:
        if not me.may_type:
            _tell_one(me, "You only watch here.")
        elif self.driver is None:
            self._drive(me, "You have the keyboard.")
        elif self.driver is not me.console and me.asked_at is None:
            me.asked_at = time.monotonic()
            self.driver.say(type="notice", sentence=f"{me.ticket.name} asks for the keyboard.")
            self.driver.doubt()

    def _release(self, me: Person) -> None:
        me.console.drive(False)
        self.driver = None
        self._on_driver(me.console)
        self._pass_on()

    def _give(self, me: Person, to: object) -> None:
        other = self._called(to)
        if other is None or other is me:
            _tell_one(me, "They are not here any more.")
        elif not other.may_type:
            _tell_one(me, f"{other.ticket.name} only watches.")
        else:
            self._drive(other, f"{me.ticket.name} handed you the keyboard.")

    def _refuse(self, me: Person, to: object) -> None:
        other = self._called(to)
        if other is not None and other.asked_at is not None:
            other.asked_at = None
            _tell_one(other, f"{me.ticket.name} keeps the keyboard for now.")

    def _take(self, me: Person) -> None:
        if self.driver is me.console:
            return
        if not me.may_type:
            _tell_one(me, "You only watch here.")
        elif self.driver is None:
            self._drive(me, "You have the keyboard.")
            self.tell()
        else:
            # The ticket remembers what they were allowed when they came; the rows say what they are allowed now.
            self._may_lead(me.ticket, lambda may: self._taken(me, may=may))

    def _taken(self, me: Person, *, may: bool) -> None:
        if me.console not in self.people or self.driver is me.console:
            return
        if not may:
            _tell_one(me, "You may not take the keyboard from others; ask for it.")
            return
        before = self.driver
        self._drive(me, "You have the keyboard.")
        if before is not None:
            before.say(type="notice", sentence=f"{me.ticket.name} took the keyboard.")
        self.tell()

    def _called(self, name: object) -> Person | None:
        return next((person for person in self.people.values() if person.console.id.hex == name), None)

    # -- what people are told ------------------------------------------------------------------------------------------

    def tell(self) -> None:
        """Everybody the whole truth: who is here, and what they may do."""
        people = [
            {
                "id": person.console.id.hex,
                "name": person.ticket.name,
                "since": int(person.since),
                "drives": person.console.drives,
                "asks": person.asked_at is not None,
                "view_only": not person.may_type,
                "guest": person.ticket.guest_link_pk is not None,
            }
            for person in self.people.values()
        ]
        for person in list(self.people.values()):
            person.console.say(
                type="people",
                you=person.console.id.hex,
                drives=person.console.drives,
                driver=self.driver.id.hex if self.driver is not None else None,
                may=self._may(person),
                people=people,
            )

    def _may(self, person: Person) -> dict[str, bool]:
        drives, is_free = self.driver is person.console, self.driver is None
        waits = self.has_driver and person.may_type and not drives
        others = any(other.may_type for other in self.people.values() if other is not person)
        return {
            "drive": person.may_type,
            "ask": waits and not is_free and person.asked_at is None,
            "take": waits and (is_free or person.ticket.may_lead),
            "release": drives,
            "give": drives and others,
        }


def _tell_one(person: Person, sentence: str) -> None:
    person.console.say(type="notice", sentence=sentence)


class Rooms:
    """The rooms of all machines; one exists while somebody is in it."""

    def __init__(self, loop: Loop, may_lead: MayLead, on_driver: Callable[[Console], None]) -> None:
        self._loop, self._may_lead, self._on_driver = loop, may_lead, on_driver
        self._rooms: dict[tuple[int, ConsoleKind], Room] = {}

    def enter(self, console: Console) -> None:
        """A console is about to open: decide whether it drives."""
        ticket = console.ticket
        if ticket is None:
            return
        key = (ticket.vm_pk, ticket.kind)
        room = self._rooms.get(key)
        if room is None:
            room = self._rooms[key] = Room(self._loop, ticket.kind, self._may_lead, self._on_driver)
        room.enter(console, ticket)

    def tell(self, console: Console) -> None:
        """It is open now: tell everybody there."""
        room = self._room_of(console)
        if room is not None:
            room.tell()

    def leave(self, console: Console) -> None:
        room = self._room_of(console)
        if room is None or console.ticket is None:
            return
        room.leave(console)
        if not room.people:
            self._rooms.pop((console.ticket.vm_pk, console.ticket.kind), None)

    def heard(self, console: Console, message: Mapping[str, object]) -> None:
        room = self._room_of(console)
        if room is not None:
            room.heard(console, message)

    def _room_of(self, console: Console) -> Room | None:
        if console.ticket is None:
            return None
        return self._rooms.get((console.ticket.vm_pk, console.ticket.kind))
