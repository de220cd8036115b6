"""Which Debian packages the image is made of, and fetching them without installing any."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from guest.tools import GuestBuildError, run

# Programs of the image. Their libraries are found by following dependencies.
PROGRAMS = ("busybox-static", "dropbear-bin", "e2fsprogs", "opendoas", "qemu-guest-agent")
# Taken for single files: the UEFI boot loader and the PAM module that doas needs to say yes with.
FILES_ONLY = ("libpam-modules", "systemd-boot-efi")

# The general kernel starts some seconds later than the cloud flavour on an emulated processor but drives SATA,
# e1000 and USB, which the machines people make in a portal have by default.
KERNELS = {
    "generic": ("linux-image-amd64", "linux-image-virtual", "linux-image-generic"),
    "cloud": ("linux-image-cloud-amd64", "linux-image-virtual"),
}

# Only libraries are followed: a program's dependency on perl or debconf serves its installation.
LIBRARY = re.compile(r"^(lib(?!.*perl|pam-modules|pam-runtime|newt|slang|debian-installer|textwrap|readline)|zlib1g)")


@dataclass(frozen=True)
class Package:
    """One package at the version apt would install now."""

    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name}={self.version}"


def _depends(*names: str, recurse: bool = False) -> list[str]:
    options = ["--no-recommends", "--no-suggests", "--no-conflicts", "--no-breaks", "--no-replaces", "--no-enhances"]
    if recurse:
        options.append("--recurse")
    return run("apt-cache", "depends", *options, *names).splitlines()


def _kernel_packages(flavour: str) -> tuple[str, list[str]]:
    """Follow the kernel's meta package to the real one; returns the kernel release and the packages to fetch."""
    for meta in KERNELS[flavour]:
        names, seen = [meta], set()
        # Ubuntu has a meta package on top of the meta package, hence more than one step.
        while names:
            name = names.pop()
            if name in seen:
                continue
            seen.add(name)
            if match := re.fullmatch(r"linux-image-(\d.*)", name):
                release = match[1]
                # Ubuntu keeps the modules apart from the kernel.
                apart = [f"linux-modules-{release}", f"linux-modules-extra-{release}"]
                return release, [name, *(package for package in apart if package in _versions(apart))]
            try:
                lines = _depends(name)
            except GuestBuildError:
                break
            names += re.findall(r"Depends: (linux-image-\S+)", "\n".join(lines))
    wanted = " or ".join(KERNELS[flavour])
    raise GuestBuildError(f"apt knows no kernel package ({wanted}); run: apt-get update")


def _versions(names: list[str]) -> dict[str, str]:
    """What apt would install of these packages; those it does not know are left out."""
    versions: dict[str, str] = {}
    current = ""
    for line in run("apt-cache", "policy", *names).splitlines():
        if line and not line.startswith(" "):
            current = line.rstrip(":")
        elif line.startswith("  Candidate: "):
            versions[current] = line.removeprefix("  Candidate: ")
    return {name: version for name, version in versions.items() if version != "(none)"}


def _candidates(names: list[str]) -> list[Package]:
    versions = _versions(names)
    missing = [name for name in names if name not in versions]
    if missing:
        raise GuestBuildError(f"apt does not know {', '.join(missing)}; run: apt-get update")
    return [Package(name, versions[name]) for name in names]


def resolve(flavour: str) -> tuple[str, list[Package]]:
    """Return the kernel's release and every package the image takes files from, each at its newest version."""
    if run("dpkg", "--print-architecture").strip() != "amd64":
        raise GuestBuildError("the guest image is built on amd64 machines only; copy one that was built elsewhere")
    release, kernel = _kernel_packages(flavour)
    found = [line.strip() for line in _depends(*PROGRAMS, recurse=True) if re.match(r"^[a-z0-9]", line)]
    libraries = [name for name in found if LIBRARY.match(name) and ":" not in name]
    names = sorted({*PROGRAMS, *FILES_ONLY, *kernel, *libraries})
    return release, _candidates(names)


def apt_state() -> str:
    """A fingerprint of what apt knows, far quicker than asking it: the same state gives the same packages."""
    digest = hashlib.sha256()
    for folder in ("/etc/apt", "/var/lib/apt/lists"):
        for path in sorted(Path(folder).rglob("*")):
            if path.is_file() and path.name != "lock":
                status = path.stat()
                digest.update(f"{path} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def fetch(packages: list[Package], cache: Path) -> list[Path]:
    """Download what is not in the cache yet; returns the package files."""
    cache.mkdir(parents=True, exist_ok=True)

    def present(package: Package) -> Path | None:
        # apt writes the colon of an epoch as %3a.
        version = package.version.replace(":", "%3a")
        found = [*cache.glob(f"{package.name}_{version}_*.deb")]
        return found[0] if found else None

    wanted = [package for package in packages if present(package) is None]
    if wanted:
        # As root, apt downloads as a user who may not write here; the cache belongs to whoever builds.
        sandbox = ["-o", "APT::Sandbox::User=root"] if os.getuid() == 0 else []
        run("apt-get", *sandbox, "-q", "download", *map(str, wanted), cwd=cache)
    files = [present(package) for package in packages]
    for package, path in zip(packages, files, strict=True):
        if path is None:
            raise GuestBuildError(f"apt did not download {package}; run: apt-get update")
    return [path for path in files if path is not None]


def extract(files: list[Path], target: Path) -> None:
    """Unpack packages over each other into a folder; nothing of them is run."""
    target.mkdir(parents=True)
    for file in files:
        run("dpkg-deb", "-x", file, target)
