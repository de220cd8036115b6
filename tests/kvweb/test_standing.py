"""A page that was open for long: its session may be over, its token older than the latest sign-in."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from kvweb.accounts.models import User
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


def test_a_page_asks_who_is_signed_in(alice: User, client_of: Callable[[User], Client]) -> None:
    assert client_of(alice).get("/standing", headers=HTMX).json()["person"] == "alice"
    assert Client().get("/standing", headers=HTMX).status_code == 401


def test_a_page_older_than_the_latest_sign_in_goes_on_with_a_fresh_token(alice: User) -> None:
    client = Client(enforce_csrf_checks=True)
    answer = client.get("/accounts/login/")
    old = str(answer.context["csrf_token"])
    signed_in = client.post("/accounts/login/", {"login": "alice", "password": PASSWORD, "csrfmiddlewaretoken": old})
    assert signed_in.status_code == 302
    refused = client.post("/vms/bulk", headers=HTMX | {"X-CSRFToken": old})
    assert (refused.status_code, refused.headers["X-Old-Page"]) == (403, "1")
    fresh = client.get("/standing", headers=HTMX).json()["token"]
    assert client.post("/vms/bulk", headers=HTMX | {"X-CSRFToken": fresh}).status_code != 403
    # The second of two tabs with the form of signing in says it in words.
    page = client.post("/accounts/login/", {"login": "alice", "password": PASSWORD, "csrfmiddlewaretoken": old})
    assert page.status_code == 403
    assert "This page is too old" in page.content.decode()


def test_an_address_that_the_portal_was_not_told_is_named_as_the_reason() -> None:
    client = Client(enforce_csrf_checks=True)
    answer = client.post("/accounts/login/", {"login": "alice"}, headers={"Origin": "https://vms.example"})
    assert answer.status_code == 403
    assert "KVWEB_TRUSTED_ORIGINS" in answer.content.decode()
    assert "X-Old-Page" not in answer.headers
