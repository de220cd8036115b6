"""A stand-in for AWS for the conformance suite: moto behind a layer of ours, in a process of its own."""

from __future__ import annotations

import atexit
import json
import select
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from providers.aws.config import AwsConfig
from providers.aws.driver import AwsDriver
from providers.aws.plugin import PLUGIN
from providers.base import DiskSpec, Driver, NicSpec, VmRecord, VmSpec
from providers.testing import Harness, Unavailable

#: A thousand VMs for a measure take their time on a busy machine.
START_S = 150.0
MANY_START_S = 240.0
_ROOT = Path(__file__).resolve().parents[2]
#: The suite's words for faults, and the layer's.
FAULTS: dict[str, dict[str, Any]] = {
    "unreachable": {"cut": True},
    "rate_limited": {"code": "RequestLimitExceeded", "status": 503},
    "auth": {"code": "AuthFailure", "status": 401},
    "unknown": {"code": "SomethingOdd", "status": 400},
}
BUDGETS = {"list": 2, "get": 3, "start": 5, "stop": 5, "create": 11, "delete": 5, "snapshot": 8}


class Peer:
    """The running stand-in."""

    def __init__(self, *arguments: str) -> None:
        """Raises Unavailable when it does not come up; it ends with this process."""
        if find_spec("moto") is None or not (_ROOT / "tools/peers/aws").is_dir():
            raise Unavailable("moto is not installed; requirements/aws-test.txt brings it.")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tools.peers.aws", *arguments],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        atexit.register(self.close)
        out = self.process.stdout
        if out is None or not select.select([out], [], [], MANY_START_S if arguments else START_S)[0]:
            self.close()
            raise Unavailable("The stand-in for AWS did not start in time.")
        line = out.readline()
        if not line:
            self.close()
            raise Unavailable("The stand-in for AWS ended at its start.")
        self.told: dict[str, str] = json.loads(line)
        self.url = self.told["url"]

    def config(self, **changes: Any) -> AwsConfig:
        given: dict[str, Any] = {
            "region": self.told["region"],
            "access_key_id": self.told["key"],
            "secret_access_key": SecretStr(self.told["secret"]),
            "endpoint_url": self.url,
            "public_images": ("136693071363/debian-12-amd64-*",),
            "instance_types": ("t3.*",),
            "attempts": 1,
            "timeout_s": 20.0,
            # Nothing listens there, and nothing is asked before a console opens.
            "serial_host": "127.0.0.1:9",
            "serial_known_hosts": "[127.0.0.1]:9 ssh-ed25519 AAAA",
            **changes,
        }
        return AwsConfig(**given)

    def tell(self, what: str, told: Any = None) -> Any:
        """Tell the layer about faults or pace, or ask for its counts."""
        request = urllib.request.Request(f"{self.url}/_peer/{what}", data=json.dumps(told).encode(), method="POST")  # noqa: S310
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return json.loads(answer.read())

    @contextmanager
    def failing(self, *faults: dict[str, Any]) -> Iterator[None]:
        self.tell("faults", list(faults))
        try:
            yield
        finally:
            self.tell("faults", [])

    def close(self) -> None:
        """End it; waits a few seconds at most."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5)
        if self.process.stdout is not None:
            self.process.stdout.close()


@cache
def peer() -> Peer:
    """The one stand-in of this process."""
    return Peer()


def harness(mode: str = "offline") -> Harness:
    """The stand-in with one network that VMs use and another one."""
    running = peer()
    told, config = running.told, running.config()

    folder = Path(tempfile.mkdtemp(prefix="kvweb-aws-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    image_file = folder / "image.raw"
    image_file.write_bytes(bytes(512) + b"kvweb" * 1000)

    def fault(word: str) -> AbstractContextManager[None]:
        return running.failing(FAULTS[word])

    return Harness(
        plugin=PLUGIN,
        config=config,
        minimal=VmSpec(
            name="minimal",
            flavor="t3.micro",
            # Where its pool is: a disk that is plugged in later must be in the same zone.
            zone=f"{told['region']}a",
            disks=(DiskSpec(image=told["image"], size_gib=20),),
            nics=(NicSpec(network=told["network"]),),
        ),
        image=told["image"],
        network=told["network"],
        pool=f"{told['region']}a",
        free_cidr="10.99.0.0/24",
        dns_zone="demo.test",
        min_disk_gib=1,
        image_file=image_file,
        copies_images=True,
        timeout_s=20.0,
        many=60 if mode == "bench" else 3,
        calls=lambda driver: as_aws(driver).cloud.calls,
        budgets=BUDGETS,
        wrong_credentials=running.config(secret_access_key=SecretStr("wrong")),
        # Nothing listens at the port for discarded bytes.
        unreachable=running.config(endpoint_url="http://127.0.0.1:9"),
        fault=fault,
        create_fault=lambda: running.failing({"match": "ec2:DeleteTags", "code": "InternalError", "status": 500}),
        user_data=user_data,
    )


def as_aws(driver: Driver) -> AwsDriver:
    """The driver of AWS behind a driver, which a test may have wrapped."""
    inner = getattr(driver, "inner", driver)
    if not isinstance(inner, AwsDriver):
        raise TypeError("This is not a driver of AWS.")
    return inner


def user_data(driver: Driver, vm: VmRecord) -> str:
    """What the instance would be handed by its metadata service."""
    import base64

    told = as_aws(driver).cloud.ec2("describe_instance_attribute", InstanceId=vm.external_id, Attribute="userData")
    return base64.b64decode(told["UserData"]["Value"]).decode()
