"""Snapshots, clones and hot-plugging of the kvm driver, each beside the same done with virsh and qemu-img."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.bench.harness import Skip, bench, measure

if TYPE_CHECKING:
    from providers.kvm.testing import Backend

#: What a small system has written, at random so that nothing can be left out.
CONTENT_MIB = 256


@contextmanager
def _room() -> Iterator[Backend]:
    from providers.kvm.testing import Backend
    from providers.testing import Unavailable

    try:
        backend = Backend()
    except Unavailable as exc:
        raise Skip(str(exc)) from exc
    try:
        yield backend
    finally:
        backend.sweep()
        backend.close()


def _virsh(*words: str) -> None:
    subprocess.run(["virsh", "-q", "-c", "qemu:///system", *words], check=True, stdout=subprocess.DEVNULL)


@bench
def snapshots_clones_and_plugs() -> None:
    from providers.base import DiskSpec, NicSpec, VmSpec

    with _room() as room:
        machines = room.driver.machines
        image = _image(room)
        disk = DiskSpec(image=image, thin=False)
        card = NicSpec(network=room.network)
        spec = VmSpec(name=f"{room.name}-bench", memory_mib=64, disks=(disk,), nics=(card,), start=False)
        vm = machines.create(spec)
        _snapshots(room, vm)
        _clones(room, vm)
        if room.driver.power is not None:
            room.driver.power.start(vm.external_id)
        _plugs(room, vm)


def _image(room: Backend) -> str:
    raw = room.folder / "content.raw"
    raw.write_bytes(os.urandom(CONTENT_MIB * 1024 * 1024))
    target = Path(room.pool.storageVolLookupByName(f"{room.name}.qcow2").path()).with_name("bench.qcow2")
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", raw, target], check=True)
    raw.unlink()
    room.pool.refresh(0)
    return str(target)


def _numbered(run: Callable[[str], None]) -> Callable[[], None]:
    numbers = itertools.count()
    return lambda: run(f"s{next(numbers)}")


def _snapshots(room: Backend, vm: Any) -> None:
    snapshots = room.driver.snapshots

    def ours(name: str) -> None:
        snapshots.create(vm.external_id, f"ours-{name}")
        snapshots.delete(vm.external_id, f"ours-{name}")

    def theirs(name: str) -> None:
        _virsh("snapshot-create-as", vm.name, f"theirs-{name}")
        _virsh("snapshot-delete", vm.name, f"theirs-{name}")

    measure(
        "snapshot of a stopped VM, taken and deleted",
        "ms",
        _numbered(ours),
        baseline=_numbered(theirs),
        baseline_name="virsh snapshot-create-as, snapshot-delete",
        goal="<= 3 x",
    )


def _clones(room: Backend, vm: Any) -> None:
    source = vm.disks[0].volume

    def cloned(*, full: bool) -> Callable[[str], None]:
        def run(name: str) -> None:
            made = room.driver.clones.clone(vm.external_id, f"{vm.name}-{full}-{name}".lower(), full=full)
            room.driver.machines.delete(made.external_id)

        return run

    def copied(name: str) -> None:
        target = Path(source).with_name(f"copy-{name}.qcow2")
        subprocess.run(["qemu-img", "convert", "-O", "qcow2", source, target], check=True)
        target.unlink()

    measure(
        f"full clone of a VM with {CONTENT_MIB} MiB, and its deletion",
        "ms",
        _numbered(cloned(full=True)),
        baseline=_numbered(copied),
        baseline_name="qemu-img convert of the disk, rm",
        goal="<= 3 x",
    )
    measure("linked clone of the same VM, and its deletion", "ms", _numbered(cloned(full=False)), goal="<= 2000")


def _plugs(room: Backend, vm: Any) -> None:
    """On SCSI, where a disk leaves at once: a virtio disk waits for its guest, and there is none here."""
    from providers.base import DiskSpec

    disks = room.driver.disks
    lone = Path(vm.disks[0].volume).with_name("plug.qcow2")

    def ours() -> None:
        told = disks.attach(vm.external_id, DiskSpec(size_gib=1, bus="scsi"))
        added = next(disk for disk in told.disks or () if disk.bus == "scsi")
        disks.detach(vm.external_id, added.external_id, delete=True)

    def theirs() -> None:
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", lone, "1G"], check=True)
        plug = ("--targetbus", "scsi", "--subdriver", "qcow2", "--live", "--config")
        _virsh("attach-disk", vm.name, str(lone), "sdz", *plug)
        _virsh("detach-disk", vm.name, "sdz", "--live", "--config")
        lone.unlink()

    measure(
        "disk made, plugged into a running VM, unplugged and deleted",
        "ms",
        ours,
        baseline=theirs,
        baseline_name="qemu-img create, virsh attach-disk, detach-disk, rm",
        goal="<= 2 x",
    )
