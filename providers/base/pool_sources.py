"""Which keys `PoolSpec.source` takes for each type of pool: for drivers that check, and forms that ask.

Values are text. `devices` and `host` may name several, divided by commas; a host may carry a port ("mon1:6789").
`secret` is the password or key that goes with `user`: drivers are given it in the clear, whoever keeps a spec seals it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from providers.base.errors import InvalidRequest
from providers.base.specs import PoolSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolShape:
    """What a pool of one type is told."""

    needs_path: bool = False
    """`PoolSpec.path` is a folder on the host: where files are kept, or where the source is mounted."""
    needs: tuple[str, ...] = ()
    """Keys of the source without which there is no such pool."""
    may: tuple[str, ...] = ()
    """Further keys that it takes."""


#: type → shape, for the types that several kinds have.
POOL_SHAPES: Mapping[str, PoolShape] = {
    # A folder.
    "dir": PoolShape(needs_path=True),
    # A block device with a file system, mounted at the path. `format`: ext4, xfs …; empty: found out.
    "fs": PoolShape(needs_path=True, needs=("device",), may=("format",)),
    # A share of the network, mounted at the path. `dir`: what the host exports; `format`: nfs, cifs, glusterfs.
    "netfs": PoolShape(needs_path=True, needs=("host", "dir"), may=("format",)),
    # An LVM volume group. With `devices` the group is made of them, else it is there already.
    "logical": PoolShape(needs=("name",), may=("devices",)),
    # A ZFS pool, or a data set in it ("tank/vms").
    "zfs": PoolShape(needs=("name",)),
    # An iSCSI target. `initiator`: the name that the host calls itself; user and secret: CHAP.
    "iscsi": PoolShape(needs=("host", "target"), may=("initiator", "user", "secret")),
    # A Ceph pool. `host`: its monitors; user and secret: cephx, the secret in Base64 as `ceph auth get-key` prints it.
    "rbd": PoolShape(needs=("host", "name"), may=("user", "secret")),
}


def check_pool_source(spec: PoolSpec) -> None:
    """Raise InvalidRequest, naming the field, for a source that lacks a key or has one that its type does not know."""
    shape = POOL_SHAPES.get(spec.type)
    if shape is None:
        raise InvalidRequest(f"There is no pool type “{spec.type}”.", field="type")
    for key in shape.needs:
        if not spec.source.get(key, "").strip():
            raise InvalidRequest(f"A pool of type “{spec.type}” needs this.", field=f"source.{key}")
    for key, value in spec.source.items():
        if value and key not in {*shape.needs, *shape.may}:
            raise InvalidRequest(f"A pool of type “{spec.type}” has no such source.", field=f"source.{key}")
    if bool(spec.source.get("secret")) != bool(spec.source.get("user")):
        missing = "user" if spec.source.get("secret") else "secret"
        raise InvalidRequest("A user and a secret go together.", field=f"source.{missing}")
    if shape.needs_path and not spec.path:
        raise InvalidRequest("Give the absolute path of a folder, such as /var/lib/libvirt/images.", field="path")


__all__ = ["POOL_SHAPES", "PoolShape", "check_pool_source"]
