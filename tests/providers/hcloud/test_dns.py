"""DNS: what is sent is what Hetzner's reference says, and names and texts come back as they were meant."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from providers.base import AlreadyExists, Conflict, DnsSpec, InvalidRequest, NotFound
from providers.hcloud.driver import HcloudDriver
from tools.peers.hcloud.contract import contract
from tools.peers.hcloud.server import Peer
from tools.peers.hcloud.services import add_zone


@pytest.fixture(autouse=True)
def _zone(peer: Peer) -> None:
    add_zone(peer.cloud, "demo.test")


RECORDS = [
    ("www", "A", "192.0.2.7", "www"),
    ("WWW.Demo.Test.", "AAAA", "2001:db8::7", "www"),
    ("demo.test", "MX", "10 mail.demo.test.", "@"),
    ("münchen", "CNAME", "www.demo.test.", "xn--mnchen-3ya"),
    ("_acme", "TXT", 'it says "so" \\ here', "_acme"),
    ("*", "A", "192.0.2.8", "*"),
]


@pytest.mark.parametrize(("name", "kind", "data", "kept"), RECORDS, ids=[each[0] for each in RECORDS])
def test_a_record_is_kept_listed_and_taken_away(
    driver: HcloudDriver, name: str, kind: str, data: str, kept: str
) -> None:
    spec = DnsSpec(zone="demo.test", name=name, type=kind, data=data, ttl_s=5)
    assert driver.dns.reserve(spec).name == kept
    (found,) = driver.dns.list("demo.test")
    # Less than a minute there is not.
    assert (found.name, found.type, found.data, found.ttl_s) == (kept, kind, data, 60)
    with pytest.raises(AlreadyExists):
        driver.dns.reserve(spec)
    driver.dns.reserve(spec.model_copy(update={"ttl_s": 600}), force=True)
    assert driver.dns.list("demo.test")[0].ttl_s == 600
    driver.dns.delete("demo.test", name)
    assert driver.dns.list("demo.test") == []


def test_a_long_text_is_cut_into_pieces_that_dns_can_carry(driver: HcloudDriver, peer: Peer) -> None:
    driver.dns.reserve(DnsSpec(zone="demo.test", name="key", type="TXT", data="v" * 400))
    (zone,) = peer.cloud.tables["zones"].values()
    (record,) = zone["rrsets"]["key/TXT"]["records"]
    assert [len(piece) for piece in record["value"].split(" ")] == [252, 152]


def test_what_is_not_there_or_cannot_be_is_said(driver: HcloudDriver, peer: Peer) -> None:
    with pytest.raises(NotFound):
        driver.dns.list("other.test")
    with pytest.raises(InvalidRequest):
        driver.dns.reserve(DnsSpec(zone="demo.test", name="ü" * 70, data="192.0.2.1"))
    copied = peer.failing("incorrect_zone_mode", method="POST", path="rrsets$")
    with copied, pytest.raises(Conflict, match="copied from another"):
        driver.dns.reserve(DnsSpec(zone="demo.test", name="www", data="192.0.2.1"))


def test_the_stand_in_would_notice_what_the_reference_forbids(peer: Peer) -> None:
    headers = {"Authorization": f"Bearer {peer.cloud.token}"}
    wrong: list[dict[str, Any]] = [
        {"name": "WWW", "type": "A", "records": [{"value": "192.0.2.1"}]},
        {"name": "www.", "type": "A", "records": [{"value": "192.0.2.1"}]},
        {"name": "www", "type": "SPF", "records": [{"value": "x"}]},
        {"name": "www", "type": "A", "records": []},
        {"name": "www", "type": "A", "ttl": 5, "records": [{"value": "192.0.2.1"}]},
        {"name": "www", "type": "A", "records": [{"data": "192.0.2.1"}]},
    ]
    for body in wrong:
        before = len(peer.violations)
        requests.post(f"{peer.url}/zones/demo.test/rrsets", json=body, headers=headers, timeout=5)
        assert len(peer.violations) > before, body
    peer.violations.clear()
    assert ("GET", "/zones") in contract().covers
