"""What an OpenStack provider is configured with."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from providers.base import Authority, Config, Deadline


class OpenStackConfig(Config):
    """One project in one region of a cloud."""

    auth_url: str = Field(
        default="",
        title="Address of Keystone",
        description="https://… of the identity service, as OS_AUTH_URL has it. Empty: as clouds.yaml says.",
        max_length=500,
    )
    username: str = Field(default="", title="User name", max_length=255)
    password: SecretStr | None = Field(default=None, title="Password")
    user_domain: str = Field(default="Default", title="Domain of the user", max_length=255)
    project: str = Field(default="", title="Project", description="Its name or id.", max_length=255)
    project_domain: str = Field(default="Default", title="Domain of the project", max_length=255)
    region: str = Field(default="", title="Region", description="Empty: the only one there is.", max_length=255)
    credential_id: str = Field(
        default="",
        title="Id of an application credential",
        description="Wins over user name and password, and brings its project along.",
        max_length=255,
        json_schema_extra={"group": "Application credential"},
    )
    credential_secret: SecretStr | None = Field(
        default=None, title="Its secret", json_schema_extra={"group": "Application credential"}
    )
    clouds_yaml: SecretStr | None = Field(
        default=None,
        title="clouds.yaml",
        description="The whole file. What it says of the cloud stands in for fields that are empty here.",
        json_schema_extra={"multiline": True, "group": "From clouds.yaml"},
    )
    cloud: str = Field(
        default="",
        title="Name of the cloud in it",
        description="Empty: the only one there is.",
        max_length=255,
        json_schema_extra={"group": "From clouds.yaml"},
    )
    ca: Authority = ""
    interface: Literal["public", "internal", "admin"] = Field(
        default="public", title="Addresses of services", json_schema_extra={"group": "Behaviour"}
    )
    timeout_s: Deadline = 30.0
    wait_timeout_s: float = Field(
        default=900.0,
        ge=1.0,
        le=7200.0,
        title="Deadline of one step",
        description="In seconds: how long a server or volume may take to become what was asked for.",
        json_schema_extra={"group": "Time limits"},
    )
    external_network: str = Field(
        default="",
        title="External network",
        description="Name or id of the one that routers lead to. Empty: the only one there is.",
        max_length=255,
        json_schema_extra={"group": "Behaviour"},
    )
    boot_from: Literal["volume", "image"] = Field(
        default="volume",
        title="First disk",
        description="volume: in block storage, where there is one. image: on the host's disk, of the flavor's size.",
        json_schema_extra={"group": "Behaviour"},
    )
    serial_console: bool = Field(
        default=False,
        title="Serial consoles",
        description="The cloud runs Nova's proxy for serial lines.",
        json_schema_extra={"group": "Behaviour"},
    )

    @field_validator("auth_url")
    @classmethod
    def _address(cls, url: str) -> str:
        url = url.strip().rstrip("/")
        if not url:
            return ""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("The address must begin with https:// and name a host")
        if parts.username or parts.password:
            raise ValueError("Names and passwords have fields of their own")
        return url
