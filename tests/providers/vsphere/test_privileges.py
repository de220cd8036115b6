"""Rights: what the account lacks is not offered and is named; the documented list is what the calls need."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from providers.testing import Unavailable
from providers.vsphere import privileges
from providers.vsphere.driver import VsphereDriver
from providers.vsphere.native import vim
from providers.vsphere.plugin import PLUGIN
from providers.vsphere.privileges import NEEDED, offered
from providers.vsphere.testing import Backend

HERE = Path(privileges.__file__).parent
PAGE = Path(__file__).parents[3] / "docs/providers/vsphere.md"
KNOWN = {each for needed in NEEDED.values() for each in needed}


def methods() -> dict[str, set[str]]:
    """Every method of the SDK by its name, with the privileges that the SDK says it and its arguments need."""
    found: dict[str, set[str]] = {}
    waiting: list[Any] = [
        *(vim.VirtualMachine, vim.Folder, vim.ResourcePool, vim.Datastore, vim.FileManager, vim.VirtualDiskManager),
        *(vim.DistributedVirtualSwitch, vim.dvs.DistributedVirtualPortgroup, vim.ManagedEntity, vim.Task),
        *(vim.vm.Snapshot, vim.host.NetworkSystem, vim.host.DatastoreBrowser, vim.PerformanceManager),
        *(vim.HttpNfcLease, vim.OvfManager, vim.SearchIndex, vim.SessionManager, vim.AuthorizationManager),
    ]
    for kind in waiting:
        for info in getattr(kind, "_methodInfo", {}).values():
            told = [info.privId, *(param.privId for param in info.params)]
            found.setdefault(info.wsdlName, set()).update(each for each in told if each)
    return found


def test_every_call_of_the_driver_is_allowed_by_what_is_documented() -> None:
    known = methods()
    text = "\n".join(file.read_text() for file in HERE.glob("*.py"))
    called = {name for name in re.findall(r"\.([A-Z]\w+)\(", text) if name in known}
    assert {"CloneVM_Task", "ImportVApp", "MarkAsTemplate", "RelocateVM_Task", "AddPortGroup"} <= called
    assert set(re.findall(r"\.([A-Z]\w+_Task)\(", text)) <= known.keys()
    needed = {each for name in called for each in known[name] if not each.startswith("System.")}
    assert needed - KNOWN == set()


def test_the_page_has_the_very_list() -> None:
    rows = re.findall(r"^\| ([^|\n]+) \| ([^|\n]+) \|$", PAGE.read_text().partition("## Rights")[2], re.M)
    told: dict[str, list[str]] = {}
    for what, cell in rows:
        if what in NEEDED:
            begun = ""
            for name in re.findall(r"`([^`]+)`", cell):
                begun = name.rpartition(".")[0] if not name.startswith(".") else begun
                told.setdefault(what, []).append(name if not name.startswith(".") else begun + name)
    assert told == {what: list(needed) for what, needed in NEEDED.items()}


def test_what_is_cut_is_there_and_named() -> None:
    for names, needed in privileges._CUTS.items():
        assert set(needed) <= KNOWN
        for name in names.split():
            facet, _, feature = name.partition(".")
            assert not feature or feature in type(getattr(PLUGIN.declares, facet)).model_fields
    assert offered(PLUGIN.declares, []) == PLUGIN.declares
    few = offered(PLUGIN.declares, KNOWN)
    assert (few.power, few.snapshots, few.consoles, few.machines.create_empty) == (None, None, None, False)


def test_an_account_without_a_right_is_not_offered_what_needs_it() -> None:
    try:
        backend = Backend(environment={"VCSIM_LACKS": "VirtualMachine.Config.Memory,VirtualMachine.Interact.Suspend"})
    except Unavailable as exc:
        pytest.skip(str(exc))
    try:
        with VsphereDriver(backend.config) as driver:
            can = driver.probe()
            assert can.reshape is not None
            assert can.power is not None
            assert (can.reshape.vcpus, can.reshape.memory, can.power.soft_stop, can.power.pause) == (
                True,
                False,
                True,
                False,
            )
            lacks = ["VirtualMachine.Config.Memory", "VirtualMachine.Interact.Suspend"]
            assert driver.host.info().details["lacks"] == lacks
    finally:
        backend.close()
