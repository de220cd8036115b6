"""Subnets, object storage, names, load balancers and floating addresses: what the shared promises do not ask."""

from __future__ import annotations

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from providers.base import (
    AlreadyExists,
    Conflict,
    DiskSpec,
    DnsSpec,
    FetchRules,
    ImageSpec,
    InvalidRequest,
    LoadBalancerSpec,
    NetworkMode,
    NetworkSpec,
    NicSpec,
    NotSupported,
    OutOfCapacity,
    ProviderError,
    QuotaExceeded,
    SubnetSpec,
    VmRecord,
    VmSpec,
)
from providers.openstack.buckets import OpenStackBuckets
from providers.openstack.config import OpenStackConfig
from providers.openstack.dns import OpenStackDns
from providers.openstack.driver import OpenStackDriver
from providers.openstack.load_balancers import OpenStackLoadBalancers
from tools.peers.openstack.simulator import ZONE, Simulator

#: Facet → the service's type in the catalogue, and where its calls go.
OPTIONAL = {
    "buckets": ("object-store", "GET /swift"),
    "dns": ("dns", "GET /dns/v2/zones"),
    "load_balancers": ("load-balancer", "GET /balancing/v2.0/lbaas"),
}


@pytest.fixture
def vm(simulator: Simulator, driver: OpenStackDriver) -> VmRecord:
    image, network = simulator.content["image"], simulator.content["network"]
    return driver.machines.create(
        VmSpec(
            name="kvweb-test-web",
            portal_uuid="web",
            flavor="kvweb.tiny",
            disks=(DiskSpec(image=image),),
            nics=(NicSpec(network=network),),
        )
    )


@pytest.fixture
def balancers(driver: OpenStackDriver) -> OpenStackLoadBalancers:
    assert driver.load_balancers is not None
    return driver.load_balancers


@pytest.fixture
def buckets(driver: OpenStackDriver) -> OpenStackBuckets:
    assert driver.buckets is not None
    return driver.buckets


@pytest.fixture
def dns(driver: OpenStackDriver) -> OpenStackDns:
    assert driver.dns is not None
    return driver.dns


# -- services that not every cloud has ---------------------------------------------------------------------------------


def test_what_the_catalogue_lacks_is_no_capability(simulator: Simulator, config: OpenStackConfig) -> None:
    simulator.cloud.absent = frozenset(kind for kind, _ in OPTIONAL.values())
    with OpenStackDriver(config) as driver:
        can = driver.probe()
        told = driver.host.info().details if driver.host else {}
    assert {facet: getattr(can, facet) for facet in OPTIONAL} == dict.fromkeys(OPTIONAL)
    assert can.subnets is not None
    assert told["services_absent"] == "dns, load-balancer, object-store"


@pytest.mark.parametrize("facet", OPTIONAL)
@pytest.mark.parametrize("answer", ["403", "404", "503", "cut"])
def test_a_service_that_is_listed_and_not_to_be_used_spoils_nothing_else(
    facet: str, answer: str, simulator: Simulator, driver: OpenStackDriver
) -> None:
    simulator.fail(OPTIONAL[facet][1], answer)
    can = driver.probe()
    assert {name for name in OPTIONAL if getattr(can, name) is None} == {facet}


def test_zones_are_a_choice_where_there_are_several(simulator: Simulator, driver: OpenStackDriver) -> None:
    assert driver.probe().machines.zones == {"cellar": "cellar", "nova": "nova"}
    simulator.cloud.zones = ("nova",)
    assert driver.probe().machines.zones == {}


# -- images ------------------------------------------------------------------------------------------------------------


class Shelf(BaseHTTPRequestHandler):
    """A vendor's page with one image."""

    image = bytes(range(256)) * 512

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.image)))
        self.end_headers()
        self.wfile.write(self.image)

    def log_message(self, *words: object) -> None:
        del words


