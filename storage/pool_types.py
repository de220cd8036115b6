"""Types of pools as people choose them: what each is for, and what its fields are called."""

from __future__ import annotations

from dataclasses import dataclass, field

from providers.base.pool_sources import POOL_SHAPES


@dataclass(frozen=True, slots=True)
class PoolType:
    label: str
    summary: str
    icon: str
    path_label: str = "Folder"
    path_hint: str = ""
    #: Key of the source → label and hint, where they are other than usual.
    words: dict[str, tuple[str, str]] = field(default_factory=dict)


#: Key of a pool's source → label and hint of its field.
SOURCE_WORDS: dict[str, tuple[str, str]] = {
    "device": ("Device", "The block device with the file system, for instance /dev/sdb1."),
    "format": ("File system", "Empty: found out by the host."),
    "host": ("Server", "Name or address."),
    "dir": ("Exported folder", "What the server shares, for instance /export/vms."),
    "name": ("Name at the source", ""),
    "devices": ("Devices", "Only to make a new group: block devices, divided by commas. What is on them is lost."),
    "target": ("Target", "The target's IQN, for instance iqn.2024-01.example.org:vms."),
    "initiator": ("Initiator", "The IQN that the host calls itself; empty: its own."),
    "user": ("User", "Empty where none is asked for."),
    "secret": ("Password or key", "Kept sealed, never shown again."),
}

POOL_TYPES: dict[str, PoolType] = {
    "dir": PoolType("Folder", "Files in a folder of the host. The usual choice.", "folder",
                    path_hint="On the host, for instance /var/lib/libvirt/images. It is made if it is missing."),
    "fs": PoolType("Disk", "A disk or partition with a file system, mounted for machines.", "database",
                   path_label="Mount at", path_hint="A folder on the host, for instance /mnt/vms."),
    "netfs": PoolType("Network share", "NFS, CIFS or GlusterFS, mounted by the host.", "cloud-share",
                      path_label="Mount at", path_hint="A folder on the host, for instance /mnt/vms.",
                      words={"format": ("Kind of share", "nfs, cifs or glusterfs; empty: nfs.")}),
    "logical": PoolType("LVM", "Logical volumes of a volume group: raw, and fast.", "stack-2",
                        words={"name": ("Volume group", "For instance vg_machines.")}),
    "iscsi": PoolType("iSCSI", "The disks of a target on the network. They are made at the target.", "server",
                      words={"host": ("Portal", "Name or address, with a port where it is not 3260.")}),
    "rbd": PoolType("Ceph", "Block devices of a Ceph cluster.", "world",
                    words={"host": ("Monitors", "Names or addresses, divided by commas."),
                           "name": ("Ceph pool", "For instance libvirt-pool."),
                           "secret": ("Key", "As “ceph auth get-key” prints it. Kept sealed, never shown again.")}),
    "zfs": PoolType("ZFS", "Volumes of a ZFS pool.", "stack-2",
                    words={"name": ("ZFS pool or data set", "For instance tank/vms.")}),
}  # fmt: skip


def label_of(type_: str) -> str:
    return POOL_TYPES[type_].label if type_ in POOL_TYPES else type_


def words_of(type_: str, key: str) -> tuple[str, str]:
    """Label and hint of one field of the source."""
    return POOL_TYPES[type_].words.get(key) or SOURCE_WORDS.get(key) or (key.capitalize(), "")


def keys_of(type_: str) -> list[tuple[str, bool]]:
    """The source's keys of a type, each with whether it is needed."""
    shape = POOL_SHAPES[type_]
    return [*((key, True) for key in shape.needs), *((key, False) for key in shape.may)]
