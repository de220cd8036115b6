"""What a KVM provider is configured with."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from pydantic import Field, field_validator

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
        default=5.0, ge=0.1, le=60.0, title="Connection deadline", description="In seconds, for opening a connection."
    )

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
    def host(self) -> str:
        """The remote host's name, empty for this machine."""
        return urlsplit(self.uri).hostname or ""

    @property
    def open_uri(self) -> str:
        """The URI to open: with ssh, never asks at a terminal."""
        parts = urlsplit(self.uri)
        query = parse_qsl(parts.query, keep_blank_values=True)
        if self.transport != "ssh" or any(name == "no_tty" for name, _ in query):
            return self.uri
        return urlunsplit(parts._replace(query=urlencode([*query, ("no_tty", "1")])))
