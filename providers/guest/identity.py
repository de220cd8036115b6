"""The seed of a copy: the same wishes, told to somebody with another name, so that the guest sets itself up anew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from providers.base import CloudInit
from providers.guest.cloudinit import HEADER, SeedTexts, host_name


def of_copy(texts: SeedTexts, *, name: str, instance_id: str, macs: Mapping[str, str]) -> SeedTexts:
    """The texts for a copy of the guest.

    A new instance-id has cloud-init run again as at a first boot: host name, host keys, users. `macs` maps the cards'
    old addresses to their new ones. A fixed IP address stays the original's: the copy's card asks for one.
    """
    return SeedTexts(
        user_data=_user_data(texts.user_data, name),
        meta_data=_meta_data(texts.meta_data, name, instance_id),
        network_config=_network_config(texts.network_config, macs),
    )


def _user_data(text: str, name: str) -> str:
    """With the new host name where it names one; anything but cloud-config passes as it is."""
    document = _mapping(text) if text.startswith(HEADER) else None
    if document is None or not {"hostname", "fqdn"} & document.keys():
        return text
    host = host_name(CloudInit(), name)
    if "hostname" in document:
        document["hostname"] = host
    if "fqdn" in document:
        _, dot, domain = str(document["fqdn"]).partition(".")
        document["fqdn"] = host + dot + domain
    return HEADER + _dump(document)


def _meta_data(text: str, name: str, instance_id: str) -> str:
    document = _mapping(text) or {}
    document["instance-id"] = instance_id
    document["local-hostname"] = host_name(CloudInit(), name)
    return _dump(document)


def _network_config(text: str, macs: Mapping[str, str]) -> str:
    document = _mapping(text)
    if document is None:
        return text
    inner = document.get("network")
    cards = (inner if isinstance(inner, dict) else document).get("ethernets")
    for card in cards.values() if isinstance(cards, dict) else ():
        match = card.get("match") if isinstance(card, dict) else None
        if isinstance(match, dict) and "macaddress" in match:
            mac = str(match["macaddress"]).lower()
            match["macaddress"] = macs.get(mac, mac)
        if isinstance(card, dict) and card.pop("addresses", None):
            for word in ("routes", "gateway4", "gateway6"):
                card.pop(word, None)
            card["dhcp4"] = True
    return _dump(document)


def _mapping(text: str) -> dict[str, Any] | None:
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError:
        return None
    return document if isinstance(document, dict) else None


def _dump(document: dict[str, Any]) -> str:
    text: str = yaml.safe_dump(document, default_flow_style=False, sort_keys=False, allow_unicode=True, width=10_000)
    return text
