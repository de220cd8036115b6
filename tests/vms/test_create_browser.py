"""The create page in a browser: the summary says what will be made, and changing one's mind loses nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from kvweb.accounts.models import User
from networking.models import Network
from providers.models import Health, Provider
from storage.models import Image
from tests.browsing import steady
from tests.conftest import PASSWORD
from vms.flavors import default_flavors
from vms.models import VirtualMachine

sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def page(chromium: Any, live_server: Any, alice: User, fake_provider: Provider) -> Iterator[Any]:
    """Alice on the create page, with two providers to choose from."""
    default_flavors()
    can = fake_provider.capabilities
    other = Provider.objects.create(kind="fake", name="Othertown", health=Health.OK, capabilities=can)
    for provider, image in ((fake_provider, "debian-13"), (other, "suse")):
        Image.objects.create(provider=provider, external_id=image, name=image, size_gib=2.5, default_user="me")
        Network.objects.create(provider=provider, external_id="lan", name=f"{image}-net", mode="nat")
    page = steady(chromium.new_page())
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{live_server.url}/accounts/login/?next=/vms/create%3Fprovider={fake_provider.uuid}")
    page.fill("[name=login]", alice.username)
    page.fill("[name=password]", PASSWORD)
    page.click("button[type=submit]")
    page.wait_for_selector("[data-create-summary]")
    yield page
    page.close()
    assert not errors, errors


def summary(page: Any, name: str) -> str:
    text: str = page.inner_text(f'[data-summary="{name}"]')
    return text


def test_the_summary_follows_what_is_typed(page: Any) -> None:
    page.fill("[name=name]", "web-1")
    page.click("label.choice:has-text('debian-13')")
    page.click("label.choice:has(b:text-is('large'))")
    assert summary(page, "name") == "web-1"
    assert summary(page, "image") == "debian-13"
    assert summary(page, "size") == "2 CPUs, 4 GiB of memory"
    assert summary(page, "disks") == "3 GiB"
    assert summary(page, "warning").startswith("No key and no password")
    page.fill("[name=password]", "hunter2secret")
    assert summary(page, "access") == "me, with a password"
    assert page.is_hidden('[data-summary="warning"]')


def test_another_provider_swaps_its_parts_and_keeps_the_rest(page: Any) -> None:
    page.fill("[name=name]", "web-1")
    page.fill("[name=password]", "hunter2secret")
    page.click("label.choice:has-text('Othertown')")
    page.wait_for_selector("#create-image >> text=suse")
    assert "debian-13" not in page.inner_text("#create-image")
    assert page.input_value("[name=name]") == "web-1"
    assert page.input_value("[name=password]") == "hunter2secret"
    assert summary(page, "networks") == "suse-net (NAT)"


def test_cards_are_added_without_leaving_the_page(page: Any) -> None:
    page.fill("[name=password]", "hunter2secret")
    page.click("button[name=add][value=nic]")
    page.wait_for_selector("select[name=nic-1-network]")
    page.click("button[name=remove][value=nic-0]")
    page.wait_for_selector("select[name=nic-1-network]", state="detached")
    assert page.input_value("[name=password]") == "hunter2secret"


def test_one_press_of_enter_makes_one_machine(page: Any) -> None:
    page.click("label.choice:has-text('debian-13')")
    page.fill("[name=name]", "web-1")
    page.press("[name=name]", "Enter")
    page.wait_for_url("**/vms/*-*/")
    assert [vm.name for vm in VirtualMachine.objects.all()] == ["web-1"]
