"""A real guest goes back to a moment with all it had in mind; its clone is somebody else, and moves while it runs."""

from __future__ import annotations

import uuid
from contextlib import closing, suppress

import pytest

from providers.base import (
    CloudInit,
    ConsoleKind,
    DiskSpec,
    GuestUser,
    ImageSpec,
    NicSpec,
    PowerState,
    ProviderError,
    StreamConsole,
    VmSpec,
)
from providers.guest.passwords import hash_password
from providers.kvm.testing import Backend
from tests.providers.kvm.hosts import Host
from tests.providers.kvm.test_guest import GUEST, PASSWORD, Terminal

pytestmark = [pytest.mark.live, pytest.mark.slow]


class Session(Terminal):
    """A serial line of a VM, of which only whole answers are read."""

    def __init__(self, host: Backend | Host, external_id: str) -> None:
        target = host.driver.consoles.open(external_id, ConsoleKind.SERIAL)
        assert isinstance(target, StreamConsole)
        self._socket = target.connect()
        super().__init__(self._socket)

    def close(self) -> None:
        self._socket.close()

    def log_in(self, host: str) -> None:
        self.wait_for(f"{host} login:")
        self.type("ada")
        self.wait_for("Password:")
        self.type(PASSWORD)
        self.wait_for("$")

    def ask(self, command: str) -> str:
        # The line echoes what is typed, so the words that mark an answer are not typed as they are said.
        self.type(f"echo be''gin; {command}; echo en''d")
        self.wait_for("begin\r\n")
        return self.wait_for("end\r\n").strip().replace("\r\n", "\n")


def test_it_goes_back_with_its_memory_and_its_clone_is_another_and_moves(
    backend: Backend, request: pytest.FixtureRequest
) -> None:
    if not GUEST.exists():
        pytest.skip(f"the guest image {GUEST} is not built")
    driver = backend.driver
    image = driver.images.add(ImageSpec(name=f"{backend.name}-moments", path=str(GUEST), pool=backend.name))
    names = [f"{backend.name}-original", f"{backend.name}-clone"]

    def clear() -> None:
        for name in names:
            with suppress(ProviderError):
                driver.machines.delete(driver.machines.find(name).external_id, with_snapshots=True)
        driver.images.delete(image.external_id)

    request.addfinalizer(clear)
    ada = GuestUser(name="ada", password_hash=hash_password(PASSWORD, rounds=5000))
    vm = driver.machines.create(
        VmSpec(
            name=names[0],
            portal_uuid=str(uuid.uuid4()),
            memory_mib=256,
            disks=(DiskSpec(image=image.external_id, size_gib=1),),
            nics=(NicSpec(network=backend.network),),
            cloud_init=CloudInit(users=(ada,)),
        )
    )
    with closing(Session(backend, vm.external_id)) as session:
        session.log_in(names[0])
        session.ask("echo before > note; sync; mood=happy")
        its_id = session.ask("cat /etc/machine-id")
        driver.snapshots.create(vm.external_id, "then", memory=True)
        session.ask("echo after > note; sync; mood=sad")
        assert session.ask("cat note; echo $mood") == "after\nsad"
    driver.snapshots.revert(vm.external_id, "then")
    with closing(Session(backend, vm.external_id)) as session:
        assert session.ask("cat note; echo $mood") == "before\nhappy"

    driver.power.stop(vm.external_id, force=True)
    driver.snapshots.delete(vm.external_id, "then")
    clone = driver.clones.clone(vm.external_id, names[1], start=True, portal_uuid=str(uuid.uuid4()))
    with closing(Session(backend, clone.external_id)) as session:
        session.log_in(names[1])
        assert session.ask("hostname; cat note") == f"{names[1]}\nbefore"
        assert session.ask("cat /etc/machine-id") != its_id
        session.ask("echo written here > note; sync; mood=travelling")
    card = (clone.nics or ())[0]
    assert card.mac != (vm.nics or ())[0].mac

    # The other host has no such network.
    driver.nics.remove(clone.external_id, card.external_id)
    there = Host()
    request.addfinalizer(there.close)
    moved = driver.migration.migrate(clone.external_id, there.driver, copy_storage=True)
    assert moved.power is PowerState.RUNNING
    assert names[1] not in {each.name for each in driver.machines.list()}
    with closing(Session(there, moved.external_id)) as session:
        session.type("")
        assert session.ask("hostname; cat note; echo $mood") == f"{names[1]}\nwritten here\ntravelling"
