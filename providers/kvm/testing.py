"""The local libvirt for the conformance suite and for tests: a pool, two networks and two images of their own.

Everything is named `kvweb-test-…` and taken away at the end. The image holds no system: promises that need a guest are
proved by tests of their own, with a guest that boots.
"""

from __future__ import annotations

import io
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_interface
from pathlib import Path
from typing import Any
from unittest import mock

import pycdlib

from providers.base import (
    DiskDevice,
    DiskRecord,
    DiskSpec,
    Driver,
    NicSpec,
    ProviderError,
    ViewerConsole,
    VmRecord,
    VmSpec,
)
from providers.guest.cloudinit import SeedTexts
from providers.guest.seed import seed_iso
from providers.kvm import storage
from providers.kvm.config import KvmConfig
from providers.kvm.driver import KvmDriver
from providers.kvm.errors import vendor_calls
from providers.kvm.native import LibvirtError
from providers.kvm.plugin import PLUGIN
from providers.kvm.xml.network_edit import network_document
from providers.kvm.xml.networks import Range
from providers.kvm.xml.storage import pool_document, volume_document
from providers.testing import Harness, Unavailable
from providers.testing.harness import fresh_suffix
from providers.testing.spice import OK, SpiceViewer

#: Even the offline mode needs libvirt and QEMU here.
LIVE = True

URI = "qemu:///system"

#: QEMU runs as a user of its own, who must be able to walk to the disks: /tmp of a test is often private.
_PARENT = Path("/var/lib/libvirt")

_IMAGE_BYTES = 64 * 1024 * 1024


class Backend:
    """A room at the local libvirt. Raises Unavailable when there is no libvirt, or too few rights to use it."""

    def __init__(self) -> None:
        self.name = f"kvweb-test-{fresh_suffix()}"
        self.config = KvmConfig(uri=URI, pool=self.name, network=self.name, spice_address="127.0.0.1")
        self._undo: list[Any] = []
        try:
            self.driver = KvmDriver(self.config)
        except (ProviderError, ImportError) as exc:
            detail = getattr(exc, "detail", "")
            raise Unavailable(f"No libvirt answers at {URI}: {exc} {detail}") from exc
        self._undo.append(self.driver.close)
        self.raw: Any = self.driver.connection.raw
        try:
            self._furnish()
        except BaseException:
            self.close()
            raise

    def _furnish(self) -> None:
        try:
            self.folder = Path(tempfile.mkdtemp(prefix=f"{self.name}-", dir=_PARENT))
        except OSError as exc:
            raise Unavailable(f"A folder under {_PARENT} cannot be made: {exc}") from exc
        self._undo.append(lambda: shutil.rmtree(self.folder, ignore_errors=True))
        self.folder.chmod(0o755)
        with vendor_calls():
            self.pool = self.raw.storagePoolCreateXML(
                pool_document(name=self.name, type_="dir", path=str(self._folder("pool"))), 0
            )
            self._undo.append(self._drop_pool)
            document = volume_document(name=f"{self.name}.qcow2", capacity=_IMAGE_BYTES, format_="qcow2", mode="0444")
            self.image = self.pool.createXML(document, 0).key()
            iso = seed_iso(SeedTexts(user_data="nothing to install", meta_data=""))
            storage.upload(self.raw, self.pool, name=f"{self.name}.iso", content=iso)
            # Its format shows when the pool is looked at again.
            self.pool.refresh(0)
            self.iso = self.pool.storageVolLookupByName(f"{self.name}.iso").key()
            self.network = self._network(self.name)
            self.other_network = self._network(f"{self.name}-2")
            self.zone = self._zone(f"{self.name}-3")
        self.image_file = self._folder("files") / "image.raw"
        self.image_file.write_bytes(os.urandom(64 * 1024) + bytes(4 * 1024 * 1024) + b"end")

    def _folder(self, name: str) -> Path:
        path = self.folder / name
        path.mkdir(mode=0o755)
        return path

    def _network(self, name: str) -> str:
        """An isolated network without addresses: it needs no free range, and no dnsmasq."""
        document = network_document(name=name)
        try:
            network = self.raw.networkCreateXML(document)
        except LibvirtError:
            # Two processes that begin at once may be given the same bridge.
            network = self.raw.networkCreateXML(document)
        self._undo.append(network.destroy)
        return name

    def _zone(self, name: str) -> str:
        """A network that is switched off, and can be given names all the same; it takes no addresses from the host."""
        part = Range(host=ip_interface("203.0.113.129/28"))
        network = self.raw.networkDefineXML(network_document(name=name, domain=f"{name}.test", ranges=(part,)))
        self._undo.append(network.undefine)
        return f"{name}.test"

    def _drop_pool(self) -> None:
        for volume in self.pool.listAllVolumes(0):
            volume.delete(0)
        self.pool.destroy()

    @property
    def free_cidr(self) -> str:
        """A range that another test process on this host hardly has too."""
        number = int(self.name[-8:], 16)
        return f"10.{128 + number % 120}.{number // 120 % 16 * 16}.0/20"

    def second(self) -> KvmConfig | None:
        """Another host with a pool and networks of the same names; None where this user cannot have one."""
        # Only here: the portal itself never needs it, and an installed one does not have it.
        from tools.trial.second_host import NotAllowed, SecondHost

        try:
            host = SecondHost()
        except NotAllowed:
            return None
        self._undo.append(host.remove)
        host.open_pool(self.name)
        for name in (self.network, self.other_network):
            host.open_network(name)
        return KvmConfig(uri=host.uri, pool=self.name, network=self.name, migration_host="127.0.0.1")

    def silent_uri(self) -> str:
        """Where somebody listens and never answers."""
        path = self.folder / "silent.sock"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen(16)
        self._undo.append(listener.close)
        return f"qemu+unix:///system?socket={path}"

    def view(self, driver: Driver, vm: VmRecord, ticket: ViewerConsole) -> Callable[[], bool] | None:
        del driver, vm
        viewer = SpiceViewer(ticket.host, ticket.port, ticket.password)
        self._undo.append(viewer.close)
        return viewer.is_connected if viewer.answer == OK else None

    def sweep(self) -> None:
        """Delete the VMs that use this room's pool, whoever made them."""
        for record in self.driver.machines.list():
            if any(disk.pool == self.name for disk in record.disks or ()) or self.name in record.name:
                with suppress(ProviderError):
                    self.driver.machines.delete(record.external_id, with_snapshots=True)

    def close(self) -> None:
        """Take everything away; goes on when something resists, and then raises the first error."""
        first: Exception | None = None
        for step in reversed(self._undo):
            try:
                with vendor_calls():
                    step()
            except Exception as exc:
                first = first or exc
        self._undo.clear()
        if first is not None:
            raise first


