"""What a connection to AWS needs, and what only VMs at AWS understand. Imports no SDK."""

from __future__ import annotations

import configparser
import re
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from providers.aws import regions
from providers.base import Authority, Config, Deadline

#: Families that are shown as sizes; any other type can be asked for by its name.
SIZES = ("t3.*", "t3a.*", "t4g.*", "m7i.*", "m7g.*", "c7i.*", "r7i.*")
#: Public images that are offered beside one's own, each as owner/pattern; the newest of a pattern is listed.
PUBLIC_IMAGES = (
    "amazon/al2023-ami-2023.*-x86_64",
    "136693071363/debian-12-amd64-*",
    "136693071363/debian-13-amd64-*",
    "099720109477/ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-*",
)
_KEY = re.compile(r"[A-Z0-9]{16,128}")
_REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d+")
_SECTION: dict[str, Any] = {"group": "Lines of ~/.aws/credentials"}
_OFFERED: dict[str, Any] = {"group": "Sizes and images"}
_OTHER: dict[str, Any] = {"group": "Another endpoint"}


class AwsConfig(Config):
    """One account in one region."""

    region: str = Field(
        default="eu-central-1",
        title="Region",
        description="Where the VMs are. Choose one, or type another.",
        max_length=40,
        json_schema_extra=regions.suggest,
    )
    access_key_id: str = Field(
        default="",
        title="Access key ID",
        description="Of a user with the rights that the documentation lists. Empty: the lines below, or the role of "
        "the machine that the portal runs on.",
        max_length=128,
    )
    secret_access_key: SecretStr | None = Field(
        default=None, title="Secret access key", json_schema_extra={"multiline": False}
    )
    session_token: SecretStr | None = Field(
        default=None, title="Session token", description="Only for keys that were lent for a while."
    )
    credentials: SecretStr | None = Field(
        default=None,
        title="Credentials",
        description="Instead of a key above: the text of the file, or the lines of one profile.",
        json_schema_extra={"multiline": True, **_SECTION},
    )
    profile: str = Field(
        default="",
        title="Profile",
        description="Which section of these lines; empty: “default”, or the only one. Without lines: a profile of the "
        "portal's own machine.",
        max_length=100,
        json_schema_extra=_SECTION,
    )
    role_arn: str = Field(
        default="",
        title="Role",
        description="ARN of a role to take on with the key: “arn:aws:iam::123456789012:role/portal”.",
        pattern=r"^(arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+)?$",
        max_length=2048,
        json_schema_extra={"group": "Role"},
    )
    external_id: str = Field(
        default="",
        title="External ID",
        description="What the role's owner asks for.",
        max_length=1224,
        json_schema_extra={"group": "Role"},
    )
    instance_types: tuple[str, ...] = Field(
        default=SIZES,
        title="Sizes",
        description="Instance types that are offered, one a line; * stands for anything.",
        json_schema_extra=_OFFERED,
    )
    public_images: tuple[str, ...] = Field(
        default=PUBLIC_IMAGES,
        title="Public images",
        description="Owner and name, one a line: “136693071363/debian-12-amd64-*”. The newest of each is offered, "
        "beside the account's own images.",
        json_schema_extra=_OFFERED,
    )
    import_role: str = Field(
        default="",
        title="Role for imports",
        description="By which AWS reads image files that the portal brings; empty: “vmimport”, the usual one.",
        pattern=r"^[\w+=,.@-]{0,64}$",
        max_length=64,
        json_schema_extra=_OFFERED,
    )
    prices: bool = Field(
        default=True,
        title="Prices",
        description="Ask what the sizes cost, as AWS publishes it for Linux without discounts.",
        json_schema_extra=_OFFERED,
    )
    timeout_s: Deadline = 30.0
    attempts: int = Field(
        default=4,
        ge=1,
        le=10,
        title="Attempts",
        description="Of one call, when AWS is busy or the line breaks.",
        json_schema_extra={"group": "Time limits"},
    )
    endpoint_url: str = Field(
        default="",
        title="Address",
        description="Of a service that speaks like AWS, or of a private endpoint. Empty: AWS itself.",
        pattern=r"^(https?://[^\s/]+/?)?$",
        max_length=500,
        json_schema_extra=_OTHER,
    )
    ca: Authority = Field(default="", json_schema_extra={"multiline": True, **_OTHER})

    serial_host: str = Field(
        default="",
        title="Serial lines",
        description="Host and port of another gateway to serial lines. Empty: the region's own, whose key is checked "
        "against what AWS publishes.",
        pattern=r"^([A-Za-z0-9][A-Za-z0-9.-]*(:\d{1,5})?)?$",
        max_length=300,
        json_schema_extra=_OTHER,
    )
    serial_known_hosts: str = Field(
        default="",
        title="Its SSH key",
        description="Lines of a known_hosts file. Needed where AWS publishes no fingerprint.",
        max_length=20_000,
        json_schema_extra={"multiline": True, **_OTHER},
    )

    @field_validator("region")
    @classmethod
    def _region(cls, value: str) -> str:
        if not _REGION.fullmatch(value):
            raise ValueError("A region is written like “eu-central-1”")
        return value

    @field_validator("access_key_id")
    @classmethod
    def _key(cls, value: str) -> str:
        value = value.strip()
        if value and not _KEY.fullmatch(value):
            raise ValueError("An access key ID is 20 capital letters and digits, like “AKIA…”")
        return value

    @field_validator("public_images")
    @classmethod
    def _images(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for line in value:
            owner, _, pattern = line.partition("/")
            if not pattern or not re.fullmatch(r"\d{12}|amazon|aws-marketplace|self", owner):
                raise ValueError(f"“{line}” is not an owner (12 digits, or “amazon”), a slash and a name")
        return value

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.serial_host and not self.serial_known_hosts:
            raise ValueError("A gateway to serial lines is trusted by its SSH key only; give that too")
        if bool(self.access_key_id) != bool(self.secret_access_key):
            raise ValueError("An access key is an ID and a secret; one of them is missing")
        if self.credentials is not None:
            section_of(self.credentials.get_secret_value(), self.profile)
        return self

    def keys(self) -> dict[str, str]:
        """Key, secret and token as the SDK names them; empty for the machine's own role."""
        found: dict[str, str] = {}
        if self.access_key_id and self.secret_access_key is not None:
            found["aws_access_key_id"] = self.access_key_id
            found["aws_secret_access_key"] = self.secret_access_key.get_secret_value()
            if self.session_token is not None:
                found["aws_session_token"] = self.session_token.get_secret_value()
        elif self.credentials is not None:
            found = section_of(self.credentials.get_secret_value(), self.profile)
        return found


def section_of(text: str, profile: str) -> dict[str, str]:
    """The key in the text of a credentials file; raises ValueError with what is missing, never with the text."""
    parser = configparser.RawConfigParser(default_section="-")
    try:
        parser.read_string(text if text.lstrip().startswith("[") else f"[default]\n{text}")
    except configparser.Error:
        raise ValueError("These are not the lines of a credentials file") from None
    names = parser.sections()
    name = profile or ("default" if "default" in names or len(names) != 1 else names[0])
    if name not in names:
        raise ValueError(f"There is no profile “{name}” in these lines")
    wanted = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
    found = {key: parser[name][key].strip() for key in wanted if parser.has_option(name, key)}
    if not found.get(wanted[0]) or not found.get(wanted[1]):
        raise ValueError(f"The profile “{name}” has no aws_access_key_id with its aws_secret_access_key")
    return found


def _extra(**words: Any) -> dict[str, Any]:
    return dict(words)


class AwsOptions(BaseModel):
    """What only VMs at AWS understand. All of it is decided at the creation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    subnet: str = Field(
        default="",
        max_length=60,
        title="Subnet",
        description="Of the first card's network; empty: one with room, in the zone.",
        json_schema_extra=_extra(group="Place", only="create"),
    )
    public_address: Literal["", "yes", "no"] = Field(
        default="",
        title="Public address",
        description="Reachable from the internet, where the subnet has a way there.",
        json_schema_extra=_extra(
            group="Network", only="create", words={"": "as the subnet says", "yes": "yes", "no": "no"}
        ),
    )
    security_groups: tuple[str, ...] = Field(
        default=(),
        title="Security groups",
        description="Names or ids, one a line. None: the network's default group, which lets nothing in.",
        json_schema_extra=_extra(group="Network", only="create"),
    )
    key_pair: str = Field(
        default="",
        max_length=255,
        title="Key pair",
        description="Of the account, for the image's own user; beside the keys that first-boot data bring.",
        json_schema_extra=_extra(group="Sign-in", only="create"),
    )
    instance_profile: str = Field(
        default="",
        max_length=128,
        title="Instance profile",
        description="Name of the profile whose role the guest gets.",
        json_schema_extra=_extra(group="Sign-in", only="create", needs_admin=True),
    )
    volume_type: Literal["", "gp3", "gp2", "standard", "st1", "sc1"] = Field(
        default="",
        title="Disk type",
        description="Of the disks that are made with the VM.",
        json_schema_extra=_extra(group="Disks", only="create", words={"": "gp3, the usual one"}),
    )
    encrypted: bool = Field(
        default=False,
        title="Encrypted disks",
        description="With the account's own key for disks.",
        json_schema_extra=_extra(group="Disks", only="create"),
    )
    protected: bool = Field(
        default=False,
        title="Protected against deletion",
        description="AWS refuses to delete it until this is taken away there.",
        json_schema_extra=_extra(group="Protection", only="create"),
    )
