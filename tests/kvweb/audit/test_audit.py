"""Audit entries are written once and stay."""

from __future__ import annotations

import pytest
from django.test import RequestFactory

from kvweb.accounts.models import User
from kvweb.audit.context import Acting, acting_as, address_of
from kvweb.audit.models import AuditEntry
from kvweb.audit.services import record

pytestmark = pytest.mark.django_db


def test_an_entry_names_who_acts(alice: User) -> None:
    with acting_as(Acting(alice.pk, "alice", "192.0.2.7")):
        entry = record("vm.start", subject="vm:1", subject_name="web-1")
    assert (entry.actor, entry.actor_name, entry.address) == (alice, "alice", "192.0.2.7")


def test_an_entry_outlives_the_account(alice: User) -> None:
    record("vm.start", subject="vm:1", actor=alice)
    alice.delete()
    assert AuditEntry.objects.get().actor_name == "alice"


def test_an_entry_cannot_be_changed_or_deleted() -> None:
    entry = record("vm.start", subject="vm:1")
    entry.verb = "vm.nothing"
    with pytest.raises(TypeError):
        entry.save()
    with pytest.raises(TypeError):
        entry.delete()


def test_an_address_that_a_client_made_up_is_not_believed() -> None:
    request = RequestFactory().get("/", HTTP_X_FORWARDED_FOR="203.0.113.9, 192.0.2.7")
    assert address_of(request) == "192.0.2.7"