def test_an_image_comes_from_an_address_as_it_lies_there(simulator: Simulator, driver: OpenStackDriver) -> None:
    shelf = ThreadingHTTPServer(("127.0.0.1", 0), Shelf)
    threading.Thread(target=shelf.serve_forever, daemon=True).start()
    spec = ImageSpec(
        name="from-afar",
        url=f"http://127.0.0.1:{shelf.server_port}/small.raw",
        checksum=f"sha256:{hashlib.sha256(Shelf.image).hexdigest()}",
        fetch=FetchRules(http=True, networks=("127.0.0.0/8",)),
    )
    try:
        made = driver.images.add(spec)
        before = set(simulator.cloud.of("images"))
        with pytest.raises(ProviderError):
            driver.images.add(spec.model_copy(update={"name": "another", "checksum": f"sha256:{'0' * 64}"}))
    finally:
        shelf.shutdown()
        shelf.server_close()
    same = simulator.cloud.blobs[made.external_id] == Shelf.image
    assert same
    assert set(simulator.cloud.of("images")) == before
    assert "from-afar" in {image.name for image in driver.images.list()}


# -- floating addresses ------------------------------------------------------------------------------------------------


def test_a_floating_address_goes_with_its_vm(simulator: Simulator, driver: OpenStackDriver, vm: VmRecord) -> None:
    (nic,) = driver.nics.give_public_address(vm.external_id, (vm.nics or ())[0].external_id).nics or ()
    assert nic.public_address.startswith("172.24.4.")
    assert driver.machines.list()[0].addresses == driver.machines.get(vm.external_id).addresses == nic.addresses
    driver.machines.delete(vm.external_id)
    assert not simulator.cloud.of("floatingips")


def test_a_floating_address_goes_with_its_card(simulator: Simulator, driver: OpenStackDriver, vm: VmRecord) -> None:
    nic = (vm.nics or ())[0].external_id
    driver.nics.give_public_address(vm.external_id, nic)
    driver.nics.remove(vm.external_id, nic)
    assert not simulator.cloud.of("floatingips")


def test_an_address_that_somebody_reserved_is_parted_and_stays_theirs(
    simulator: Simulator, driver: OpenStackDriver, vm: VmRecord
) -> None:
    nic = (vm.nics or ())[0].external_id
    driver.nics.give_public_address(vm.external_id, nic)
    (address,) = simulator.cloud.of("floatingips").values()
    address["description"] = "the shop's"
    assert (driver.nics.take_public_address(vm.external_id, nic).nics or ())[0].public_address == ""
    assert [each["port_id"] for each in simulator.cloud.of("floatingips").values()] == [None]


def test_why_there_is_no_address_is_told(simulator: Simulator, driver: OpenStackDriver, vm: VmRecord) -> None:
    nic = (vm.nics or ())[0].external_id
    cards = driver.nics.add(vm.external_id, NicSpec(network=simulator.content["other_network"])).nics or ()
    other = next(card.external_id for card in cards if card.external_id != nic)
    with pytest.raises(Conflict, match="No router leads from the card's network to “public”"):
        driver.nics.give_public_address(vm.external_id, other)
    simulator.cloud.quota["floatingips"] = 0
    with pytest.raises(QuotaExceeded, match="floatingip"):
        driver.nics.give_public_address(vm.external_id, nic)


# -- subnets -----------------------------------------------------------------------------------------------------------


def test_a_subnet_is_led_outside_unless_it_is_private(simulator: Simulator, driver: OpenStackDriver) -> None:
    network = driver.networks.create(NetworkSpec(name="lab", mode=NetworkMode.NAT, cidr="10.77.0.0/24"))
    wish = SubnetSpec(name="open", network=network.external_id, cidr="10.77.1.0/24")
    opened = driver.subnets.create(wish)
    closed = driver.subnets.create(
        wish.model_copy(update={"name": "closed", "cidr": "10.77.2.0/24", "private": True, "dhcp": False})
    )
    assert (opened.is_private, closed.is_private) == (False, True)
    told = simulator.cloud.of("subnets")[closed.external_id]
    assert (told["gateway_ip"], told["enable_dhcp"]) == (None, False)
    with pytest.raises(InvalidRequest, match="keeps its range"):
        driver.subnets.update(opened.external_id, wish.model_copy(update={"cidr": "10.77.3.0/24"}))
    with pytest.raises(AlreadyExists, match="“open” has the range"):
        driver.subnets.create(wish.model_copy(update={"name": "across", "cidr": "10.77.1.128/25"}))
    driver.subnets.delete(opened.external_id)
    driver.networks.delete(network.external_id)
    assert closed.external_id not in simulator.cloud.of("subnets")


