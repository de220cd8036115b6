"""What several facets do with VMs: find one, check limits, change its power, store it and tell watchers."""

from __future__ import annotations

from providers.base import AlreadyExists, EventTopic, InvalidRequest, NotFound, OutOfCapacity, PowerState, VmRecord
from providers.fake.cloud import Cloud
from providers.fake.records import vm_record
from providers.fake.state import Vm
from providers.fake.store import Transaction


def vm_of(tx: Transaction, external_id: str) -> Vm:
    """The VM as it is at this moment; one that is still being made is not found."""
    vm = tx.get(Vm, external_id)
    if vm.is_building:
        raise NotFound(f"There is no VM “{external_id}” (yet).")
    vm.settle(tx.now)
    return vm


def saved(cloud: Cloud, tx: Transaction, vm: Vm, hint: str) -> VmRecord:
    """Store a changed VM, tell watchers, and answer it as it is now."""
    tx.put(vm)
    tx.note(EventTopic.VM, vm.id, hint)
    return vm_record(tx, vm, cloud.config.lease_s)


def check_name(tx: Transaction, name: str) -> None:
    """Names are kept exactly, except those that no file can have; raises InvalidRequest or AlreadyExists."""
    if "/" in name or name != name.strip() or not name.isprintable():
        raise InvalidRequest("The name must be printable and have no slash or outer blanks.", field="name")
    if tx.named(Vm, name) is not None:
        raise AlreadyExists(f"There is a VM called “{name}” already.", field="name")


def check_room(cloud: Cloud, tx: Transaction, *, vcpus: int, memory_mib: int, except_for: str = "") -> None:
    """Raise OutOfCapacity when so much more cannot run beside the VMs that are on."""
    config = cloud.config
    if not config.cpus and not config.memory_mib:
        return
    on = [vm for vm in tx.all(Vm) if vm.id != except_for and (not vm.is_stopped or vm.then is PowerState.RUNNING)]
    if config.cpus and sum(vm.vcpus for vm in on) + vcpus > config.cpus:
        raise OutOfCapacity(f"The simulated cloud has only {config.cpus} CPUs.")
    if config.memory_mib and sum(vm.memory_mib for vm in on) + memory_mib > config.memory_mib:
        raise OutOfCapacity(f"The simulated cloud has only {config.memory_mib} MiB of memory.")


def power_on(cloud: Cloud, tx: Transaction, vm: Vm) -> None:
    """Begin to start: it is STARTING for `start_s`, then RUNNING, and has addresses `lease_s` later."""
    vcpus, memory_mib = vm.next.get("vcpus", vm.vcpus), vm.next.get("memory_mib", vm.memory_mib)
    check_room(cloud, tx, vcpus=vcpus, memory_mib=memory_mib, except_for=vm.id)
    for name, value in vm.next.items():
        setattr(vm, name, value)
    vm.next = {}
    vm.boots += 1
    vm.runs += 1
    vm.booted_at = tx.now + cloud.config.start_s
    vm.power, vm.then, vm.ready_at = PowerState.STARTING, PowerState.RUNNING, vm.booted_at
    vm.settle(tx.now)
    tell_of_boot(cloud, tx, vm)


def tell_of_boot(cloud: Cloud, tx: Transaction, vm: Vm) -> None:
    """Watchers hear when it runs and when it has its addresses, though nobody writes at those moments."""
    if cloud.config.start_s:
        tx.note(EventTopic.VM, vm.id, "started", due=vm.booted_at)
    if vm.nics and vm.has_guest and cloud.config.lease_s:
        tx.note(EventTopic.VM, vm.id, "addresses", due=vm.booted_at + cloud.config.lease_s)


def power_off(vm: Vm) -> None:
    """Pull the plug."""
    vm.power, vm.then = PowerState.STOPPED, None
