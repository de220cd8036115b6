"""Passwords and keys of pools: kept by libvirt on the host, usable there and never read back."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from providers.kvm.errors import has_code
from providers.kvm.native import LibvirtError, libvirt
from providers.kvm.xml.storage import secret_document

#: What a secret of ours is for begins so; others are never touched.
_OURS = "kvweb pool "


def keep(raw: Any, pool: str, *, type_: str, value: bytes) -> str:
    """Hand a pool's secret to the host; its uuid. One that an earlier pool of this name left is replaced."""
    usage_type = libvirt.VIR_SECRET_USAGE_TYPE_ISCSI if type_ == "chap" else libvirt.VIR_SECRET_USAGE_TYPE_CEPH
    usage = _OURS + pool
    try:
        raw.secretLookupByUsage(usage_type, usage).undefine()
    except LibvirtError as exc:
        if not has_code(exc, libvirt.VIR_ERR_NO_SECRET):
            raise
    uuid = str(uuid4())
    document = secret_document(
        uuid=uuid,
        description=f"For the storage pool {pool}",
        type_="iscsi" if type_ == "chap" else "ceph",
        usage=usage,
    )
    secret = raw.secretDefineXML(document, 0)
    try:
        secret.setValue(value, 0)
    except LibvirtError:
        secret.undefine()
        raise
    return uuid


def forget(raw: Any, uuid: str) -> None:
    """Remove a pool's secret when it is one of ours; nothing when there is none."""
    if not uuid:
        return
    try:
        secret = raw.secretLookupByUUIDString(uuid)
        if secret.usageID().startswith(_OURS):
            secret.undefine()
    except LibvirtError as exc:
        if not has_code(exc, libvirt.VIR_ERR_NO_SECRET):
            raise
