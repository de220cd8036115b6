"""A simulated vCenter for the conformance suite and for tests: VMware's simulator behind a door that can fail."""

from __future__ import annotations

import base64
import http.client
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from providers.base import DiskSpec, Driver, NicSpec, VmRecord, VmSpec
from providers.testing import Harness, Unavailable
from providers.vsphere import guestinfo
from providers.vsphere.config import VsphereConfig
from providers.vsphere.driver import VsphereDriver
from providers.vsphere.errors import vendor_calls
from providers.vsphere.native import vim
from providers.vsphere.plugin import PLUGIN
from providers.vsphere.properties import below, read_one
from providers.vsphere.site import read_site, vm_folder
from providers.vsphere.stub import file_path

#: The suite's words for faults → how the door fails.
_FAULTS: dict[str, dict[str, Any]] = {
    "unreachable": {"cut": "before"},
    "rate_limited": {"status": 503},
    "auth": {"fault": "NotAuthenticated"},
    "unknown": {"fault": "VimFault"},
}
BUDGETS = {"list": 1, "get": 1, "start": 4, "stop": 4, "create": 14, "delete": 4, "snapshot": 5}
_TEMPLATE = "kvweb-golden"


class Backend:
    """A vCenter with a template, an ISO image, two datastores and two networks."""

    def __init__(self, *, vms: int = 0, environment: dict[str, str] | None = None) -> None:
        # Tests only: the simulator is no part of the product.
        from tools.peers.vsphere.authority import issue
        from tools.peers.vsphere.build import CannotBuild
        from tools.peers.vsphere.door import Door
        from tools.peers.vsphere.server import PASSWORD, USER, Vcenter

        self._undo = ExitStack()
        self.folder = Path(tempfile.mkdtemp(prefix="kvweb-vsphere-"))
        self._undo.callback(shutil.rmtree, self.folder, ignore_errors=True)
        try:
            self.papers = issue(self.folder)
            try:
                self.vcenter = Vcenter(vms=vms, environment=environment)
            except CannotBuild as exc:
                raise Unavailable(str(exc)) from exc
            self._undo.callback(self.vcenter.close)
            self.door = Door(self.papers, self.vcenter.port)
            self._undo.callback(self.door.close)
            self.config = VsphereConfig(
                host="127.0.0.1",
                port=self.door.port,
                username=USER,
                password=SecretStr(PASSWORD),
                ca=self.papers.ca,
                timeout_s=10.0,
            )
            self._furnish()
        except BaseException:
            self.close()
            raise

    def _furnish(self) -> None:
        with VsphereDriver(self.config) as driver, vendor_calls():
            connection = driver.connection
            site = read_site(connection)
            store = min(site.of("Datastore"), key=lambda each: each.text("name"))
            self.pool, self.pool_name = store.id, store.text("name")
            names = {each.text("name"): each.id for each in site.of("Network", "DistributedVirtualPortgroup")}
            self.network, self.other_network = names["VM Network"], names["DC0_DVPG0"]
            spec = VmSpec(
                name=_TEMPLATE,
                disks=(DiskSpec(size_gib=1, pool=self.pool),),
                nics=(NicSpec(network=self.network),),
                start=False,
            )
            self.image = driver.machines.create(spec).external_id
            connection.object(vim.VirtualMachine, self.image).MarkAsTemplate()
            self.iso = f"[{self.pool_name}] iso/tiny.iso"
            self._upload(driver, "iso/tiny.iso", b"not much of a disc" * 100)
            _ = vm_folder(connection)

    def _upload(self, driver: VsphereDriver, path: str, content: bytes) -> None:
        line, headers = driver.connection.stub.file_line()
        where = file_path(path, datacenter=driver.connection.datacenter_name, datastore=self.pool_name)
        line.request("PUT", where, content, headers)
        if line.getresponse().status not in (http.client.OK, http.client.CREATED):
            raise Unavailable("The simulated vCenter takes no files.")
        line.close()

    def silent(self) -> VsphereConfig:
        """Where somebody takes connections and never says anything."""
        import socket

        listener = socket.create_server(("127.0.0.1", 0))
        self._undo.callback(listener.close)
        return self.config.model_copy(update={"port": listener.getsockname()[1], "timeout_s": 1.0})

    @contextmanager
    def create_fault(self) -> Iterator[None]:
        """The clone is there, with its disk; then it cannot be changed."""
        with self.door.failing("ReconfigVM_Task", fault="NoDiskSpace"):
            yield

    def fault(self, word: str) -> AbstractContextManager[Any]:
        return self.door.failing("*", **_FAULTS[word])

    def close(self) -> None:
        self._undo.close()


def harness(mode: str = "offline") -> Harness:
    """The simulator; in mode "bench" with many VMs."""
    backend = Backend()
    return Harness(
        plugin=PLUGIN,
        config=backend.config,
        minimal=VmSpec(
            name="minimal",
            memory_mib=64,
            disks=(DiskSpec(image=backend.image, pool=backend.pool),),
            nics=(NicSpec(network=backend.network),),
        ),
        image=backend.image,
        iso=backend.iso,
        network=backend.network,
        other_network=backend.other_network,
        pool=backend.pool,
        free_cidr="",
        timeout_s=15.0,
        event_s=5.0,
        many=250 if mode == "bench" else 6,
        calls=lambda driver: as_vsphere(driver).connection.calls,
        budgets=BUDGETS,
        wrong_credentials=backend.config.model_copy(update={"password": SecretStr("wrong")}),
        unreachable=backend.silent(),
        fault=backend.fault,
        create_fault=backend.create_fault,
        user_data=user_data,
        on_close=backend.close,
    )


def as_vsphere(driver: Driver) -> VsphereDriver:
    """The vSphere driver behind a driver that a test may have wrapped."""
    inner = getattr(driver, "inner", driver)
    if not isinstance(inner, VsphereDriver):
        raise TypeError("This is not a driver of vSphere.")
    return inner


def user_data(driver: Driver, vm: VmRecord) -> str:
    """What the guest reads through the hypervisor."""
    connection = as_vsphere(driver).connection
    path = f'config.extraConfig["{guestinfo.USER_DATA}"]'
    with vendor_calls():
        found = read_one(connection, connection.object(vim.VirtualMachine, vm.external_id), path)
    return base64.b64decode(below(found.values[path], "value")).decode()


__all__ = ["BUDGETS", "Backend", "as_vsphere", "harness", "user_data"]
