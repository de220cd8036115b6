"""libvirtd goes away: pages keep their speed, rows say since when, and everything recovers by itself."""

from __future__ import annotations

import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tools.trial.libvirtd import PrivateLibvirt
from tools.trial.portal import Portal
from tools.trial.waiting import until

pytestmark = [pytest.mark.live, pytest.mark.slow, pytest.mark.browser]

CREATE = """
from kvweb.accounts.models import Project, User
from providers.base import DiskSpec, VmSpec
from providers.models import Provider
from vms import services
services.create(project=Project.objects.get(name="Home"), provider=Provider.objects.get(name="Private"), image=None,
    user=User.objects.get(username="admin"),
    spec=VmSpec(name="kvweb-test-island", vcpus=1, memory_mib=32, disks=(DiskSpec(size_gib=1),)))
"""


@pytest.fixture(scope="module")
def private() -> Iterator[PrivateLibvirt]:
    daemon = PrivateLibvirt()
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.remove()


@pytest.fixture(scope="module")
def portal(private: PrivateLibvirt) -> Iterator[Portal]:
    home = Path(tempfile.mkdtemp(prefix="kvweb-live-", dir="/tmp"))
    running = Portal(home)
    try:
        running.start()
        running.manage(
            "from providers import services; from providers.registry import plugin\n"
            f"services.add(kind='kvm', name='Private', config=plugin('kvm').config.read({{'uri': {private.uri!r}}}))"
        )
        until(lambda: health(running) == "ok", timeout_s=30, said="The check of the provider")
        running.manage(CREATE)
        until(lambda: power(running) == "running", timeout_s=60, said="Creating the machine")
        yield running
    finally:
        running.stop()
        subprocess.run(["rm", "-rf", home], check=True)


def health(portal: Portal) -> str:
    return str(portal.rows("select health from providers_provider where name = 'Private'")[0][0])


def power(portal: Portal) -> str:
    found = portal.rows("select power from vms_virtualmachine where name = 'kvweb-test-island'")
    return str(found[0][0]) if found else ""


def load_s(page: Page, url: str) -> float:
    """Median of the server's answer times for one page."""
    times = []
    for _ in range(7):
        started = time.monotonic()
        page.request.get(url)
        times.append(time.monotonic() - started)
    return statistics.median(times)


@pytest.mark.parametrize(
    ("leave", "come_back"),
    [
        pytest.param(PrivateLibvirt.kill, PrivateLibvirt.start, id="killed"),
        pytest.param(PrivateLibvirt.freeze, PrivateLibvirt.thaw, id="frozen"),
    ],
)
def test_a_dead_libvirtd_is_said_costs_no_page_its_time_and_recovers(
    leave: Callable[[PrivateLibvirt], None],
    come_back: Callable[[PrivateLibvirt], None],
    portal: Portal,
    private: PrivateLibvirt,
    signed_in: Page,
) -> None:
    page = signed_in
    page.goto(f"{portal.url}/vms/")
    row = page.locator("tr", has_text="kvweb-test-island")
    expect(row).to_contain_text("Running")
    healthy_s = load_s(page, f"{portal.url}/vms/")
    leave(private)
    try:
        # The open page hears it by itself.
        expect(row).to_contain_text("nreachable", timeout=60_000)
        expect(page.locator("body")).to_contain_text("since")
        # Whoever asked the dead one would wait for seconds.
        assert load_s(page, f"{portal.url}/vms/") < max(2 * healthy_s, 0.5)
    finally:
        come_back(private)
    # An unreachable machine's row says "Running" too: as what was last known.
    expect(row).not_to_contain_text("nreachable", timeout=60_000)
    expect(row).to_contain_text("Running")
    assert health(portal) == "ok"
