"""The contract's updates on the local libvirt; what happened is asked of libvirt itself."""

from __future__ import annotations

from typing import Any

import pytest
from lxml import etree

from providers.kbase import Kbase
from providers.kvm.plugin import PLUGIN
from providers.kvm.testing import Backend
from tests.providers.kbase_props import done, refused
from tests.providers.kvm.conftest import MakeVm

pytestmark = pytest.mark.live


@pytest.fixture
def k(backend: Backend) -> Kbase:
    return Kbase(backend.driver, PLUGIN)


def document(backend: Backend, name: str) -> Any:
    """What it starts from next, in libvirt's own words."""
    return etree.fromstring(backend.raw.lookupByName(name).XMLDesc(2))


def test_a_vm_changes_as_the_contract_says(backend: Backend, k: Kbase, make_vm: MakeVm) -> None:
    vm = make_vm(cloud_init={"commands": ["echo secret"]})
    done(k.update_cpus(vm.name, 2))
    done(k.update_memory(vm.name, "48"))
    done(k.update_start(vm.name, True))
    done(k.update_information(vm.name, "a & <b>"))
    done(k.update_metadata(vm.name, "team", "blue"))
    done(k.update_cpuflags(vm.name, ["sse4.2", {"name": "svm", "policy": "disable"}]))
    root = document(backend, vm.name)
    assert (root.findtext("vcpu"), root.findtext("memory"), root.findtext("description")) == ("2", "49152", "a & <b>")
    assert backend.raw.lookupByName(vm.name).autostart() == 1
    flags = {feature.get("name"): feature.get("policy") for feature in root.iterfind("cpu/feature")}
    assert flags == {"sse4.2": "require", "svm": "disable"}
    assert k.vm(vm.name).metadata == {"team": "blue"}
    done(k.update_cpuflags(vm.name, ["sse4.2"], disable=True))
    assert document(backend, vm.name).find("cpu/feature[@name='sse4.2']").get("policy") == "disable"
    refused(k.update_cpuflags(vm.name, ["flyingpig"]), "flyingpig")


def test_the_seed_goes_with_its_drive_and_its_volume(backend: Backend, k: Kbase, make_vm: MakeVm) -> None:
    vm = make_vm(cloud_init={"commands": ["echo secret"]})
    (seed,) = document(backend, vm.name).findall("devices/disk[@device='cdrom']/source")
    assert backend.raw.storageVolLookupByPath(seed.get("file")).info()[1] > 0
    done(k.remove_cloudinit(vm.name))
    root = document(backend, vm.name)
    assert root.find("devices/disk[@device='cdrom']") is None
    assert len(root.findall("devices/disk")) == 1
    assert not any(name.endswith("-seed.iso") and vm.name in name for name in backend.pool.listVolumes())
    done(k.remove_cloudinit(vm.name))


def test_hardware_is_asked_for_in_the_contracts_words(backend: Backend, k: Kbase) -> None:
    name = f"{backend.name}-words"
    done(
        k.create(
            name,
            image=backend.image,
            nets=[backend.network],
            memory=64,
            numcpus=2,
            cpumodel="qemu64",
            cpuflags=["sse4.1"],
            cpupinning=[{"vcpus": "0-1", "hostcpus": "0"}],
            numa=[{"vcpus": "0-1", "memory": 64}],
            numamode="interleave",
            rng=True,
            nested=False,
            vnc=False,
            memoryhotplug=True,
            start=True,
        )
    )
    try:
        root = document(backend, name)
        assert root.findtext("cpu/model") == "qemu64"
        assert [(pin.get("vcpu"), pin.get("cpuset")) for pin in root.iterfind("cputune/vcpupin")] == [
            ("0", "0"),
            ("1", "0"),
        ]
        assert root.find("cpu/numa/cell").get("memory") == "65536"
        assert dict(root.find("numatune/memory").attrib)["mode"] == "interleave"
        assert {flag.get("name"): flag.get("policy") for flag in root.iterfind("cpu/feature")}["svm"] == "disable"
        assert root.find("devices/graphics") is None
        done(k.update_memory(name, 192))
        assert k.info(name)["memory"] == 192
        running = etree.fromstring(backend.raw.lookupByName(name).XMLDesc(0))
        assert len(running.findall("devices/memory")) == 1
    finally:
        done(k.delete(name))
