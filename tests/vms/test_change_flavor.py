"""Another size at a cloud: one of the provider's own, with its price, for machines that have one of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

import pytest
from django.test import Client

from kvweb.accounts.models import User
from kvweb.jobs.models import JobState
from providers.pool import driver_for
from tests.vms.conftest import MakeMachine, Press, at_provider
from vms.models import VirtualMachine

pytestmark = pytest.mark.django_db
ClientOf = Callable[[User], Client]


@pytest.fixture
def vm(machine: MakeMachine) -> VirtualMachine:
    """A machine at a provider that was probed to have sizes of its own only."""
    made = machine(vcpus=1, memory_mib=512)
    with driver_for(made.provider) as driver:
        assert driver.flavors is not None
        flavors = [asdict(flavor) for flavor in driver.flavors.list()]
    can = made.provider.can
    machines = can.machines.model_copy(update={"own_size": False})
    made.provider.capabilities = can.model_copy(update={"machines": machines}).to_json()
    made.provider.host = {**made.provider.host, "flavors": flavors}
    made.provider.save()
    return made


def test_the_size_changes_at_the_provider(vm: VirtualMachine, press: Press, alice: User) -> None:
    changed = press(alice, vm, "change-flavor", flavor="flavor-medium")
    assert changed.job.state == JobState.SUCCEEDED, changed.job.reason
    record = at_provider(vm)
    assert (vm.vcpus, vm.memory_mib) == (record.vcpus, record.memory_mib)
    assert record.flavor == "flavor-medium"


def test_the_dialog_offers_sizes_with_their_prices(vm: VirtualMachine, client_of: ClientOf, alice: User) -> None:
    dialog = client_of(alice).get(f"/vms/{vm.uuid}/ask/change-flavor").content.decode()
    assert "a month" in dialog
    assert "flavor-medium" in dialog


def test_a_size_that_is_not_there_is_refused(vm: VirtualMachine, press: Press, alice: User) -> None:
    assert "not there any more" in press(alice, vm, "change-flavor", flavor="flavor-none").response.content.decode()


def test_where_sizes_are_free_the_other_dialog_is_offered(
    machine: MakeMachine, client_of: ClientOf, alice: User
) -> None:
    page = client_of(alice).get(f"/vms/{machine(vcpus=1, memory_mib=512).uuid}/settings").content.decode()
    assert "ask/resize" in page
    assert "ask/change-flavor" not in page


def test_an_operator_does_not_change_it(vm: VirtualMachine, press: Press, bob: User) -> None:
    assert press(bob, vm, "change-flavor", flavor="flavor-medium").response.status_code == 403
