"""The contract's updates, snapshots, disks, pools, images and network cards do what they say, seen at the driver."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from providers.kbase import Kbase
from tests.providers.kbase_props import cloud, done, make, refused


@pytest.fixture
def k() -> Iterator[Kbase]:
    with cloud() as opened:
        yield opened


def sizes(k: Kbase, name: str = "box") -> dict[str, int]:
    return {disk["device"]: disk["size"] for disk in k.info(name)["disks"]}


# -- updates -----------------------------------------------------------------------------------------------------------


def test_size_and_autostart_change(k: Kbase) -> None:
    make(k)
    done(k.update_memory("box", "1024"))
    done(k.update_cpus("box", 4))
    done(k.update_start("box", True))
    vm = k.vm("box")
    assert (vm.memory_mib, vm.vcpus, vm.autostart) == (1024, 4, True)
    done(k.update_start("box", start=False))
    assert k.vm("box").autostart is False


def test_what_waits_for_the_next_start_is_told_beside_the_success(k: Kbase) -> None:
    make(k, start=True, numcpus=1)
    assert done(k.update_cpus("box", 4))["pending"] == ["CPUs: 1 → 4"]
    assert done(k.update_memory("box", 1024))["pending"] == ["CPUs: 1 → 4", "Memory: 256 MiB → 1024 MiB"]
    assert (k.vm("box").vcpus, k.vm("box").memory_mib) == (1, 256)
    done(k.stop("box"))
    done(k.start("box"))
    assert (k.vm("box").vcpus, k.vm("box").memory_mib) == (4, 1024)


def test_cpu_flags_are_added_and_taken_away_and_the_others_stay(k: Kbase) -> None:
    make(k, cpuflags=["vmx", {"name": "hle", "policy": "disable"}])
    assert k.driver.reshape is not None
    done(k.update_cpuflags("box", ["aes"]))
    assert k.driver.reshape.options(k.vm("box").external_id).pending["cpu_flags"] == ["+vmx", "-hle", "+aes"]
    done(k.update_cpuflags("box", ["vmx"], disable=True))
    assert k.driver.reshape.options(k.vm("box").external_id).pending["cpu_flags"] == ["-hle", "+aes", "-vmx"]
    refused(k.update_cpuflags("box", "vmx"), "list")


def test_first_boot_data_is_taken_away(k: Kbase) -> None:
    make(k, cmds=["echo secret"])
    done(k.remove_cloudinit("box"))
    done(k.remove_cloudinit("box"))
    refused(k.remove_cloudinit("nobody"), "nobody")


def test_what_needs_a_stopped_vm_says_so(k: Kbase) -> None:
    make(k, start=True)
    refused(k.remove_cloudinit("box"), "Stop the VM")
    refused(k.update_flavor("box", "large"), "Stop the VM")
    refused(k.update_cpus("box", "four"), "whole number")


def test_the_flavor_changes_once(k: Kbase) -> None:
    make(k)
    done(k.update_flavor("box", "large"))
    assert k.vm("box").memory_mib == 8192
    done(k.start("box"))
    done(k.update_flavor("box", "large"))
    refused(k.update_flavor("box", "no-such-flavor"), "no-such-flavor")


def test_metadata_is_set_appended_and_removed(k: Kbase) -> None:
    make(k)
    done(k.update_metadata("box", "team", "a"))
    done(k.update_metadata("box", "team", "b", append=True))
    assert k.vm("box").metadata["team"] == "a,b"
    done(k.update_metadata("box", "team", None))
    assert "team" not in k.vm("box").metadata
    done(k.update_information("box", "Front page"))
    assert k.vm("box").description == "Front page"


def test_an_iso_is_inserted_and_ejected(k: Kbase) -> None:
    make(k)
    done(k.update_iso("box", "rescue.iso"))
    assert k.info("box")["iso"]
    done(k.update_iso("box", None))
    assert "iso" not in k.info("box")
    refused(k.update_iso("box", "debian-13"), "ISO")


def test_a_card_moves_to_another_network(k: Kbase) -> None:
    make(k)
    done(k.update_nic("box", 0, "lab"))
    assert k.vm_ports("box") == ["lab"]
    refused(k.update_nic("box", 5, "lab"), "5")
    refused(k.update_nic("box", 0, "no-such-net"), "no-such-net")


# -- snapshots ---------------------------------------------------------------------------------------------------------


def test_snapshots_are_made_listed_reverted_and_deleted(k: Kbase) -> None:
    make(k)
    done(k.create_snapshot("first", "box"))
    done(k.update_memory("box", 2048))
    done(k.create_snapshot("second", "box"))
    assert k.list_snapshots("box") == ["first", "second"]
    done(k.revert_snapshot("first", "box"))
    assert k.vm("box").memory_mib == 256
    assert {"snapshot": "first", "current": True} in k.info("box")["snapshots"]
    done(k.delete_snapshot("first", "box"))
    assert k.list_snapshots("box") == ["second"]
    refused(k.delete_snapshot("first", "box"), "first")
    refused(k.revert_snapshot("first", "box"), "first")
    refused(k.create_snapshot("second", "box"), "second")
    assert k.list_snapshots("nobody") == []


def test_a_running_vm_is_kept_with_its_memory(k: Kbase) -> None:
    make(k, start=True)
    done(k.create_snapshot("hot", "box"))
    done(k.stop("box"))
    done(k.revert_snapshot("hot", "box"))
    assert k.status("box") == "up"


# -- disks and pools ---------------------------------------------------------------------------------------------------


def test_a_volume_is_made_found_grown_and_deleted(k: Kbase) -> None:
    path = done(k.create_disk("data", 3, pool="fast"))["path"]
    assert k.list_disks()["data"] == {"pool": "fast", "path": path}
    assert k.disk_exists("fast", "data")
    assert not k.disk_exists("default", "data")
    done(k.resize_disk(path, 5))
    refused(k.resize_disk(path, 4), "shrink")
    done(k.delete_disk(diskname="data", pool="fast", novm=True))
    assert "data" not in k.list_disks()
    refused(k.delete_disk(diskname="data", novm=True), "data")
    refused(k.create_disk("bad", "large"), "whole number")


def test_disks_are_added_in_all_ways(k: Kbase) -> None:
    make(k, disks=[5])
    done(k.add_disk("box", 2, pool="fast", thin=False, interface="scsi", diskname="named"))
    done(k.add_disk("box", "3"))
    done(k.create_disk("loose", 4))
    done(k.add_disk("box", existing="loose"))
    assert sizes(k) == {"vda": 5, "sda": 2, "vdb": 3, "vdc": 4}
    done(k.add_disk("alone", 6, novm=True))
    assert "alone" in k.list_disks()
    refused(k.add_disk("box", 1, overrides={"wwn": "0x1"}), "wwn")
    refused(k.add_disk("alone too", 1, novm=True, overrides={"cache": "none"}), "cache")
    done(k.create_disk("slow", 1))
    done(k.add_disk("box", existing="slow", interface="sata", overrides={"cache": "unsafe", "readonly": True}))
    disk = next(each for each in k.vm("box").disks or () if each.bus == "sata")
    assert (disk.cache, disk.read_only) == ("unsafe", True)
    refused(k.add_disk("box", 1, overrides={"cache": "magic"}), "magic")
    refused(k.add_disk("nobody", 1), "nobody")
    refused(k.add_disk("box", existing="loose"), "already")


def test_a_disk_is_deleted_by_device_volume_or_path_and_only_of_its_vm(k: Kbase) -> None:
    make(k, disks=[5, 1, {"size": 2, "name": "two"}, {"size": 3, "name": "three"}])
    make(k, "other", disks=[5, {"size": 4, "name": "foreign"}])
    done(k.delete_disk("box", "vdb"))
    done(k.delete_disk("box", "two"))
    done(k.delete_disk("box", k.list_disks()["three"]["path"]))
    assert sizes(k) == {"vda": 5}
    refused(k.delete_disk("box", "foreign"), "foreign")
    refused(k.delete_disk("box"), "which disk")
    refused(k.delete_disk(diskname="foreign", novm=True), "other")
    assert "foreign" in k.list_disks()


def test_a_disk_is_deleted_by_its_name_wherever_it_is(k: Kbase) -> None:
    make(k, disks=[5, {"size": 2, "name": "two"}])
    done(k.delete_disk_by_name("two", "default"))
    assert sizes(k) == {"vda": 5}
    done(k.create_disk("loose", 1))
    done(k.delete_disk_by_name("loose", "default"))
    assert not {"two", "loose"} & set(k.list_disks())
    refused(k.delete_disk_by_name("two", "default"), "two")


def test_a_disk_of_a_running_vm_grows_through_it(k: Kbase) -> None:
    make(k, disks=[{"size": 5, "name": "one"}], start=True)
    done(k.resize_disk("one", 8))
    assert sizes(k) == {"vda": 8}


def test_equal_names_in_two_pools_are_told_apart(k: Kbase) -> None:
    done(k.create_disk("twin", 1))
    done(k.create_disk("twin", 1, pool="fast"))
    assert {"default/twin", "fast/twin"} <= set(k.list_disks())
    refused(k.delete_disk(diskname="twin", novm=True), "called")
    done(k.delete_disk(diskname="twin", pool="fast", novm=True))


def test_disks_move_to_another_pool(k: Kbase) -> None:
    make(k, disks=[{"size": 4, "name": "one"}, {"size": 1, "name": "two"}])
    done(k.update_pool("box", "fast"))
    assert {k.list_disks()[name]["pool"] for name in ("one", "two")} == {"fast"}
    done(k.start("box"))
    refused(k.update_pool("box", "default"), "Stop")
    refused(k.update_pool("box", "no-such-pool"), "no-such-pool")


def test_pools_are_made_and_deleted(k: Kbase) -> None:
    done(k.create_pool("folder", "/srv/folder"))
    assert k.get_pool_path("folder") == "/srv/folder"
    done(k.delete_pool("folder"))
    done(k.create_pool("slow", "vg_slow", pooltype="lvm"))
    assert "slow" in k.list_pools()
    assert k.get_pool_path("slow") == "/dev/vg_slow"
    assert k.get_pool_path("nothing") is None
    done(k.create_disk("inside", 1, pool="slow"))
    refused(k.delete_pool("slow"), "not empty")
    done(k.delete_pool("slow", full=True))
    assert "slow" not in k.list_pools()
    assert "inside" not in k.list_disks()
    refused(k.create_pool("slow", "/srv/slow", user="alice"), "owner")
    refused(k.create_pool("slow", "/srv/slow", pooltype="cloud"), "type")


# -- images ------------------------------------------------------------------------------------------------------------


def test_images_are_listed_with_and_without_details(k: Kbase) -> None:
    assert k.volumes() == ["alpine-3.22", "debian-13", "ubuntu-24.04"]
    assert k.volumes(iso=True) == ["rescue.iso"]
    detail: Any = k.volumes(extended=True)[0]
    assert set(detail) == {"name", "id", "description", "type", "architecture"}


def test_an_image_is_added_found_and_deleted(k: Kbase, tmp_path: Path) -> None:
    url = "https://images.example.test/new.qcow2"
    assert "found" not in done(k.add_image(url, "default"))
    assert done(k.add_image(url, "default"))["found"] is True
    assert "new.qcow2" in k.volumes()
    local = tmp_path / "small.raw"
    local.write_bytes(bytes(512) + b"data")
    done(k.add_image(str(local), None, name="from-file"))
    done(k.delete_image("from-file", pool="default"))
    done(k.delete_image("new.qcow2"))
    assert not {"new.qcow2", "from-file"} & set(k.volumes())
    refused(k.delete_image("new.qcow2"), "new.qcow2")
    refused(k.add_image(url, "default", cmds=["echo"]), "cmds")
    refused(k.add_image(url, "default", size=10), "size")
    refused(k.add_image(url, "default", convert=True), "convert")
    make(k)
    refused(k.delete_image("alpine-3.22"), "overlay")


def test_flavors_are_rows(k: Kbase) -> None:
    assert ["small", 1, 2048] in k.list_flavors()
    assert k.info_flavor("small") == {"cpus": 1, "memory": 2048}
    assert k.info_flavor("nothing") == {}


# -- cards -------------------------------------------------------------------------------------------------------------


def test_cards_are_added_and_removed(k: Kbase) -> None:
    make(k)
    done(k.add_nic("box", "lab", model="e1000"))
    assert k.vm_ports("box") == ["default", "lab"]
    done(k.delete_nic("box", "eth0"))
    assert k.vm_ports("box") == ["lab"]
    done(k.delete_nic("box", k.info("box")["nets"][0]["mac"]))
    assert k.vm_ports("box") == []
    refused(k.delete_nic("box", "eth7"), "eth7")
    refused(k.add_nic("box", "no-such-net"), "no-such-net")
