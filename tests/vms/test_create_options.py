"""Options of the provider's kind on the create page."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from kvweb.accounts.models import User
from kvweb.jobs.models import Job
from providers.models import Provider
from providers.secrets import unseal
from storage.models import Image
from vms.models import VirtualMachine

pytestmark = pytest.mark.django_db
ClientOf = Callable[[User], Client]
SHOWN = {"options_shown": "1"}


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


def the_job() -> Job:
    return Job.objects.get(kind="vm.create")


def options_sent() -> dict[str, Any]:
    spec = json.loads(unseal(the_job().params["spec"])["spec"])
    return dict(spec["options"])


def test_what_differs_from_the_usual_reaches_the_provider(post: Callable[..., Any]) -> None:
    assert post(**SHOWN, option_cpu_model="Nehalem", option_max_vcpus="4", option_vnc_password="").status_code == 302
    assert options_sent() == {"cpu_model": "Nehalem", "max_vcpus": 4}


def test_a_script_that_says_nothing_of_options_gets_the_usual(post: Callable[..., Any]) -> None:
    assert post().status_code == 302
    assert options_sent() == {}


def test_a_wrong_option_is_answered_beside_its_field_and_makes_nothing(post: Callable[..., Any]) -> None:
    response = post(**SHOWN, option_max_vcpus="5000", option_vnc_password="far too long")
    assert response.status_code == 422
    assert not VirtualMachine.objects.exists()
    page = response.content.decode()
    assert "At most 1024" in page
    assert "far too long" not in page


def test_a_secret_option_reaches_the_provider_and_is_remembered_nowhere(post: Callable[..., Any]) -> None:
    post(**SHOWN, option_vnc_password="letmein", option_cpu_model="Nehalem")
    assert options_sent()["vnc_password"] == "letmein"
    remembered = json.dumps(the_job().form)
    assert "letmein" not in remembered
    assert "Nehalem" in remembered


def test_a_form_that_is_shown_again_keeps_the_options(alice: User, client_of: ClientOf, image: Image) -> None:
    values = {**SHOWN, "name": "x", "image": str(image.uuid), "option_ignores_shutdown": "on", "option_max_vcpus": "8"}
    page = client_of(alice).post("/vms/create", {**values, "refresh": "1"}).content.decode()
    assert 'value="8"' in page
    form = client_of(alice).post("/vms/create", {**values, "refresh": "1"}).context["form"]
    assert form["option_ignores_shutdown"].value() in {"on", True}


def test_what_the_host_cannot_give_is_not_offered(
    alice: User, client_of: ClientOf, image: Image, fake_provider: Provider
) -> None:
    features = fake_provider.can.machines.model_copy(update={"option_refusals": {"max_vcpus": "No."}})
    fake_provider.capabilities = fake_provider.can.model_copy(update={"machines": features}).to_json()
    fake_provider.save()
    page = client_of(alice).get(f"/vms/create?image={image.uuid}").content.decode()
    assert "option_cpu_model" in page
    assert "option_max_vcpus" not in page


def test_what_reaches_into_the_host_is_not_taken_from_a_member(
    alice: User, client_of: ClientOf, image: Image, fake_provider: Provider
) -> None:
    fake_provider.kind = "kvm"
    fake_provider.save()
    values = {
        **SHOWN,
        "name": "web-1",
        "image": str(image.uuid),
        "size": "own",
        "vcpus": "1",
        "memory_mib": "512",
        "option_shares": "all=/",
        "option_rng": "on",
        "option_agent": "on",
    }
    assert client_of(alice).post("/vms/create", values).status_code == 302
    assert options_sent() == {}
