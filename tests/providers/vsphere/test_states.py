"""Every state that vSphere has is one of ours, and its own word is kept."""

from __future__ import annotations

import pytest
from lxml import etree

from providers.base import PowerState
from providers.vsphere.native import vim
from providers.vsphere.properties import Found
from providers.vsphere.records import power_of

POWER = {"poweredOn": PowerState.RUNNING, "poweredOff": PowerState.STOPPED, "suspended": PowerState.PAUSED}


def told(power: str, connection: str) -> tuple[PowerState, str]:
    values = {}
    for path, text in (("runtime.powerState", power), ("runtime.connectionState", connection)):
        values[path] = etree.Element("val")
        values[path].text = text
    return power_of(Found("VirtualMachine", "vm-1", values))


@pytest.mark.parametrize("power", vim.VirtualMachine.PowerState.values)
def test_each_power_state_has_its_meaning(power: str) -> None:
    assert told(power, "connected") == (POWER[power], power)


@pytest.mark.parametrize("connection", sorted(set(vim.VirtualMachine.ConnectionState.values) - {"connected"}))
def test_a_vm_that_its_server_cannot_see_is_in_no_state(connection: str) -> None:
    assert told("poweredOn", connection) == (PowerState.UNKNOWN, connection)
