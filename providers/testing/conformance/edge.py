"""Edge: the contract's plain methods answer success only when the effect is there, and a sentence otherwise."""

from __future__ import annotations

import json
from typing import Any

from providers.base import PowerState
from providers.kbase import Kbase
from providers.kcontract.methods import all_methods
from providers.kcontract.shapes import STATUS
from providers.testing.lab import Lab, only
from providers.testing.promises import promise

STRANGER = "kvweb-test-nobody"
#: Harmless calls of methods that name a VM which is not there: each must be a failure with a sentence.
TO_A_STRANGER: dict[str, tuple[Any, ...]] = {
    "start": (),
    "stop": (),
    "restart": (),
    "delete": (),
    "clone": (f"{STRANGER}-2",),
    "export": (),
    "detach_disks": (),
    "update_metadata": ("key", "value"),
    "update_information": ("text",),
    "update_memory": (512,),
    "update_cpus": (2,),
    "update_start": (True,),
    "update_flavor": ("tiny",),
    "update_iso": (None,),
    "update_nic": (0, STRANGER),
    "add_disk": (1,),
    "delete_disk": ("vdz",),
    "add_nic": (STRANGER,),
    "delete_nic": ("eth9",),
    "console": (),
    "serialconsole": (),
}


def edge(lab: Lab) -> Kbase:
    return Kbase(lab.driver, lab.harness.plugin)


def success(result: Any) -> None:
    json.dumps(result)
    assert result["result"] == "success", result


@promise()
def what_is_read_is_plain_data(lab: Lab) -> None:
    k, vm = edge(lab), lab.vm()
    listed = k.list()
    assert json.loads(json.dumps(listed)) == listed
    assert [each["name"] for each in listed] == sorted(each["name"] for each in listed)
    own = only(each for each in listed if each["name"] == vm.name)
    assert own["status"] == STATUS[PowerState.STOPPED]
    assert isinstance(own.get("memory", 0), int)
    assert all(isinstance(disk["size"], int) for disk in own["disks"])
    assert k.info(vm.name)["id"] == vm.external_id
    for told in (k.list_networks(), k.list_pools(), k.volumes(), k.list_disks(), k.list_flavors(), k.info_host()):
        json.dumps(told)


@promise()
def what_is_not_there_is_nothing(lab: Lab) -> None:
    k = edge(lab)
    assert k.info(STRANGER) == {}
    assert (k.status(STRANGER), k.ip(STRANGER), k.exists(STRANGER)) == (None, None, False)
    assert (k.list_snapshots(STRANGER), k.vm_ports(STRANGER), k.info_network(STRANGER)) == ([], [], {})


@promise()
def nothing_done_to_a_stranger_is_a_success(lab: Lab) -> None:
    k = edge(lab)
    for method, arguments in TO_A_STRANGER.items():
        result = getattr(k, method)(STRANGER, *arguments)
        json.dumps(result)
        assert isinstance(result, dict), f"{method} answered {result!r}"
        assert result.get("result") == "failure", f"{method} answered {result!r}"
        assert isinstance(result["reason"], str), f"{method}: the reason is no text"
        assert result["reason"].strip(), f"{method}: the reason is empty"


@promise()
def what_was_not_probed_is_a_failure(lab: Lab) -> None:
    k, needs = edge(lab), all_methods()
    vm = lab.vm()
    calls: dict[str, tuple[Any, ...]] = {
        "start": (vm.name,),
        "clone": (vm.name, f"{vm.name}-2"),
        "export": (vm.name,),
        "create_snapshot": ("first", vm.name),
        "add_disk": (vm.name, 1),
        "create_bucket": (lab.name("bucket"),),
        "create_security_group": (lab.name("group"),),
        "reserve_dns": (vm.name, (), "demo.test", "192.0.2.1"),
        "create_loadbalancer": (lab.name("balancer"), (80,)),
        "create_subnet": (lab.name("subnet"), "198.51.100.0/25"),
    }
    for method, arguments in calls.items():
        if not needs[method](lab.can):
            assert getattr(k, method)(*arguments)["result"] == "failure", f"{method} is not possible but succeeded"


@promise(when=lambda can: can.power)
def a_success_has_its_effect(lab: Lab) -> None:
    k, vm = edge(lab), lab.vm()
    success(k.start(vm.name))
    lab.running(vm)
    assert k.status(vm.name) == STATUS[PowerState.RUNNING]
    success(k.stop(vm.name))
    assert k.status(vm.name) == STATUS[PowerState.STOPPED]
    assert k.restart(vm.name)["result"] == "failure"
    success(k.delete(vm.name))
    assert not k.exists(vm.name)
