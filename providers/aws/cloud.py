"""The connection: clients of the SDK with deadlines, one way to call them, and what a process remembers.

Clients are safe to share between threads and dear to make (each reads a large description of its service), so a process
keeps one set per configuration. After a fork the parent's connections are not ours to use.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import botocore.session
from botocore.config import Config as SdkConfig
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
from botocore.exceptions import BotoCoreError
from botocore.loaders import Loader

from providers.aws.config import AwsConfig
from providers.aws.errors import vendor_calls
from providers.base import InvalidRequest

CONNECT_S = 6.0
#: How large pages are asked for, where the default is small or the call has none.
PAGES = {
    "describe_instances": 1000,
    "describe_volumes": 500,
    "describe_instance_types": 100,
    "describe_snapshots": 1000,
}
#: Services that answer for all regions from one of them: part of the world → region. Else that of the VMs.
ELSEWHERE: dict[str, dict[str, str]] = {
    "pricing": {
        **dict.fromkeys(("us", "ca", "mx", "sa"), "us-east-1"),
        **dict.fromkeys(("eu", "af", "il", "me"), "eu-central-1"),
        "ap": "ap-south-1",
        "cn": "cn-northwest-1",
    },
}
#: Descriptions of services, read once for all configurations.
_descriptions = Loader()
_lock = threading.RLock()


@dataclass
class Shared:
    """What a process keeps of one configuration."""

    clients: dict[str, Any] = field(default_factory=dict)
    session: Any = None
    #: Things that change seldom, with the moment until which they are believed.
    known: dict[str, tuple[float, Any]] = field(default_factory=dict)
    #: Instance types, which never change.
    types: dict[str, Any] = field(default_factory=dict)


_shared: dict[tuple[int, AwsConfig], Shared] = {}


def shared_of(config: AwsConfig) -> Shared:
    with _lock:
        return _shared.setdefault((os.getpid(), config), Shared())


class Cloud:
    """One driver's way to AWS. `calls` counts what it asked; retries inside the SDK are not counted."""

    def __init__(self, config: AwsConfig) -> None:
        self.config = config
        self.calls = 0
        self.is_open = True
        self._shared = shared_of(config)

    def __repr__(self) -> str:
        return f"<Cloud {self.config.region}>"

    @property
    def types(self) -> dict[str, Any]:
        return self._shared.types

    def call(self, service: str, operation: str, **parameters: Any) -> Mapping[str, Any]:
        """One call, by the SDK's name of the operation; raises our errors."""
        self.calls += 1
        with vendor_calls():
            answer: Mapping[str, Any] = getattr(self.client(service), operation)(**parameters)
            return answer

    def ec2(self, operation: str, **parameters: Any) -> Mapping[str, Any]:
        return self.call("ec2", operation, **parameters)

    def pages(self, service: str, operation: str, key: str, **parameters: Any) -> list[Any]:
        """All items of a paged list, in as few calls as the service allows."""
        found: list[Any] = []
        size = PAGES.get(operation)
        with vendor_calls():
            paging = {"PageSize": size} if size else {}
            for page in self.client(service).get_paginator(operation).paginate(PaginationConfig=paging, **parameters):
                self.calls += 1
                found.extend(page.get(key) or ())
        return found

    def remember(self, key: str, value: Any, for_s: float) -> Any:
        self._shared.known[key] = (time.monotonic() + for_s, value)
        return value

    def remembered(self, key: str) -> Any | None:
        until, value = self._shared.known.get(key, (0.0, None))
        return value if time.monotonic() < until else None

    def forget(self, key: str) -> None:
        self._shared.known.pop(key, None)

    def client(self, service: str) -> Any:
        with _lock:
            if service not in self._shared.clients:
                self._shared.clients[service] = self._made(service)
            return self._shared.clients[service]

    def _made(self, service: str) -> Any:
        config = self.config
        if self._shared.session is None:
            self._shared.session = _session(config)
        has_own_place = bool(config.endpoint_url)
        return self._shared.session.client(
            service,
            region_name=ELSEWHERE.get(service, {}).get(config.region.partition("-")[0], config.region),
            endpoint_url=config.endpoint_url or None,
            verify=str(_authority(config.ca)) if config.ca else None,
            config=SdkConfig(
                connect_timeout=CONNECT_S,
                read_timeout=config.timeout_s,
                retries={"mode": "standard", "total_max_attempts": config.attempts},
                max_pool_connections=16,
                tcp_keepalive=True,
                ignore_configured_endpoint_urls=True,
                user_agent_extra="kvweb",
                s3={"addressing_style": "path"} if has_own_place else None,
                **_proxies(config.endpoint_url),
            ),
        )


def _proxies(endpoint: str) -> dict[str, Any]:
    # What listens on this very machine is not behind a proxy, whatever the environment says.
    return {"proxies": {}} if endpoint.partition("://")[2].startswith(("127.0.0.1", "localhost")) else {}


def _session(config: AwsConfig) -> Any:
    """A session that knows the configured key and nothing of the worker's own files, unless nothing was configured."""
    core = botocore.session.Session()
    core.register_component("data_loader", _descriptions)
    if not config.endpoint_url and not _is_region(config.region):
        raise InvalidRequest(f"There is no region “{config.region}”.", field="region")
    keys = config.keys()
    if config.profile and not keys:
        if config.profile not in core.available_profiles:
            raise InvalidRequest(f"The portal's machine has no profile “{config.profile}”.", field="profile")
        core.set_config_variable("profile", config.profile)
    session = boto3.session.Session(botocore_session=core, region_name=config.region, **keys)
    if config.role_arn:
        with vendor_calls():
            fetcher = AssumeRoleCredentialFetcher(
                lambda service, **given: session.client(
                    service, **{**given, "region_name": config.region, "endpoint_url": config.endpoint_url or None}
                ),
                session.get_credentials(),
                config.role_arn,
                extra_args={
                    "RoleSessionName": "kvweb",
                    **({"ExternalId": config.external_id} if config.external_id else {}),
                },
            )
            core._credentials = DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")
    return session


@cache
def _is_region(region: str) -> bool:
    """Whether the SDK knows the region, or a partition whose regions are named so."""
    try:
        return bool(boto3.session.Session(region_name=region).get_partition_for_region(region))
    except BotoCoreError:
        return False


@cache
def _authority(pem: str) -> Path:
    """The certificate as a file, which the SDK asks for; kept for the life of the process."""
    folder = Path(tempfile.gettempdir()) / f"kvweb-aws-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{hashlib.sha256(pem.encode()).hexdigest()[:24]}.pem"
    path.write_text(pem)
    return path


class Part:
    """A facet's share of the connection."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