def test_a_subnet_is_not_deleted_under_a_vm(driver: OpenStackDriver, vm: VmRecord, simulator: Simulator) -> None:
    own = next(one for one in driver.subnets.list() if one.network == simulator.content["network"])
    for force in (False, True):
        with pytest.raises(Conflict, match="VMs have addresses"):
            driver.subnets.delete(own.external_id, force=force)


def test_a_subnet_that_cannot_be_led_outside_is_taken_back(simulator: Simulator, driver: OpenStackDriver) -> None:
    network = driver.networks.create(NetworkSpec(name="lab", mode=NetworkMode.NAT, cidr="10.77.0.0/24"))
    before = set(simulator.cloud.of("subnets"))
    simulator.fail("PUT /network/v2.0/routers", "500")
    with pytest.raises(ProviderError):
        driver.subnets.create(SubnetSpec(name="half", network=network.external_id, cidr="10.77.1.0/24"))
    simulator.heal()
    assert set(simulator.cloud.of("subnets")) == before


# -- object storage ----------------------------------------------------------------------------------------------------


def test_only_public_buckets_have_public_files(buckets: OpenStackBuckets, tmp_path: Path) -> None:
    file = tmp_path / "a b.txt"
    file.write_text("hello")
    buckets.create("closed")
    buckets.create("open", public=True)
    with pytest.raises(NotSupported, match="public bucket"):
        buckets.upload("closed", file, public=True)
    assert list(buckets.list_files("closed")) == []
    key = buckets.upload("open", file, public=True)
    assert buckets.public_url("open", key).endswith("/swift/v1/AUTH_demo/open/a%20b.txt")
    buckets.upload("closed", file)
    with pytest.raises(Conflict, match="not public"):
        buckets.public_url("closed", "a b.txt")


def test_lists_of_files_are_read_page_by_page(
    buckets: OpenStackBuckets, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    buckets.create("many")
    names = {f"kvweb/{number:02}" for number in range(25)}
    simulator.cloud.kinds["containers"]["many"]["objects"] = dict.fromkeys(names, b"")
    monkeypatch.setattr("providers.openstack.buckets.PAGE", 10)
    assert set(buckets.list_files("many")) == names


def test_an_empty_file_and_a_full_project(buckets: OpenStackBuckets, simulator: Simulator, tmp_path: Path) -> None:
    buckets.create("files")
    (tmp_path / "empty").touch()
    assert buckets.download("files", buckets.upload("files", tmp_path / "empty"), tmp_path).read_bytes() == b""
    (tmp_path / "full").write_text("full")
    simulator.cloud.quota["object_bytes"] = 1
    with pytest.raises(QuotaExceeded):
        buckets.upload("files", tmp_path / "full")
    for key in ("..", "a/.."):
        with pytest.raises(InvalidRequest, match="name of a file"):
            buckets.download("files", key, tmp_path)


# -- names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "data", "kept"),
    [
        ("A", "192.0.2.1", "192.0.2.1"),
        ("AAAA", "2001:db8::1", "2001:db8::1"),
        ("CNAME", "www.example.org", "www.example.org."),
        ("TXT", 'v=spf1 "a" -all', '"v=spf1 \\"a\\" -all"'),
        ("MX", "10 mail.example.org.", "10 mail.example.org."),
    ],
)
def test_records_are_kept_as_designate_wants_them(
    kind: str, data: str, kept: str, dns: OpenStackDns, simulator: Simulator
) -> None:
    simulator.cloud.delay_s = 0.2
    dns.reserve(DnsSpec(zone=ZONE, name="host", type=kind, data=data))
    (told,) = simulator.cloud.of("recordsets").values()
    assert (told["name"], told["records"], told["status"]) == (f"host.{ZONE}.", [kept], "ACTIVE")
    assert dns.list(ZONE)[0].data == (data if kind == "TXT" else kept)
    dns.delete(ZONE, "host", all_entries=True)
    assert not simulator.cloud.of("recordsets")


