"""Two hypervisors: when one falls silent with a queue of work, the other's pages and jobs do not notice."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tools.trial.libvirtd import PrivateLibvirt
from tools.trial.portal import Portal
from tools.trial.waiting import until

pytestmark = [pytest.mark.live, pytest.mark.slow, pytest.mark.browser]

#: More than all workers of the portal: without a limit per provider they would all wait for the silent host.
MANY = 10

ADD = """
from providers import services
from providers.registry import plugin
for name, uri in {hosts!r}:
    services.add(kind="kvm", name=name, config=plugin("kvm").config.read({{"uri": uri}}))
"""
CREATE = """
from kvweb.accounts.models import Project, User
from providers.base import DiskSpec, VmSpec
from providers.models import Provider
from vms import services
def create(where, name):
    services.create(project=Project.objects.get(name="Home"), provider=Provider.objects.get(name=where), image=None,
        user=User.objects.get(username="admin"),
        spec=VmSpec(name=name, vcpus=1, memory_mib=32, start=False, disks=(DiskSpec(size_gib=1),)))
for number in range({many}):
    create("North", f"kvweb-test-two-north-{{number}}")
create("South", "kvweb-test-two-south")
"""
POWER = """
from vms import services
from vms.models import VirtualMachine
from kvweb.accounts.models import User
for vm in VirtualMachine.objects.filter(name__startswith={prefix!r}):
    services.{verb}(vm, user=User.objects.get(username="admin"))
"""


@pytest.fixture(scope="module")
def hosts() -> Iterator[tuple[PrivateLibvirt, PrivateLibvirt]]:
    north, south = PrivateLibvirt(), PrivateLibvirt()
    try:
        north.start()
        south.start()
        yield north, south
    finally:
        north.remove()
        south.remove()


@pytest.fixture(scope="module")
def portal(hosts: tuple[PrivateLibvirt, PrivateLibvirt]) -> Iterator[Portal]:
    home = Path(tempfile.mkdtemp(prefix="kvweb-live-", dir="/tmp"))
    running = Portal(home)
    try:
        running.start()
        running.manage(ADD.format(hosts=[("North", hosts[0].uri), ("South", hosts[1].uri)]))
        until(lambda: healthy(running) == 2, timeout_s=60, said="The check of the providers")
        running.manage(CREATE.format(many=MANY))
        until(lambda: count(running, "stopped") == MANY + 1, timeout_s=120, said="Creating", explain=running.jobs)
        yield running
    finally:
        running.stop()
        shutil.rmtree(home, ignore_errors=True)


def healthy(portal: Portal) -> int:
    names = "select count(*) from providers_provider where health = 'ok' and name in ('North', 'South')"
    return int(portal.rows(names)[0][0])


def count(portal: Portal, power: str, like: str = "kvweb-test-two-%") -> int:
    found = portal.rows("select count(*) from vms_virtualmachine where power = ? and name like ?", power, like)
    return int(found[0][0])


def south_takes_s(portal: Portal, verb: str, power: str) -> float:
    """How long a job with the southern machine takes from its start to the news of its end."""
    began = time.monotonic()
    portal.manage(POWER.format(prefix="kvweb-test-two-south", verb=verb))
    asked = time.monotonic() - began
    until(
        lambda: count(portal, power, "kvweb-test-two-south"), timeout_s=30, said=verb, explain=portal.jobs, every_s=0.02
    )
    # What the management command itself takes is no part of it.
    return time.monotonic() - began - asked


def test_a_silent_host_with_a_queue_of_work_holds_up_nobody_else(
    portal: Portal, hosts: tuple[PrivateLibvirt, PrivateLibvirt], signed_in: Page
) -> None:
    page = signed_in
    page.goto(f"{portal.url}/vms/")
    expect(page.locator("tr", has_text="kvweb-test-two-south")).to_contain_text("South")
    expect(page.locator("tr", has_text="kvweb-test-two-north-0")).to_contain_text("North")
    healthy_s = south_takes_s(portal, "start", "running")

    hosts[0].freeze()
    try:
        portal.manage(POWER.format(prefix="kvweb-test-two-north", verb="start"))
        assert south_takes_s(portal, "force_stop", "stopped") < healthy_s + 3
        assert south_takes_s(portal, "start", "running") < healthy_s + 3
        expect(page.locator("tr", has_text="kvweb-test-two-south")).to_contain_text("Running")
        expect(page.locator("tr", has_text="kvweb-test-two-south")).not_to_contain_text("nreachable")
    finally:
        hosts[0].thaw()

    # What waited is done, or says why not; nothing hangs.
    def ended() -> bool:
        return portal.rows("select count(*) from jobs_job where state in ('queued', 'running')") == [(0,)]

    until(ended, timeout_s=120, said="The end of all jobs", explain=portal.jobs)
    assert healthy(portal) == 2

    # The same when its daemon is killed: that one host is told as unreachable, and comes back by itself.
    hosts[0].kill()
    try:
        assert south_takes_s(portal, "force_stop", "stopped") < healthy_s + 3
        assert south_takes_s(portal, "start", "running") < healthy_s + 3
        expect(page.locator("tr", has_text="kvweb-test-two-north-0")).to_contain_text("nreachable", timeout=60_000)
        expect(page.locator("tr", has_text="kvweb-test-two-south")).to_contain_text("Running")
        expect(page.locator("tr", has_text="kvweb-test-two-south")).not_to_contain_text("nreachable")
    finally:
        hosts[0].start()
    until(lambda: healthy(portal) == 2, timeout_s=60, said="The return of the killed host")
