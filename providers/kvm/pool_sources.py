"""From a wished pool to its document: every check that needs no host. No I/O."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from providers.base import InvalidRequest, PoolSpec, check_pool_source
from providers.kvm.xml.storage import PoolSource

TYPES = frozenset({"dir", "fs", "netfs", "logical", "iscsi", "rbd"})

#: Every file of a pool's folder becomes a volume that can be read and deleted, and a mount hides what was there.
_SYSTEM = frozenset({"bin", "boot", "dev", "etc", "lib", "lib64", "proc", "root", "run", "sbin", "sys", "usr"})
#: libvirt's words (https://libvirt.org/storage.html).
_FORMATS = {
    "fs": frozenset({"ext2", "ext3", "ext4", "xfs", "vfat", "gfs2", "ocfs2", "udf"}),
    "netfs": frozenset({"nfs", "cifs", "glusterfs"}),
}
_HOST = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*|\[[0-9a-fA-F:.]+\])(:(?P<port>\d{1,5}))?")
_GROUP = re.compile(r"[A-Za-z0-9+_.][A-Za-z0-9+_.-]*")
_TARGET = re.compile(r"(iqn|eui|naa)\.[^\s/]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolPlan:
    """A pool as it will be defined."""

    path: str
    source: PoolSource | None
    builds: bool
    """Whether libvirt is to make its folder, or its volume group."""
    secret: bytes = field(default=b"", repr=False)
    auth_type: str = ""


def plan(spec: PoolSpec) -> PoolPlan:
    """Raise InvalidRequest, naming the field, for what can never be a pool."""
    if spec.type not in TYPES:
        raise InvalidRequest(f"A pool here is one of {', '.join(sorted(TYPES))}.", field="type")
    check_pool_source(spec)
    for key, value in spec.source.items():
        if any(ord(char) < 32 or ord(char) == 127 for char in value):
            raise InvalidRequest("Control characters are not allowed here.", field=f"source.{key}")
    source = {key: value.strip() for key, value in spec.source.items() if value.strip()}
    if spec.type == "dir":
        return PoolPlan(path=_folder(spec.path), source=None, builds=True)
    if spec.type == "fs":
        seen = PoolSource(devices=(_device(source["device"], "device"),), format=_format(spec.type, source))
        return PoolPlan(path=_folder(spec.path), source=seen, builds=True)
    if spec.type == "netfs":
        seen = PoolSource(hosts=_hosts(source["host"], most=1), dir=_export(source), format=_format(spec.type, source))
        return PoolPlan(path=_folder(spec.path), source=seen, builds=True)
    if spec.type == "logical":
        return _logical(source)
    return _iscsi(source) if spec.type == "iscsi" else _rbd(source)


def _logical(source: dict[str, str]) -> PoolPlan:
    name = source["name"]
    if not _GROUP.fullmatch(name) or name in {".", ".."}:
        raise InvalidRequest("A volume group's name has letters, digits and . _ + -.", field="source.name")
    devices = tuple(_device(device, "devices") for device in _listed(source.get("devices", "")))
    seen = PoolSource(devices=devices, name=name, format="lvm2")
    return PoolPlan(path=f"/dev/{name}", source=seen, builds=bool(devices))


def _iscsi(source: dict[str, str]) -> PoolPlan:
    for key in ("target", "initiator"):
        if source.get(key) and not _TARGET.fullmatch(source[key]):
            raise InvalidRequest("This is no iSCSI name, such as iqn.2004-10.com.example:disks.", field=f"source.{key}")
    seen = PoolSource(
        hosts=_hosts(source["host"], most=1),
        devices=(source["target"],),
        initiator=source.get("initiator", ""),
        auth_user=source.get("user", ""),
    )
    secret = source.get("secret", "").encode()
    return PoolPlan(path="/dev/disk/by-path", source=seen, builds=False, secret=secret, auth_type="chap")


def _rbd(source: dict[str, str]) -> PoolPlan:
    try:
        secret = base64.b64decode(source.get("secret", ""), validate=True)
    except binascii.Error as exc:
        raise InvalidRequest(
            "A key of Ceph is Base64, as “ceph auth get-key” prints it.", str(exc), field="source.secret"
        ) from None
    seen = PoolSource(hosts=_hosts(source["host"]), name=source["name"], auth_user=source.get("user", ""))
    return PoolPlan(path="", source=seen, builds=False, secret=secret, auth_type="ceph")


def _folder(path: str) -> str:
    parts = PurePosixPath(path)
    if not parts.is_absolute() or ".." in parts.parts or len(parts.parts) < 3:
        raise InvalidRequest("Give the absolute path of a folder, such as /var/lib/libvirt/images.", field="path")
    if parts.parts[1] in _SYSTEM:
        raise InvalidRequest("The system's own folders cannot hold disks.", field="path")
    if any(ord(char) < 32 or ord(char) == 127 for char in path):
        raise InvalidRequest("Control characters are not allowed here.", field="path")
    return str(parts)


def _device(path: str, key: str) -> str:
    parts = PurePosixPath(path)
    if parts.parts[:2] != ("/", "dev") or ".." in parts.parts or len(parts.parts) < 3:
        raise InvalidRequest("Give a block device of the host, such as /dev/sdb1.", field=f"source.{key}")
    return str(parts)


def _export(source: dict[str, str]) -> str:
    path = source["dir"]
    # A share of CIFS is a bare name.
    if source.get("format") not in {"cifs", "glusterfs"} and not path.startswith("/"):
        raise InvalidRequest("Give the path that the host exports, such as /srv/disks.", field="source.dir")
    return path


def _format(type_: str, source: dict[str, str]) -> str:
    found = source.get("format", "auto")
    if found not in {"auto", *_FORMATS[type_]}:
        known = ", ".join(sorted(_FORMATS[type_]))
        raise InvalidRequest(f"The format is one of {known}, or none to find it out.", field="source.format")
    return found


def _hosts(text: str, *, most: int = 0) -> tuple[tuple[str, str], ...]:
    hosts = []
    for each in _listed(text):
        found = _HOST.fullmatch(each)
        if found is None or int(found["port"] or 1) not in range(1, 65536):
            raise InvalidRequest(f"“{each}” is no host, such as storage.example or 192.0.2.7.", field="source.host")
        hosts.append((found["name"].strip("[]"), found["port"] or ""))
    if not hosts or (most and len(hosts) > most):
        raise InvalidRequest("Give one host.", field="source.host")
    return tuple(hosts)


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
