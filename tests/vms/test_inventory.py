"""How facts enter the database."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from kvweb.accounts.models import Project
from kvweb.events.models import Event
from providers.base import DiskRecord, NicRecord, PowerState, VmRecord
from providers.models import Provider
from tests.conftest import MakeVm
from vms import inventory
from vms.choices import Presence
from vms.models import VirtualMachine

pytestmark = pytest.mark.django_db


def told(external_id: str = "ext-1", **values: Any) -> VmRecord:
    defaults: dict[str, Any] = {
        "name": "vm-1",
        "power": PowerState.STOPPED,
        "vcpus": 1,
        "memory_mib": 512,
        "nics": (),
        "disks": (DiskRecord(external_id="vda", size_gib=1.0),),
    }
    return VmRecord(external_id=external_id, **{**defaults, **values})


def test_a_change_is_written_and_told(make_vm: MakeVm, fake_provider: Provider) -> None:
    vm = make_vm()
    news = inventory.apply(fake_provider, [told(power=PowerState.RUNNING)])
    vm.refresh_from_db()
    assert [item.subject for item in news] == [vm.subject]
    assert vm.power == "running"
    assert vm.power_since is not None
    assert Event.objects.get().subject == vm.subject


def test_the_same_record_again_writes_and_tells_nothing(
    make_vm: MakeVm, fake_provider: Provider, django_assert_num_queries: Any
) -> None:
    make_vm()
    inventory.apply(fake_provider, [told()], is_complete=True)
    Event.objects.all().delete()
    with django_assert_num_queries(1):
        assert inventory.apply(fake_provider, [told()], is_complete=True) == []
    assert not Event.objects.exists()


def test_machines_made_elsewhere_wait_in_the_unassigned_project(fake_provider: Provider) -> None:
    inventory.apply(fake_provider, [told(name="found-1")])
    vm = VirtualMachine.objects.get(name="found-1")
    assert vm.project.is_unassigned
    assert vm.presence == Presence.PRESENT


def test_a_machine_that_is_not_listed_any_more_is_kept_as_missing(make_vm: MakeVm, fake_provider: Provider) -> None:
    vm = make_vm()
    inventory.apply(fake_provider, [], is_complete=True)
    vm.refresh_from_db()
    assert vm.presence == Presence.MISSING
    assert vm.missing_since is not None
    inventory.apply(fake_provider, [told()], is_complete=True)
    vm.refresh_from_db()
    assert vm.presence == Presence.PRESENT
    assert vm.missing_since is None


def test_one_record_says_nothing_about_the_others(make_vm: MakeVm, fake_provider: Provider) -> None:
    first, second = make_vm(), make_vm()
    inventory.apply(fake_provider, [told(first.external_id)])
    second.refresh_from_db()
    assert second.presence == Presence.PRESENT


def test_a_machine_is_recognised_by_the_uuid_we_gave_it(
    make_vm: MakeVm, fake_provider: Provider, project: Project
) -> None:
    vm = make_vm(external_id="", presence=Presence.WANTED)
    inventory.apply(fake_provider, [told("dom-7", portal_uuid=str(vm.uuid))], is_complete=True)
    vm.refresh_from_db()
    assert (vm.external_id, vm.presence, vm.project) == ("dom-7", Presence.PRESENT, project)
    assert VirtualMachine.objects.count() == 1


def test_a_foreign_uuid_adopts_nothing_of_ours(make_vm: MakeVm, fake_provider: Provider) -> None:
    make_vm()
    inventory.apply(fake_provider, [told("dom-8", portal_uuid=str(uuid4()))])
    assert VirtualMachine.objects.count() == 2


def test_a_wanted_row_does_not_go_missing(make_vm: MakeVm, fake_provider: Provider) -> None:
    vm = make_vm(external_id="", presence=Presence.WANTED)
    inventory.apply(fake_provider, [], is_complete=True)
    vm.refresh_from_db()
    assert vm.presence == Presence.WANTED


def test_an_old_answer_does_not_undo_a_newer_one(make_vm: MakeVm, fake_provider: Provider) -> None:
    vm = make_vm()
    before = timezone.now()
    inventory.apply(fake_provider, [told(power=PowerState.RUNNING)])
    inventory.apply(fake_provider, [told(power=PowerState.STOPPED)], is_complete=True, asked_at=before)
    vm.refresh_from_db()
    assert vm.power == "running"


def test_an_old_list_without_a_new_machine_does_not_make_it_missing(make_vm: MakeVm, fake_provider: Provider) -> None:
    vm = make_vm(external_id="", presence=Presence.WANTED)
    before = timezone.now()
    inventory.apply(fake_provider, [told("dom-9", portal_uuid=str(vm.uuid))])
    inventory.apply(fake_provider, [], is_complete=True, asked_at=before)
    vm.refresh_from_db()
    assert vm.presence == Presence.PRESENT


def test_an_old_list_does_not_bring_a_deleted_machine_back(make_vm: MakeVm, fake_provider: Provider) -> None:
    vm = make_vm(presence=Presence.DELETED, told_at=timezone.now())
    inventory.apply(fake_provider, [told()], is_complete=True, asked_at=timezone.now() - timedelta(seconds=2))
    vm.refresh_from_db()
    assert vm.presence == Presence.DELETED
    assert VirtualMachine.objects.count() == 1


def test_a_deleted_machine_that_is_there_after_all_comes_back(make_vm: MakeVm, fake_provider: Provider) -> None:
    vm = make_vm(presence=Presence.DELETED, told_at=timezone.now() - timedelta(minutes=5))
    inventory.apply(fake_provider, [told()], is_complete=True)
    vm.refresh_from_db()
    assert vm.presence == Presence.PRESENT


def test_what_a_record_does_not_know_keeps_its_value(make_vm: MakeVm, fake_provider: Provider) -> None:
    vm = make_vm(vcpus=4)
    inventory.apply(fake_provider, [told(vcpus=None, power=PowerState.RUNNING)])
    vm.refresh_from_db()
    assert vm.vcpus == 4


def test_an_address_known_from_the_guest_survives_a_list_that_cannot_know_it(
    make_vm: MakeVm, fake_provider: Provider
) -> None:
    vm = make_vm()
    card = NicRecord(external_id="net0", mac="52:54:00:00:00:01", addresses=("192.0.2.5",), addresses_source="agent")
    inventory.apply(fake_provider, [told(power=PowerState.RUNNING, nics=(card,))])
    bare = NicRecord(external_id="net0", mac="52:54:00:00:00:01")
    inventory.apply(fake_provider, [told(power=PowerState.RUNNING, nics=(bare,))])
    vm.refresh_from_db()
    assert vm.addresses == "192.0.2.5"
    inventory.apply(fake_provider, [told(power=PowerState.STOPPED, nics=(bare,))])
    vm.refresh_from_db()
    assert vm.addresses == ""


def test_a_machine_that_is_gone_by_event_is_missing(make_vm: MakeVm, fake_provider: Provider) -> None:
    vm = make_vm()
    inventory.forget(fake_provider, vm.external_id)
    vm.refresh_from_db()
    assert vm.presence == Presence.MISSING


def test_a_thousand_unchanged_machines_cost_one_query(
    fake_provider: Provider, project: Project, django_assert_max_num_queries: Any
) -> None:
    records = [told(f"dom-{n}", name=f"vm-{n}") for n in range(1000)]
    inventory.apply(fake_provider, records, is_complete=True)
    with django_assert_max_num_queries(1):
        inventory.apply(fake_provider, records, is_complete=True)


def test_a_found_machine_that_nobody_was_given_goes_with_its_machine(fake_provider: Provider) -> None:
    inventory.apply(fake_provider, [told()])
    vm = VirtualMachine.objects.get()
    inventory.apply(fake_provider, [], is_complete=True)
    vm.refresh_from_db()
    assert vm.presence == Presence.DELETED


def test_a_row_that_another_process_wrote_is_compared_in_full(make_vm: MakeVm, fake_provider: Provider) -> None:
    vm = make_vm()
    inventory.apply(fake_provider, [told(memory_mib=512, power=PowerState.STOPPED)])
    VirtualMachine.objects.filter(pk=vm.pk).update(memory_mib=2048, fingerprint="of another record")
    inventory.apply(fake_provider, [told(memory_mib=512, power=PowerState.RUNNING)])
    vm.refresh_from_db()
    assert (vm.memory_mib, vm.power) == (512, PowerState.RUNNING)
