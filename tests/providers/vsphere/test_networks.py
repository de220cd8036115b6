"""Port groups: on switches of the datacenter, and on the hosts' own, where all hosts have them or none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest

from providers.base import (
    AlreadyExists,
    Conflict,
    InvalidRequest,
    NetworkMode,
    NetworkSpec,
    NicSpec,
    NotFound,
    ProviderError,
)
from providers.testing.harness import PREFIX, fresh_suffix
from providers.vsphere.driver import VsphereDriver
from tests.providers.vsphere.conftest import MakeVm
from tools.peers.vsphere.door import Door


@pytest.fixture
def name(driver: VsphereDriver) -> Iterator[str]:
    prefix = f"{PREFIX}{fresh_suffix()}"
    yield prefix
    for network in driver.networks.list():
        if network.name.startswith(prefix):
            with suppress(ProviderError):
                driver.networks.delete(network.external_id)


def wish(name: str, **changes: object) -> NetworkSpec:
    return NetworkSpec.model_validate({"name": name, "mode": NetworkMode.BRIDGE, **changes})


def named(driver: VsphereDriver, name: str) -> list[str]:
    return [network.external_id for network in driver.networks.list() if network.name == name]


@pytest.mark.parametrize(("switch", "type_"), [("DVS0", "distributed port group"), ("vSwitch0", "port group")])
def test_a_port_group_is_made_changed_used_and_removed(
    driver: VsphereDriver, make_vm: MakeVm, name: str, switch: str, type_: str
) -> None:
    made = driver.networks.create(wish(name, bridge=switch, vlan=42))
    assert (made.bridge, made.vlan, made.type) == (switch, 42, type_)
    with pytest.raises(AlreadyExists):
        driver.networks.create(wish(name, bridge=switch))
    vm = make_vm(nics=(NicSpec(network=made.external_id),))
    changed = driver.networks.update(made.external_id, NetworkSpec.like(made, name=f"{name}-b", vlan=43))
    assert (changed.external_id, changed.name, changed.vlan) == (made.external_id, f"{name}-b", 43)
    assert driver.networks.update(made.external_id, NetworkSpec.like(changed)) == changed
    assert driver.networks.update(made.external_id, NetworkSpec.like(changed, vlan=None)).vlan is None
    assert driver.networks.get(made.external_id).used_by == (vm.external_id,)
    with pytest.raises(InvalidRequest):
        driver.networks.update(made.external_id, wish(f"{name}-b", bridge="elsewhere"))
    with pytest.raises(AlreadyExists):
        driver.networks.update(made.external_id, wish("VM Network"))
    with pytest.raises(Conflict):
        driver.networks.delete(made.external_id)
    driver.machines.delete(vm.external_id)
    driver.networks.delete(made.external_id)
    with pytest.raises(NotFound):
        driver.networks.get(made.external_id)


@pytest.mark.parametrize("how", [{"fault": "HostConfigFault"}, {"cut": "after"}], ids=["refused", "lost"])
def test_a_host_that_refuses_leaves_all_hosts_as_they_were(
    driver: VsphereDriver, door: Door, name: str, how: dict[str, str]
) -> None:
    with door.failing("AddPortGroup", after=2, times=1, **how), pytest.raises(ProviderError):
        driver.networks.create(wish(name, bridge="vSwitch0", vlan=7))
    assert named(driver, name) == []
    made = driver.networks.create(wish(name, bridge="vSwitch0", vlan=7))
    with door.failing("UpdatePortGroup", after=1, times=1, **how), pytest.raises(ProviderError):
        driver.networks.update(made.external_id, wish(f"{name}-b", vlan=8))
    assert driver.networks.get(made.external_id) == made
    with door.failing("RemovePortGroup", after=1, times=1, **how), pytest.raises(ProviderError):
        driver.networks.delete(made.external_id)
    assert len(named(driver, name)) == 1
    driver.networks.delete(named(driver, name)[0])
