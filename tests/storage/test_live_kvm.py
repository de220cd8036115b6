"""Pools, volumes and networks of a real libvirt, from the page to the host; what virsh says is what counts."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client
from lxml import etree

from kvweb.accounts.models import Project, User
from kvweb.jobs.models import Job, JobState
from networking.models import Network
from providers import pool as drivers
from providers.kvm.testing import URI, Backend
from providers.models import Health, Provider
from providers.testing import Unavailable
from storage.models import Pool, Volume
from storage.volume_transfer import content_of

pytestmark = [pytest.mark.live, pytest.mark.slow, pytest.mark.django_db]

RunJobs = Callable[[], list[Job]]


def virsh(*arguments: str) -> str:
    done = subprocess.run(["virsh", "--connect", URI, *arguments], capture_output=True, text=True, timeout=60)
    return done.stdout if done.returncode == 0 else f"failed: {done.stderr}"


def document(*arguments: str) -> Any:
    return etree.fromstring(virsh(*arguments).encode())


@pytest.fixture
def backend() -> Iterator[Backend]:
    try:
        room = Backend()
    except Unavailable as exc:
        pytest.skip(str(exc))
    yield room
    room.sweep()
    room.close()


@pytest.fixture
def kvm(backend: Backend) -> Iterator[Provider]:
    config = backend.config
    provider = Provider.objects.create(
        kind="kvm",
        name="Here",
        config=config.model_dump(mode="json", exclude=set(type(config).secret_fields())),
        capabilities=backend.driver.probe().to_json(),
        health=Health.OK,
    )
    yield provider
    drivers.forget(provider)


@pytest.fixture
def gone_afterwards(backend: Backend) -> Iterator[str]:
    """A name for a pool and a network that are taken away even when the test fails."""
    name = f"{backend.name}-own"
    yield name
    for kind in ("pool", "net"):
        virsh(f"{kind}-destroy", name)
        virsh(f"{kind}-undefine", name)


def done(jobs: list[Job]) -> None:
    assert [(job.kind, job.reason) for job in jobs if job.state != JobState.SUCCEEDED] == []


def test_a_pool_and_its_volumes_live_from_page_to_host(
    backend: Backend,
    kvm: Provider,
    gone_afterwards: str,
    root: User,
    project: Project,
    client_of: Callable[[User], Client],
    run_jobs: RunJobs,
) -> None:
    admin, name = client_of(root), gone_afterwards
    folder = backend.folder / "own"
    wish = {"provider": str(kvm.uuid), "name": name, "type": "dir", "dir-path": str(folder), "autostart": "on"}
    admin.post("/pools/create", wish)
    done(run_jobs())
    pool = Pool.objects.get(name=name)
    assert folder.is_dir()
    assert document("pool-dumpxml", name).findtext("target/path") == str(folder)

    wish = {"name": "data.qcow2", "project": str(project.uuid), "pool": str(pool.uuid), "size_gib": "1"}
    admin.post("/volumes/create", {**wish, "format": "qcow2"})
    done(run_jobs())
    volume = Volume.objects.get(name="data.qcow2")
    admin.post(f"/volumes/{volume.uuid}/do/grow", {"size_gib": "3"})
    done(run_jobs())
    admin.post(f"/volumes/{volume.uuid}/do/clone", {"name": "copy.qcow2", "pool": str(pool.uuid)})
    done(run_jobs())
    for made in ("data.qcow2", "copy.qcow2"):
        assert int(document("vol-dumpxml", made, name).findtext("capacity")) == 3 * 1024**3

    # A file goes in piece by piece, and comes out again.
    wish = {"name": "raw.img", "project": str(project.uuid), "pool": str(pool.uuid), "size_gib": "1", "format": "raw"}
    admin.post("/volumes/create", wish)
    done(run_jobs())
    raw = Volume.objects.get(name="raw.img")
    content = os.urandom(3_000_000)
    for offset in (0, 2_000_000):
        piece = content[offset : offset + 2_000_000]
        address = f"/transfer/volumes/{raw.uuid}/upload/{offset}"
        sent = admin.post(address, piece, content_type="application/octet-stream", headers={"X-File-Key": "file"})
        assert sent.status_code == 200, sent.content
    assert admin.post(f"/transfer/volumes/{raw.uuid}/finish", {"size": "3000000"}).status_code == 200
    with (folder / "raw.img").open("rb") as file:
        assert file.read(3_000_000) == content
    pieces = content_of(raw)
    assert next(pieces)[:1000] == content[:1000]
    # Whoever downloads goes away in the middle.
    pieces.close()  # type: ignore[attr-defined]
    admin.post(f"/volumes/{raw.uuid}/do/delete", {"typed": "raw.img"})
    done(run_jobs())

    # Somebody puts a file there behind the portal's back.
    (folder / "found.raw").write_bytes(bytes(1024 * 1024))
    admin.post(f"/pools/{pool.uuid}/do/refresh")
    done(run_jobs())
    assert Volume.objects.filter(pool=pool).count() >= 2

    admin.post(f"/volumes/{volume.uuid}/do/delete", {"typed": "data.qcow2"})
    done(run_jobs())
    assert not (folder / "data.qcow2").exists()
    assert (folder / "copy.qcow2").exists()

    admin.post(f"/pools/{pool.uuid}/do/stop", {"confirmed": "1"})
    done(run_jobs())
    assert "inactive" in virsh("pool-info", name)
    admin.post(f"/pools/{pool.uuid}/do/start")
    done(run_jobs())

    admin.post(f"/pools/{pool.uuid}/do/delete", {"typed": name})
    (refused,) = run_jobs()
    assert refused.state == JobState.FAILED
    pool.refresh_from_db()
    assert "failed:" in pool.problem
    admin.post(f"/pools/{pool.uuid}/do/delete", {"typed": name, "with_volumes": "on"})
    done(run_jobs())
    assert virsh("pool-info", name).startswith("failed")
    assert not (folder / "copy.qcow2").exists()
    assert not Volume.objects.filter(provider=kvm, name="copy.qcow2").exists()


def test_a_network_lives_from_page_to_host(
    backend: Backend,
    kvm: Provider,
    gone_afterwards: str,
    root: User,
    client_of: Callable[[User], Client],
    run_jobs: RunJobs,
) -> None:
    admin, name, cidr = client_of(root), gone_afterwards, backend.free_cidr
    wish = {"provider": str(kvm.uuid), "name": name, "mode": "isolated", "cidr": cidr, "dhcp": "on", "autostart": "on"}
    admin.post("/networks/create", wish)
    done(run_jobs())
    network = Network.objects.get(name=name)
    seen = document("net-dumpxml", name)
    assert seen.find("ip/dhcp/range") is not None
    assert seen.find("forward") is None

    address = f"{cidr.rpartition('.')[0]}.9"
    admin.post(f"/networks/{network.uuid}/do/reserve", {"mac": "52:54:00:12:34:56", "address": address, "name": "nas"})
    done(run_jobs())
    admin.post(f"/networks/{network.uuid}/do/dns", {"hosts": f"{address} files.test"})
    done(run_jobs())
    seen = document("net-dumpxml", name)
    assert seen.find("ip/dhcp/host").get("ip") == address
    assert seen.findtext("dns/host/hostname") == "files.test"

    page = admin.get(f"/networks/{network.uuid}/").content.decode()
    assert address in page
    assert "files.test" in page
    admin.post(f"/networks/{network.uuid}/do/release", {"mac": "52:54:00:12:34:56"})
    done(run_jobs())
    assert document("net-dumpxml", name).find("ip/dhcp/host") is None

    network.refresh_from_db()
    change = {"cidr": cidr, "dhcp": "on", "autostart": "on", "domain": "lan.test"}
    admin.post(
        f"/networks/{network.uuid}/edit", change | {"dhcp_start": network.dhcp_start, "dhcp_end": network.dhcp_end}
    )
    done(run_jobs())
    assert document("net-dumpxml", "--inactive", name).find("domain").get("name") == "lan.test"
    # What was kept before is kept still.
    assert document("net-dumpxml", "--inactive", name).findtext("dns/host/hostname") == "files.test"

    admin.post(f"/networks/{network.uuid}/do/stop", {"confirmed": "1"})
    done(run_jobs())
    assert "no" in next(line for line in virsh("net-info", name).splitlines() if line.startswith("Active"))
    admin.post(f"/networks/{network.uuid}/do/delete", {"typed": name})
    done(run_jobs())
    assert virsh("net-info", name).startswith("failed")
    assert not Network.objects.filter(name=name).exists()
