"""A machine that cannot start says so and why; one that runs already is as good as started."""

from __future__ import annotations

from pathlib import Path

import pytest

from providers.base import Conflict, NicSpec, PowerState
from providers.kvm.testing import Backend
from tests.providers.kvm.conftest import MakeNetwork, MakeVm

pytestmark = pytest.mark.live


def refusal(backend: Backend, external_id: str) -> str:
    with pytest.raises(Conflict) as caught:
        backend.driver.power.start(external_id)
    assert not backend.raw.lookupByUUIDString(external_id).isActive()
    return caught.value.reason


def test_a_machine_that_cannot_start_says_why(backend: Backend, make_vm: MakeVm, make_network: MakeNetwork) -> None:
    network = make_network(cidr="")
    vm = make_vm(nics=(NicSpec(network=network.name),))
    disk = Path((vm.disks or ())[0].volume)
    backend.driver.networks.set_active(network.name, False)
    # libvirt has the same code for this as for a machine that runs already.
    assert refusal(backend, vm.external_id) == "A network that this needs is switched off."
    backend.driver.networks.set_active(network.name, True)
    content = disk.read_bytes()
    disk.write_bytes(b"nothing that QEMU knows" * 100)
    assert refusal(backend, vm.external_id) == "One of its disks is not of the format that its settings say."
    disk.unlink()
    assert refusal(backend, vm.external_id) == "A file of one of its disks is missing at the host."
    disk.write_bytes(content)
    assert backend.driver.power.start(vm.external_id).power is PowerState.RUNNING
    assert backend.driver.power.start(vm.external_id).power is PowerState.RUNNING
