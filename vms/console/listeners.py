"""Which serial lines the console service listens to while nobody watches, and what of consoles is swept away."""

from __future__ import annotations

from django.conf import settings

from providers.base import ConsoleKind
from vms.choices import Presence
from vms.console import grants, guest_links, serial_log, sessions
from vms.console.serial_lines import Wanted
from vms.models import VirtualMachine


def wanted() -> dict[int, Wanted]:
    """Machines that run and whose serial log is kept; at most so many as the setting allows."""
    vms = (
        VirtualMachine.objects.filter(keeps_serial_log=True, presence=Presence.PRESENT, provider__is_enabled=True)
        .exclude(power__in=grants.WITHOUT_CONSOLE)
        .select_related("provider")
        .defer("nics", "disks", "snapshots", "description", "options", "provider__host")
        .order_by("pk")[: settings.SERIAL_LISTENERS_MAX]
    )
    return {
        vm.pk: Wanted(vm.pk, str(vm.uuid), vm.external_id, vm.provider)
        for vm in vms
        if vm.has_console(ConsoleKind.SERIAL)
    }


def sweep() -> None:
    """Once an hour: grants nobody used, links long over, old history, and logs of machines that are gone."""
    grants.sweep()
    guest_links.sweep()
    sessions.sweep()
    there = VirtualMachine.objects.exclude(presence=Presence.DELETED).values_list("uuid", flat=True)
    serial_log.sweep({str(uuid) for uuid in there})
