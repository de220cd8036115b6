"""What the guest's tests share: busybox as the guest has it, and a folder that stands for its root."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

NOCLOUD = Path(__file__).parents[2] / "guest/files/rootfs/usr/lib/kvweb/nocloud"
ROOTFS = NOCLOUD.parents[3]


def dump(document: Any) -> str:
    """Write YAML the way the portal does."""
    return yaml.safe_dump(document, default_flow_style=False, sort_keys=False)


@pytest.fixture(scope="session")
def applets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with busybox under the names of its programs, to be the scripts' whole PATH."""
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("busybox is not installed; apt-get install busybox-static")
    folder = tmp_path_factory.mktemp("applets")
    for name in subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split():
        (folder / name).symlink_to(busybox)
    if not (folder / "mkpasswd").exists():
        pytest.skip("this busybox has no mkpasswd; apt-get install busybox-static")
    return folder


@dataclass
class FakeRoot:
    """A root folder that seeds are applied to."""

    path: Path
    work: Path
    environment: dict[str, str]

    def apply(self, user_data: str | bytes, meta_data: str = "instance-id: one\n", network: str = "") -> None:
        """Apply a seed with these files."""
        seed = self.work / "seed"
        seed.mkdir(parents=True, exist_ok=True)
        (seed / "user-data").write_bytes(user_data if isinstance(user_data, bytes) else user_data.encode())
        (seed / "meta-data").write_text(meta_data)
        (seed / "network-config").write_text(network)
        done = self.script("apply", str(seed))
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""

    def configure(self, document: Any, meta_data: str = "instance-id: one\n") -> None:
        """Apply a cloud-config document."""
        self.apply("#cloud-config\n" + dump(document), meta_data)

    def script(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of the scripts."""
        return subprocess.run(
            ["busybox", "sh", str(NOCLOUD / name), *arguments],
            env=self.environment, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def read(self, name: str) -> str:
        """The text of a file below the root."""
        return (self.path / name).read_text()

    def field(self, file: str, name: str, number: int) -> str:
        """A field of a line of passwd, shadow or group."""
        for line in self.read(f"etc/{file}").splitlines():
            if line.split(":")[0] == name:
                return line.split(":")[number]
        raise AssertionError(f"{name} is not in {file}")

    @property
    def log(self) -> str:
        """What was noted."""
        return self.read("var/log/cloud-init.log")


@pytest.fixture
def fake(tmp_path: Path, applets: Path) -> FakeRoot:
    """A fresh root with the image's own account files."""
    root = tmp_path / "root"
    shutil.copytree(ROOTFS / "etc", root / "etc")
    (root / "var/log").mkdir(parents=True)
    (root / "bin").mkdir()
    (root / "bin/sh").symlink_to("busybox")
    environment = {
        "PATH": str(applets),
        "KVWEB_ROOT": str(root),
        "KVWEB_HERE": str(NOCLOUD),
        "KVWEB_WORK": str(tmp_path / "work"),
        "HOME": os.environ.get("HOME", "/"),
    }
    return FakeRoot(root, tmp_path, environment)
