"""Pools, volumes and networks in a real browser: dialogs, forms that help while somebody types, phone and dark."""

from __future__ import annotations

import pytest

from kvweb.accounts.models import Project, User
from kvweb.jobs.models import Job
from kvweb.portal.inventory import sync
from networking.models import Network
from providers.base import NetworkSpec, StaticLease, VolumeSpec
from providers.models import Provider
from providers.pool import driver_for
from storage import volume_inventory
from storage.models import Pool, Volume
from tests.browsing import OpenPage, faults

sync_api = pytest.importorskip("playwright.sync_api")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
]


@pytest.fixture
def furnished(fake_provider: Provider, project: Project) -> Provider:
    """A network with an address that is kept, a volume of the project, and the pools of the cloud."""
    with driver_for(fake_provider) as driver:
        assert driver.networks is not None
        assert driver.volumes is not None
        lan = driver.networks.create(NetworkSpec(name="office", cidr="10.20.30.0/24"))
        driver.networks.reserve(
            lan.external_id, StaticLease(mac="52:54:00:aa:bb:01", address="10.20.30.10", name="nas")
        )
        driver.volumes.create(VolumeSpec(name="archive", size_gib=5))
        sync(fake_provider, driver)
        volume_inventory.apply(fake_provider, driver.volumes.list(), is_complete=True)
    Volume.objects.update(project=project)
    return fake_provider


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 390)])
def test_pages_are_accessible_and_fit(
    furnished: Provider, root: User, open_page: OpenPage, theme: str, width: int
) -> None:
    del furnished
    network, pool, volume = Network.objects.get(name="office"), Pool.objects.first(), Volume.objects.get()
    assert pool is not None
    addresses = ["/networks/", "/networks/create", f"/networks/{network.uuid}/", f"/networks/{network.uuid}/edit"]
    addresses += [f"/networks/{network.uuid}/ask/reserve", "/pools/", "/pools/create", f"/pools/{pool.uuid}/"]
    addresses += [f"/pools/{pool.uuid}/ask/delete", "/volumes/", "/volumes/create", f"/volumes/{volume.uuid}/"]
    page = open_page(root, addresses[0], theme=theme, width=width)
    origin = page.url.partition("/networks")[0]
    found = []
    for address in addresses:
        page.goto(origin + address)
        found += [f"{address}: {fault}" for fault in faults(page)]
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            found.append(f"{address} is wider than the window.")
    assert found == []


def test_the_form_of_a_network_says_what_a_range_means_while_it_is_typed(
    furnished: Provider, root: User, open_page: OpenPage
) -> None:
    del furnished
    page = open_page(root, "/networks/create")
    page.fill("[name=cidr]", "10.20.30.0/24")
    page.locator("#look >> text=“office” has addresses of it").wait_for()
    page.locator("#look [data-fill]").click()
    page.locator("#look >> text=It is free").wait_for()
    assert page.input_value("[name=cidr]") != "10.20.30.0/24"
    assert not page.locator("[name=bridge]").is_visible()
    page.locator("label.choice", has_text="Bridge").click()
    assert page.locator("[name=bridge]").is_visible()
    assert not page.locator("[name=cidr]").is_visible()


def test_the_form_of_a_pool_asks_for_what_its_type_needs(furnished: Provider, root: User, open_page: OpenPage) -> None:
    del furnished
    page = open_page(root, "/pools/create")
    assert page.locator("[name=dir-path]").is_visible()
    page.locator("label.choice", has_text="Network share").click()
    assert page.locator("[name=netfs-host]").is_visible()
    assert not page.locator("[name=dir-path]").is_visible()


def test_an_address_is_kept_in_a_dialog_that_keeps_what_was_typed(
    furnished: Provider, root: User, open_page: OpenPage
) -> None:
    del furnished
    network = Network.objects.get(name="office")
    page = open_page(root, f"/networks/{network.uuid}/")
    page.locator("a", has_text="Keep an address").click()
    page.fill("#dialog [name=mac]", "nonsense")
    page.fill("#dialog [name=name]", "printer")
    page.locator("#dialog button[type=submit]").click()
    page.locator("#dialog >> text=A MAC address looks like").wait_for()
    assert page.input_value("#dialog [name=name]") == "printer"
    page.fill("#dialog [name=mac]", "52:54:00:aa:bb:02")
    page.locator("#dialog button[type=submit]").click()
    page.wait_for_function("!document.getElementById('dialog').open")
    page.locator(".state", has_text="Keeping").wait_for()
    assert Job.objects.get(kind="network.reserve").params["name"] == "printer"


def test_a_volume_is_deleted_from_its_row_by_typing_its_name(
    furnished: Provider, alice: User, open_page: OpenPage
) -> None:
    del furnished
    volume = Volume.objects.get()
    page = open_page(alice, "/volumes/")
    page.locator("a[data-menu]").click()
    page.locator("#row-menu >> text=Delete").click()
    submit = page.locator("#dialog button[type=submit]")
    submit.wait_for()
    assert submit.is_disabled()
    page.fill("#dialog [name=typed]", "archive")
    submit.click()
    page.locator(f"#volume-{volume.uuid}").locator(".state", has_text="Deleting").wait_for()
    # That was said at once; the answer replaces the row.
    page.locator(f"#volume-{volume.uuid}:not([aria-busy])").wait_for()
    assert Job.objects.get(kind="volume.delete").subject == volume.subject
