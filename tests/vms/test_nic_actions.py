"""Network cards of a machine, from the dialog to the provider and back."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from kvweb.accounts.models import User
from kvweb.jobs import services as jobs
from kvweb.jobs.models import Job, JobState
from kvweb.portal.inventory import sync
from networking.models import Network
from providers.base import NetworkSpec, NicRecord
from providers.models import Provider
from providers.pool import driver_for
from tests.vms.conftest import MakeMachine, Press, at_provider
from vms.choices import Presence
from vms.models import VirtualMachine

pytestmark = pytest.mark.django_db
ClientOf = Callable[[User], Client]


def nics_of(vm: VirtualMachine) -> tuple[NicRecord, ...]:
    return at_provider(vm).nics or ()


def network(vm: VirtualMachine, name: str) -> Network:
    return Network.objects.get(provider=vm.provider, name=name)


@pytest.fixture
def lab(machine: MakeMachine, stocked: Provider) -> VirtualMachine:
    """A machine whose provider has a second network."""
    with driver_for(stocked) as driver:
        assert driver.networks is not None
        driver.networks.create(NetworkSpec(name="lab", cidr="10.77.0.0/24"))
        sync(stocked, driver)
    return machine()


def test_a_card_is_added_changed_and_removed(lab: VirtualMachine, press: Press, alice: User) -> None:
    other = network(lab, "lab")
    added = press(alice, lab, "add-nic", network=str(other.uuid), mac="52-54-00-AA-BB-CC", model="e1000")
    assert added.job.state == JobState.SUCCEEDED, added.job.reason
    nic = nics_of(lab)[-1]
    assert (nic.network, nic.mac, nic.model) == (other.external_id, "52:54:00:aa:bb:cc", "e1000")

    changed = press(
        alice, lab, "change-nic", nic=nic.external_id, network=str(other.uuid), model="e1000", isolated="on"
    )
    assert changed.job.params["change"] == {"isolated": True, "is_linked": False}
    nic = nics_of(lab)[-1]
    assert (nic.isolated, nic.is_linked, nic.mac) == (True, False, "52:54:00:aa:bb:cc")

    removed = press(alice, lab, "remove-nic", nic=nic.external_id)
    assert removed.job.title == f"Remove card {nic.external_id} from “web-1”"
    assert len(nics_of(lab)) == 1
    assert len(lab.nics or []) == 1


def test_a_network_that_is_gone_is_no_machine_that_is_gone(lab: VirtualMachine, press: Press, alice: User) -> None:
    """Both are “not found” to a job; only a machine that cannot be read itself is missing."""
    other = network(lab, "lab")
    with driver_for(lab.provider) as driver:
        assert driver.networks is not None
        driver.networks.delete(other.external_id)
    failed = press(alice, lab, "add-nic", network=str(other.uuid))
    assert (failed.job.state, failed.job.code) == (JobState.FAILED, "not_found")
    lab.refresh_from_db()
    assert (lab.presence, lab.missing_since) == (Presence.PRESENT, None)
    with driver_for(lab.provider) as driver:
        driver.machines.delete(lab.external_id)
    press(alice, lab, "add-nic", network=str(network(lab, "default").uuid))
    lab.refresh_from_db()
    assert lab.presence == Presence.MISSING


def test_a_job_that_runs_twice_adds_one_card(lab: VirtualMachine, press: Press, alice: User) -> None:
    """Its worker died after the provider had done it, and before anybody knew."""
    job = press(alice, lab, "add-nic", network=str(network(lab, "lab").uuid)).job
    drawn = job.params["spec"]["mac"]
    assert nics_of(lab)[-1].mac == drawn
    Job.objects.filter(pk=job.pk).update(state=JobState.QUEUED)
    jobs.run(job.pk)
    job.refresh_from_db()
    assert job.state == JobState.SUCCEEDED, job.reason
    assert [nic.mac for nic in nics_of(lab)].count(drawn) == 1
    assert len(nics_of(lab)) == 2


def test_a_card_moves_to_another_network_and_keeps_its_hardware_address(
    lab: VirtualMachine, press: Press, alice: User
) -> None:
    before = nics_of(lab)[0]
    other = network(lab, "lab")
    press(alice, lab, "change-nic", nic=before.external_id, network=str(other.uuid), is_linked="on")
    after = nics_of(lab)[0]
    assert (after.mac, after.network) == (before.mac, other.external_id)
    assert lab.addresses == " ".join(after.addresses)


@pytest.mark.parametrize(
    ("action", "values", "words"),
    [
        ("add-nic", {}, "Choose a network"),
        ("add-nic", {"network": "x"}, "not there any more"),
        ("add-nic", {"network": "{network}", "mac": "52:54"}, "looks like"),
        ("add-nic", {"network": "{network}", "mac": "53:54:00:12:34:56"}, "group address"),
        ("add-nic", {"network": "{network}", "vlan": "5000"}, "At most 4094"),
        ("change-nic", {"nic": "none"}, "not there any more"),
        ("change-nic", {"nic": "{nic}", "network": "{network}", "is_linked": "on"}, "Nothing was changed"),
        ("remove-nic", {"nic": "\x00"}, "not there any more"),
    ],
)
def test_what_is_wrong_stands_in_the_dialog_and_nothing_is_done(
    machine: MakeMachine, press: Press, alice: User, action: str, values: dict[str, str], words: str
) -> None:
    vm = machine()
    nic = nics_of(vm)[0]
    mine = Network.objects.get(provider=vm.provider, external_id=nic.network)
    sent = {key: text.format(network=mine.uuid, nic=nic.external_id) for key, text in values.items()}
    if action == "change-nic" and "{nic}" in values["nic"]:
        sent["model"] = nic.model
    answer = press(alice, vm, action, **sent)
    assert answer.response.status_code == 422
    assert words in answer.text
    assert not answer.jobs


def test_an_operator_sees_cards_and_changes_none(
    machine: MakeMachine, press: Press, bob: User, client_of: ClientOf
) -> None:
    vm = machine()
    nic = nics_of(vm)[0]
    page = client_of(bob).get(f"/vms/{vm.uuid}/networks").content.decode()
    assert nic.mac in page
    assert "change-nic" not in page
    assert press(bob, vm, "remove-nic", nic=nic.external_id).response.status_code == 403
    assert len(nics_of(vm)) == 1


def test_a_card_is_given_a_public_address_and_loses_it_again(
    machine: MakeMachine, press: Press, alice: User, client_of: ClientOf
) -> None:
    vm = machine()
    nic = nics_of(vm)[0].external_id
    refused = press(alice, vm, "take-address", nic=nic)
    assert refused.response.status_code == 422
    assert "no public address" in refused.text

    given = press(alice, vm, "give-address", nic=nic)
    assert given.job.state == JobState.SUCCEEDED, given.job.reason
    address = nics_of(vm)[0].public_address
    page = client_of(alice).get(f"/vms/{vm.uuid}/networks").content.decode()
    assert address in page
    assert "take-address" in page
    assert "give-address" not in page
    assert "already" in press(alice, vm, "give-address", nic=nic).text

    taken = press(alice, vm, "take-address", nic=nic)
    assert taken.job.title == f"Take the public address of card {nic} from “web-1”"
    assert nics_of(vm)[0].public_address == ""
    assert address not in client_of(alice).get(f"/vms/{vm.uuid}/networks").content.decode()


def test_a_public_address_is_a_matter_of_those_who_change_the_machine(
    machine: MakeMachine, press: Press, bob: User
) -> None:
    vm = machine()
    assert press(bob, vm, "give-address", nic=nics_of(vm)[0].external_id).response.status_code == 403
    assert nics_of(vm)[0].public_address == ""
