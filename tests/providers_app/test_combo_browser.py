"""Fields with suggestions: all are offered whatever stands there already, typing narrows, and others may be typed."""

from __future__ import annotations

import pytest

from kvweb.accounts.models import User
from tests.browsing import OpenPage, faults

sync_api = pytest.importorskip("playwright.sync_api")

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.django_db(transaction=True)]


def test_a_region_is_chosen_by_its_name_and_anything_else_may_be_typed(root: User, open_page: OpenPage) -> None:
    page = open_page(root, "/providers/add/aws", width=390)
    region = page.get_by_role("combobox", name="Region")
    options = page.get_by_role("option")
    region.click()
    assert options.count() > 30, "what stands there already hides none of them"
    sync_api.expect(options.filter(has_text="eu-central-1")).to_have_attribute("aria-selected", "true")
    assert faults(page, within=".combo", runOnly=["wcag2a", "wcag2aa"]) == []

    region.press_sequentially("stock")
    sync_api.expect(options).to_have_text(["eu-north-1Europe (Stockholm)"])
    region.press("ArrowDown")
    region.press("Enter")
    sync_api.expect(region).to_have_value("eu-north-1")
    sync_api.expect(page.locator(".combo-told")).to_have_text("Europe (Stockholm)")
    assert page.url.endswith("/providers/add/aws"), "the press chose, and sent nothing"

    region.fill("eu-newest-9")
    sync_api.expect(options).to_have_count(0)
    region.fill("us")
    region.press("Escape")
    sync_api.expect(region).to_have_attribute("aria-expanded", "false")
    region.click()
    options.filter(has_text="Tokyo").click()
    sync_api.expect(region).to_have_value("ap-northeast-1")
