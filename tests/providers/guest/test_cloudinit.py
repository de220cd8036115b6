"""What a guest is told is data in, YAML out, and the expert's own text untouched."""

from __future__ import annotations

import io
from typing import Any

import pycdlib
import pytest
import yaml

from providers.base import CloudInit, GuestFile, GuestUser, NicSpec
from providers.guest.cloudinit import HEADER, SeedTexts, host_name, network_config, render
from providers.guest.seed import VOLUME_ID, seed_iso

HASH = "$6$salt$" + "a" * 86


def told(wish: CloudInit, **more: Any) -> dict[str, Any]:
    text = render(wish, name="web-1", instance_id="id-1", **more).user_data
    assert text.startswith(HEADER)
    document: dict[str, Any] = yaml.safe_load(text)
    return document


def test_the_least_wish_names_the_host() -> None:
    texts = render(CloudInit(), name="web-1", instance_id="id-1")
    assert yaml.safe_load(texts.meta_data) == {"instance-id": "id-1", "local-hostname": "web-1"}
    assert told(CloudInit()) == {"hostname": "web-1", "manage_etc_hosts": True, "ssh_pwauth": False}
    assert texts.network_config == ""


def test_everything_that_can_be_wished_arrives() -> None:
    document = told(
        CloudInit(
            hostname="shop",
            domain="example.org",
            users=(
                GuestUser(name="ada", password_hash=HASH, ssh_keys=("ssh-ed25519 AAAA ada",)),
                GuestUser(name="eve", sudo=False, shell="/bin/bash"),
            ),
            ssh_keys=("ssh-ed25519 BBBB all",),
            default_user_password_hash=HASH,
            ssh_password_login=True,
            packages=("nginx",),
            files=(GuestFile(path="/etc/motd", content="a: b\n- 'c' \"d\"\n\ttab ünï 😀", permissions="0600"),),
            commands=("echo hello > /tmp/x; # comment", "true"),
        )
    )
    assert document == {
        "hostname": "shop",
        "fqdn": "shop.example.org",
        "prefer_fqdn_over_hostname": False,
        "manage_etc_hosts": True,
        "users": [
            "default",
            {
                "name": "ada",
                "shell": "/bin/sh",
                "lock_passwd": False,
                "sudo": "ALL=(ALL) NOPASSWD:ALL",
                "passwd": HASH,
                "ssh_authorized_keys": ["ssh-ed25519 AAAA ada"],
            },
            {"name": "eve", "shell": "/bin/bash", "lock_passwd": True},
        ],
        "ssh_authorized_keys": ["ssh-ed25519 BBBB all"],
        "password": HASH,
        "chpasswd": {"expire": False},
        "ssh_pwauth": True,
        "package_update": True,
        "packages": ["nginx"],
        "write_files": [
            {
                "path": "/etc/motd",
                "content": "a: b\n- 'c' \"d\"\n\ttab ünï 😀",
                "owner": "root:root",
                "permissions": "0600",
                "defer": True,
            }
        ],
        "runcmd": ["echo hello > /tmp/x; # comment", "true"],
    }


def test_the_experts_own_text_passes_byte_for_byte() -> None:
    own = "#cloud-config\n# mine\n\nruncmd:   [ 'x' ]\n\r\n"
    texts = render(CloudInit(user_data=own, packages=("ignored",)), name="n", instance_id="i")
    assert texts.user_data == own
    assert yaml.safe_load(texts.meta_data)["local-hostname"] == "n"


@pytest.mark.parametrize(
    ("name", "host"),
    [("web-1", "web-1"), ("Web_1", "web-1"), ("a&b<c>\"'", "a-b-c"), ("😀", "vm"), ("x" * 70, "x" * 63), ("-a-", "a")],
)
def test_any_name_gives_a_host_name(name: str, host: str) -> None:
    assert host_name(CloudInit(), name) == host


def test_a_fixed_address_is_matched_by_its_mac() -> None:
    nics = (
        NicSpec(network="a", mac="52:54:00:AA:BB:01", address="192.0.2.7/24", gateway="192.0.2.1", dns=("192.0.2.53",)),
        NicSpec(network="b", mac="52:54:00:aa:bb:02"),
        NicSpec(network="c", mac="52:54:00:aa:bb:03", address="2001:db8::7/64", gateway="2001:db8::1"),
    )
    assert yaml.safe_load(network_config(nics)) == {
        "version": 2,
        "ethernets": {
            "nic0": {
                "match": {"macaddress": "52:54:00:aa:bb:01"},
                "dhcp4": False,
                "addresses": ["192.0.2.7/24"],
                "routes": [{"to": "0.0.0.0/0", "via": "192.0.2.1"}],
                "nameservers": {"addresses": ["192.0.2.53"]},
            },
            "nic1": {"match": {"macaddress": "52:54:00:aa:bb:02"}, "dhcp4": True, "optional": True},
            "nic2": {
                "match": {"macaddress": "52:54:00:aa:bb:03"},
                "dhcp4": False,
                "addresses": ["2001:db8::7/64"],
                "routes": [{"to": "::/0", "via": "2001:db8::1"}],
            },
        },
    }


@pytest.mark.parametrize("config", ["", "version: 2\n"])
def test_a_seed_is_read_back_by_both_its_names(config: str) -> None:
    texts = SeedTexts(user_data="#cloud-config\nä: 😀\n" * 500, meta_data="instance-id: x\n", network_config=config)
    iso = pycdlib.PyCdlib()
    iso.open_fp(io.BytesIO(seed_iso(texts)))
    try:
        assert iso.pvd.volume_identifier.rstrip() == VOLUME_ID.encode()
        wanted = {"user-data": texts.user_data, "meta-data": texts.meta_data}
        wanted |= {"network-config": config} if config else {}
        for tree in ({"joliet_path": "/"}, {"rr_path": "/"}):
            (kind,) = tree
            found = {}
            for name in wanted:
                text = io.BytesIO()
                iso.get_file_from_iso_fp(text, **{kind: f"/{name}"})
                found[name] = text.getvalue().decode()
            assert found == wanted
    finally:
        iso.close()
