"""What the create page tells a guest: files, users, time zone, addresses, and the expert's own text."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from kvweb.accounts.models import User
from kvweb.jobs.models import Job
from networking.models import Network
from providers.models import Provider
from providers.secrets import unseal
from storage.models import Image
from vms.models import VirtualMachine

pytestmark = pytest.mark.django_db
ClientOf = Callable[[User], Client]
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"


@pytest.fixture
def image(fake_provider: Provider, project: object) -> Image:
    del project
    return Image.objects.create(provider=fake_provider, external_id="i-1", name="debian", size_gib=3)


@pytest.fixture
def post(alice: User, client_of: ClientOf, image: Image) -> Callable[..., Any]:
    def send(**values: Any) -> Any:
        base = {"name": "web-1", "image": str(image.uuid), "size": "own", "vcpus": "1", "memory_mib": "512"}
        return client_of(alice).post("/vms/create", {**base, **values})

    return send


def rows(prefix: str, *given: dict[str, str]) -> dict[str, str]:
    """Rows as the page sends them."""
    counts = {f"{prefix}-TOTAL_FORMS": str(len(given)), f"{prefix}-INITIAL_FORMS": "0"}
    flat = {f"{prefix}-{index}-{name}": value for index, row in enumerate(given) for name, value in row.items()}
    return {**counts, **flat}


def spec() -> dict[str, Any]:
    sent = unseal(Job.objects.get(kind="vm.create").params["spec"])["spec"]
    found: dict[str, Any] = json.loads(sent)
    return found


def test_files_users_and_time_zone_reach_the_guest(post: Callable[..., Any]) -> None:
    files = rows(
        "file",
        {"path": "/etc/motd", "content": "hello\r\n  you\r\n", "permissions": "600", "owner": "www-data"},
        {"path": "/opt/empty", "content": ""},
    )
    users = rows("user", {"name": "ada", "keys": f"{KEY} ada\n\n", "sudo": "on"}, {"name": "eve"})
    assert post(**files, **users, username="dev", timezone="Europe/London").status_code == 302
    told = spec()["cloud_init"]
    assert told["files"] == [
        {"path": "/etc/motd", "content": "hello\n  you\n", "permissions": "0600", "owner": "www-data"},
        {"path": "/opt/empty", "content": "", "permissions": "0644", "owner": "root:root"},
    ]
    assert [(user["name"], user["sudo"], len(user["ssh_keys"])) for user in told["users"]] == [
        ("dev", True, 0),
        ("ada", True, 1),
        ("eve", False, 0),
    ]
    assert told["timezone"] == "Europe/London"


def test_the_experts_text_stands_alone_or_beside_the_rest(post: Callable[..., Any]) -> None:
    assert post(user_data="#!/bin/sh\ntrue\n", merge="on", packages="htop").status_code == 302
    told = spec()["cloud_init"]
    assert (told["merge"], told["packages"], told["user_data"]) == (True, ["htop"], "#!/bin/sh\ntrue\n")


def test_a_card_has_addresses_of_both_kinds_and_its_name_servers(post: Callable[..., Any], image: Image) -> None:
    network = Network.objects.create(
        provider=image.provider, external_id="n-1", name="lan", mode="nat", cidrs=["192.0.2.0/24"]
    )
    card = {
        "network": str(network.uuid),
        "address": "192.0.2.7",
        "address6": "2001:db8::7/64",
        "gateway6": "2001:db8::1",
        "dns": "192.0.2.53, 2001:db8::53",
    }
    assert post(**rows("nic", card)).status_code == 302
    (nic,) = spec()["nics"]
    assert (nic["address"], nic["gateway"]) == ("192.0.2.7/24", "192.0.2.1")
    assert (nic["address6"], nic["gateway6"]) == ("2001:db8::7/64", "2001:db8::1")
    assert nic["dns"] == ["192.0.2.53", "2001:db8::53"]


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (rows("file", {"path": "etc/motd"}), "begins with"),
        (rows("file", {"path": ""}), "Say where"),
        (rows("file", {"path": "/etc/../x/.."}), "begins with"),
        (rows("file", {"path": "/a", "permissions": "999"}), "three digits"),
        (rows("file", {"path": "/a", "owner": "a b"}), "user and a group"),
        (rows("user", {"name": "Ada"}), "small letters"),
        (rows("user", {"name": "ada", "keys": "ssh-rsa nonsense"}), "Line 1"),
        ({"timezone": "Europe/Nowhere"}, "no such time zone"),
        ({"user_data": "#cloud-config\na: [1\n"}, "line"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field_and_nothing_is_made(
    post: Callable[..., Any], values: dict[str, str], says: str
) -> None:
    response = post(**values)
    assert response.status_code == 422
    assert any(says in sentence for _, sentence, _ in response.context["form"].all_errors)
    assert not VirtualMachine.objects.exists()


def test_contents_of_files_are_kept_sealed(post: Callable[..., Any], alice: User, client_of: ClientOf) -> None:
    """People write tokens into them."""
    post(**rows("file", {"path": "/etc/token", "content": "t0ken"}))
    job = Job.objects.get(kind="vm.create")
    assert "t0ken" not in json.dumps(job.form)
    page = client_of(alice).get(f"/vms/create?again={job.uuid}").content.decode()
    assert "t0ken" in page


def test_rows_come_and_go_without_losing_the_others(alice: User, client_of: ClientOf, image: Image) -> None:
    values = {"name": "x", "image": str(image.uuid), **rows("file", {"path": "/a"}, {"path": "/b"}), **rows("user")}
    form = client_of(alice).post("/vms/create", {**values, "add": "user"}).context["form"]
    assert [len(one.forms) for one in (form.guest_files, form.guest_users)] == [2, 1]
    form = client_of(alice).post("/vms/create", {**values, "remove": "file-0"}).context["form"]
    assert [one["path"].value() for one in form.guest_files.forms] == ["/b"]


def test_an_installers_machine_is_told_nothing_and_asked_for_nothing(
    post: Callable[..., Any], fake_provider: Provider
) -> None:
    iso = Image.objects.create(provider=fake_provider, external_id="i-2", name="a.iso", size_gib=1, is_iso=True)
    assert post(image=str(iso.uuid), disk_gib="5", **rows("file", {"path": "wrong"})).status_code == 302
    assert spec()["cloud_init"] is None
