"""How machines look on pages: badges, buttons and facts, put together here so that templates stay plain."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from kvweb.accounts.access import Person, allowed
from kvweb.ui.badges import Badge, badge_of
from providers.base import ConsoleKind, PowerState
from vms.actions import offered
from vms.choices import POWER_LOOK, Presence
from vms.conditions import VmAction
from vms.models import VirtualMachine

CONSOLE_LABELS = {ConsoleKind.VNC: "Screen", ConsoleKind.SERIAL: "Serial console"}


def clock_words(moment: datetime | None) -> str:
    """The time of day, with the date when it was another day."""
    if moment is None:
        return ""
    local = timezone.localtime(moment)
    return f"{local:%H:%M}" if local.date() == timezone.localdate() else f"{local:%-d %b, %H:%M}"


@badge_of.register
def vm_badge(vm: VirtualMachine) -> Badge:
    """The one word for a machine's state.

    | active job | presence        | provider    | shown                        |
    |------------|-----------------|-------------|------------------------------|
    | yes        | any             | any         | what the job does, percent   |
    | no         | wanted          | any         | Not created, or being copied |
    | no         | missing         | any         | Missing since …              |
    | no         | present         | disabled    | Not watched, last state      |
    | no         | present         | unreachable | Unreachable since …          |
    | no         | present         | reachable   | power                        |
    """
    job = vm.active_job
    if job is not None:
        return Badge(job.doing or "Working", "blue", "loader-2", is_busy=True, percent=job.percent, note=job.message)
    if vm.is_being_copied:
        return Badge("Being made", "blue", "loader-2", is_busy=True, note="as a copy of another machine")
    if vm.presence == Presence.WANTED:
        return Badge("Not created", "red", "alert-triangle")
    if vm.presence == Presence.MISSING:
        return Badge("Missing", "red", "help", note=f"not listed by the provider since {clock_words(vm.missing_since)}")
    if vm.presence == Presence.DELETED:
        return Badge("Deleted", "secondary", "trash")
    word, colour, icon = POWER_LOOK.get(vm.power, POWER_LOOK[PowerState.UNKNOWN])
    if not vm.provider.is_enabled:
        return Badge("Provider disabled", "secondary", "ban", note=f"last known: {word}")
    if not vm.provider.is_reachable:
        since = clock_words(vm.provider.unreachable_since)
        note = f"last known at {clock_words(vm.provider.seen_at) or 'an unknown time'}: {word}"
        return Badge("Unreachable", "secondary", "cloud-off", tail=f"since {since}" if since else "", note=note)
    if vm.power in {PowerState.STARTING, PowerState.STOPPING}:
        return Badge(word, "blue", "loader-2", is_busy=True)
    return Badge(word, colour, icon)


#: With these a menu begins a new group: power, what is made of the machine, its end.
FIRST_OF_GROUP = ("take-snapshot", "delete")


@dataclass(frozen=True, slots=True)
class Button:
    """One action as a page shows it."""

    name: str
    label: str
    icon: str
    doing: str
    address: str
    #: The address asks first, in a dialog or on its own page.
    asks: bool = False
    is_destructive: bool = False
    #: Why it cannot be done now; empty when it can.
    reason: str = ""
    #: The first of its group in a menu.
    is_first: bool = False


def action_address(uuid: UUID | str, action: VmAction) -> str:
    return f"/vms/{uuid}/{'ask' if action.asks else 'do'}/{action.name}"


def _button(vm: VirtualMachine, action: VmAction, reason: str = "") -> Button:
    return Button(
        name=action.name,
        label=action.label,
        icon=action.icon,
        doing=action.doing,
        address=action_address(vm.uuid, action),
        asks=action.asks,
        is_destructive=action.is_destructive,
        reason=reason,
        is_first=action.name in FIRST_OF_GROUP,
    )


def buttons(vm: VirtualMachine, user: Person) -> list[Button]:
    """All that is offered, greyed ones with their reason."""
    return [_button(vm, action, check.reason) for action, check in offered(vm, user)]


def buttons_of(vm: VirtualMachine, user: Person, place: str) -> dict[str, Button]:
    """What a tab offers, by the action's name with underscores, as templates ask for it."""
    return {
        action.name.replace("-", "_"): _button(vm, action, check.reason) for action, check in offered(vm, user, place)
    }


#: Buttons that stand in the open where they apply; the rest is in the menu behind them.
IN_THE_OPEN = ("start", "resume", "stop", "restart")


