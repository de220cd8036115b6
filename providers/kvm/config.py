"""What a KVM provider is configured with."""

from __future__ import annotations

import re
from typing import Literal, Self
from urllib.parse import parse_qsl, urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from providers.base import Config

_SCHEMES = frozenset({"qemu", "qemu+unix", "qemu+ssh", "qemu+tls", "qemu+tcp"})

#: Parameters that libvirt reads from the URI (https://libvirt.org/uri.html). Left out on purpose: `command` and
#: `netcat` name programs that would run on the portal's machine, `no_verify` switches off the proof of who answers.
_PARAMETERS = frozenset(
    {"socket", "mode", "keyfile", "known_hosts", "known_hosts_verify", "sshauth", "no_tty", "pkipath", "tls_priority"}
)

#: Begins with a letter or digit, since a host that begins with "-" would be an option for ssh.
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*|[0-9A-Fa-f:.]+")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


class KvmConfig(Config):
    """One hypervisor."""

    uri: str = Field(
        default="qemu:///system",
        title="Connection URI",
        description="Local: qemu:///system. Remote: qemu+ssh://user@host/system, qemu+tls://host/system.",
        max_length=500,
        json_schema_extra={
            "suggestions": {
                "qemu:///system": "this machine",
                "qemu+ssh://root@host/system": "another one, over SSH",
                "qemu+tls://host/system": "another one, over TLS",
            }
        },
    )
    pool: str = Field(
        default="",
        title="Storage pool",
        description="Where disks go when nothing else is chosen. Empty: “default”, or the only pool there is.",
        max_length=255,
    )
    network: str = Field(
        default="default",
        title="Network",
        description="What cards are plugged into when nothing else is chosen; “bridge:br0” for a bridge of the host.",
        max_length=255,
    )
    virt_type: Literal["auto", "kvm", "qemu"] = Field(
        default="auto",
        title="Virtualisation",
        description="auto: KVM where the processor and libvirt both offer it, else emulation by QEMU, which is slow.",
    )
    open_timeout_s: float = Field(
        default=5.0,
        ge=0.1,
        le=60.0,
        title="Connection deadline",
        description="In seconds, for opening a connection.",
        json_schema_extra={"group": "Time limits"},
    )

    migration_host: str = Field(
        default="",
        title="Migration address",
        description="Name or address under which other hypervisors reach this one, to move running machines to it. "
        "Empty: the host of the connection, or its own name.",
        max_length=255,
        pattern=rf"^({_HOST.pattern})?$",
        json_schema_extra={"group": "Moving machines"},
    )
    peer_uri: str = Field(
        default="",
        title="Migration URI",
        description="How libvirt on other hypervisors reaches libvirt on this one: qemu+tls://host/system. Running "
        "machines then come straight from there, also while the portal is down. Empty: the portal leads the move.",
        max_length=500,
    )
    migration_tls: bool = Field(
        default=False,
        title="Encrypted migration",
        description="Running machines come and go over TLS or not at all. Needs QEMU's certificates on both hosts.",
        json_schema_extra={"group": "Moving machines"},
    )
    spice_address: str = Field(
        default="",
        title="SPICE address",
        description="Name or address of this host under which people's own viewers reach it. Screens of machines with "
        "SPICE listen there, protected by passwords of one minute. Empty: no new machine gets one.",
        max_length=255,
        pattern=rf"^({_HOST.pattern})?$",
        json_schema_extra={"group": "Viewers (SPICE)"},
    )

    ssh_key: SecretStr | None = Field(
        default=None,
        title="SSH private key",
        description="For qemu+ssh, without a passphrase. Empty: the key of the user that the portal runs as.",
        json_schema_extra={"group": "Over SSH"},
    )
    #: Sealed although it is no secret: whoever can write to the database must not be able to pass off another host.
    known_hosts: SecretStr | None = Field(
        default=None,
        title="SSH known hosts",
        description="The host's keys, as lines of a known_hosts file. Empty: what the portal's user knows. "
        "The check of the connection tells the line of a host that is not known yet.",
        json_schema_extra={"multiline": True, "group": "Over SSH"},
    )
    tls_ca: str = Field(
        default="",
        title="TLS authority",
        description="For qemu+tls: the certificate (PEM) that the host's own is signed with. Empty: the system's.",
        max_length=50_000,
        json_schema_extra={"multiline": True, "group": "Over TLS"},
    )
    tls_certificate: str = Field(
        default="",
        title="TLS client certificate",
        description="For qemu+tls: what the portal shows to the host (PEM).",
        max_length=50_000,
        json_schema_extra={"multiline": True, "group": "Over TLS"},
    )
    tls_key: SecretStr | None = Field(
        default=None,
        title="TLS client key",
        description="For qemu+tls: the key of the client certificate (PEM).",
        json_schema_extra={"group": "Over TLS"},
    )
    sasl_user: str = Field(
        default="",
        title="User",
        description="Where libvirt on the host asks for a user and a password.",
        max_length=64,
        json_schema_extra={"group": "Over TLS"},
    )
    sasl_password: SecretStr | None = Field(default=None, title="Password", json_schema_extra={"group": "Over TLS"})

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if bool(self.tls_certificate) != bool(self.tls_key):
            raise ValueError("A TLS client certificate and its key belong together: give both or none")
        if bool(self.sasl_user) != bool(self.sasl_password):
            raise ValueError("A user and a password belong together: give both or none")
        return self

    @field_validator("ssh_key")
    @classmethod
    def _a_key(cls, key: SecretStr | None) -> SecretStr | None:
        text = key.get_secret_value().strip() if key else ""
        if not text:
            return None
        if "PRIVATE KEY-----" not in text:
            raise ValueError("This is not a private key: it begins with -----BEGIN … PRIVATE KEY-----")
        return key

    @field_validator("tls_key", "sasl_password", "known_hosts")
    @classmethod
    def _none_when_empty(cls, secret: SecretStr | None) -> SecretStr | None:
        return secret if secret and secret.get_secret_value() else None

    @field_validator("peer_uri")
    @classmethod
    def _none_or_harmless(cls, uri: str) -> str:
        return cls._known_and_harmless(uri) if uri else ""

    @field_validator("uri")
    @classmethod
    def _known_and_harmless(cls, uri: str) -> str:
        parts = urlsplit(uri)
        if parts.scheme not in _SCHEMES:
            raise ValueError("The URI must begin with qemu:, qemu+unix:, qemu+ssh:, qemu+tls: or qemu+tcp:")
        if parts.path not in {"/system", "/session"}:
            raise ValueError("The URI must end in /system or /session")
        if parts.fragment:
            raise ValueError("The URI must not have a fragment")
        if parts.scheme in {"qemu", "qemu+unix"}:
            if parts.netloc and parts.scheme == "qemu+unix":
                raise ValueError("A URI over a local socket has no host")
        elif not parts.hostname:
            raise ValueError("The URI names no host")
        if parts.password is not None:
            raise ValueError("A password does not belong into the URI")
        if parts.hostname and not _HOST.fullmatch(parts.hostname):
            raise ValueError("The URI's host name is not valid")
        if parts.username and not _USER.fullmatch(parts.username):
            raise ValueError("The URI's user name is not valid")
        _ = parts.port  # raises ValueError for what is no port
        for name, _value in parse_qsl(parts.query, keep_blank_values=True):
            if name not in _PARAMETERS:
                raise ValueError(f"The URI's parameter “{name}” is not allowed")
        return uri

    @property
    def transport(self) -> str:
        """How libvirt is reached: "unix", "ssh", "tls" or "tcp". A plain qemu:// with a host means TLS."""
        parts = urlsplit(self.uri)
        _, _, transport = parts.scheme.partition("+")
        return transport or ("tls" if parts.netloc else "unix")

    @property
    def is_local(self) -> bool:
        """Whether the hypervisor is this machine, so that descriptors can be passed."""
        return self.transport == "unix"

    @property
    def is_system(self) -> bool:
        """Whether libvirt there runs as root for the whole host, and not as a user for themselves."""
        return urlsplit(self.uri).path == "/system"

    @property
    def host(self) -> str:
        """The remote host's name, empty for this machine."""
        return urlsplit(self.uri).hostname or ""
