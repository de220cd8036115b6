"""A connection URI can reach a hypervisor and can do nothing else."""

from __future__ import annotations

import pytest

from providers.base import InvalidRequest
from providers.kvm.config import KvmConfig
from providers.kvm.remote import Access
from providers.kvm.tunnel import command


@pytest.mark.parametrize(
    ("uri", "transport", "is_local"),
    [
        ("qemu:///system", "unix", True),
        ("qemu:///session", "unix", True),
        ("qemu+unix:///system?socket=/run/x.sock", "unix", True),
        ("qemu+ssh://root@host.example/system", "ssh", False),
        ("qemu+ssh://root@[2001:db8::1]:2222/system?keyfile=/etc/kvweb/id", "ssh", False),
        ("qemu+tls://host/system", "tls", False),
        ("qemu://host/system", "tls", False),
        ("qemu+tcp://192.0.2.1:16509/system", "tcp", False),
    ],
)
def test_hypervisors_are_accepted(uri: str, transport: str, is_local: bool) -> None:
    config = KvmConfig.read({"uri": uri})
    assert config.transport == transport
    assert config.is_local is is_local


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "lxc:///system",
        "test:///default",
        "http://host/system",
        "qemu+ext:///system?command=/bin/sh",
        "qemu+ssh://host/system?command=/tmp/evil",
        "qemu+ssh://host/system?netcat=/tmp/evil",
        "qemu+ssh://host/system?no_verify=1",
        "qemu+ssh://-oProxyCommand=evil/system",
        "qemu+ssh://-l@host/system",
        "qemu+ssh://root:secret@host/system",
        "qemu+ssh:///system",
        "qemu+ssh://host/etc/passwd",
        "qemu+ssh://host:99999/system",
        "qemu+unix://host/system",
        "qemu:///system#x",
    ],
)
def test_everything_else_is_refused_with_its_field(uri: str) -> None:
    # Without a URI for its peers the portal leads moves.
    for field in ("uri", "peer_uri") if uri else ("uri",):
        with pytest.raises(InvalidRequest) as caught:
            KvmConfig.read({field: uri})
        assert caught.value.field == field


def test_ssh_never_asks_at_a_terminal() -> None:
    assert Access(KvmConfig(uri="qemu+ssh://host/system")).uri == "qemu+ssh://host/system?no_tty=1"
    assert Access(KvmConfig(uri="qemu:///system")).uri == "qemu:///system"


def test_the_tunnel_goes_as_libvirt_goes() -> None:
    config = KvmConfig(uri="qemu+ssh://ops@host.example:2222/system?keyfile=/k")
    words = command(config, Access(config), "127.0.0.1", 5901)
    assert words[0] == "ssh"
    assert words[-4:] == ["-W", "127.0.0.1:5901", "--", "host.example"]
    assert "-oBatchMode=yes" in words
    assert words[words.index("-p") + 1] == "2222"
    assert words[words.index("-l") + 1] == "ops"
    assert words[words.index("-i") + 1] == "/k"
