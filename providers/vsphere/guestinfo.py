"""First-boot data for the guest: cloud-init's VMware data source reads it through the hypervisor, without any drive.

Keys: https://docs.cloud-init.io/en/latest/reference/datasources/vmware.html
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from providers.base import CloudInit, NicSpec
from providers.guest.cloudinit import SeedTexts, render
from providers.vsphere.native import vim

USER_DATA, META_DATA = "guestinfo.userdata", "guestinfo.metadata"
KEYS = (USER_DATA, f"{USER_DATA}.encoding", META_DATA, f"{META_DATA}.encoding")


def values(wish: CloudInit, *, name: str, instance_id: str, nics: Sequence[NicSpec]) -> Mapping[str, str]:
    """What the guest is told, by key."""
    texts = render(wish, name=name, instance_id=instance_id, nics=nics)
    return encoded(texts)


def encoded(texts: SeedTexts) -> Mapping[str, str]:
    """The keys for these texts. What the network should be is a part of the meta data here."""
    meta: dict[str, Any] = yaml.safe_load(texts.meta_data) or {}
    if texts.network_config:
        meta |= {"network": _encoded(texts.network_config), "network.encoding": "base64"}
    text: str = yaml.safe_dump(meta, sort_keys=False, allow_unicode=True)
    return {
        USER_DATA: _encoded(texts.user_data),
        f"{USER_DATA}.encoding": "base64",
        META_DATA: _encoded(text),
        f"{META_DATA}.encoding": "base64",
    }


def cleared() -> Mapping[str, str]:
    """An empty value takes a key away."""
    return dict.fromkeys(KEYS, "")


def pairs(values: Mapping[str, str]) -> list[Any]:
    """As vSphere takes them in a ConfigSpec."""
    return [vim.option.OptionValue(key=key, value=value) for key, value in values.items()]


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