def harness(mode: str = "offline") -> Harness:
    """The local libvirt, in every mode: there is no simulator of it that boots anything."""
    backend = Backend()
    return Harness(
        plugin=PLUGIN,
        config=backend.config,
        minimal=VmSpec(
            name="minimal",
            memory_mib=32,
            disks=(DiskSpec(image=backend.image, pool=backend.name),),
            nics=(NicSpec(network=backend.network),),
        ),
        image=backend.image,
        iso=backend.iso,
        network=backend.network,
        other_network=backend.other_network,
        pool=backend.name,
        viewer_options={"graphics": "both"},
        dns_zone=backend.zone,
        pool_path=lambda name: str(backend.folder / name),
        free_cidr=backend.free_cidr,
        image_file=backend.image_file,
        timeout_s=30.0,
        event_s=5.0,
        many=250 if mode == "bench" else 3,
        second=backend.second(),
        unreachable=KvmConfig(uri=backend.silent_uri(), open_timeout_s=1.0),
        create_fault=_refused_document,
        user_data=user_data,
        view=backend.view,
        mark_disk=mark_disk,
        read_mark=read_mark,
        on_close=backend.close,
    )


def as_kvm(driver: Driver) -> KvmDriver:
    """The KVM driver behind a driver that a test may have wrapped."""
    inner = getattr(driver, "inner", driver)
    if not isinstance(inner, KvmDriver):
        raise TypeError("This is not a driver of KVM.")
    return inner


def user_data(driver: Driver, vm: VmRecord) -> str:
    """What the seed in the VM's drive says."""
    seed = next(disk.volume for disk in vm.disks or () if disk.volume.endswith("-seed.iso"))
    raw = as_kvm(driver).connection.raw
    with vendor_calls():
        volume = raw.storageVolLookupByPath(seed)
        content = download(raw, volume)
    return read_seed(content)["user-data"]


#: Where a mark lies in a disk: behind what an image of nothing has.
_MARK_AT = 8 * 1024 * 1024


def mark_disk(driver: Driver, vm: VmRecord, text: str) -> None:
    """Write into the first disk of a stopped VM, as its guest would."""
    del driver
    disk = first_disk(vm)
    with tempfile.NamedTemporaryFile() as file:
        file.write(text.encode().ljust(512, b"\0"))
        file.flush()
        command = f"write -s {file.name} {_MARK_AT} 512"
        subprocess.run(["qemu-io", "-f", disk.format, "-c", command, disk.volume], check=True, capture_output=True)


def read_mark(driver: Driver, vm: VmRecord) -> str:
    """Read it back, empty when nothing was written."""
    disk = first_disk(driver.machines.get(vm.external_id))
    with tempfile.NamedTemporaryFile() as file:
        command = ["qemu-img", "convert", "-U", "-f", disk.format, "-O", "raw", disk.volume, file.name]
        subprocess.run(command, check=True, capture_output=True)
        with Path(file.name).open("rb") as content:
            content.seek(_MARK_AT)
            return content.read(512).rstrip(b"\0").decode()


def first_disk(vm: VmRecord) -> DiskRecord:
    return next(disk for disk in vm.disks or () if disk.device is DiskDevice.DISK)


def download(raw: Any, volume: Any) -> bytes:
    """All of a volume."""
    stream = raw.newStream(0)
    volume.download(stream, 0, 0, 0)
    content = b""
    while piece := stream.recv(256 * 1024):
        content += piece
    stream.finish()
    return content


def read_seed(content: bytes) -> dict[str, str]:
    """The texts of a seed, by the names that a guest sees."""
    iso = pycdlib.PyCdlib()
    iso.open_fp(io.BytesIO(content))
    found = {}
    try:
        for child in iso.list_children(joliet_path="/"):
            if child is not None and child.is_file():
                name = child.file_identifier().decode("utf-16-be")
                text = io.BytesIO()
                iso.get_file_from_iso_fp(text, joliet_path=f"/{name}")
                found[name] = text.getvalue().decode()
    finally:
        iso.close()
    return found


@contextmanager
def _refused_document() -> Iterator[None]:
    """libvirt itself refuses the VM's document, when the volumes exist already."""
    with mock.patch("providers.kvm.creation.domain_document", return_value="<domain type='none'/>"):
        yield
