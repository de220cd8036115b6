"""A simulated project with many servers, made without asking for each: for measuring lists."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

from providers.hcloud.driver import HcloudDriver
from providers.hcloud.testing import config_of
from tools.peers.hcloud.cloud import Cloud
from tools.peers.hcloud.server import Peer

#: kcli lists what carries its own label only.
LABELS = {"kcli-managed": "vm"}


def fill(cloud: Cloud, driver: HcloudDriver, servers: int, volumes: int) -> None:
    """One server and one volume are made through the API, the others are copies of them."""
    body = {"name": "web-0", "server_type": "cx22", "image": "1000", "location": "fsn1", "labels": LABELS}
    first = driver.api.post("/servers", body)
    driver.api.settle(first["action"], *first["next_actions"])
    number = first["server"]["id"]
    volume = {"name": "data-0", "size": 10, "server": number}
    made = driver.api.post("/volumes", volume)
    driver.api.settle(made["action"], *made["next_actions"])
    with cloud.lock:
        for index in range(1, servers):
            cloud.tables["servers"][number + index * 10] = copy.deepcopy(cloud.tables["servers"][number]) | {
                "id": number + index * 10,
                "name": f"web-{index}",
                "volumes": [made["volume"]["id"] + index * 10] if index < volumes else [],
            }
        for index in range(1, volumes):
            row = copy.deepcopy(cloud.tables["volumes"][made["volume"]["id"]])
            row |= {"id": row["id"] + index * 10, "name": f"data-{index}", "server": number + index * 10}
            cloud.tables["volumes"][row["id"]] = row


@contextmanager
def many(count: int) -> Iterator[tuple[HcloudDriver, Peer]]:
    """A driver on a project with so many servers, a tenth of them with a volume."""
    with Peer() as peer, HcloudDriver(config_of(peer)) as driver:
        fill(peer.cloud, driver, count, count // 10)
        yield driver, peer
