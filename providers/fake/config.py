"""What a simulated cloud can be told: where it lives, how slow and how small it is, what goes wrong in it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from providers.base import Config

#: Where VMs of a simulated cloud may be made.
ZONES = {"hall-1": "Hall 1", "hall-2": "Hall 2"}


class FakeConfig(Config):
    """Settings of one simulated cloud; the defaults make a private one with demonstration content."""

    path: str = Field(
        default="",
        title="File",
        description="SQLite file that holds the cloud, shared by every process that opens it. "
        "Empty: a private cloud in memory, gone when the connection closes.",
    )
    demo: bool = Field(
        default=True,
        title="Demonstration content",
        description="Fill a new cloud with VMs, networks and snapshots; images and flavors are always there.",
    )
    username: str = Field(default="", title="User name", description="The first one that opens a cloud is remembered.")
    password: SecretStr | None = Field(
        default=None, title="Password", description="Must be the one that the cloud was first opened with."
    )
    start_s: float = Field(
        default=1.5,
        ge=0,
        title="Start time",
        description="Seconds from “start” to running.",
        json_schema_extra={"group": "Pace"},
    )
    stop_s: float = Field(
        default=1.0,
        ge=0,
        title="Stop time",
        description="Seconds that a guest needs to shut down.",
        json_schema_extra={"group": "Pace"},
    )
    create_s: float = Field(
        default=2.0,
        ge=0,
        title="Creation time",
        description="Seconds to make a VM or an image.",
        json_schema_extra={"group": "Pace"},
    )
    lease_s: float = Field(
        default=1.0,
        ge=0,
        title="Lease time",
        description="Seconds from running until the guest has its address.",
        json_schema_extra={"group": "Pace"},
    )
    slow_s: float = Field(
        default=2.0,
        ge=0,
        title="Slowness",
        description="Seconds that the fault “slow” costs.",
        json_schema_extra={"group": "What goes wrong"},
    )
    hang_s: float = Field(
        default=30.0,
        ge=0,
        title="Patience",
        description="Seconds that the fault “hang” takes until it times out.",
        json_schema_extra={"group": "What goes wrong"},
    )
    cpus: int = Field(
        default=64,
        ge=0,
        title="CPUs",
        description="vCPUs of running VMs, at most; 0: no limit.",
        json_schema_extra={"group": "Size"},
    )
    memory_mib: int = Field(
        default=262_144,
        ge=0,
        title="Memory (MiB)",
        description="Memory of running VMs, at most; 0: no limit.",
        json_schema_extra={"group": "Size"},
    )
    storage_gib: int = Field(
        default=4096,
        ge=0,
        title="Storage (GiB)",
        description="Size of each pool; 0: no limit.",
        json_schema_extra={"group": "Size"},
    )
    dns_zones: tuple[str, ...] = Field(
        default=("demo.test",),
        title="DNS zones",
        description="Zones that a new cloud holds.",
        json_schema_extra={"group": "Content"},
    )
    fetches: bool = Field(
        default=False,
        title="Really fetch images",
        description="Ask the address of an image for its file; otherwise that is only pretended.",
        json_schema_extra={"group": "Content"},
    )
    without: tuple[str, ...] = Field(
        default=(),
        title="Missing facets",
        description="Facets that this cloud pretends not to have: “snapshots” …",
        json_schema_extra={"group": "What goes wrong"},
    )
    faults: dict[str, str] = Field(
        default_factory=dict,
        title="Faults",
        description="What goes wrong, by place: {“power.start”: “conflict”}. Places and kinds are in faults.py.",
        json_schema_extra={"group": "What goes wrong"},
    )


class FakeOptions(BaseModel):
    """What only VMs of a simulated cloud understand."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    vnc_password: str = Field(
        default="", max_length=8, repr=False, title="Screen password", description="Asked for on the screen; up to 8."
    )
    ignores_shutdown: bool = Field(
        default=False, title="Ignores shutdown", description="The guest does not react when asked to shut down."
    )
    firewalls: tuple[str, ...] = Field(
        default=(), title="Security groups", description="Names or ids of the security groups that protect it."
    )
    cpu_model: str = Field(
        default="", max_length=40, title="CPU model", description="Shown by the guest; changes nothing else."
    )
    cpu_flags: tuple[str, ...] = Field(default=(), title="CPU flags", description="One a line; changes nothing else.")
    max_vcpus: int = Field(
        default=0, ge=0, le=1024, title="Most CPUs", description="What it can grow to while it runs; 0: no more."
    )
    max_memory_mib: int = Field(
        default=0, ge=0, title="Most memory (MiB)", description="What it can grow to while it runs; 0: no more."
    )
