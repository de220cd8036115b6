"""The kernel and the few of its modules that the image carries."""

from __future__ import annotations

import shutil
from pathlib import Path

from guest.tools import GuestBuildError, run

# What finds disks and CD drives and mounts the root: these and what they need go into the early system as well.
DISK_MODULES = (
    "virtio_pci", "virtio_mmio", "virtio_blk", "virtio_scsi", "sd_mod", "sr_mod", "ahci", "ata_piix", "ata_generic",
    "nvme", "ext4", "crc32c_generic", "crc32c_intel", "vmw_pvscsi", "mptspi",
)  # fmt: skip
# Everything else that a virtual machine may be given. Not every kernel has every one.
ROOT_MODULES = (
    "isofs", "vfat", "nls_cp437", "nls_ascii", "nls_iso8859-1", "nls_utf8", "udf", "loop",
    "virtio_net", "e1000", "e1000e", "8139cp", "rtl8139", "vmxnet3", "pcnet32", "igb",
    "virtio_balloon", "virtio_mem", "virtio_console", "virtio-rng", "virtio_input", "virtio_vmmci",
    "evdev", "button", "psmouse", "usbhid", "hid-generic", "xhci-pci", "ehci-pci", "uhci-hcd", "usb-storage", "uas",
    "9p", "9pnet_virtio", "virtiofs", "i6300esb", "iTCO_wdt", "af_packet", "failover", "net_failover",
    "acpiphp", "pciehp", "shpchp", "rtc-cmos", "i2c-piix4", "qemu_fw_cfg", "pvpanic-pci",
)  # fmt: skip


def _name(path: str) -> str:
    """The module's name as modprobe knows it: dashes and underscores are the same there."""
    return Path(path).name.split(".ko")[0].replace("-", "_")


def _run_depmod(root: Path, release: str) -> None:
    """Index a root's modules; some releases of depmod look in lib/modules and some in usr/lib/modules."""
    plain, merged = root / "lib/modules", root / "usr/lib/modules"
    present, absent = (plain, merged) if plain.exists() else (merged, plain)
    if not absent.exists():
        absent.parent.mkdir(parents=True, exist_ok=True)
        absent.symlink_to("../" * (len(absent.relative_to(root).parts) - 1) + str(present.relative_to(root)))
    run("depmod", "-b", root, release)


class Modules:
    """The modules of one unpacked kernel, with what each of them needs."""

    def __init__(self, unpacked: Path, release: str) -> None:
        self.release = release
        # Debian keeps them in lib/modules; a merged /usr in the package itself is to be expected.
        for base in (unpacked, unpacked / "usr"):
            if (base / "lib/modules" / release).is_dir():
                self.folder = base / "lib/modules" / release
                break
        else:
            raise GuestBuildError(f"the kernel package holds no modules for {release}; delete the cache and try again")
        _run_depmod(unpacked, release)
        self._files: dict[str, str] = {}
        self._needs: dict[str, list[str]] = {}
        for line in (self.folder / "modules.dep").read_text().splitlines():
            file, _, needs = line.partition(":")
            self._files[_name(file)] = file
            self._needs[_name(file)] = needs.split()
        soft = self.folder / "modules.softdep"
        for line in soft.read_text().splitlines() if soft.exists() else ():
            words = line.split()
            if words[:1] == ["softdep"]:
                later = [word for word in words[2:] if not word.endswith(":")]
                needed = self._needs.get(_name(words[1]), [])
                needed += [self._files[_name(word)] for word in later if _name(word) in self._files]

    def closure(self, names: tuple[str, ...]) -> set[str]:
        """The files of these modules and of all they need; a module the kernel has built in is no file."""
        queue = [_name(name) for name in names]
        found: set[str] = set()
        while queue:
            name = queue.pop()
            file = self._files.get(name)
            if file is None or file in found:
                continue
            found.add(file)
            queue += [_name(needed) for needed in self._needs[name]]
        return found

    def install(self, names: tuple[str, ...], root: Path) -> int:
        """Copy modules into a root, unpacked so that busybox can load them; returns how many."""
        files = self.closure(names)
        target = root / "lib/modules" / self.release
        for file in sorted(files):
            source = self.folder / file
            unpacked = target / file.split(".ko")[0]
            unpacked = unpacked.with_name(unpacked.name + ".ko")
            unpacked.parent.mkdir(parents=True, exist_ok=True)
            if source.suffix == ".ko":
                shutil.copyfile(source, unpacked)
            else:
                # depmod and modprobe find a module by its name without the compression's suffix.
                packed = unpacked.with_name(source.name)
                shutil.copyfile(source, packed)
                tool = {".xz": "xz", ".zst": "zstd"}.get(source.suffix)
                if tool is None:
                    raise GuestBuildError(f"{source.name} is compressed in a way the builder does not know")
                run(tool, "-q", "-f", *(["--rm"] if tool == "zstd" else []), "-d", packed)
        for listing in ("modules.builtin", "modules.order", "modules.builtin.modinfo"):
            if (self.folder / listing).exists():
                shutil.copyfile(self.folder / listing, target / listing)
        _run_depmod(root, self.release)
        # The binary indexes are for kmod; busybox reads the text ones.
        for binary in target.glob("modules.*"):
            if binary.name not in {"modules.dep", "modules.alias", "modules.softdep", "modules.builtin"}:
                binary.unlink()
        return len(files)


def image_of(unpacked: Path, release: str) -> Path:
    """The bootable kernel file of an unpacked kernel package."""
    for folder in ("boot", f"usr/lib/modules/{release}", f"lib/modules/{release}"):
        for name in (f"vmlinuz-{release}", "vmlinuz"):
            if (unpacked / folder / name).is_file():
                return unpacked / folder / name
    raise GuestBuildError(f"the kernel package holds no vmlinuz for {release}; delete the cache and try again")
