"""Who hears of pools, networks and images: members of those projects that may use them, and nobody else."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from kvweb.accounts.models import Project, User
from kvweb.events.models import Event
from kvweb.portal.inventory import sync
from networking import services as networks
from networking.models import Network
from providers.models import Provider
from providers.pool import driver_for
from storage import image_services as images
from storage.models import Image, Pool

pytestmark = pytest.mark.django_db

SignIn = Callable[[User], Client]


@pytest.fixture
def synced(fake_provider: Provider) -> Provider:
    with driver_for(fake_provider) as driver:
        sync(fake_provider, driver)
    return fake_provider


def heard(client: Client, since: Event | None) -> set[tuple[str, str]]:
    told = client.get(f"/events?since={since.pk if since else 0}").json()["events"]
    return {(row["subject"], row["topic"]) for row in told if since is None or row["id"] > since.pk}


def latest() -> Event:
    found = Event.objects.order_by("pk").last()
    assert found is not None
    return found


def change_the_pool(provider: Provider) -> Pool:
    """Its room is another than was last told."""
    pool = Pool.objects.filter(provider=provider)[0]
    Pool.objects.filter(pk=pool.pk).update(available_gib=1)
    with driver_for(provider) as driver:
        sync(provider, driver)
    return pool


def test_what_is_open_to_everybody_is_everybodys_news(synced: Provider, charlie: User, client_of: SignIn) -> None:
    before = latest()
    pool = change_the_pool(synced)
    assert (pool.subject, "changed") in heard(client_of(charlie), before)


def test_what_is_open_to_some_projects_is_theirs(
    synced: Provider, project: Project, alice: User, charlie: User, client_of: SignIn
) -> None:
    synced.projects.set([project])
    before = latest()
    pool = change_the_pool(synced)
    assert (pool.subject, "changed") in heard(client_of(alice), before)
    assert heard(client_of(charlie), before) == set()


def test_a_network_that_is_offered_to_others_leaves_the_pages_of_those_who_had_it(
    synced: Provider, project: Project, alice: User, charlie: User, root: User, client_of: SignIn
) -> None:
    network = Network.objects.filter(provider=synced)[0]
    networks.offer(network, projects=[project])
    before = latest()
    networks.offer(network, projects=[Project.objects.get(name="Elsewhere")])
    for user in (alice, charlie, root):
        assert (network.subject, "changed") in heard(client_of(user), before)
    before = latest()
    networks.offer(network, projects=[Project.objects.get(name="Elsewhere")])
    assert heard(client_of(alice), before) == set()
    # The provider is open to another project alone, so that nobody but administrators may see the network.
    synced.projects.set([project])
    before = latest()
    networks.offer(network, projects=[Project.objects.get(name="Elsewhere")])
    for user in (alice, charlie):
        assert heard(client_of(user), before) <= {(network.subject, "changed")}
    assert (network.subject, "changed") in heard(client_of(root), before)


def test_an_image_that_becomes_one_projects_goes_from_the_others(
    synced: Provider, project: Project, alice: User, charlie: User, client_of: SignIn
) -> None:
    image = Image.objects.filter(provider=synced, project=None)[0]
    before = latest()
    images.share(image, project=project)
    assert heard(client_of(charlie), before) == {(image.subject, "gone")}
    assert (image.subject, "created") in heard(client_of(alice), before)