def test_the_zone_itself_and_what_is_below_a_name(dns: OpenStackDns) -> None:
    for name in ("@", "web", "a.web", "www"):
        dns.reserve(DnsSpec(zone=ZONE, name=name, data="192.0.2.1"))
    dns.reserve(DnsSpec(zone=ZONE, name="web", type="TXT", data="kept"))
    dns.delete(ZONE, "web")
    assert sorted((one.name, one.type) for one in dns.list(ZONE)) == [
        ("@", "A"),
        ("a.web", "A"),
        ("web", "TXT"),
        ("www", "A"),
    ]
    dns.delete(ZONE, "web", all_entries=True)
    assert {one.name for one in dns.list(ZONE)} == {"@", "www"}
    for kind, data in (("A", "2001:db8::1"), ("AAAA", "nobody"), ("SOA", "x")):
        with pytest.raises(InvalidRequest):
            dns.reserve(DnsSpec(zone=ZONE, name="wrong", type=kind, data=data))


# -- load balancers ----------------------------------------------------------------------------------------------------


def test_a_balancer_stands_outside_and_takes_its_address_along(
    balancers: OpenStackLoadBalancers, simulator: Simulator, vm: VmRecord
) -> None:
    simulator.cloud.delay_s = 0.2
    wish = LoadBalancerSpec(name="web", protocol="http", ports=(80,), targets=(vm.external_id,), check_path="/alive")
    made = balancers.create(wish)
    assert made.address.startswith("172.24.4.")
    assert (made.protocol, made.ports, made.targets) == ("http", (80,), (vm.external_id,))
    (listener,) = simulator.cloud.of("listeners").values()
    assert listener["_pool"]["healthmonitor"]["url_path"] == "/alive"
    assert list(balancers.list()) == [made]
    inside = balancers.create(wish.model_copy(update={"name": "inside", "internal": True}))
    assert inside.address.startswith("10.20.")
    for each in (made, inside):
        balancers.delete(each.external_id)
    assert not any(simulator.cloud.of(kind) for kind in ("loadbalancers", "listeners", "floatingips"))


@pytest.mark.parametrize(
    ("where", "error"),
    [
        ("", OutOfCapacity),
        ("POST /network/v2.0/floatingips", ProviderError),
        ("GET /balancing/v2.0/lbaas/listeners", ProviderError),
    ],
)
def test_a_balancer_that_breaks_off_leaves_nothing(
    where: str, error: type[ProviderError], balancers: OpenStackLoadBalancers, simulator: Simulator, vm: VmRecord
) -> None:
    ports = set(simulator.cloud.of("ports"))
    simulator.cloud.host_is_full = not where
    if where:
        simulator.fail(where, "500")
    with pytest.raises(error):
        balancers.create(LoadBalancerSpec(name="web", ports=(80,), targets=(vm.external_id,)))
    simulator.heal()
    assert not any(simulator.cloud.of(kind) for kind in ("loadbalancers", "listeners", "floatingips"))
    assert set(simulator.cloud.of("ports")) == ports


def test_what_octavia_says_is_told(balancers: OpenStackLoadBalancers, simulator: Simulator, vm: VmRecord) -> None:
    wish = LoadBalancerSpec(name="web", ports=(80,), targets=(vm.external_id,))
    simulator.cloud.quota["loadbalancers"] = 0
    with pytest.raises(QuotaExceeded):
        balancers.create(wish)
    for change in ({"ports": (0,)}, {"protocol": "smoke"}, {"targets": ()}):
        with pytest.raises(InvalidRequest):
            balancers.create(wish.model_copy(update=change))


def test_a_list_costs_its_pages_and_one_question_for_each(
    balancers: OpenStackLoadBalancers, simulator: Simulator, vm: VmRecord
) -> None:
    for number in range(3):
        balancers.create(LoadBalancerSpec(name=f"web-{number}", ports=(80,), targets=(vm.external_id,), internal=True))
    before = simulator.cloud.calls
    assert len(balancers.list()) == 3
    budget = json.loads((Path(__file__).parents[2] / "budgets" / "calls.json").read_text())["openstack"]
    assert simulator.cloud.calls - before == budget["load balancers, each"] * 3 + 4
