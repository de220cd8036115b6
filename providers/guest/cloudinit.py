"""From a CloudInit wish to the three texts that cloud-init reads: user data, meta data and network config.

Keys are those of cloud-init's reference (https://docs.cloud-init.io/en/latest/reference/modules.html and
…/network-config-format-v2.html). Texts are made from data by the YAML library, never by joining strings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from providers.base import CloudInit, GuestUser, NicSpec
from providers.guest.userdata import merged

HEADER = "#cloud-config\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedTexts:
    """What a NoCloud seed holds, or what a cloud takes as user data. An empty network config means the image's own."""

    user_data: str
    meta_data: str
    network_config: str = ""


def render(wish: CloudInit, *, name: str, instance_id: str, nics: Sequence[NicSpec] = ()) -> SeedTexts:
    """All three texts. `instance_id` names this instance for ever: cloud-init runs again when it changes.

    NICs with a fixed address must have a MAC, since the guest's own card names are not known from outside.
    """
    return SeedTexts(
        user_data=user_data(wish, name=name),
        meta_data=meta_data(wish, name=name, instance_id=instance_id),
        network_config=network_config(nics),
    )


def user_data(wish: CloudInit, *, name: str) -> str:
    """The user data; an expert's own passes byte for byte, or as a further part of a message."""
    if wish.user_data and not wish.merge:
        return wish.user_data
    ours = HEADER + _yaml(_document(wish, name))
    return merged(ours, wish.user_data) if wish.user_data else ours


def _document(wish: CloudInit, name: str) -> dict[str, Any]:
    document: dict[str, Any] = {"hostname": host_name(wish, name)}
    if wish.domain:
        document["fqdn"] = f"{document['hostname']}.{wish.domain}"
        document["prefer_fqdn_over_hostname"] = False
    document["manage_etc_hosts"] = True
    users = _users(wish)
    if users:
        document["users"] = users
    if wish.ssh_keys:
        document["ssh_authorized_keys"] = list(wish.ssh_keys)
    passwords = any(user.password_hash for user in wish.users) or bool(wish.default_user_password_hash)
    if wish.default_user_password_hash:
        # `password` is for the image's default user, whose name nobody here knows; a hash is taken as it is.
        document["password"] = wish.default_user_password_hash
    if passwords:
        document["chpasswd"] = {"expire": False}
    document["ssh_pwauth"] = wish.ssh_password_login
    if wish.packages:
        document["package_update"] = True
        document["packages"] = list(wish.packages)
    if wish.files:
        document["write_files"] = [
            {
                "path": file.path,
                "content": file.content,
                "owner": file.owner,
                "permissions": file.permissions,
                # Owners may be users that this very document makes, and packages may bring the folder.
                "defer": True,
            }
            for file in wish.files
        ]
    if wish.commands:
        document["runcmd"] = list(wish.commands)
    if wish.timezone:
        document["timezone"] = wish.timezone
    if wish.locale:
        document["locale"] = wish.locale
    return document


def meta_data(wish: CloudInit, *, name: str, instance_id: str) -> str:
    """The meta data: who this instance is."""
    return _yaml({"instance-id": instance_id, "local-hostname": host_name(wish, name)})


def network_config(nics: Sequence[NicSpec]) -> str:
    """Network config version 2 when any card has a fixed address; empty when the image's own DHCP will do."""
    if not any(nic.address or nic.address6 for nic in nics):
        return ""
    return _yaml({"version": 2, "ethernets": {f"nic{index}": _card(nic) for index, nic in enumerate(nics)}})


def _card(nic: NicSpec) -> dict[str, Any]:
    card: dict[str, Any] = {"match": {"macaddress": nic.mac.lower()}, "dhcp4": not nic.address}
    addresses = [address for address in (nic.address, nic.address6) if address]
    if not addresses:
        # A second card's router must not keep the first from going online.
        card["optional"] = True
        return card
    card["addresses"] = addresses
    gateways = [gateway for gateway in (nic.gateway, nic.gateway6) if gateway]
    if gateways:
        card["routes"] = [{"to": "::/0" if ":" in gateway else "0.0.0.0/0", "via": gateway} for gateway in gateways]
    if nic.dns:
        card["nameservers"] = {"addresses": list(nic.dns)}
    return card


def host_name(wish: CloudInit, name: str) -> str:
    """The wished host name, else the VM's name cut down to what a host name may be (RFC 1123)."""
    if wish.hostname:
        return wish.hostname
    kept = "".join(char if char.isascii() and (char.isalnum() or char == "-") else "-" for char in name.lower())
    return kept.strip("-")[:63].strip("-") or "vm"


def _users(wish: CloudInit) -> list[Any]:
    if not wish.users:
        return []
    # Without "default" a list of users would take the image's own user away.
    return ["default", *(_user(user) for user in wish.users)]


def _user(user: GuestUser) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": user.name, "shell": user.shell, "lock_passwd": not user.password_hash}
    if user.sudo:
        entry["sudo"] = "ALL=(ALL) NOPASSWD:ALL"
    if user.password_hash:
        entry["passwd"] = user.password_hash
    if user.ssh_keys:
        entry["ssh_authorized_keys"] = list(user.ssh_keys)
    return entry


def _yaml(document: dict[str, Any]) -> str:
    text: str = yaml.safe_dump(document, default_flow_style=False, sort_keys=False, allow_unicode=True, width=10_000)
    return text
