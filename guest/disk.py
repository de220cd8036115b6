"""Puts the trees on a disk: boot partition, root partition, partition table, compressed image."""

from __future__ import annotations

import stat
import struct
from dataclasses import dataclass
from pathlib import Path

from guest.rootfs import FILES
from guest.tools import GuestBuildError, run

SECTOR = 512
MIB = 1024 * 1024
BOOT_START = 1 * MIB
BOOT_SIZE = 47 * MIB
ROOT_START = BOOT_START + BOOT_SIZE
ROOT_SIZE = 208 * MIB

# An EFI system partition marked active: the BIOS's boot code looks at the mark, UEFI at the type.
EFI_TYPE = 0xEF
LINUX_TYPE = 0x83
# "kvwb", the disk's number in the table.
DISK_ID = 0x6B767762
# Fixed, so that the same inputs give nearly the same image.
ROOT_ID = "6b767765-6200-4000-8000-000000000002"
HASH_SEED = "6b767765-6200-4000-8000-000000000001"

# The kernel reports on the serial line only, so that the screen stays readable; loglevel 6 leaves the chatter
# out there too, since each line costs an emulated machine time. Mitigations guard neighbours nobody has here.
CMDLINE = (
    "console=ttyS0,115200n8 loglevel=6 mitigations=off memhp_default_state=online scsi_mod.scan=sync "
    "net.ifnames=0 edd=off cryptomgr.notests panic=10 consoleblank=0"
)


@dataclass(frozen=True)
class BootFiles:
    """What goes on the boot partition."""

    kernel: Path
    early: Path
    efi_loader: Path


def _boot_code() -> bytes:
    for folder in ("/usr/lib/syslinux/mbr", "/usr/lib/SYSLINUX", "/usr/share/syslinux"):
        path = Path(folder) / "mbr.bin"
        if path.is_file():
            return path.read_bytes()
    raise GuestBuildError("the boot code mbr.bin is not installed; run: apt-get install syslinux-common")


def make_boot(files: BootFiles, work: Path) -> Path:
    """Make the FAT file system that a BIOS (through syslinux) and UEFI (through systemd-boot) start from."""
    image = work / "boot.img"
    size = BOOT_SIZE // SECTOR
    with image.open("wb") as out:
        out.truncate(BOOT_SIZE)
    start = BOOT_START // SECTOR
    run("mformat", "-i", image, "-T", str(size), "-h", "64", "-s", "32", "-H", str(start), "-v", "KVWEBBOOT",
        "-N", "6B767762", "::")  # fmt: skip
    run("syslinux", "--install", image)
    run("mmd", "-i", image, "::/EFI", "::/EFI/BOOT", "::/loader", "::/loader/entries")
    configs = {"syslinux.cfg": "::/", "loader.conf": "::/loader/", "kvweb.conf": "::/loader/entries/"}
    for name, folder in configs.items():
        text = work / name
        text.write_text((FILES / "boot" / name).read_text().replace("@CMDLINE@", CMDLINE))
        run("mcopy", "-i", image, text, folder)
    run("mcopy", "-i", image, files.kernel, "::/vmlinuz")
    run("mcopy", "-i", image, files.early, "::/initrd.img")
    run("mcopy", "-i", image, files.efi_loader, "::/EFI/BOOT/BOOTX64.EFI")
    return image


def make_root_image(tree: Path, work: Path) -> Path:
    """Make the ext4 file system from a tree, everything in it owned by root whoever builds."""
    image = work / "root.img"
    with image.open("wb") as out:
        out.truncate(ROOT_SIZE)
    # Named features, so that a newer mke2fs makes nothing an older kernel cannot mount; few inodes, since a
    # grown disk gets them in proportion and their tables take space.
    features = "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super,"
    features += "large_file,huge_file,dir_nlink,extra_isize,metadata_csum"
    run("mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-i", "32768", "-m", "1", "-J", "size=4", "-O", features,
        "-L", "kvweb-root", "-E", f"lazy_itable_init=0,lazy_journal_init=0,hash_seed={HASH_SEED}",
        "-U", ROOT_ID, "-d", tree, image)  # fmt: skip
    commands = work / "owners"
    with commands.open("w") as out:
        for path in [tree, *sorted(tree.rglob("*"))]:
            inside = "/" if path == tree else "/" + str(path.relative_to(tree))
            for field in ("uid", "gid"):
                out.write(f'set_inode_field "{inside}" {field} 0\n')
            # Changing fields through debugfs keeps the mode; a set-user-id file is what must not be lost.
            if path.lstat().st_mode & stat.S_ISUID:
                out.write(f'set_inode_field "{inside}" mode 0{path.lstat().st_mode:o}\n')
    run("debugfs", "-w", "-f", commands, image)
    return image


def _table_entry(start: int, size: int, kind: int, active: bool) -> bytes:
    # The old cylinder numbers are given as "beyond reach", which everything since the nineties understands.
    return struct.pack(
        "<B3sB3sII", 0x80 if active else 0, b"\xfe\xff\xff", kind, b"\xfe\xff\xff", start // SECTOR, size // SECTOR
    )


def make_disk(boot: Path, root: Path, target: Path, work: Path) -> None:
    """Join the partitions to a disk and write it as a compressed qcow2."""
    code = _boot_code()
    table = _table_entry(BOOT_START, BOOT_SIZE, EFI_TYPE, True) + _table_entry(ROOT_START, ROOT_SIZE, LINUX_TYPE, False)
    sector = code.ljust(440, b"\0")[:440] + struct.pack("<IH", DISK_ID, 0) + table.ljust(64, b"\0") + b"\x55\xaa"
    raw = work / "disk.img"
    with raw.open("wb") as out:
        out.truncate(ROOT_START + ROOT_SIZE)
        out.write(sector)
        for start, image in ((BOOT_START, boot), (ROOT_START, root)):
            with image.open("rb") as source:
                position = start
                # Empty blocks stay holes, so that qemu-img has little to read.
                while block := source.read(MIB):
                    if block.count(0) != len(block):
                        out.seek(position)
                        out.write(block)
                    position += len(block)
    run("qemu-img", "convert", "-q", "-c", "-f", "raw", "-O", "qcow2", raw, target)
