"""Lays out the image's two file trees: the early system that finds the disk, and the root itself."""

from __future__ import annotations

import shutil
from pathlib import Path

from guest.kernel import DISK_MODULES, ROOT_MODULES, Modules
from guest.tools import GuestBuildError, run

FILES = Path(__file__).parent / "files"
LIBRARIES = Path("lib/x86_64-linux-gnu")

# Programs with shared libraries: where the package has each, and where it goes.
PROGRAMS = (
    ("sbin/dropbear", "usr/sbin/dropbear"),
    ("bin/dropbearkey", "usr/bin/dropbearkey"),
    ("sbin/qemu-ga", "usr/sbin/qemu-ga"),
    ("sbin/resize2fs", "usr/sbin/resize2fs"),
    ("bin/doas", "usr/bin/doas"),
)
EARLY_APPLETS = (
    "blockdev", "cat", "cttyhack", "dd", "findfs", "ls", "mkdir", "modprobe", "mount", "printf", "readlink",
    "setsid", "sh", "sleep", "sort", "switch_root", "sync", "xargs",
)  # fmt: skip
FOLDERS = (
    "bin", "dev", "etc/dropbear", "etc/kvweb", "home", "lib", "lib64", "media", "mnt", "opt", "proc", "root", "run",
    "sbin", "srv", "sys", "tmp", "usr/bin", "usr/local/bin", "usr/sbin", "var/lib/cloud", "var/log", "var/tmp",
)  # fmt: skip
MODES = {"root": 0o700, "tmp": 0o1777, "var/tmp": 0o1777, "var/lib/cloud": 0o700, "etc/dropbear": 0o700}


def _find(unpacked: Path, name: str) -> Path:
    """A file of the packages, with and without the merge of /bin, /sbin and /lib into /usr."""
    for base in ("usr", "."):
        for folder in (name, name.replace("sbin/", "bin/")):
            if (unpacked / base / folder).is_file():
                return unpacked / base / folder
    raise GuestBuildError(f"no package holds {name}; delete the cache folder and try again")


def _busybox(unpacked: Path) -> tuple[Path, list[str]]:
    busybox = _find(unpacked, "bin/busybox")
    return busybox, run(busybox, "--list").split()


def _loader(unpacked: Path) -> Path:
    found = [*unpacked.rglob("ld-linux-x86-64.so.2")]
    for path in found:
        if path.is_file():
            return path
    raise GuestBuildError("the packages hold no program loader; delete the cache folder and try again")


def libraries_of(unpacked: Path, program: Path) -> list[Path]:
    """The shared libraries a program loads, asked of the packages' own loader."""
    folders = [unpacked / base / LIBRARIES for base in ("usr", ".")]
    search = ":".join(str(folder) for folder in folders)
    lines = run(_loader(unpacked), "--inhibit-cache", "--library-path", search, "--list", program).splitlines()
    found = []
    for line in lines:
        name, arrow, rest = line.strip().partition(" => ")
        if not arrow:
            continue
        path = Path(rest.split(" (")[0])
        if not path.is_relative_to(unpacked):
            raise GuestBuildError(f"no package holds {name} for {program.name}; delete the cache and try again")
        found.append(path)
    return found


def _copy_program(unpacked: Path, source: Path, target: Path, root: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(0o755)
    for library in libraries_of(unpacked, source):
        kept = root / LIBRARIES / library.name
        kept.parent.mkdir(parents=True, exist_ok=True)
        if not kept.exists():
            shutil.copyfile(library, kept)


def _copy_files(source: Path, root: Path) -> None:
    """Copy our own files; scripts are told by their first line and not by the working tree's modes."""
    for path in sorted(source.rglob("*")):
        if not path.is_file():
            continue
        target = root / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        target.chmod(0o755 if path.read_bytes().startswith(b"#!") else 0o644)


def _applets(names: list[str], folder: Path, target: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        link = folder / name
        if not link.is_symlink() and not link.exists():
            link.symlink_to(target)


def make_early(unpacked: Path, modules: Modules, root: Path) -> None:
    """Lay out what the kernel unpacks into memory at its start."""
    busybox, _names = _busybox(unpacked)
    (root / "bin").mkdir(parents=True)
    shutil.copyfile(busybox, root / "bin/busybox")
    (root / "bin/busybox").chmod(0o755)
    _applets(list(EARLY_APPLETS), root / "bin", "busybox")
    _copy_files(FILES / "initramfs", root)
    shutil.copyfile(FILES / "rootfs/usr/lib/kvweb/coldplug", root / "bin/coldplug")
    (root / "bin/coldplug").chmod(0o755)
    modules.install(DISK_MODULES, root)


def make_root(unpacked: Path, modules: Modules, version: str, root: Path) -> None:
    """Lay out the root file system."""
    for folder in FOLDERS:
        (root / folder).mkdir(parents=True, exist_ok=True)
    busybox, names = _busybox(unpacked)
    shutil.copyfile(busybox, root / "bin/busybox")
    (root / "bin/busybox").chmod(0o755)
    for source, target in PROGRAMS:
        _copy_program(unpacked, _find(unpacked, source), root / target, root)
    pam = _find(unpacked, str(LIBRARIES / "security/pam_permit.so"))
    _copy_program(unpacked, pam, root / LIBRARIES / "security/pam_permit.so", root)
    shutil.copyfile(_loader(unpacked), root / "lib64/ld-linux-x86-64.so.2")
    (root / "lib64/ld-linux-x86-64.so.2").chmod(0o755)
    _copy_files(FILES / "rootfs", root)
    # Applets last: a program of its own, or a script of ours, wins over busybox's.
    own = {path.name for folder in ("bin", "sbin", "usr/bin", "usr/sbin") for path in (root / folder).iterdir()}
    _applets([name for name in names if name not in own], root / "bin", "busybox")
    # Where init, getty and the like are looked for by their full path.
    _applets([name for name in ("init", "getty", "poweroff", "reboot", "halt", "modprobe") if name in names],
             root / "sbin", "../bin/busybox")  # fmt: skip
    (root / "etc/kvweb/version").write_text(version + "\n")
    # The guest agent and people's scripts read the system's name from here.
    (root / "etc/os-release").write_text(
        f'ID=kvweb-guest\nNAME="kvweb guest"\nVERSION_ID={version}\nPRETTY_NAME="kvweb guest {version}"\n'
    )
    (root / "etc/resolv.conf").touch()
    modules.install(DISK_MODULES + ROOT_MODULES, root)
    for name, mode in MODES.items():
        (root / name).chmod(mode)
    (root / "etc/shadow").chmod(0o600)
    (root / "etc/doas.conf").chmod(0o400)
    (root / "usr/bin/doas").chmod(0o4755)
