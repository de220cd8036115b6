"""Pools of every type: their documents fit libvirt's schema, their sources are checked, and what can run here is run.

LVM and NFS need modules of the kernel; where they are missing, the tests say so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import libvirt
import pytest
from lxml import etree

from providers.base import (
    POOL_SHAPES,
    AlreadyExists,
    Conflict,
    DiskSpec,
    InvalidRequest,
    NotFound,
    NotSupported,
    PoolSpec,
    PowerState,
    VolumeSpec,
)
from providers.kvm import pool_secrets
from providers.kvm.pool_sources import TYPES, plan
from providers.kvm.testing import Backend
from providers.kvm.xml.domain_writer import drive_element
from providers.kvm.xml.elements import Drive, Source
from providers.kvm.xml.storage import pool_document, read_pool, secret_document
from tests.providers.kvm.conftest import MakeVm
from tests.providers.kvm.test_documents import demand_valid

GOLDEN = Path(__file__).with_name("golden")
UUID = "11111111-2222-4333-8444-555555555555"
NAME = "a&b<c>\"'"

#: name → wish; secrets are words here, since no host is asked.
WISHES: dict[str, PoolSpec] = {
    "pool-dir": PoolSpec(name=NAME, path="/srv/x <y> & z"),
    "pool-fs": PoolSpec(name=NAME, type="fs", path="/srv/disks", source={"device": "/dev/sdb1", "format": "ext4"}),
    "pool-netfs": PoolSpec(
        name=NAME, type="netfs", path="/srv/share", source={"host": "nas.example", "dir": "/exports/a&b"}
    ),
    "pool-logical": PoolSpec(name=NAME, type="logical", source={"name": "vg_disks"}),
    "pool-logical-new": PoolSpec(
        name=NAME, type="logical", source={"name": "vg_disks", "devices": "/dev/sdb, /dev/sdc"}
    ),
    "pool-iscsi": PoolSpec(
        name=NAME,
        type="iscsi",
        source={
            "host": "192.0.2.7:3260",
            "target": "iqn.2004-10.com.example:disks",
            "initiator": "iqn.2004-10.com.example:host",
            "user": "a<b",
            "secret": "a long secret",
        },
    ),
    "pool-rbd": PoolSpec(
        name=NAME,
        type="rbd",
        source={"host": "mon1:6789, [2001:db8::7]:3300", "name": "vms", "user": "kvweb", "secret": "c2VjcmV0"},
    ),
}


def document_of(wish: PoolSpec) -> str:
    planned = plan(wish)
    source = planned.source
    if source is not None and planned.secret:
        source = replace(source, auth_type=planned.auth_type, secret_uuid=UUID)
    return pool_document(name=wish.name, type_=wish.type, path=planned.path, source=source)


@pytest.mark.parametrize("name", WISHES)
def test_a_pool_fits_the_schema_and_is_written_as_it_was_looked_at(name: str) -> None:
    document = document_of(WISHES[name])
    demand_valid(document, "storagepool.rng")
    tree = etree.fromstring(document)
    etree.indent(tree)
    text = etree.tostring(tree, encoding="unicode") + "\n"
    path = GOLDEN / f"{name}.xml"
    if not path.exists():
        path.write_text(text)
        pytest.fail(f"{path.name} is new: look at it and commit it")
    assert text == path.read_text()


@pytest.mark.parametrize("name", WISHES)
def test_a_pool_is_read_back_as_it_was_planned_and_keeps_its_secret_to_itself(name: str) -> None:
    wish = WISHES[name]
    planned, seen = plan(wish), read_pool(document_of(wish))
    assert (seen.name, seen.type, seen.path) == (NAME, wish.type, planned.path)
    if planned.source is not None:
        assert (seen.source.hosts, seen.source.devices) == (planned.source.hosts, planned.source.devices)
        assert (seen.source.dir, seen.source.name) == (planned.source.dir, planned.source.name)
        assert seen.source.auth_user == planned.source.auth_user
    secret = wish.source.get("secret")
    if secret:
        assert planned.secret == (b"secret" if wish.type == "rbd" else secret.encode())
        for shown in (document_of(wish), repr(planned), repr(wish), str(wish)):
            assert secret not in shown


@pytest.mark.parametrize("type_", ["iscsi", "ceph"])
def test_a_secret_fits_the_schema(type_: str) -> None:
    demand_valid(secret_document(uuid=UUID, description=NAME, type_=type_, usage=NAME), "secret.rng")


def test_a_disk_of_ceph_fits_the_schema() -> None:
    source = Source(kind="rbd", path="vms/a&b", hosts=(("mon1", "6789"), ("mon2", "")), user="u", secret_uuid=UUID)
    disk = drive_element(Drive(source=source, target="vda", bus="virtio"))
    root = etree.fromstring(
        '<domain type="kvm"><name>n</name><memory>1024</memory><os><type>hvm</type></os><devices/></domain>'
    )
    root[-1].append(disk)
    demand_valid(etree.tostring(root, encoding="unicode"), "domain.rng")


@pytest.mark.parametrize(
    ("type_", "path", "source", "field"),
    [
        ("cloud", "/srv/x", {}, "type"),
        ("zfs", "", {"name": "tank"}, "type"),
        ("dir", "/srv/x", {"device": "/dev/sdb"}, "source.device"),
        ("fs", "/srv/x", {}, "source.device"),
        ("fs", "", {"device": "/dev/sdb1"}, "path"),
        ("fs", "/etc/x", {"device": "/dev/sdb1"}, "path"),
        ("fs", "/srv/x", {"device": "/etc/shadow"}, "source.device"),
        ("fs", "/srv/x", {"device": "/dev/../etc/shadow"}, "source.device"),
        ("fs", "/srv/x", {"device": "/dev/sdb1", "format": "fat32"}, "source.format"),
        ("netfs", "/srv/x", {"host": "nas"}, "source.dir"),
        ("netfs", "/srv/x", {"host": "-o evil", "dir": "/x"}, "source.host"),
        ("netfs", "/srv/x", {"host": "one,two", "dir": "/x"}, "source.host"),
        ("netfs", "/srv/x", {"host": "nas", "dir": "relative"}, "source.dir"),
        ("logical", "", {}, "source.name"),
        ("logical", "", {"name": "-f"}, "source.name"),
        ("logical", "", {"name": "vg", "devices": "sdb"}, "source.devices"),
        ("iscsi", "", {"host": "h", "target": "disks"}, "source.target"),
        ("iscsi", "", {"host": "h", "target": "iqn.x", "initiator": "me"}, "source.initiator"),
        ("iscsi", "", {"host": "h", "target": "iqn.x", "user": "u"}, "source.secret"),
        ("iscsi", "", {"host": "h", "target": "iqn.x", "secret": "s"}, "source.user"),
        ("iscsi", "", {"host": "h:99999", "target": "iqn.x"}, "source.host"),
        ("rbd", "", {"host": "", "name": "vms"}, "source.host"),
        ("rbd", "", {"host": "mon", "name": "vms", "user": "u", "secret": "not base64!"}, "source.secret"),
        ("rbd", "", {"host": "mon", "name": "a\nb"}, "source.name"),
    ],
)
def test_a_source_that_cannot_be_is_refused_by_name(type_: str, path: str, source: dict[str, str], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        plan(PoolSpec(name="p", type=type_, path=path, source=source))
    assert caught.value.field == field
    assert "not base64!" not in str(caught.value)


def test_every_type_is_one_that_forms_know() -> None:
    assert set(POOL_SHAPES) > TYPES


# -- at this machine's libvirt -----------------------------------------------------------------------------------------

live = [pytest.mark.live]


def applied(function: Callable[..., None]) -> Callable[..., None]:
    for mark in live:
        function = mark(function)
    return function


def virsh(*words: str) -> str:
    command = ["virsh", "-q", "-c", "qemu:///system", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def mounted(path: Path) -> str:
    """The device that is mounted there, empty for none."""
    lines = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    return next((line[0] for line in lines if line[1].encode().decode("unicode_escape") == str(path)), "")


@applied
def test_what_is_probed_is_what_this_libvirt_has(backend: Backend) -> None:
    pools = backend.driver.probe().pools
    assert pools is not None
    document = etree.fromstring(backend.raw.getStoragePoolCapabilities(0).encode())
    assert pools.types == TYPES & {each.get("type") for each in document.iterfind("pool[@supported='yes']")}
    assert {"dir", "fs", "netfs", "logical", "iscsi"} <= pools.types


@applied
def test_a_folder_is_switched_on_and_off_now_and_with_its_host(backend: Backend, make_vm: MakeVm) -> None:
    name, pools = f"{backend.name}-{NAME}", backend.driver.pools
    made = pools.create(PoolSpec(name=name, path=str(backend.folder / "switched a&b")))
    try:
        assert (made.name, made.is_active, made.autostart) == (name, True, True)
        assert Path(made.path).is_dir()
        assert name in virsh("pool-list", "--name")
        vm = make_vm(disks=(DiskSpec(size_gib=1, pool=name),), start=True)
        loose = backend.driver.volumes.create(VolumeSpec(name=f"{name}-loose.qcow2", size_gib=1, pool=name))
        with pytest.raises(Conflict, match="running VM"):
            pools.update(name, active=False)
        backend.driver.power.stop(vm.external_id, force=True)
        off = pools.update(name, active=False, autostart=False)
        assert (off.is_active, off.autostart) == (False, False)
        assert "Autostart:      no" in virsh("pool-info", name)
        assert "State:          inactive" in virsh("pool-info", name)
        with pytest.raises(Conflict, match="switched off"):
            backend.driver.volumes.create(VolumeSpec(name="x", size_gib=1, pool=name))
        # What cannot be seen now is not gone: nobody would know of its files afterwards.
        for delete in (backend.driver.volumes.delete, backend.driver.images.delete, backend.driver.volumes.get):
            with pytest.raises(Conflict, match="switched off"):
                delete(loose.external_id)
        with pytest.raises(Conflict, match="switched off"):
            backend.driver.machines.delete(vm.external_id)
        with pytest.raises(NotFound):
            backend.driver.volumes.delete(loose.external_id + "-2/x")
        with pytest.raises(Conflict):
            pools.refresh(name)
        with pytest.raises(Conflict):
            pools.delete(name, with_volumes=True)
        # Its folder went away and came back.
        Path(made.path).rename(backend.folder / "moved")
        with pytest.raises(Conflict, match="folder"):
            pools.update(name, active=True)
        (backend.folder / "moved").rename(made.path)
        assert pools.update(name, active=True).is_active
        backend.driver.machines.delete(vm.external_id)
        backend.driver.volumes.delete(loose.external_id)
        # What was put there by hand is found when somebody looks.
        (Path(made.path) / "kvweb-test-by hand.raw").write_bytes(bytes(1024))
        assert not backend.driver.connection.raw.storagePoolLookupByName(name).listVolumes()
        pools.refresh(name)
        assert backend.driver.connection.raw.storagePoolLookupByName(name).listVolumes() == ["kvweb-test-by hand.raw"]
        with pytest.raises(Conflict, match="1 volumes"):
            pools.delete(name)
    finally:
        pools.update(name, active=True)
        pools.delete(name, with_volumes=True)
    assert Path(made.path).is_dir()
    for call in (pools.delete, pools.update, pools.refresh):
        with pytest.raises(NotFound):
            call(name)


@pytest.fixture
def loop_device(backend: Backend) -> Iterator[str]:
    """A block device with an empty ext4 file system."""
    if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
        pytest.skip("a loop device with a file system needs root and mkfs.ext4")
    file = backend.folder / "device.img"
    with file.open("wb") as content:
        content.truncate(64 * 1024 * 1024)
    subprocess.run(["mkfs.ext4", "-q", str(file)], check=True)
    done = subprocess.run(["losetup", "--find", "--show", str(file)], capture_output=True, text=True)
    if done.returncode:
        file.unlink()
        pytest.skip(f"no loop device can be had: {done.stderr.strip()}")
    yield done.stdout.strip()
    subprocess.run(["losetup", "--detach", done.stdout.strip()], check=True)
    file.unlink()


@applied
def test_a_device_is_mounted_for_its_pool_and_let_go(backend: Backend, make_vm: MakeVm, loop_device: str) -> None:
    pools, target = backend.driver.pools, backend.folder / "mount point"
    spec = PoolSpec(
        name=f"{backend.name}-fs", type="fs", path=str(target), source={"device": loop_device, "format": "ext4"}
    )
    pool = pools.create(spec)
    try:
        assert mounted(target) == loop_device
        assert 0 < pool.capacity_gib < 0.0625
        vm = make_vm(disks=(DiskSpec(size_gib=1, pool=pool.external_id),), start=True)
        assert vm.disks is not None
        assert Path(vm.disks[0].volume).parent == target
        assert backend.driver.machines.get(vm.external_id).power is PowerState.RUNNING
        with pytest.raises(AlreadyExists):
            pools.create(spec.model_copy(update={"name": f"{backend.name}-twin", "path": str(backend.folder / "t")}))
        backend.driver.machines.delete(vm.external_id)
        pools.update(pool.external_id, active=False)
        assert not mounted(target)
        pools.update(pool.external_id, active=True)
        assert mounted(target)
        # Each new file system has a folder, which is nobody's disk.
        assert (target / "lost+found").is_dir()
        assert [each.name for each in backend.driver.volumes.list() if each.pool == pool.external_id] == []
        pools.delete(pool.external_id)
    finally:
        with suppress(NotFound):
            pools.delete(pool.external_id, with_volumes=True)
    assert not mounted(target)
    # The file system is as it was: only the pool is gone.
    assert subprocess.run(["blkid", "-o", "value", "-s", "TYPE", loop_device], capture_output=True).stdout == b"ext4\n"


@applied
@pytest.mark.parametrize(
    ("type_", "source", "field"),
    [
        ("fs", {"device": "/dev/kvweb-test-nothing"}, "source.device"),
        ("netfs", {"host": "127.0.0.1", "dir": "/kvweb-test-nothing", "format": "nfs"}, "source.host"),
        ("logical", {"name": "kvweb_test_nothing"}, "source.name"),
        ("iscsi", {"host": "127.0.0.1:9", "target": "iqn.2004-10.com.example:kvweb-test"}, "source.target"),
    ],
)
def test_a_source_that_is_not_there_is_said_so_and_leaves_nothing(
    backend: Backend, type_: str, source: dict[str, str], field: str
) -> None:
    needs = POOL_SHAPES[type_]
    if "user" in needs.may:
        source = {**source, "user": "u", "secret": "s3cret word"}
    path = str(backend.folder / "nothing") if needs.needs_path else ""
    with pytest.raises(InvalidRequest) as caught:
        backend.driver.pools.create(PoolSpec(name=f"{backend.name}-no", type=type_, path=path, source=source))
    assert caught.value.field == field
    assert "s3cret word" not in f"{caught.value} {caught.value.detail}"
    assert f"{backend.name}-no" not in virsh("pool-list", "--all", "--name")
    assert f"{backend.name}-no" not in virsh("secret-list")


@applied
def test_a_type_that_this_libvirt_lacks_is_refused(backend: Backend) -> None:
    pools = backend.driver.probe().pools
    assert pools is not None
    if "rbd" in pools.types:
        pytest.skip("this libvirt has support for Ceph")
    with pytest.raises(NotSupported):
        backend.driver.pools.create(WISHES["pool-rbd"].model_copy(update={"name": f"{backend.name}-rbd"}))


@applied
@pytest.mark.parametrize("type_", ["chap", "ceph"])
def test_a_secret_is_kept_by_libvirt_and_goes_with_its_pool(backend: Backend, type_: str) -> None:
    first = pool_secrets.keep(backend.raw, backend.name, type_=type_, value=b"a word")
    # A second pool of this name replaces what the first left.
    second = pool_secrets.keep(backend.raw, backend.name, type_=type_, value=b"another")
    try:
        assert first not in virsh("secret-list")
        assert "private='yes'" in virsh("secret-dumpxml", second)
        with pytest.raises(libvirt.libvirtError):
            backend.raw.secretLookupByUUIDString(second).value()
    finally:
        pool_secrets.forget(backend.raw, second)
    assert second not in virsh("secret-list")
    pool_secrets.forget(backend.raw, second)


@applied
def test_another_ones_secret_stays(backend: Backend) -> None:
    document = secret_document(uuid=UUID, description="somebody's", type_="ceph", usage=f"{backend.name} of another")
    secret = backend.raw.secretDefineXML(document, 0)
    try:
        pool_secrets.forget(backend.raw, UUID)
        assert UUID in virsh("secret-list")
    finally:
        secret.undefine()


@applied
def test_a_volume_group_holds_disks(backend: Backend, make_vm: MakeVm) -> None:
    if "device-mapper" not in Path("/proc/devices").read_text():
        pytest.skip("this kernel has no device mapper, so LVM cannot run")
    if shutil.which("vgcreate") is None:
        pytest.skip("LVM's tools are not installed")
    file = backend.folder / "group.img"
    with file.open("wb") as content:
        content.truncate(256 * 1024 * 1024)
    device = subprocess.run(
        ["losetup", "--find", "--show", str(file)], check=True, capture_output=True, text=True
    ).stdout.strip()
    group = backend.name.replace("-", "_")
    try:
        pool = backend.driver.pools.create(
            PoolSpec(name=f"{backend.name}-vg", type="logical", source={"name": group, "devices": device})
        )
        try:
            vm = make_vm(disks=(DiskSpec(image=backend.image, pool=pool.external_id, format="raw"),), start=True)
            assert vm.disks is not None
            assert vm.disks[0].volume.startswith(f"/dev/{group}/")
            backend.driver.machines.delete(vm.external_id)
            assert backend.raw.storagePoolLookupByName(pool.external_id).listVolumes() == []
        finally:
            backend.driver.pools.delete(pool.external_id, with_volumes=True)
            subprocess.run(["vgremove", "-f", group], check=True)
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)
        file.unlink()


@applied
def test_a_share_of_the_network_holds_disks(backend: Backend, make_vm: MakeVm) -> None:
    if "\tnfs4" not in Path("/proc/filesystems").read_text():
        pytest.skip("this kernel has no NFS client, so no share can be mounted")
    if shutil.which("exportfs") is None:
        pytest.skip("no NFS server is installed to be mounted from")
    export = backend.folder / "export"
    export.mkdir()
    subprocess.run(["exportfs", "-o", "rw,no_root_squash,insecure", f"127.0.0.1:{export}"], check=True)
    try:
        pool = backend.driver.pools.create(
            PoolSpec(
                name=f"{backend.name}-nfs",
                type="netfs",
                path=str(backend.folder / "share"),
                source={"host": "127.0.0.1", "dir": str(export), "format": "nfs"},
            )
        )
        try:
            vm = make_vm(disks=(DiskSpec(size_gib=1, pool=pool.external_id),), start=True)
            assert list(export.iterdir())
            backend.driver.machines.delete(vm.external_id)
            assert not list(export.iterdir())
        finally:
            backend.driver.pools.delete(pool.external_id, with_volumes=True)
    finally:
        subprocess.run(["exportfs", "-u", f"127.0.0.1:{export}"], check=True)
