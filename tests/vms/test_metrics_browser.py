"""Graphs and sparklines in a browser: drawn, readable without eyes, and still there when the page is renewed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from kvweb.accounts.models import User
from kvweb.metrics.series import HOST
from kvweb.metrics.store import reader
from tests.browsing import faults
from tests.conftest import MakeVm
from tests.vms.test_metrics import measured
from vms.models import VirtualMachine

sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def vm(make_vm: MakeVm, settings: Settings, tmp_path: Path) -> Iterator[VirtualMachine]:
    """One that was measured for ten minutes, and so was its host."""
    settings.KVWEB_HOME = tmp_path
    reader.cache_clear()
    made = make_vm(name="web", power="running", memory_mib=1024)
    measured(
        made,
        cpu_percent=40,
        memory_mib=300,
        disk_read=5000,
        disk_write=9000,
        disk_reads=3,
        disk_writes=4,
        net_rx=10,
        net_tx=20,
    )
    made.external_id, own = HOST, made.external_id
    measured(made, cpu_percent=10, memory_mib=3000, load=1.0)
    made.external_id = own
    yield made
    reader.cache_clear()


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 390)])
def test_graphs_are_drawn_and_said(vm: VirtualMachine, root: User, open_page: Any, theme: str, width: int) -> None:
    page = open_page(root, f"/vms/{vm.uuid}/metrics", theme=theme, width=width)
    found = []
    for address in (f"/vms/{vm.uuid}/metrics", f"/providers/{vm.provider.uuid}/host"):
        page.goto(page.url.partition("/vms/")[0].partition("/providers/")[0] + address)
        sync_api.expect(page.locator('[data-chart="cpu"] canvas')).to_have_count(1)
        picture = page.locator('[data-chart="cpu"] [data-picture]')
        sync_api.expect(picture).to_have_attribute("aria-label", re.compile("now (40|10) %"))
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing sticks out"
        # Words over a canvas of changing colours are not for a program to judge.
        found += [f"{address}: {fault}" for fault in faults(page, runOnly=["wcag2a", "wcag2aa"])]
    assert found == []


def test_another_range_and_the_value_under_the_pointer(vm: VirtualMachine, alice: User, open_page: Any) -> None:
    page = open_page(alice, f"/vms/{vm.uuid}/metrics")
    over = page.locator('[data-chart="cpu"] .u-over')
    over.wait_for()
    box = over.bounding_box()
    page.mouse.move(box["x"] + box["width"] - 3, box["y"] + 20)
    sync_api.expect(page.locator('[data-chart="cpu"] .chart-tip')).to_contain_text("CPU 40 %")
    sync_api.expect(page.locator('[data-chart="memory"] .chart-tip')).to_contain_text("In use 300 MiB")
    with page.expect_response(lambda answer: "range=month" in answer.url):
        page.get_by_role("button", name="30 days").click()
    sync_api.expect(page.get_by_role("button", name="30 days")).to_have_attribute("aria-pressed", "true")


def test_a_part_that_is_renewed_keeps_its_graphs_and_range(vm: VirtualMachine, alice: User, open_page: Any) -> None:
    page = open_page(alice, f"/vms/{vm.uuid}/metrics")
    sync_api.expect(page.locator("[data-chart] canvas")).to_have_count(5)
    page.get_by_role("button", name="24 hours").click()
    sync_api.expect(page.locator("[data-chart] canvas")).to_have_count(5)
    with page.expect_response(lambda answer: "range=day" in answer.url):
        page.evaluate(
            """async (address) => {
                const html = await (await fetch(address)).text();
                const { parse, swap } = await import("/static/js/rows.js");
                parse(html).forEach(swap);
            }""",
            f"/vms/{vm.uuid}/part/metrics",
        )
    sync_api.expect(page.locator("[data-chart] canvas")).to_have_count(5)
    sync_api.expect(page.get_by_role("button", name="24 hours")).to_have_attribute("aria-pressed", "true")


def test_a_guest_that_does_not_tell_its_memory_is_said_to(
    vm: VirtualMachine, make_vm: MakeVm, alice: User, open_page: Any
) -> None:
    quiet = make_vm(name="quiet", power="running")
    measured(quiet, cpu_percent=40)
    page = open_page(alice, f"/vms/{quiet.uuid}/metrics")
    sync_api.expect(page.locator('[data-chart="cpu"] canvas')).to_have_count(1)
    sync_api.expect(page.locator('[data-chart="memory"] .chart-empty')).to_have_text(
        "The guest does not tell what it uses."
    )
    sync_api.expect(page.locator('[data-chart="disk"] .chart-empty')).to_have_text("No values yet")


def test_rows_of_the_list_have_their_small_line(
    vm: VirtualMachine, make_vm: MakeVm, alice: User, open_page: Any
) -> None:
    make_vm(name="never-measured")
    page = open_page(alice, "/vms/")
    line = page.locator(f"#vm-{vm.uuid} svg.spark")
    sync_api.expect(line).to_have_attribute("aria-label", "CPU: 40 % now, at most 40 % in the last ten minutes")
    assert page.locator("svg.spark").count() == 1
