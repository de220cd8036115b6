"""What a Hetzner Cloud project needs to be reached, and what only its servers understand."""

from __future__ import annotations

import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints, field_validator

from providers.base import Authority, Config, Deadline

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_TOKEN = re.compile(r"[A-Za-z0-9]{64}", re.ASCII)


#: https://docs.hetzner.com/cloud/general/locations/
LOCATIONS: dict[str, Any] = {
    "fsn1": "Falkenstein, Germany",
    "nbg1": "Nuremberg, Germany",
    "hel1": "Helsinki, Finland",
    "ash": "Ashburn, Virginia",
    "hil": "Hillsboro, Oregon",
    "sin": "Singapore",
}
_OTHER: dict[str, Any] = {"group": "Another endpoint"}


class HcloudConfig(Config):
    """One project: a token belongs to exactly one, and sees nothing of the others."""

    token: SecretStr = Field(
        title="API token",
        description="Of the project, with the permission “Read & Write”: Hetzner Console → project → Security → "
        "API tokens.",
    )
    location: str = Field(
        default="fsn1",
        title="Location",
        description="Where new VMs and volumes are made unless another is chosen.",
        pattern=r"^[a-z0-9-]{2,20}$",
        json_schema_extra={"suggestions": LOCATIONS},
    )
    endpoint: str = Field(
        default="https://api.hetzner.cloud/v1",
        title="Address of the API",
        description="Another one only where requests go through a gateway of your own.",
        max_length=500,
        json_schema_extra=_OTHER,
    )
    ca: Authority = Field(default="", json_schema_extra={"multiline": True, **_OTHER})
    timeout_s: Deadline = 20.0
    action_timeout_s: float = Field(
        default=600.0,
        gt=0,
        le=7200,
        title="Patience for actions (seconds)",
        description="How long one action at Hetzner may take: making a server, a snapshot …",
        json_schema_extra={"group": "Time limits"},
    )
    retry_s: float = Field(
        default=20.0,
        ge=0,
        le=300,
        title="Patience with locks (seconds)",
        description="How long to try again while something else is being done to a server, or when asked to slow down.",
        json_schema_extra={"group": "Time limits"},
    )
    poll_s: float = Field(
        default=0.5,
        gt=0,
        le=30,
        title="Pause between questions (seconds)",
        description="How often an action is asked whether it is done; longer ones are asked less and less often.",
        json_schema_extra={"group": "Questions"},
    )

    watch_s: float = Field(
        default=20.0,
        gt=0,
        le=600,
        title="Pause between looks for news (seconds)",
        description="Each look is one request; Hetzner allows 3600 an hour.",
        json_schema_extra={"group": "Questions"},
    )

    @field_validator("token")
    @classmethod
    def _looks_like_one(cls, token: SecretStr) -> SecretStr:
        if not _TOKEN.fullmatch(token.get_secret_value().strip()):
            raise ValueError("A token of Hetzner Cloud has 64 letters and digits")
        return SecretStr(token.get_secret_value().strip())

    @field_validator("endpoint")
    @classmethod
    def _safe(cls, endpoint: str) -> str:
        parts = urlsplit(endpoint)
        if parts.scheme not in {"https", "http"} or not parts.hostname:
            raise ValueError("The address must begin with https://")
        if parts.scheme == "http" and parts.hostname not in LOOPBACK:
            raise ValueError("Without TLS the token could be read on its way; the address must begin with https://")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("The address must be plain, without user, question mark or hash")
        _ = parts.port  # raises ValueError for what is no port
        return endpoint.rstrip("/")


Reference = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class HcloudOptions(BaseModel):
    """What only servers of Hetzner Cloud understand."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    public_ipv4: bool = Field(
        default=True,
        title="Public IPv4 address",
        description="Costs a little every month. Counts for VMs that join the public network.",
        json_schema_extra={"group": "Network", "only": "create"},
    )
    public_ipv6: bool = Field(
        default=True,
        title="Public IPv6 network",
        description="Counts for VMs that join the public network.",
        json_schema_extra={"group": "Network", "only": "create"},
    )
    firewalls: tuple[Reference, ...] = Field(
        default=(),
        title="Firewalls",
        description="Names of firewalls of the project that are put before the VM's public network.",
        json_schema_extra={"group": "Network"},
    )
    floating_ips: tuple[Reference, ...] = Field(
        default=(),
        title="Floating addresses",
        description="Names of floating IPs of the project that lead to this VM. Its guest must be told of them, too.",
        json_schema_extra={"group": "Network"},
    )
    placement_group: str = Field(
        default="",
        title="Placement group",
        description="VMs of one group run on different hosts. Changed while the VM is off.",
        max_length=100,
        json_schema_extra={"group": "Safety"},
    )
    backups: bool = Field(
        default=False,
        title="Daily backups",
        description="Made and kept by Hetzner, seven of them, for a fifth of the VM's price.",
        json_schema_extra={"group": "Safety"},
    )
    protected: bool = Field(
        default=False,
        title="Protected",
        description="It cannot be deleted, nor its disk overwritten, until this is taken away again.",
        json_schema_extra={"group": "Safety"},
    )
    ssh_keys: tuple[Reference, ...] = Field(
        default=(),
        title="Keys of the project",
        description="Names of SSH keys of the project for root, beside your own. With one, Hetzner sends no root "
        "password by e-mail.",
        json_schema_extra={"group": "Access", "only": "create"},
    )
