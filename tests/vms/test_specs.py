"""A checked wish becomes exactly this spec."""

from __future__ import annotations

from typing import Any

import pytest

from providers.base import CloudInit, DiskSpec, GuestUser, NicSpec, VmSpec
from vms.specs import DiskWish, NicWish, Wish, vm_spec

HASH = "$6$rounds=20000$salt$" + "x" * 86
KEY = "ssh-ed25519 AAAA me"

TABLE: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "an image alone makes an overlay as large as the image": (
        {"image": "debian"},
        {"disks": (DiskSpec(image="debian"),), "cloud_init": CloudInit()},
    ),
    "a size for the disk goes to the disk with the image": (
        {"image": "debian", "disk_gib": 20, "pool": "fast", "full_copy": True},
        {"disks": (DiskSpec(image="debian", size_gib=20, pool="fast", thin=False),), "cloud_init": CloudInit()},
    ),
    "an ISO gets an empty disk and no first-boot settings": (
        {"iso": "rescue", "disk_gib": 10, "password_hash": HASH, "packages": ("htop",)},
        {"iso": "rescue", "disks": (DiskSpec(size_gib=10),), "cloud_init": None},
    ),
    "an empty machine is a disk": (
        {"disk_gib": 5},
        {"disks": (DiskSpec(size_gib=5),), "cloud_init": None},
    ),
    "further disks follow, in the first one's pool unless another is named": (
        {"disk_gib": 5, "pool": "fast", "more_disks": (DiskWish(size_gib=1), DiskWish(size_gib=2, pool="slow"))},
        {
            "disks": (
                DiskSpec(size_gib=5, pool="fast"),
                DiskSpec(size_gib=1, pool="fast"),
                DiskSpec(size_gib=2, pool="slow"),
            )
        },
    ),
    "keys and password are for the image's own user": (
        {"image": "debian", "default_user": "debian", "ssh_keys": (KEY,), "password_hash": HASH},
        {"cloud_init": CloudInit(ssh_keys=(KEY,), default_user_password_hash=HASH)},
    ),
    "naming the image's own user is the same": (
        {"image": "debian", "default_user": "debian", "username": "debian", "ssh_keys": (KEY,)},
        {"cloud_init": CloudInit(ssh_keys=(KEY,))},
    ),
    "another user is made, with keys and password": (
        {
            "image": "debian",
            "default_user": "debian",
            "username": "deploy",
            "ssh_keys": (KEY,),
            "password_hash": HASH,
            "ssh_password_login": True,
        },
        {
            "cloud_init": CloudInit(
                users=(GuestUser(name="deploy", password_hash=HASH, ssh_keys=(KEY,)),), ssh_password_login=True
            )
        },
    ),
    "packages and commands come along": (
        {"image": "debian", "hostname": "web", "packages": ("nginx",), "commands": ("reboot",)},
        {"cloud_init": CloudInit(hostname="web", packages=("nginx",), commands=("reboot",))},
    ),
    "the expert's user data stands alone, but for the host name": (
        {"image": "debian", "hostname": "web", "user_data": "#!/bin/sh\n", "ssh_keys": (KEY,), "packages": ("x",)},
        {"cloud_init": CloudInit(hostname="web", user_data="#!/bin/sh\n")},
    ),
    "a card without an address asks by DHCP": (
        {"nics": (NicWish(network="lan", cidr="192.0.2.0/24", has_router=True),)},
        {"nics": (NicSpec(network="lan"),)},
    ),
    "a fixed address in a routed network goes out through its first address": (
        {"nics": (NicWish(network="lan", address="192.0.2.7/24", cidr="192.0.2.0/24", has_router=True),)},
        {"nics": (NicSpec(network="lan", address="192.0.2.7/24", gateway="192.0.2.1", dns=("192.0.2.1",)),)},
    ),
    "a bridge's router is not guessed": (
        {"nics": (NicWish(network="br0", address="192.0.2.7/24", cidr="192.0.2.0/24"),)},
        {"nics": (NicSpec(network="br0", address="192.0.2.7/24"),)},
    ),
    "a gateway that was named is taken": (
        {"nics": (NicWish(network="br0", address="192.0.2.7/24", gateway="192.0.2.254"),)},
        {"nics": (NicSpec(network="br0", address="192.0.2.7/24", gateway="192.0.2.254", dns=("192.0.2.254",)),)},
    ),
    "a provider's flavor is named beside its numbers": (
        {"flavor": "m1.small", "vcpus": 2, "memory_mib": 2048},
        {"flavor": "m1.small", "vcpus": 2, "memory_mib": 2048},
    ),
    "switches are passed on": (
        {"start": False, "autostart": True, "firmware": "uefi", "description": "a <b>bold</b> one"},
        {"start": False, "autostart": True, "firmware": "uefi", "description": "a <b>bold</b> one"},
    ),
}


@pytest.mark.parametrize("case", TABLE)
def test_a_wish_becomes_its_spec(case: str) -> None:
    wish, expected = TABLE[case]
    spec = vm_spec(Wish(name="web-1", **wish))
    assert {name: getattr(spec, name) for name in expected} == expected


def test_a_spec_can_be_kept_and_run_again() -> None:
    spec = vm_spec(Wish(name="web-1", image="debian", nics=(NicWish(network="lan"),), password_hash=HASH))
    assert VmSpec.model_validate_json(spec.model_dump_json()) == spec


def test_hashes_do_not_show_in_logs() -> None:
    wish = Wish(name="web-1", image="debian", password_hash=HASH, user_data="#!/bin/sh\necho secret\n")
    assert HASH not in repr(wish)
    assert "secret" not in repr(wish)
    assert HASH not in repr(vm_spec(wish))
