"""The tabs of a machine's page, in their order. A new one is a module with a `TAB`, a template, and its line here."""

from __future__ import annotations

from typing import Any

from kvweb.accounts.models import User
from vms import (
    console_tab,
    disks_tab,
    history_tab,
    metrics_tab,
    networks_tab,
    overview_tab,
    settings_tab,
    snapshots_tab,
)
from vms.models import VirtualMachine
from vms.tab import Tab

TABS: dict[str, Tab] = {
    tab.name: tab
    for tab in (
        overview_tab.TAB,
        console_tab.TAB,
        disks_tab.TAB,
        networks_tab.TAB,
        snapshots_tab.TAB,
        settings_tab.TAB,
        metrics_tab.TAB,
        history_tab.TAB,
    )
}


def context_of(vm: VirtualMachine, user: User, name: str) -> dict[str, Any]:
    """What a tab's template is given, alone or as part of the whole page."""
    tab = TABS[name]
    return {
        "vm": vm,
        "tab": name,
        "part_template": tab.template,
        "part_live": tab.live(vm),
        **tab.context(vm, user),
    }


def bar(vm: VirtualMachine, current: str) -> list[dict[str, Any]]:
    """The tabs as the page lists them; the current one always, so that nobody stands nowhere."""
    return [
        {
            "name": tab.name,
            "label": tab.label,
            "count": tab.count(vm),
            "is_current": tab.name == current,
            "address": f"/vms/{vm.uuid}/" if tab.name == "overview" else f"/vms/{vm.uuid}/{tab.name}",
        }
        for tab in TABS.values()
        if tab.name == current or tab.is_listed(vm)
    ]
