"""What a VM's serial line said, as Nova keeps it."""

from __future__ import annotations

import pytest

from providers.base import MOST_OUTPUT, Conflict, NotFound, NotSupported
from providers.openstack.driver import OpenStackDriver
from tests.providers.openstack.test_failures import wish
from tools.peers.openstack.simulator import Simulator


def test_what_the_line_said_is_read_with_a_bound(simulator: Simulator, driver: OpenStackDriver) -> None:
    vm = driver.machines.create(wish(simulator)).external_id
    consoles = driver.consoles
    assert consoles is not None
    assert b"Linux version" in consoles.output(vm)
    server = simulator.cloud.of("servers")[vm]
    server["_output"] = "an old line\n" * 20_000 + "grüße\n"
    said = consoles.output(vm)
    assert len(said) <= MOST_OUTPUT
    assert said.endswith("grüße\n".encode())
    server["_output"] = ""
    with pytest.raises(Conflict, match="no output of this VM yet"):
        consoles.output(vm)
    driver.machines.delete(vm)
    with pytest.raises(NotFound):
        consoles.output(vm)


def test_a_hypervisor_that_keeps_nothing_says_so(simulator: Simulator, driver: OpenStackDriver) -> None:
    vm = driver.machines.create(wish(simulator)).external_id
    simulator.cloud.of("servers")[vm]["_output"] = None
    assert driver.consoles is not None
    with pytest.raises(NotSupported, match="keeps no output"):
        driver.consoles.output(vm)
