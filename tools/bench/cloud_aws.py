"""A stand-in for AWS with many VMs, for the measures of clouds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tools.bench.clouds import Room
from tools.bench.harness import Skip

#: The SDK finds the peer in its environment (AWS_ENDPOINT_URL). kcli reads one page of a list that the stand-in, as AWS
#: itself, gives in one piece where nobody asks for less.
_KCLI = """
import os, time
from kvirt.providers.aws import Kaws
client = Kaws(access_key_id=os.environ["PEER_KEY"], access_key_secret=os.environ["PEER_SECRET"],
              region=os.environ["PEER_REGION"])
began = time.perf_counter()
assert len(client.list()) == int(os.environ["PEER_VMS"])
print(time.perf_counter() - began)
"""


@contextmanager
def aws(vms: int) -> Iterator[Room]:
    """moto behind our layer, in a process of its own; it needs seconds for a page, so the layer keeps its answers."""
    from providers.aws.driver import AwsDriver
    from providers.aws.testing import Peer
    from providers.testing import Unavailable

    try:
        peer = Peer("--many", str(vms), "--frozen")
    except Unavailable as exc:
        raise Skip(str(exc)) from exc
    arguments = {
        "AWS_ENDPOINT_URL": peer.url,
        "PEER_KEY": peer.told["key"],
        "PEER_SECRET": peer.told["secret"],
        "PEER_REGION": peer.told["region"],
        "PEER_VMS": str(vms),
    }
    try:
        with AwsDriver(peer.config(attempts=3, timeout_s=60.0)) as driver:
            yield Room(driver=driver, calls=lambda: driver.cloud.calls, kcli=_KCLI, arguments=arguments)
    finally:
        peer.close()
