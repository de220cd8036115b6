"""A simulated Hetzner Cloud with many servers, for the measures of clouds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tools.bench.clouds import Room
from tools.bench.harness import Skip

#: kcli lets the library choose the address, so that another one is put in where it connects.
_KCLI = """
import os, time
import hcloud
plain = hcloud.Client.__init__
def at_the_peer(self, *told, **named):
    plain(self, *told, **{**named, "api_endpoint": os.environ["PEER_URL"]})
hcloud.Client.__init__ = at_the_peer
from kvirt.providers.hcloud import Khcloud
client = Khcloud(api_key=os.environ["PEER_TOKEN"], location="fsn1")
began = time.perf_counter()
assert len(client.list()) == int(os.environ["PEER_VMS"])
print(time.perf_counter() - began)
"""


@contextmanager
def hcloud(vms: int) -> Iterator[Room]:
    """Every tenth server has a volume; all carry the label without which kcli does not list them."""
    try:
        from tools.peers.hcloud.many import many
    except ImportError as exc:
        raise Skip(str(exc)) from exc

    with many(vms) as (driver, peer):
        arguments = {"PEER_URL": peer.url, "PEER_TOKEN": peer.cloud.token, "PEER_VMS": str(vms)}
        yield Room(driver=driver, calls=lambda: driver.api.calls, kcli=_KCLI, arguments=arguments)
