"""`create` understands every form of the contract, and refuses what it cannot honour without making anything."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from providers.base import CloudInit
from providers.fake.state import Vm
from providers.kbase import Kbase
from tests.providers.kbase_props import cloud, done, make, refused


@pytest.fixture
def k() -> Iterator[Kbase]:
    with cloud() as opened:
        yield opened


def stored(k: Kbase, name: str = "box") -> Vm:
    """The VM as the simulated cloud keeps it."""
    with k.driver.cloud.store.reading() as tx:  # type: ignore[attr-defined]
        vm = tx.named(Vm, name)
    assert isinstance(vm, Vm)
    return vm


def first_boot(k: Kbase) -> CloudInit:
    init = stored(k).cloud_init
    assert init is not None
    return init


def test_the_defaults_make_a_running_vm(k: Kbase) -> None:
    done(k.create("box", image="debian-13"))
    info = k.info("box")
    assert (info["status"], info["numcpus"], info["memory"], info["plan"]) == ("up", 2, 512, "kvirt")
    assert [disk["size"] for disk in info["disks"]] == [10]
    assert [net["net"] for net in info["nets"]] == ["default"]


def test_disks_come_in_all_forms(k: Kbase) -> None:
    done(k.create_disk("kept", 3))
    forms: list[Any] = [
        12,
        "13",
        "kept",
        {"size": 4, "pool": "fast", "thin": False, "interface": "scsi", "name": "data"},
    ]
    make(k, disks=forms)
    disks = k.info("box")["disks"]
    assert [disk["size"] for disk in disks] == [12, 13, 3, 4]
    assert disks[3]["type"] == "scsi"
    assert k.list_disks()["data"]["pool"] == "fast"
    assert stored(k).image


def test_a_disk_without_size_takes_disksize_and_the_pool_is_the_vms(k: Kbase) -> None:
    make(k, disks=[{"name": "only"}], disksize=7, pool="fast", diskthin=False, diskinterface="sata")
    disk = k.info("box")["disks"][0]
    assert (disk["size"], disk["type"], disk["device"]) == (7, "sata", "sda")
    assert k.list_disks()["only"]["pool"] == "fast"


def test_nets_come_in_all_forms(k: Kbase) -> None:
    nets: list[Any] = [
        "default",
        {"name": "lab", "ip": "10.20.9.9", "netmask": "255.255.0.0", "mac": "52:54:00:aa:bb:cc", "type": "e1000"},
        {"name": "lab", "ip": "10.20.9.10"},
    ]
    make(k, nets=nets, start=True)
    info = k.info("box")
    assert [net["net"] for net in info["nets"]] == ["default", "lab", "lab"]
    assert info["nets"][1]["mac"] == "52:54:00:aa:bb:cc"
    assert {"10.20.9.9", "10.20.9.10"} <= set(info["ips"])


def test_addresses_beside_the_nets_belong_to_them_in_order(k: Kbase) -> None:
    make(k, nets=["default", "lab"], ips=["192.168.122.77"], netmasks=["24"], gateway="192.168.122.1", dns="192.0.2.53")
    first, second = stored(k).nics
    assert (first.address, first.is_fixed, second.is_fixed) == ("192.168.122.77", True, False)


def test_keys_commands_and_files_reach_the_guest(k: Kbase) -> None:
    files = [
        {"path": "/etc/motd", "content": "hello", "mode": "0600", "owner": "root"},
        {"path": "/etc/b", "content": base64.b64encode(b"plain").decode(), "encoding": "b64"},
    ]
    make(k, keys=["ssh-ed25519 AAAA a"], cmds=["uptime"], files=files, domain="demo.test", vmuser="ops")
    init = first_boot(k)
    assert (init.hostname, init.domain, init.commands) == ("box", "demo.test", ("uptime",))
    assert [(file.path, file.content) for file in init.files] == [("/etc/motd", "hello"), ("/etc/b", "plain")]
    assert {user.name for user in init.users} == {"ops", "root"}
    assert init.ssh_keys == ("ssh-ed25519 AAAA a",)


def test_root_gets_no_key_when_it_should_not(k: Kbase) -> None:
    make(k, keys=["ssh-ed25519 AAAA a"], enableroot=False)
    assert first_boot(k).users == ()


def test_local_files_are_read_only_below_the_folder_for_them(k: Kbase, tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "motd").write_text("from a file")
    (tmp_path / "secret").write_text("not for guests")
    refused(k.create("no", files=[{"path": "/x", "origin": "/etc/hostname"}]), "local files")
    k.files = tmp_path / "inside"
    refused(k.create("no", files=[{"path": "/x", "origin": "../secret"}]), "outside")
    make(k, files=["motd", {"path": "/etc/motd", "origin": "motd"}])
    assert [(file.path, file.content) for file in first_boot(k).files] == [
        ("/root/motd", "from a file"),
        ("/etc/motd", "from a file"),
    ]


def test_without_cloudinit_nothing_is_handed_over(k: Kbase) -> None:
    make(k, cloudinit=False)
    assert stored(k).cloud_init is None
    refused(k.create("other", cloudinit=False, keys=["ssh-ed25519 AAAA"]), "cloudinit")


def test_flavor_iso_autostart_and_metadata_are_kept(k: Kbase) -> None:
    make(k, flavor="large", iso="rescue.iso", autostart=True, profile="web", metadata={"owner": "alice"}, tags=["a"])
    info = k.info("box")
    assert (info["numcpus"], info["memory"], info["autostart"], info["profile"]) == (4, 8192, True, "web")
    assert info["owner"] == "alice"
    assert info["iso"]
    assert stored(k).tags == ["a"]


def test_overrides_that_are_understood_are_honoured(k: Kbase) -> None:
    overrides = {
        "description": "Front page",
        "uefi": True,
        "az": "hall-1",
        "userdata": "#cloud-config\n",
        "packages": ["nginx"],
        "portal_uuid": "1234",
        "cpu_model": "sim-1",
        "options": {"ignores_shutdown": True},
    }
    make(k, overrides=overrides)
    vm = stored(k)
    assert (vm.description, vm.firmware, vm.zone, vm.portal_uuid) == ("Front page", "uefi", "hall-1", "1234")
    assert (vm.cpu_model, vm.ignores_shutdown) == ("sim-1", True)
    assert (first_boot(k).user_data, first_boot(k).packages) == ("#cloud-config\n", ("nginx",))


def test_parameters_become_the_kinds_options_where_it_has_them(k: Kbase) -> None:
    done(k.create_security_group("ssh", {"ports": [22]}))
    make(k, cpumodel="sim-2", vncpassword="secret", securitygroups=["ssh"])
    assert (stored(k).cpu_model, stored(k).vnc_password, len(stored(k).firewalls)) == ("sim-2", "secret", 1)


def test_words_that_say_no_number_become_the_kinds_options(k: Kbase) -> None:
    make(k, numcpus=2, memory=512, cpuhotplug=True, memoryhotplug=True, nested=False, cpuflags=["aes"], start=True)
    assert (stored(k).max_vcpus, stored(k).max_memory_mib) == (8, 2048)
    assert stored(k).cpu_flags == ["+aes", "-vmx", "-svm"]
    done(k.update_cpus("box", 4))
    done(k.update_memory("box", 1024))
    assert (k.info("box")["numcpus"], k.info("box")["memory"], k.info("box")["status"]) == (4, 1024, "up")


@pytest.mark.parametrize(
    ("wish", "word"),
    [
        ({"overrides": {"no_such_thing": 1}}, "no_such_thing"),
        ({"overrides": {"config_rhnpassword": "x"}}, "config_rhnpassword"),
        ({"virttype": "kvm"}, "virttype"),
        ({"cpuflags": "vmx"}, "cpuflags"),
        ({"cpupinning": [{"vcpus": 0}]}, "cpupinning"),
        ({"guestid": "other"}, "guestid"),
        ({"vnc": False}, "vnc"),
        ({"guestagent": False}, "guestagent"),
        ({"reserveip": True}, "reserve"),
        ({"reservehost": True}, "fixed address"),
        ({"reservedns": True, "domain": "demo.test"}, "fixed address"),
        ({"tunnel": True}, "tunnel"),
        ({"sharedfolders": ["/tmp"]}, "sharedfolders"),
        ({"cmdline": "quiet"}, "cmdline"),
        ({"placement": ["host-1"]}, "placement"),
        ({"numamode": "strict"}, "numamode"),
        ({"numa": [{}]}, "numa"),
        ({"pcidevices": ["00:1f.0"]}, "pcidevices"),
        ({"tpm": True}, "tpm"),
        ({"rng": True}, "rng"),
        ({"alias": ["www"]}, "lias"),
        ({"image": "no-such-image"}, "no-such-image"),
        ({"nets": ["no-such-net"]}, "no-such-net"),
        ({"nets": [{"name": "default", "vlan": 0}]}, "vlan"),
        ({"nets": [{"name": "default", "sriov": True}]}, "sriov"),
        ({"nets": [{"ip": "10.0.0.1"}]}, "name of its network"),
        ({"nets": [{"name": "default", "ip": "192.168.122.9", "mask": "no"}]}, "mask"),
        ({"disks": [{"size": 5, "wwn": "0x1"}]}, "wwn"),
        ({"disks": ["no-such-volume"]}, "no-such-volume"),
        ({"disks": [True]}, "disk"),
        ({"disks": [{"size": "big"}]}, "whole number"),
        ({"disks": [0]}, "size_gib"),
        ({"pool": "no-such-pool"}, "no-such-pool"),
        ({"flavor": "no-such-flavor"}, "no-such-flavor"),
        ({"numcpus": "many"}, "numcpus"),
        ({"memory": 1}, "memory"),
        ({"files": [{"content": "x"}]}, "path"),
        ({"files": [{"path": "/x", "content": "x", "render": True}]}, "render"),
        ({"iso": "debian-13"}, "ISO"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_cannot_be_honoured_is_refused_and_nothing_is_made(k: Kbase, wish: dict[str, Any], word: str) -> None:
    vms, disks = k.list(), k.list_disks()
    refused(k.create("box", **{"image": "alpine-3.22", **wish}), word)
    assert (k.list(), k.list_disks()) == (vms, disks)


def test_a_taken_name_is_refused(k: Kbase) -> None:
    make(k)
    refused(k.create("box"), "box")


def test_the_callers_values_are_not_changed(k: Kbase) -> None:
    overrides: dict[str, Any] = {"description": "x"}
    disks: list[Any] = [{"size": 5}]
    make(k, overrides=overrides, disks=disks)
    assert (overrides, disks) == ({"description": "x"}, [{"size": 5}])


def test_a_name_is_reserved_with_the_vm_or_neither_is_made(k: Kbase) -> None:
    make(k, nets=[{"name": "default", "ip": "192.168.122.50"}], reservedns=True, domain="demo.test", alias=["www2"])
    assert ["box", "A", 300, "192.168.122.50"] in k.list_dns("demo.test")
    assert ["www2", "CNAME", 300, "box.demo.test."] in k.list_dns("demo.test")
    before = k.list_dns("demo.test")
    net = {"name": "default", "ip": "192.168.122.51"}
    refused(k.create("www", image="alpine-3.22", nets=[net], reservedns=True, domain="demo.test"), "www")
    assert not k.exists("www")
    assert k.list_dns("demo.test") == before


def test_a_host_is_entered_with_its_vm(k: Kbase) -> None:
    make(k, nets=[{"name": "default", "ip": "192.168.122.50"}], reservehost=True, domain="demo.test")
    assert k.info_network("default")["dns_hosts"] == [
        {"address": "192.168.122.50", "names": ["box", "box.demo.test"]},
    ]
