"""Options of servers: each is set by its action, at the making and later; what fails leaves nothing or the others."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

import pytest

from providers.base import Conflict, DiskSpec, InvalidRequest, NotFound, ProviderError, ProviderEvent, VmSpec
from providers.hcloud.driver import HcloudDriver
from providers.hcloud.testing import config_of
from tools.peers.hcloud.server import Peer

PLAIN = VmSpec(name="web-1", flavor="cx22", disks=(DiskSpec(image="1000"),), start=False)
WISHES: Mapping[str, Any] = {
    "firewalls": ["web"],
    "floating_ips": ["front"],
    "placement_group": "apart",
    "backups": True,
    "protected": True,
}


@pytest.fixture(autouse=True)
def _project(driver: HcloudDriver) -> None:
    """Firewalls, an address and a group that somebody made at Hetzner."""
    for name in ("web", "mail"):
        driver.api.post("/firewalls", {"name": name, "rules": []})
    driver.api.post("/floating_ips", {"name": "front", "type": "ipv4", "home_location": "fsn1"})
    driver.api.post("/placement_groups", {"name": "apart", "type": "spread"})


def told(driver: HcloudDriver, external_id: str) -> Mapping[str, Any]:
    live = driver.reshape.options(external_id).live
    (listed,) = driver.machines.list()
    assert live == listed.options
    return live


@pytest.mark.parametrize("is_late", [False, True], ids=["at the making", "later"])
def test_options_are_set_told_and_taken_back(driver: HcloudDriver, is_late: bool) -> None:
    vm = driver.machines.create(PLAIN if is_late else PLAIN.model_copy(update={"options": dict(WISHES)}))
    if is_late:
        assert told(driver, vm.external_id)["backups"] is False
        assert driver.reshape.set_options(vm.external_id, WISHES).options == told(driver, vm.external_id)
    assert {name: told(driver, vm.external_id)[name] for name in WISHES} == WISHES
    with pytest.raises(Conflict, match="protected"):
        driver.machines.delete(vm.external_id)
    # Again is no harm, and one alone leaves the others.
    driver.reshape.set_options(vm.external_id, WISHES)
    driver.reshape.set_options(vm.external_id, {"firewalls": ["mail"]})
    assert {name: told(driver, vm.external_id)[name] for name in WISHES} == {**WISHES, "firewalls": ["mail"]}
    nothing = {"firewalls": [], "floating_ips": [], "placement_group": "", "backups": False, "protected": False}
    driver.reshape.set_options(vm.external_id, nothing)
    assert {name: told(driver, vm.external_id)[name] for name in WISHES} == nothing
    driver.machines.delete(vm.external_id)


def test_what_is_settled_or_not_there_is_refused(driver: HcloudDriver) -> None:
    vm = driver.machines.create(PLAIN)
    wrong: list[tuple[dict[str, Any], type[ProviderError]]] = [
        ({"public_ipv4": False}, Conflict),
        ({"ssh_keys": ["mine"]}, Conflict),
        ({"firewalls": ["none such"]}, NotFound),
        ({"placement_group": "none such"}, NotFound),
        ({"no_such_option": 1}, InvalidRequest),
    ]
    for wish, error in wrong:
        with pytest.raises(error):
            driver.reshape.set_options(vm.external_id, {"backups": True, **wish})
    # Nothing of a wish is done when a part of it cannot be.
    assert told(driver, vm.external_id)["backups"] is False
    driver.power.start(vm.external_id)
    with pytest.raises(Conflict, match="Stop the VM"):
        driver.reshape.set_options(vm.external_id, {"placement_group": "apart"})
    other = driver.machines.create(PLAIN.model_copy(update={"name": "web-2"}))
    driver.reshape.set_options(vm.external_id, {"floating_ips": ["front"]})
    with pytest.raises(Conflict, match="Another VM"):
        driver.reshape.set_options(other.external_id, {"floating_ips": ["front"]})


@pytest.mark.parametrize("path", ["enable_backup", "change_protection", r"floating_ips/\d+/actions/assign"])
@pytest.mark.parametrize("kind", ["unavailable", "lost"])
def test_a_making_that_fails_at_an_option_leaves_nothing(
    driver: HcloudDriver, peer: Peer, path: str, kind: str
) -> None:
    wish = PLAIN.model_copy(update={"options": dict(WISHES)})
    with peer.failing(kind, method="POST", path=path, times=1), pytest.raises(ProviderError):
        driver.machines.create(wish)
    assert driver.machines.list() == []
    assert driver.api.pages("floating_ips")[0]["server"] is None
    assert driver.api.pages("placement_groups")[0]["servers"] == []


def test_the_form_offers_what_the_project_has(driver: HcloudDriver) -> None:
    machines = driver.probe().machines
    assert machines.option_choices["floating_ips"] == {"front": "front"}
    assert machines.option_choices["placement_group"] == {"": "none", "apart": "apart"}
    assert set(machines.option_refusals) == {"ssh_keys"}


# -- news --------------------------------------------------------------------------------------------------------------


def test_news_cost_a_request_each_look_and_many_are_a_resync(driver: HcloudDriver, peer: Peer) -> None:
    heard: list[ProviderEvent] = []
    stop = threading.Event()
    with HcloudDriver(config_of(peer)) as listening:
        thread = threading.Thread(target=listening.events.watch, args=(heard.append, stop))
        thread.start()
        try:
            time.sleep(0.3)
            vm = driver.machines.create(PLAIN)
            until = time.monotonic() + 10
            while not any(each.external_id == vm.external_id for each in heard) and time.monotonic() < until:
                time.sleep(0.05)
            heard.clear()
            with peer.cloud.lock:
                for _ in range(60):
                    peer.cloud.act("reboot_server", [("server", int(vm.external_id))])
            while not any(each.topic == "resync" for each in heard) and time.monotonic() < until:
                time.sleep(0.05)
        finally:
            stop.set()
            thread.join(5)
    assert not thread.is_alive()
    assert any(each.topic == "resync" for each in heard)
    assert {path for method, path in peer.cloud.seen if path.endswith("/actions")} <= {"/servers/actions"}
