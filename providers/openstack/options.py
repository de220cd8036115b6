"""What only VMs of an OpenStack cloud understand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from providers.base import InvalidRequest


class OpenStackOptions(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    security_groups: tuple[str, ...] = Field(
        default=(), title="Security groups", description="Names or ids. None: the project's default group."
    )
    key_name: str = Field(
        default="", max_length=255, title="Key pair", description="One that Nova knows, beside the keys of the form."
    )
    boot_from: Literal["", "volume", "image"] = Field(
        default="", title="First disk", description="volume or image; empty: as the provider is configured."
    )
    config_drive: bool = Field(
        default=False,
        title="Config drive",
        description="First-boot data on a drive, for clouds without a metadata service.",
    )
    floating_address: bool = Field(
        default=False, title="Floating address", description="Reachable from the external network."
    )


def read_options(options: Mapping[str, Any]) -> OpenStackOptions:
    """Typed options; raises InvalidRequest that names the wrong one."""
    try:
        return OpenStackOptions.model_validate(dict(options))
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise InvalidRequest(f"The option “{field}” is not accepted: {first['msg']}.", field="options") from None
