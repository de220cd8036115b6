"""OpenStack for the conformance suite: a simulator of ours over a socket, or the real services on this machine."""

from __future__ import annotations

import base64
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from providers.base import DiskSpec, NicSpec, ProviderError, VmRecord, VmSpec
from providers.openstack.config import OpenStackConfig
from providers.openstack.plugin import PLUGIN
from providers.testing import Harness, Unavailable

#: Where stand-ins live; named and not imported, since a driver that is used for real has none.
PEERS = "tools.peers.openstack"
#: Of Cinder's driver for files, which the real services have here: it copies and grows what is detached only.
_DETACHED = "Cinder's NFS driver does this to detached volumes only"
LIVE_GAPS = {
    "disks::a_disk_grows_and_never_shrinks": _DETACHED,
    "clones::a_full_clone_is_a_vm_of_its_own": _DETACHED,
    "clones::a_clone_carries_the_uuid_it_was_given": _DETACHED,
    "clones::a_clone_that_is_asked_for_twice_is_made_once": _DETACHED,
    "clones::an_exported_image_outlives_its_vm": _DETACHED,
}


def harness(mode: str = "offline", **settings: Any) -> Harness:
    """ "live" is what KVWEB_OPENSTACK_URL names, made by `python -m tools.peers.openstack.real up`."""
    return _live() if mode == "live" else _offline(mode, **settings)


def _live() -> Harness:
    url = os.environ.get("KVWEB_OPENSTACK_URL", "http://127.0.0.1:5000/v3")
    config = OpenStackConfig(
        auth_url=url,
        username="demo",
        password=SecretStr("pw"),
        project="demo",
        serial_console=True,
        # Twenty services share a machine with the tests.
        timeout_s=120,
        wait_timeout_s=300,
    )
    try:
        PLUGIN.open(config).close()
        content: dict[str, str] = import_module(f"{PEERS}.content").fill()
    except ProviderError as exc:
        raise Unavailable(f"no OpenStack answers at {url}: {exc.reason} ({exc.detail})") from exc
    return _harness(config, content, timeout_s=120.0, interval_s=0.5, many=2, gaps=LIVE_GAPS)


def _harness(config: OpenStackConfig, content: dict[str, str], **changes: Any) -> Harness:
    folder = Path(tempfile.mkdtemp(prefix="kvweb-openstack-"))
    image_file = folder / "image.raw"
    image_file.write_bytes(bytes(512) + b"kvweb" * 13108)
    nic = NicSpec(network=content["network"])
    return Harness(
        **{
            "plugin": PLUGIN,
            "config": config,
            "minimal": VmSpec(
                name="minimal",
                memory_mib=64,
                flavor="kvweb.tiny",
                disks=(DiskSpec(image=content["image"]),),
                nics=(nic,),
            ),
            "image": content["image"],
            "network": content["network"],
            "other_network": content["other_network"],
            "image_file": image_file,
            "wrong_credentials": config.model_copy(update={"password": SecretStr("wrong")}),
            "unreachable": config.model_copy(update={"auth_url": "http://127.0.0.1:9/v3"}),
            **changes,
        }
    )


#: What operations may cost against a cloud that does everything at once; a slow one is asked again while it works.
#: tests/budgets/calls.json records the same numbers.
BUDGETS = {"list": 4, "get": 4, "start": 6, "stop": 6, "create": 15, "delete": 6}
#: The suite's words for faults, and the simulator's.
FAULTS = {"unreachable": "cut", "rate_limited": "429", "auth": "401", "unknown": "500"}


def _offline(mode: str, **settings: Any) -> Harness:
    try:
        simulator = import_module(f"{PEERS}.simulator").Simulator(**settings)
    except ImportError as exc:
        raise Unavailable(f"the simulator needs aiohttp: {exc}") from exc
    cloud = simulator.cloud

    @contextmanager
    def failing(where: str, kind: str) -> Iterator[None]:
        simulator.fail(where, kind)
        try:
            yield
        finally:
            simulator.heal()

    return _harness(
        OpenStackConfig(
            auth_url=simulator.auth_url,
            username="tester",
            password=SecretStr(cloud.password),
            project="demo",
            serial_console=True,
            timeout_s=10,
            wait_timeout_s=20,
        ),
        simulator.content,
        calls=lambda driver: int(cloud.calls),
        budgets=BUDGETS,
        dns_zone="kvweb.test",
        boots=True,
        timeout_s=15.0,
        many=250 if mode == "bench" else 12,
        fault=lambda word: failing("*", FAULTS[word]),
        create_fault=lambda: failing("POST /compute/v2.1/servers", "500"),
        user_data=lambda driver, vm: user_data(cloud, vm),
        on_close=simulator.stop,
    )


def user_data(cloud: Any, vm: VmRecord) -> str:
    """What the metadata service would give the guest."""
    return base64.b64decode(cloud.of("servers")[vm.external_id]["user_data"] or "").decode()