def split_buttons(vm: VirtualMachine, user: Person) -> tuple[list[Button], list[Button]]:
    """Buttons for the header: those of the moment in the open, everything else in a menu."""
    found = buttons(vm, user)
    if vm.presence in {Presence.WANTED, Presence.MISSING}:
        # There is no machine: all that can be done is to take its row away, or to try again.
        return [button for button in found if button.name == "dismiss" and not button.reason], []
    front = [button for button in found if button.name in IN_THE_OPEN and not button.reason]
    if not front:
        front = [button for button in found if button.name == "start"]
    return front, [button for button in found if button not in front]


def console_links(vm: VirtualMachine, user: Person) -> list[dict[str, str]]:
    """Consoles that this person may open, with their page; empty while the machine is off."""
    if not allowed(user, "vm.console", vm) or vm.presence != Presence.PRESENT:
        return []
    found = []
    for kind, label in CONSOLE_LABELS.items():
        if vm.has_console(kind):
            try:
                address = reverse("vms:console", args=[vm.uuid, kind.value])
            except NoReverseMatch:
                continue
            found.append({"kind": kind.value, "label": label, "address": address})
    return found


def viewer_address(vm: VirtualMachine, user: Person) -> str:
    """Where the page asks for the file of a viewer on the person's own computer; empty where there is none."""
    if not allowed(user, "vm.console", vm) or vm.presence != Presence.PRESENT or vm.is_off:
        return ""
    has_one = vm.has_console(ConsoleKind.SPICE) and vm.provider.is_reachable
    return reverse("vms:console_grant", args=[vm.uuid, ConsoleKind.SPICE.value]) if has_one else ""


def why_no_console(vm: VirtualMachine, user: Person) -> str:
    """The sentence in the place of a console; empty when there is one to open."""
    if vm.presence != Presence.PRESENT:
        return "The machine does not exist at its provider, so it has no console."
    if not allowed(user, "vm.console", vm):
        return "Your role in this project may not open consoles."
    if vm.can.consoles is None:
        return f"“{vm.provider.name}” offers no consoles."
    if not vm.provider.is_reachable:
        return f"“{vm.provider.name}” cannot be reached at the moment."
    if vm.is_off:
        return "The machine is off. Its console opens when it runs."
    if not any(vm.has_console(kind) for kind in ConsoleKind):
        return "This machine was made without a screen or a serial port."
    return ""


#: Jobs that take long enough for somebody to think better of it.
LONG_JOBS = frozenset(
    {
        "vm.create",
        "vm.clone",
        "vm.export",
        "vm.migrate",
        "vm.attach_disk",
        "vm.take_snapshot",
        "vm.revert_to_snapshot",
        "vm.delete_snapshot",
    }
)


def may_cancel(vm: VirtualMachine, user: Person) -> bool:
    """Whether the notice of what is being done has a button to stop it."""
    job = vm.active_job
    if job is None or job.kind not in LONG_JOBS or job.cancel_requested:
        return False
    return job.user_id == user.pk or allowed(user, "job.cancel", vm)


def main_address(vm: VirtualMachine) -> tuple[str, int]:
    """The address to show, an IPv4 one where there is one, and how many more there are."""
    found = vm.address_list
    first = next((address for address in found if ":" not in address), found[0] if found else "")
    return first, max(0, len(found) - 1)


# -- the machine's own page --------------------------------------------------------------------------------------------

SOURCES = {
    "lease": "from the network's DHCP lease",
    "agent": "told by the guest agent",
    "arp": "seen on the network",
    "provider": "told by the provider",
}


def ssh_command(vm: VirtualMachine) -> str:
    """How to sign in with ssh; empty while the machine has no address."""
    address, _ = main_address(vm)
    if not address:
        return ""
    user = vm.login or (vm.image.default_user if vm.image else "")
    return f"ssh {user}@{address}" if user else f"ssh {address}"


def address_facts(vm: VirtualMachine) -> list[dict[str, str]]:
    """Each address with where it was read."""
    return [
        {"address": address, "source": SOURCES.get(nic.get("addresses_source", ""), "")}
        for nic in vm.nics or []
        for address in nic.get("addresses") or []
    ] or [{"address": address, "source": ""} for address in vm.address_list]


def disk_count(vm: VirtualMachine) -> int:
    """How many of its drives are disks; a CD drive is not where its data are."""
    return sum(disk.get("device", "disk") == "disk" for disk in vm.disks or [])
