"""The create page at a cloud: its locations and priced sizes, and nothing that it lacks. No provider is asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from kvweb.accounts.models import User
from kvweb.jobs.models import Job
from networking.models import Network
from providers.base import Capabilities, DiskFeatures, MachineFeatures, PowerFeatures
from providers.models import Provider
from providers.secrets import unseal
from storage.models import Image
from vms import prices
from vms.models import VirtualMachine

SignIn = Callable[[User], Client]
ZONES = {"fsn1": "Falkenstein, DE", "nbg1": "Nuremberg, DE"}


def price(zone: str, monthly: float) -> dict[str, Any]:
    return {"currency": "EUR", "hourly": 0.005, "monthly": monthly, "zone": zone}


FLAVORS = [
    {
        "external_id": "cx22", "name": "cx22", "vcpus": 2, "memory_mib": 4096, "disk_gib": 40,
        "zones": ["fsn1", "nbg1"],
        "prices": [price("fsn1", 3.29), price("nbg1", 3.79)],
    },
    {
        "external_id": "ccx13", "name": "ccx13", "vcpus": 2, "memory_mib": 8192, "disk_gib": 80, "zones": ["fsn1"],
        "prices": [price("fsn1", 12.49)],
    },
]  # fmt: skip


@pytest.fixture(autouse=True)
def cloud(fake_provider: Provider) -> Provider:
    """A provider that was probed to be like a cloud with sizes of its own."""
    can = Capabilities(
        machines=MachineFeatures(create_from_image=True, cloud_init=True, several_nics=True, zones=ZONES),
        power=PowerFeatures(),
        disks=DiskFeatures(least_gib=10),
    )
    fake_provider.capabilities = can.to_json()
    fake_provider.host = {"name": "project", "flavors": FLAVORS}
    fake_provider.config = {**fake_provider.config, "location": "fsn1"}
    fake_provider.save()
    Image.objects.create(provider=fake_provider, external_id="1000", name="debian-12", size_gib=5, default_user="root")
    Network.objects.create(provider=fake_provider, external_id="4711", name="back", mode="provider", type="network")
    Network.objects.create(
        provider=fake_provider, external_id="public", name="Internet", mode="provider", type="public"
    )
    return fake_provider


@pytest.fixture
def page(alice: User, client_of: SignIn) -> Callable[..., str]:
    client = client_of(alice)

    def show(**typed: str) -> str:
        return client.get("/vms/create", typed).content.decode()

    return show


@pytest.fixture
def post(alice: User, client_of: SignIn) -> Callable[..., Any]:
    client = client_of(alice)

    def send(**values: Any) -> Any:
        return client.post("/vms/create", {"name": "web-1", "image": str(Image.objects.get().uuid), **values})

    return send


def spec() -> dict[str, Any]:
    told: dict[str, Any] = json.loads(unseal(Job.objects.get(kind="vm.create").params["spec"])["spec"])
    return told


def test_sizes_show_what_they_cost_in_the_chosen_location(page: Callable[..., str]) -> None:
    assert "€3.29 a month" in page()
    elsewhere = page(zone="nbg1")
    assert "€3.79 a month" in elsewhere
    assert "Not to be had in Nuremberg, DE at the moment." in elsewhere


def test_what_the_cloud_lacks_is_not_shown(page: Callable[..., str]) -> None:
    shown = page()
    for name in ("disk_gib", "vcpus", "memory_mib", "autostart", "description", "nic-0-gateway", "nic-0-dns"):
        assert f'name="{name}"' not in shown, name
    assert 'name="nic-0-address"' in shown
    assert "Add a disk" not in shown


def test_a_provider_without_locations_shows_none(page: Callable[..., str], cloud: Provider) -> None:
    cloud.capabilities = Capabilities(machines=MachineFeatures(own_size=True, create_from_image=True)).to_json()
    cloud.save()
    shown = page()
    assert 'name="zone"' not in shown
    assert 'name="vcpus"' in shown


def test_name_and_image_are_enough(post: Callable[..., Any]) -> None:
    assert post().status_code == 302
    told = spec()
    assert (told["flavor"], told["zone"], told["disks"][0]["size_gib"]) == ("cx22", "fsn1", None)
    assert [nic["network"] for nic in told["nics"]] == ["public"]


def test_a_size_that_is_not_there_is_refused_beside_it(post: Callable[..., Any]) -> None:
    refused = post(zone="nbg1", size="provider:ccx13")
    assert refused.status_code == 422
    assert "Not to be had in Nuremberg" in refused.content.decode()
    assert not VirtualMachine.objects.exists()


def test_a_location_that_is_not_there_is_refused(post: Callable[..., Any]) -> None:
    assert "This location is not there any more" in post(zone="atlantis").content.decode()


def test_a_public_address_cannot_be_chosen(post: Callable[..., Any]) -> None:
    network = str(Network.objects.get(external_id="public").uuid)
    rows = {"nic-TOTAL_FORMS": "1", "nic-INITIAL_FORMS": "0", "nic-0-network": network, "nic-0-address": "192.0.2.7/24"}
    assert "Public addresses are given by the provider" in post(**rows).content.decode()


def test_a_further_disk_that_is_too_small_is_refused(post: Callable[..., Any]) -> None:
    rows = {"disk-TOTAL_FORMS": "1", "disk-INITIAL_FORMS": "0", "disk-0-size_gib": "5"}
    assert "Further disks have at least 10 GiB here." in post(**rows).content.decode()


def test_another_location_keeps_what_was_typed(post: Callable[..., Any]) -> None:
    again = post(refresh="1", zone="nbg1", size="provider:ccx13").content.decode()
    assert 'value="web-1"' in again
    assert "€3.79 a month" in again
    assert 'value="provider:cx22" checked' in again, "The size that cannot be had there is still chosen."


@pytest.mark.parametrize(
    ("told", "zone", "words"),
    [
        ([], "", ""),
        ([price("", 4.0)], "anywhere", "€4.00 a month"),
        ([price("fsn1", 4.0), price("nbg1", 5.0)], "", "from €4.00 a month"),
        ([{"currency": "USD", "hourly": 0.0416, "monthly": None, "zone": ""}], "", "$0.0416 an hour"),
        ([{"currency": "CHF", "hourly": None, "monthly": 2.5, "zone": ""}], "", "CHF 2.50 a month"),
    ],
)
def test_prices_in_words(told: list[dict[str, Any]], zone: str, words: str) -> None:
    assert prices.words(told, zone) == words
