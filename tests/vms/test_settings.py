"""Settings of a machine, from the dialog to the provider and back; what waits for a restart is said everywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from kvweb.accounts.actions import ActionRefused
from kvweb.accounts.models import User
from kvweb.jobs.models import JobState
from providers.models import Provider
from providers.pool import driver_for
from tests.vms.conftest import MakeMachine, Press, at_provider
from vms import option_fields, setting_services
from vms.models import VirtualMachine

pytestmark = pytest.mark.django_db
ClientOf = Callable[[User], Client]


def told(vm: VirtualMachine) -> dict[str, Any]:
    """The options that the provider itself tells, for the next start."""
    with driver_for(vm.provider) as driver:
        assert driver.reshape is not None
        return dict(driver.reshape.options(vm.external_id).pending)


def test_a_machine_that_is_off_changes_at_once(machine: MakeMachine, press: Press, alice: User) -> None:
    vm = machine(vcpus=1, memory_mib=512)
    resized = press(alice, vm, "resize", vcpus="4", memory_mib="2048")
    assert resized.job.state == JobState.SUCCEEDED, resized.job.reason
    assert (at_provider(vm).vcpus, at_provider(vm).memory_mib) == (4, 2048)
    assert (vm.vcpus, vm.memory_mib, vm.pending) == (4, 2048, [])
    changed = press(alice, vm, "change-options", group="Options", option_cpu_model="Nehalem")
    assert changed.job.params["options"] == {"cpu_model": "Nehalem"}
    assert told(vm)["cpu_model"] == "Nehalem"
    press(alice, vm, "set-autostart", autostart="on")
    assert at_provider(vm).autostart is True


def test_what_a_running_machine_cannot_take_waits_for_its_restart(
    machine: MakeMachine, press: Press, alice: User, client_of: ClientOf
) -> None:
    vm = machine(start=True, vcpus=1, memory_mib=512, options={"max_vcpus": 2})
    grown = press(alice, vm, "resize", vcpus="2", memory_mib="512")
    assert (vm.vcpus, vm.pending) == (2, [])
    waiting = press(alice, vm, "resize", vcpus="4", memory_mib="512")
    assert vm.vcpus == 2, "The page would show what the machine does not have."
    assert vm.pending == ["CPUs: 2 → 4"]
    assert waiting.job.result["pending"] == ["CPUs: 2 → 4"]
    assert grown.job.result.get("pending") is None
    page = client_of(alice).get(f"/vms/{vm.uuid}/settings").content.decode()
    assert "CPUs: 2 → 4" in page
    assert f"/vms/{vm.uuid}/ask/apply-pending" in page
    applied = press(alice, vm, "apply-pending", confirmed="1")
    assert applied.job.state == JobState.SUCCEEDED, applied.job.reason
    assert (vm.vcpus, vm.pending) == (4, [])
    assert "apply-pending" not in client_of(alice).get(f"/vms/{vm.uuid}/settings").content.decode()


def test_the_usual_restart_brings_what_waits_too(machine: MakeMachine, press: Press, alice: User) -> None:
    """A reboot of the guest alone would leave it waiting, and nobody would know why."""
    vm = machine(start=True, vcpus=1)
    press(alice, vm, "resize", vcpus="4", memory_mib=str(vm.memory_mib))
    assert vm.pending
    restarted = press(alice, vm, "restart", confirmed="1")
    assert restarted.job.state == JobState.SUCCEEDED, restarted.job.reason
    assert (at_provider(vm).vcpus, vm.vcpus, vm.pending) == (4, 4, [])


def test_a_change_that_waits_is_taken_back_by_asking_for_what_there_is(
    machine: MakeMachine, press: Press, alice: User
) -> None:
    vm = machine(start=True, vcpus=1, memory_mib=512)
    press(alice, vm, "resize", vcpus="4", memory_mib="512")
    assert vm.pending
    press(alice, vm, "resize", vcpus="1", memory_mib="512")
    assert vm.pending == []


@pytest.mark.parametrize(
    ("action", "values", "words"),
    [
        ("resize", {"vcpus": "0", "memory_mib": "512"}, "At least 1"),
        ("resize", {"vcpus": "", "memory_mib": "512"}, "required"),
        ("resize", {"vcpus": "1", "memory_mib": "512"}, "Nothing was changed"),
        ("change-options", {"group": "Options"}, "Nothing was changed"),
        ("change-options", {"group": "No such"}, "no such settings"),
        ("change-options", {"group": "Options", "option_max_vcpus": "2000"}, "At most 1024"),
        ("change-options", {"group": "Options", "option_cpu_model": "x" * 50}, "40"),
    ],
)
def test_what_is_wrong_stands_in_the_dialog_and_nothing_is_done(
    machine: MakeMachine, press: Press, alice: User, action: str, values: dict[str, str], words: str
) -> None:
    vm = machine(vcpus=1, memory_mib=512)
    pressed = press(alice, vm, action, **values)
    assert pressed.jobs == []
    assert words in pressed.text


def test_what_the_provider_refuses_is_the_jobs_reason_and_changes_nothing(
    machine: MakeMachine, press: Press, alice: User, client_of: ClientOf
) -> None:
    vm = machine()
    pressed = press(alice, vm, "change-options", group="Options", option_firewalls="no-such-group")
    assert pressed.job.has_failed
    assert "no-such-group" in pressed.job.reason
    again = client_of(alice).get(f"/jobs/{pressed.job.uuid}/").content.decode()
    assert "ask/change-options?group=Options" in again
    assert told(vm)["firewalls"] == []


def test_who_may_only_operate_is_not_offered_changes(
    machine: MakeMachine, press: Press, bob: User, client_of: ClientOf
) -> None:
    vm = machine()
    page = client_of(bob).get(f"/vms/{vm.uuid}/settings").content.decode()
    assert "ask/resize" not in page
    assert press(bob, vm, "resize", vcpus="2", memory_mib="512").response.status_code == 403
    assert press(bob, vm, "change-options", group="Options", option_cpu_model="x").jobs == []


def test_what_reaches_into_the_host_is_for_administrators(machine: MakeMachine, alice: User, root: User) -> None:
    """Whoever shares a folder of the host with a machine reads all of it there."""
    vm = machine()
    kvm = Provider(kind="kvm", name="host", uuid=vm.provider.uuid)
    vm.provider = kvm
    options = {one.name: one for one in option_fields.options(kvm, "settings")}
    reaching = {name for name, one in options.items() if one.needs_admin}
    assert reaching == {"shares", "pci_devices", "usb_devices", "pinning", "hugepages", "numa_nodes", "numa_mode"}
    for name in reaching:
        assert option_fields.why_not(options[name], kvm, alice) == option_fields.FOR_ADMINISTRATORS
        assert option_fields.why_not(options[name], kvm, root) == ""
        assert option_fields.field_for(options[name], kvm, alice, ()).disabled
        with pytest.raises(ActionRefused) as refused:
            setting_services.set_options(vm, user=alice, options={name: ["x"]})
        assert refused.value.forbidden


def test_a_secret_option_is_neither_shown_nor_asked_for_again(
    machine: MakeMachine, alice: User, client_of: ClientOf
) -> None:
    vm = machine(options={"vnc_password": "letmein"})
    assert "vnc_password" not in (vm.options or {})
    ask = client_of(alice).get(f"/vms/{vm.uuid}/ask/change-options?group=Options").content.decode()
    assert "vnc_password" not in ask
    assert "letmein" not in ask


def test_what_the_host_cannot_give_is_said_with_its_reason(
    machine: MakeMachine, alice: User, client_of: ClientOf
) -> None:
    vm = machine()
    features = vm.can.machines.model_copy(
        update={"option_refusals": {"max_vcpus": "The host is full."}, "option_choices": {"cpu_model": {"": "any"}}}
    )
    vm.provider.capabilities = vm.can.model_copy(update={"machines": features}).to_json()
    vm.provider.save()
    page = client_of(alice).get(f"/vms/{vm.uuid}/settings").content.decode()
    assert "The host is full." in page
    ask = client_of(alice).get(f"/vms/{vm.uuid}/ask/change-options?group=Options").content.decode()
    assert "disabled" in ask
    assert "The host is full." in ask
