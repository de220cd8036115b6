"""Builds the guest image: ``python -m guest.build --out var/guest/kvweb-guest.qcow2``."""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from guest import disk, kernel, packages, rootfs
from guest.cpio import write_cpio
from guest.tools import GuestBuildError, check_tools, run

VERSION = "1.0"
HERE = Path(__file__).parent
LIMIT = 40 * 1024 * 1024


def say(text: str) -> None:
    """Print a line of progress at once, also into a pipe."""
    print(f"guest: {text}", flush=True)


def files_hash(flavour: str) -> str:
    """A fingerprint of the builder and of the files it puts into the image."""
    digest = hashlib.sha256(flavour.encode())
    for path in sorted(HERE.rglob("*")):
        if path.is_file() and path.suffix not in {".pyc", ".md"}:
            digest.update(str(path.relative_to(HERE)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def stamp_path(out: Path) -> Path:
    """The file beside an image that says what it was made of."""
    return out.with_name(out.name + ".json")


def is_current(out: Path, **inputs: str | list[str]) -> bool:
    """Whether the image exists, whole, and its stamp names exactly these inputs."""
    try:
        stamp = json.loads(stamp_path(out).read_text())
        whole = stamp["size"] == out.stat().st_size
        return bool(whole and all(stamp[name] == value for name, value in inputs.items()))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def note_current(out: Path, apt: str) -> None:
    """Say that there is nothing to do, and note the state of apt for which that was found out."""
    stamp = json.loads(stamp_path(out).read_text())
    if stamp.get("apt") != apt:
        write_stamp(out, {**stamp, "apt": apt})
    say(f"{out} is current ({out.stat().st_size / 1e6:.1f} MB)")


def write_stamp(out: Path, stamp: dict[str, object]) -> None:
    """Write the stamp whole or not at all."""
    new = stamp_path(out).with_suffix(".new")
    new.write_text(json.dumps(stamp, indent=2) + "\n")
    new.chmod(0o644)
    new.replace(stamp_path(out))


@contextmanager
def lock(out: Path) -> Iterator[None]:
    """Let one build of an image run at a time; a second one waits and then finds the work done."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.with_name(out.name + ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another build is running; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def build(out: Path, cache: Path, flavour: str, force: bool = False) -> bool:
    """Build the image unless it is current; returns whether anything was done."""
    apt, inputs = packages.apt_state(), files_hash(flavour)
    if not force and is_current(out, inputs=inputs, apt=apt):
        note_current(out, apt)
        return False
    check_tools()
    release, found = packages.resolve(flavour)
    versions = [str(package) for package in found]
    with lock(out):
        if not force and is_current(out, inputs=inputs, packages=versions):
            note_current(out, apt)
            return False
        began = time.monotonic()
        say(f"fetching {len(found)} packages for kernel {release}")
        files = packages.fetch(found, cache)
        # Beside the image, so that the last step is a rename within one file system.
        with tempfile.TemporaryDirectory(prefix=".guest-", dir=out.parent) as scratch:
            work = Path(scratch)
            say("unpacking")
            unpacked = work / "unpacked"
            packages.extract(files, unpacked)
            say("laying out the early system and the root")
            modules = kernel.Modules(unpacked, release)
            rootfs.make_early(unpacked, modules, work / "early")
            write_cpio(work / "early", work / "early.cpio")
            # A boot loader reads slowly through the BIOS; unpacking costs the kernel less than that.
            run("zstd", "-q", "-19", work / "early.cpio", "-o", work / "initrd.img")
            rootfs.make_root(unpacked, modules, VERSION, work / "root")
            say("making the disk")
            efi = unpacked / "usr/lib/systemd/boot/efi/systemd-bootx64.efi"
            boot = disk.make_boot(disk.BootFiles(kernel.image_of(unpacked, release), work / "initrd.img", efi), work)
            root = disk.make_root_image(work / "root", work)
            image = work / "image.qcow2"
            disk.make_disk(boot, root, image, work)
            size = image.stat().st_size
            if size > LIMIT:
                raise GuestBuildError(f"the image came out at {size / 1e6:.1f} MB, more than {LIMIT / 1e6:.0f} MB")
            stamp: dict[str, object] = {
                "version": VERSION,
                "inputs": inputs,
                "apt": apt,
                "sha256": hashlib.sha256(image.read_bytes()).hexdigest(),
                "size": size,
                "kernel": release,
                "flavour": flavour,
                "built_at": datetime.now(UTC).isoformat(timespec="seconds"),
                "packages": versions,
            }
            image.chmod(0o644)
            # The stamp goes first out and last in: an image without one is built again, never trusted.
            stamp_path(out).unlink(missing_ok=True)
            image.replace(out)
            write_stamp(out, stamp)
        say(f"{out}: {size / 1e6:.1f} MB, kernel {release}, {time.monotonic() - began:.0f} s")
    return True


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m guest.build", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("var/guest/kvweb-guest.qcow2"), help="the image to make")
    parser.add_argument("--cache", type=Path, help="where packages are kept (default: cache beside the image)")
    parser.add_argument("--kernel", choices=sorted(packages.KERNELS), default="generic", help="which kernel to take")
    parser.add_argument("--force", action="store_true", help="build even if the image is current")
    options = parser.parse_args(arguments)
    cache = options.cache or options.out.parent / "cache"
    try:
        build(options.out.absolute(), cache.absolute(), options.kernel, options.force)
    except GuestBuildError as error:
        print(f"guest: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"guest: {error.strerror or error}: {error.filename or options.out}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
