"""Rows of the list of machines, written in Python: fifty of them by template cost more than the rest of the page.

It is the one place of the project where HTML is put together by hand. Every text passes `escape`; names come from
providers and are strangers' text.
"""

from __future__ import annotations

from html import escape

from django.utils.safestring import SafeString, mark_safe

from kvweb.accounts.access import Person, allowed
from kvweb.ui.badges import markup
from kvweb.ui.icons import icon
from kvweb.ui.words import UNKNOWN, ago_words, size_words
from vms.actions import RESUME, START, STOP
from vms.looks import CONSOLE_LABELS, action_address, main_address, vm_badge
from vms.models import VirtualMachine


def _console(vm: VirtualMachine, user: Person, name: str) -> str:
    """The link to the first console of a machine that runs."""
    if not vm.is_running or vm.active_job is not None or not vm.provider.is_reachable:
        return ""
    if not allowed(user, "vm.console", vm):
        return ""
    kind = next((kind.value for kind in CONSOLE_LABELS if vm.has_console(kind)), "")
    if not kind:
        return ""
    return (
        f'<a class="btn quick" href="/vms/{vm.uuid}/console/{kind}" title="Console" aria-label="Console of {name}">'
        f"{icon('device-desktop')}</a>"
    )


def _power(vm: VirtualMachine, user: Person, name: str) -> str:
    """What a person most likely wants next with its power; nothing when it may not be done now."""
    action = START if vm.is_off else RESUME if vm.is_paused else STOP
    if not action.check(vm, user).is_allowed:
        return ""
    address, label = action_address(vm.uuid, action), escape(action.label)
    said = f'title="{label}" aria-label="{label} {name}"'
    if not action.asks:
        doing = escape(action.doing)
        return (
            f'<button class="btn quick" form="act" formaction="{address}" data-doing="{doing}" {said}>'
            f"{icon(action.icon)}</button>"
        )
    return f'<a class="btn quick" href="{address}" data-dialog {said}>{icon(action.icon)}</a>'


def _addresses(vm: VirtualMachine) -> str:
    address, more = main_address(vm)
    if not address:
        return ""
    rest = f' <span class="more" title="{escape(vm.addresses)}">+{more}</span>' if more else ""
    return f'<button type="button" class="copy" data-copy title="Copy">{escape(address)}</button>{rest}'


def row(vm: VirtualMachine, user: Person, *, with_project: bool) -> SafeString:
    """One machine with provider, project and active job at hand; asks the database nothing."""
    uuid, name = str(vm.uuid), escape(vm.name)
    problem = f'<span class="problem">{escape(vm.problem)}</span>' if vm.problem else ""
    project = f'<td class="fact wide-only">{escape(vm.project.name)}</td>' if with_project else ""
    return mark_safe(  # noqa: S308 - every text above and below is escaped
        f'<tr id="vm-{uuid}" data-row data-subject="vm:{uuid}">'
        f'<td class="check"><input class="form-check-input" type="checkbox" name="vm" value="{uuid}" form="bulk"'
        f' aria-label="Select {name}"></td>'
        f'<td class="name"><a href="/vms/{uuid}/" data-open>{name}</a>{problem}</td>'
        f'<td class="where">{markup(vm_badge(vm))}</td>'
        f'<td class="fact">{_addresses(vm)}</td>'
        f'<td class="number fact" data-label="CPU">{vm.vcpus or UNKNOWN}</td>'
        f'<td class="number fact" data-label="Memory">{size_words(vm.memory_mib)}</td>'
        f'<td class="number wide-only rare">{size_words(vm.disk_gib * 1024)}</td>'
        f'<td class="fact">{escape(vm.provider.name)}</td>{project}'
        f'<td class="soft wide-only rare"><time datetime="{vm.created_at.isoformat(timespec="seconds")}" data-ago>'
        f"{ago_words(vm.created_at)}</time></td>"
        f'<td class="acts">{_console(vm, user, name)}{_power(vm, user, name)}'
        f'<a class="btn" href="/vms/{uuid}/" data-menu aria-haspopup="menu" aria-expanded="false"'
        f' aria-label="More for {name}">{icon("dots-vertical")}</a></td></tr>\n'
    )


def rows(vms: list[VirtualMachine], user: Person, *, with_project: bool) -> SafeString:
    return mark_safe("".join(row(vm, user, with_project=with_project) for vm in vms))  # noqa: S308 - rows are safe
