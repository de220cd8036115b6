"""What a vSphere provider is configured with, and what only its VMs understand."""

from __future__ import annotations

import re

from pydantic import BaseModel, Field, SecretStr, field_validator

from providers.base import Authority, Config, Deadline

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|[0-9A-Fa-f:.]+")


class VsphereConfig(Config):
    """One vCenter and one of its datacenters, or one ESXi host."""

    host: str = Field(title="Address", description="Name or address of the vCenter or ESXi host.", max_length=255)
    port: int = Field(default=443, ge=1, le=65535, title="Port")
    username: str = Field(title="User", description="Such as kvweb@vsphere.local.", min_length=1, max_length=255)
    password: SecretStr = Field(title="Password")
    # A vCenter mostly comes with an authority of its own, so this is not hidden among the rarer fields.
    ca: Authority = Field(default="", json_schema_extra={"multiline": True, "group": ""})
    datacenter: str = Field(default="", title="Datacenter", description="Empty: the only one there is.", max_length=255)
    cluster: str = Field(
        default="",
        title="Cluster or host",
        description="Where VMs are made when nothing else is chosen. Empty: the first one with room.",
        max_length=255,
        json_schema_extra={"group": "Where VMs go"},
    )
    folder: str = Field(
        default="",
        title="VM folder",
        description="Path below the datacenter (“Teams/Portal”): only its VMs and templates are shown, and new ones "
        "are made there. Empty: all of the datacenter.",
        max_length=500,
        json_schema_extra={"group": "Where VMs go"},
    )
    datastore: str = Field(
        default="",
        title="Datastore",
        description="Where disks go when nothing else is chosen. Empty: the one with the most room.",
        max_length=255,
        json_schema_extra={"group": "Where VMs go"},
    )
    timeout_s: Deadline = 30.0
    task_timeout_s: float = Field(
        default=3600.0,
        ge=1.0,
        le=86_400.0,
        title="Task deadline",
        description="In seconds, for what the server does on its own: clones, copies.",
        json_schema_extra={"group": "Time limits"},
    )

    @field_validator("host")
    @classmethod
    def _a_host(cls, host: str) -> str:
        host = host.strip().removeprefix("https://").rstrip("/")
        if not _HOST.fullmatch(host):
            raise ValueError("Give a host name or address only, such as vcenter.example.com")
        return host


class VsphereOptions(BaseModel, frozen=True, extra="forbid"):
    """What a new VM may be given beyond what every kind knows."""

    guest_id: str = Field(
        default="",
        title="Guest system",
        description="VMware's word for it, such as debian12_64Guest; for VMs without a template. "
        "Empty: other Linux, 64 bit.",
        pattern=r"^[A-Za-z0-9_]*$",
        max_length=64,
    )
    resource_pool: str = Field(
        default="", title="Resource pool", description="Its name. Empty: the cluster's own.", max_length=255
    )
    hot_add: bool = Field(
        default=False, title="Grow while running", description="CPUs and memory can be added to the running VM."
    )
    nested: bool = Field(
        default=False, title="Nested virtualisation", description="The guest may be a hypervisor itself."
    )
    linked: bool = Field(
        default=False,
        title="Linked clone",
        description="Its disk builds on the template's snapshot instead of copying it: quick and small, and the "
        "template must stay.",
    )
