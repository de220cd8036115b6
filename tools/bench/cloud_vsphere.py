"""A simulated vCenter with many VMs, for the measures of clouds."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import SecretStr

from tools.bench.clouds import Room
from tools.bench.harness import Skip
from tools.peers.vsphere.authority import issue
from tools.peers.vsphere.build import CannotBuild
from tools.peers.vsphere.server import PASSWORD, USER, Vcenter

#: The simulator's inventory has two resource pools, which get as many VMs each.
_POOLS = 2

#: kcli knows port 443 only, so that the port is put in where it connects.
_KCLI = """
import os, time
from pyVim import connect
for name in ("SmartConnect", "SmartConnectNoSSL"):
    plain = getattr(connect, name, None)
    if plain:
        setattr(connect, name, lambda plain=plain, **told: plain(**{**told, "port": int(os.environ["PEER_PORT"])}))
from kvirt.providers.vsphere import Ksphere
client = Ksphere(host="127.0.0.1", user=os.environ["PEER_USER"], password=os.environ["PEER_PASSWORD"],
                 datacenter="DC0", cluster="DC0_C0")
began = time.perf_counter()
assert len(client.list()) == int(os.environ["PEER_VMS"])
print(time.perf_counter() - began)
"""


@contextmanager
def vsphere(vms: int) -> Iterator[Room]:
    """Without the door of the tests in between: the simulator speaks TLS itself."""
    from providers.vsphere.config import VsphereConfig
    from providers.vsphere.driver import VsphereDriver

    with tempfile.TemporaryDirectory(prefix="kvweb-bench-") as folder:
        papers = issue(Path(folder))
        try:
            vcenter = Vcenter(vms=vms // _POOLS, certificate=papers.certificate, key=papers.key)
        except CannotBuild as exc:
            raise Skip(str(exc)) from exc
        config = VsphereConfig(
            host="127.0.0.1", port=vcenter.port, username=USER, password=SecretStr(PASSWORD), ca=papers.ca
        )
        arguments = {
            "PEER_PORT": str(vcenter.port),
            "PEER_USER": USER,
            "PEER_PASSWORD": PASSWORD,
            "PEER_VMS": str(vms),
        }
        with vcenter, VsphereDriver(config) as driver:
            yield Room(driver=driver, calls=lambda: driver.connection.calls, kcli=_KCLI, arguments=arguments)
