"""A worker is killed in the middle of a creation: nothing is made twice, nothing is left behind, a second try works."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import libvirt
import pytest

from tools.trial.libvirtd import PrivateLibvirt
from tools.trial.portal import Portal
from tools.trial.waiting import until

pytestmark = [pytest.mark.live, pytest.mark.slow]

CREATE = """
import json
from kvweb.accounts.models import Project, User
from providers.base import DiskSpec, VmSpec
from providers.models import Provider
from vms import services
from vms.models import VirtualMachine
provider = Provider.objects.get(name="Private")
image = provider.images.get(name="big.qcow2")
spec = VmSpec(name="{name}", vcpus=1, memory_mib=64, start=True,
              disks=(DiskSpec(image=image.external_id, thin=False, size_gib=2),))
vm, job = services.create(project=Project.objects.get(name="Home"), provider=provider, spec=spec, image=image,
                          user=User.objects.get(username="admin"),
                          retry_of=VirtualMachine.objects.filter(name="{name}", presence="wanted").first())
print(json.dumps([str(vm.uuid), str(job.uuid)]))
"""


@pytest.fixture(scope="module")
def private() -> Iterator[PrivateLibvirt]:
    daemon = PrivateLibvirt()
    try:
        with tempfile.TemporaryDirectory(prefix="kvweb-big-") as folder:
            raw, image = Path(folder) / "big.raw", Path(folder) / "big.qcow2"
            # Real content, so that copying it in full takes seconds and not a moment.
            block = os.urandom(1 << 20)
            with raw.open("wb") as file:
                for _ in range(1500):
                    file.write(block)
            subprocess.run(["qemu-img", "convert", "-O", "qcow2", raw, image], check=True)
            daemon.add_image(image)
        daemon.start()
        yield daemon
    finally:
        daemon.remove()


@pytest.fixture(scope="module")
def portal(private: PrivateLibvirt) -> Iterator[Portal]:
    home = Path(tempfile.mkdtemp(prefix="kvweb-live-", dir="/tmp"))
    running = Portal(home, KVWEB_JOB_SILENCE_S="8")
    try:
        running.start()
        running.manage(
            "from providers import services; from providers.registry import plugin\n"
            f"services.add(kind='kvm', name='Private', config=plugin('kvm').config.read({{'uri': {private.uri!r}}}))"
        )
        until(
            lambda: running.rows("select 1 from storage_image where name = 'big.qcow2'"),
            timeout_s=60,
            said="Reading the inventory",
        )
        yield running
    finally:
        running.stop()
        subprocess.run(["rm", "-rf", home], check=True)


def job(portal: Portal, uuid: str) -> tuple[Any, ...]:
    found = portal.rows("select state, percent, code from jobs_job where uuid = ?", uuid.replace("-", ""))
    return found[0]


@pytest.mark.parametrize("after_s", [0.3, 1.0, 2.0])
def test_a_killed_worker_leaves_no_second_machine_and_no_volume(
    after_s: float, portal: Portal, private: PrivateLibvirt
) -> None:
    name = f"kvweb-test-{int(after_s * 10)}"
    vm_uuid, job_uuid = json.loads(portal.manage(CREATE.format(name=name)))
    until(lambda: job(portal, job_uuid)[0] == "running", timeout_s=20, said="The start of the job", every_s=0.02)
    until(lambda: len(private.volumes()) > 1, timeout_s=20, said="The first volume", every_s=0.02)
    time.sleep(after_s)
    os.kill(portal.process("worker"), signal.SIGKILL)
    until(
        lambda: job(portal, job_uuid)[0] in {"failed", "succeeded"}, timeout_s=120, said="The end of the job", every_s=1
    )
    until(
        lambda: not portal.rows("select 1 from jobs_job where state in ('queued', 'running') and is_background = 0"),
        timeout_s=90,
        said="Clearing up",
        every_s=1,
    )
    connection = libvirt.open(private.uri)
    names = [domain.name() for domain in connection.listAllDomains()]
    if job(portal, job_uuid)[0] == "failed" and name not in names:
        assert private.volumes() == {"big.qcow2"}
        _, again = json.loads(portal.manage(CREATE.format(name=name)))
        until(
            lambda: job(portal, again)[0] not in {"queued", "running"},
            timeout_s=90,
            said="The second try",
            explain=portal.jobs,
        )
        assert job(portal, again)[0] == "succeeded", portal.jobs()
        names = [domain.name() for domain in connection.listAllDomains()]
    assert names.count(name) == 1
    assert len(portal.rows("select 1 from vms_virtualmachine where name = ? and presence != 'deleted'", name)) == 1
    portal.manage(
        "from vms import services; from vms.models import VirtualMachine\n"
        f"services.delete(VirtualMachine.objects.get(uuid={vm_uuid!r}))"
    )
    until(lambda: private.volumes() == {"big.qcow2"}, timeout_s=60, said="Deleting it")
    connection.close()
