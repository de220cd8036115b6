"""Writes a folder as the archive a kernel unpacks at its start (cpio, "newc")."""

from __future__ import annotations

import stat
from pathlib import Path


def _entry(name: str, mode: int, inode: int, content: bytes) -> bytes:
    encoded = name.encode() + b"\0"
    # inode, mode, uid, gid, links, mtime, size, device numbers twice, length of the name, checksum (unused)
    fields = (inode, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(encoded), 0)
    header = b"070701" + b"".join(b"%08X" % field for field in fields)
    head = header + encoded
    return head + b"\0" * (-len(head) % 4) + content + b"\0" * (-len(content) % 4)


def write_cpio(folder: Path, target: Path) -> None:
    """Archive everything below a folder as root's, the same bytes for the same files."""
    with target.open("wb") as out:
        inode = 0
        for inode, path in enumerate(sorted(folder.rglob("*")), start=1):
            status = path.lstat()
            if stat.S_ISLNK(status.st_mode):
                content = str(path.readlink()).encode()
            elif stat.S_ISREG(status.st_mode):
                content = path.read_bytes()
            else:
                content = b""
            out.write(_entry(str(path.relative_to(folder)), status.st_mode, inode, content))
        out.write(_entry("TRAILER!!!", 0, inode + 1, b""))
