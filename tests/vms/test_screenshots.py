"""Pictures of screens: taken only while somebody looks who may, small, kept for minutes, and off where unwanted."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from django.test import Client
from PIL import Image
from pytest_django import Settings

from kvweb.accounts.models import Membership, User
from kvweb.audit.models import AuditEntry
from providers.base import Conflict, Picture
from providers.pool import driver_for
from tests.vms.conftest import MakeMachine, Press
from vms import screenshots
from vms.models import VirtualMachine
from vms.screenshots_camera import AFTER_FAILURE_S, Camera

ClientOf = Callable[[User], Client]
Looks = dict[str, set[UUID]]


@pytest.fixture(autouse=True)
def _home(settings: Settings, tmp_path: Path) -> None:
    settings.KVWEB_HOME = tmp_path


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    """Who looked at what, in place of Redis."""
    seen: Looks = {"list": set(), "page": set()}
    monkeypatch.setattr(screenshots, "look", lambda vms, place: seen[place].update(vm.uuid for vm in vms))
    return seen


@pytest.fixture
def vm(machine: MakeMachine) -> VirtualMachine:
    return machine("web-1", start=True)


@pytest.fixture
def taken(vm: VirtualMachine) -> VirtualMachine:
    """A machine whose screen was pictured."""
    with driver_for(vm.provider) as driver:
        Camera(vm.provider).take(driver, vm)
    return vm


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def test_who_may_open_the_console_sees_its_picture(
    taken: VirtualMachine, bob: User, client_of: ClientOf, looks: Looks
) -> None:
    client = client_of(bob)
    told = client.get(f"/vms/screens?ids={taken.uuid},nonsense").json()
    assert told[str(taken.uuid)] == pytest.approx(time.time(), abs=30)
    assert looks == {"list": {taken.uuid}, "page": set()}
    client.get(f"/vms/screens?place=page&ids={taken.uuid}")
    assert looks["page"] == {taken.uuid}
    large, small = client.get(f"/vms/{taken.uuid}/screen"), client.get(f"/vms/{taken.uuid}/screen?size=row")
    assert large.headers["Content-Type"] == "image/webp"
    assert large.headers["Cache-Control"] == "no-store"
    assert opened(large.content).size == (640, 400)
    assert opened(small.content).size == (160, 100)
    # A dark screen with a few lines of text.
    assert 0.002 < sum(opened(large.content).convert("L").histogram()[128:]) / (640 * 400) < 0.2
    assert len(small.content) < 6000


def test_strangers_and_viewers_see_none_and_have_none_taken(
    taken: VirtualMachine, alice: User, charlie: User, client_of: ClientOf, looks: Looks
) -> None:
    Membership.objects.filter(user=alice).update(role="viewer")
    for user in (alice, charlie):
        client = client_of(user)
        assert client.get(f"/vms/screens?ids={taken.uuid}").json() == {}
        assert client.get(f"/vms/{taken.uuid}/screen").status_code == 404
        assert looks == {"list": set(), "page": set()}
        assert "data-screen" not in client.get(f"/vms/{taken.uuid}/").content.decode()


def test_a_machine_can_be_kept_from_being_pictured(
    taken: VirtualMachine, alice: User, press: Press, client_of: ClientOf, looks: Looks
) -> None:
    assert "data-screen" in client_of(alice).get(f"/vms/{taken.uuid}/").content.decode()
    press(alice, taken, "show-screen")
    taken.refresh_from_db()
    assert not taken.shows_screen
    assert screenshots.taken_at(taken.uuid) is None
    assert client_of(alice).get(f"/vms/screens?ids={taken.uuid}").json() == {}
    assert looks["list"] == set()
    assert Camera(taken.provider).next_of({taken.uuid: 5.0}) is None
    assert AuditEntry.objects.get(verb="vm.show_screen").details == {"shows_screen": False}
    press(alice, taken, "show-screen", shows_screen="on")
    taken.refresh_from_db()
    assert taken.shows_screen


def test_the_picture_that_is_due_for_longest_is_next(machine: MakeMachine) -> None:
    first, second = machine("one", start=True), machine("two", start=True)
    camera = Camera(first.provider)
    with driver_for(first.provider) as driver:
        camera.take(driver, first)
        camera.take(driver, second)
    wanted = {first.uuid: screenshots.LIST_S, second.uuid: screenshots.PAGE_S}
    assert camera.next_of(wanted) is None
    for vm in (first, second):
        old = time.time() - 31
        os.utime(screenshots.folder() / f"{vm.uuid.hex}-page.webp", (old, old))
    chosen = camera.next_of(wanted)
    assert chosen is not None
    assert chosen.uuid == second.uuid
    assert camera.next_of({uuid4(): 5.0}) is None


def test_a_machine_without_a_picture_is_left_alone_for_a_while(
    taken: VirtualMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    camera = Camera(taken.provider)
    with driver_for(taken.provider) as driver:
        assert driver.consoles is not None

        def refuse(external_id: str) -> Picture:
            raise Conflict("The VM has no screen.")

        monkeypatch.setattr(driver.consoles, "screenshot", refuse)
        camera.take(driver, taken)
        assert screenshots.taken_at(taken.uuid) is None
        assert camera.next_of({taken.uuid: 5.0}) is None
        monkeypatch.setattr(
            driver.consoles, "screenshot", lambda _: Picture(media_type="image/png", data=b"no picture")
        )
        camera.take(driver, taken)
        assert screenshots.read(taken.uuid, "page") is None
    assert AFTER_FAILURE_S > screenshots.PAGE_S


def test_a_picture_larger_than_any_screen_is_not_unpacked(vm: VirtualMachine) -> None:
    with pytest.raises(screenshots.NoPicture):
        screenshots.keep(
            vm.uuid, Picture(media_type="image/x-portable-pixmap", data=b"P6 90000 90000 255\n" + bytes(99))
        )


def test_old_pictures_are_swept_away(taken: VirtualMachine) -> None:
    assert screenshots.sweep() == 0
    old = time.time() - screenshots.KEPT_S - 1
    for file in screenshots.folder().iterdir():
        assert file.stat().st_mode & 0o777 == 0o600
        os.utime(file, (old, old))
    assert screenshots.taken_at(taken.uuid) is None
    assert screenshots.read(taken.uuid, "page") is None
    assert screenshots.sweep() == 2
    assert list(screenshots.folder().iterdir()) == []
