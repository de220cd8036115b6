"""The contract's networks, subnets, buckets, security groups, DNS, load balancers and host, seen at the driver."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from providers.base import FirewallRule
from providers.kbase import Kbase
from providers.testing import present
from tests.providers.kbase_props import cloud, done, make, refused


@pytest.fixture
def k() -> Iterator[Kbase]:
    with cloud() as opened:
        yield opened


# -- networks ----------------------------------------------------------------------------------------------------------


def test_a_network_is_made_told_changed_and_deleted(k: Kbase) -> None:
    done(k.create_network("lan", cidr="198.51.100.0/24", domain="lan.test", plan="shop"))
    assert k.net_exists("lan")
    told = k.list_networks()["lan"]
    assert (told["cidr"], told["dhcp"], told["type"], told["mode"]) == ("198.51.100.0/24", True, "routed", "nat")
    assert (told["domain"], told["plan"]) == ("lan.test", "shop")
    assert k.info_network("lan") == {"name": "lan", **told}
    done(k.update_network("lan", dhcp=False, nat=False, domain="other.test"))
    told = k.info_network("lan")
    assert (told["dhcp"], told["mode"], told["domain"], told["plan"]) == (False, "isolated", "other.test", "shop")
    assert told["cidr"] == "198.51.100.0/24"
    done(k.delete_network("lan"))
    assert not k.net_exists("lan")
    assert k.info_network("lan") == {}
    refused(k.delete_network("lan"), "lan")


def test_a_network_may_be_deleted_by_its_range(k: Kbase) -> None:
    done(k.create_network("lan", cidr="198.51.100.0/24", nat=False))
    refused(k.delete_network(cidr="198.51.0.0/16"), "198.51.0.0/16")
    refused(k.delete_network("lan", cidr="198.51.0.0/16"), "range")
    refused(k.delete_network(), "which network")
    done(k.delete_network(cidr="198.51.100.0/24"))
    assert not k.net_exists("lan")


def test_networks_refuse_what_does_not_fit(k: Kbase) -> None:
    refused(k.create_network("lan", cidr="192.168.122.0/25"), "overlaps")
    refused(k.create_network("lan", cidr="300.0.0.0/8"), "range")
    refused(k.create_network("default", cidr="198.51.100.0/24"), "default")
    refused(k.create_network("lan", overrides={"vlan": 4095}), "vlan")
    refused(k.create_network("lan", overrides={"pxe": "server"}), "pxe")
    refused(k.create_network("lan", overrides={"dhcp_start": "10.0.0.1"}), "10.0.0.1")
    refused(k.create_network("lan", overrides={"mode": "magic"}), "magic")
    refused(k.update_network("nothing", dhcp=False), "nothing")
    done(k.create_network("br", overrides={"mode": "bridge", "bridge": "br0"}))
    assert (k.info_network("br")["type"], k.info_network("br")["cidr"]) == ("bridged", "N/A")


def test_a_network_takes_all_its_overrides_and_keeps_what_is_not_named(k: Kbase) -> None:
    wishes = {
        "dhcp_start": "198.51.100.50",
        "dhcp_end": "198.51.100.99",
        "dual_cidr": "fd00:db8::/64",
        "nic": "eth0",
        "vlan": 7,
        "mtu": 9000,
        # The text "False" is no true value.
        "autostart": "False",
        "leases": [{"mac": "52:54:00:00:00:01", "ip": "198.51.100.7", "name": "web"}],
        "dns_hosts": [{"ip": "198.51.100.9", "names": ["www"]}],
    }
    done(k.create_network("lan", cidr="198.51.100.0/24", overrides=wishes))
    told = k.info_network("lan")
    assert (told["dhcp_start"], told["dhcp_end"], told["ip"]) == ("198.51.100.50", "198.51.100.99", "198.51.100.1")
    assert (told["dual_cidr"], told["forward_device"], told["vlan"], told["mtu"]) == ("fd00:db8::/64", "eth0", 7, 9000)
    assert told["leases"] == [{"mac": "52:54:00:00:00:01", "address": "198.51.100.7", "name": "web"}]
    assert told["dns_hosts"] == [{"address": "198.51.100.9", "names": ["www"]}]
    network = next(each for each in present(k.driver.networks).list() if each.name == "lan")
    assert network.autostart is False
    done(k.update_network("lan", domain="lan.test"))
    assert k.info_network("lan") == {**told, "domain": "lan.test"}
    done(k.update_network("lan", overrides={"cidr": "198.51.101.0/24", "leases": []}))
    assert k.info_network("lan")["dhcp_start"] == "198.51.101.10"
    refused(k.update_network("lan", overrides={"mtu": 1}), "mtu")
    done(k.create_network("direct", overrides={"macvtap": True, "nic": "eth0"}))
    assert (k.info_network("direct")["mode"], k.info_network("direct")["forward_device"]) == ("bridge", "eth0")


def test_the_addresses_of_a_vm_are_kept_on_demand(k: Kbase) -> None:
    make(k, nets=["default", "default"], start=True)
    addresses = {net["mac"]: net["ips"][0] for net in k.info("box")["nets"]}
    done(k.update_reserveip("box"))
    kept = {lease["mac"]: lease["address"] for lease in k.info_network("default")["leases"]}
    assert kept == addresses
    done(k.update_reserveip("box"))
    make(k, "off")
    refused(k.update_reserveip("off"), "no address")
    refused(k.update_reserveip("nobody"), "nobody")


def test_a_host_is_entered_in_the_dns_of_its_networks(k: Kbase) -> None:
    make(k, nets=["default", "lab"], start=True)
    first, second = (net["ips"][0] for net in k.info("box")["nets"])
    done(k.reserve_host("box", [], "demo.test"))
    assert k.info_network("default")["dns_hosts"] == [{"address": first, "names": ["box", "box.demo.test"]}]
    assert k.info_network("lab")["dns_hosts"] == [{"address": second, "names": ["box", "box.demo.test"]}]
    done(k.reserve_host("printer", [{"name": "default", "ip": "192.168.122.9"}], None))
    done(k.reserve_host("box", ["default"], None))
    assert {"address": "192.168.122.9", "names": ["printer"]} in k.info_network("default")["dns_hosts"]
    refused(k.reserve_host("printer", ["default"], None), "default")
    refused(k.reserve_host("printer", [], None), "printer")
    refused(k.reserve_host("printer", [{"ip": "192.168.122.9"}], None), "name of its network")
    refused(k.reserve_host("printer", ["nowhere"], None), "nowhere")


def test_a_network_in_use_is_deleted_only_by_force(k: Kbase) -> None:
    done(k.create_network("lan", cidr="198.51.100.0/24"))
    make(k, nets=["lan"])
    assert k.network_ports("lan") == ["box"]
    assert k.network_ports("nothing") == []
    refused(k.delete_network("lan"), "box")
    done(k.delete_network("lan", force=True))
    assert k.vm_ports("box") == []


def test_a_subnet_is_made_told_changed_and_deleted(k: Kbase) -> None:
    done(k.create_subnet("a", "10.20.4.0/24", nat=False, overrides={"network": "lab", "az": "b"}))
    told = k.list_subnets()["a"]
    assert (told["cidr"], told["az"], told["network"], told["private"]) == ("10.20.4.0/24", "b", "lab", True)
    assert k.info_subnet("a") == {"name": "a", **told}
    done(k.update_subnet("a", {"az": "c", "name": "b"}))
    assert k.list_subnets()["b"]["az"] == "c"
    assert k.info_subnet("a") == {}
    done(k.delete_subnet("b"))
    assert "b" not in k.list_subnets()
    refused(k.delete_subnet("b"), "b")
    refused(k.create_subnet("x", "10.20.5.0/24"), "network")
    refused(k.create_subnet("x", "10.99.5.0/24", overrides={"network": "lab"}), "inside")
    refused(k.create_subnet("x", "10.20.5.0/24", overrides={"network": "lab", "magic": 1}), "magic")


def test_a_subnet_with_leases_is_deleted_only_by_force(k: Kbase) -> None:
    done(k.create_subnet("a", "10.20.0.0/24", overrides={"network": "lab"}))
    refused(k.delete_subnet("a"), "addresses")
    done(k.delete_subnet("a", force=True))


# -- buckets -----------------------------------------------------------------------------------------------------------


def test_a_file_goes_into_a_bucket_and_comes_back(k: Kbase, tmp_path: Path) -> None:
    source = tmp_path / "page.html"
    source.write_bytes(b"\x00\xffhello")
    done(k.create_bucket("pages"))
    assert k.list_buckets() == ["pages"]
    answer = done(k.upload_to_bucket("pages", str(source), public=True))
    assert answer["url"] == k.public_bucketfile_url("pages", "page.html")
    assert k.list_bucketfiles("pages") == ["page.html"]
    fetched = k.download_from_bucket("pages", "page.html")
    assert fetched is not None
    assert Path(fetched).read_bytes() == b"\x00\xffhello"
    refused(k.delete_bucket("pages"), "not empty")
    done(k.delete_from_bucket("pages", "page.html"))
    refused(k.delete_from_bucket("pages", "page.html"), "page.html")
    done(k.delete_bucket("pages"))
    assert k.list_buckets() == []


def test_buckets_answer_nothing_for_what_is_not_there(k: Kbase, tmp_path: Path) -> None:
    done(k.create_bucket("private"))
    (tmp_path / "note").write_text("x")
    done(k.upload_to_bucket("private", str(tmp_path / "note")))
    assert k.public_bucketfile_url("private", "note") is None
    assert k.download_from_bucket("private", "nothing") is None
    assert k.list_bucketfiles("nothing") == []
    refused(k.upload_to_bucket("private", str(tmp_path / "missing")), "read")
    refused(k.upload_to_bucket("private", str(tmp_path / "note"), temp_url=True), "expires")
    refused(k.create_bucket("private"), "private")


# -- security groups ---------------------------------------------------------------------------------------------------


def test_a_security_group_is_made_changed_and_deleted(k: Kbase) -> None:
    ports = [22, "80", {"from": 8000, "to": 8080, "protocol": "udp"}]
    done(k.create_security_group("web2", {"ports": ports, "network": "lab"}))
    assert k.list_security_groups() == ["web", "web2"]
    assert k.list_security_groups(network="lab") == ["web2"]
    done(k.update_security_group("web2", {"rules": [{"cidr": "10.0.0.0/8", "ports": [443]}]}))
    assert k.driver.firewalls is not None
    group = next(each for each in k.driver.firewalls.list() if each.name == "web2")
    assert group.rules == (FirewallRule(from_port=443, to_port=443, cidr="10.0.0.0/8"),)
    done(k.delete_security_group("web2"))
    assert k.list_security_groups() == ["web"]
    refused(k.delete_security_group("web2"), "web2")
    refused(k.create_security_group("bad", {"ports": ["ssh"]}), "port")
    refused(k.create_security_group("bad", {"ports": [70000]}), "ports")
    refused(k.create_security_group("bad", {"colour": "red"}), "colour")


# -- DNS ---------------------------------------------------------------------------------------------------------------


def test_names_are_reserved_for_addresses_nets_and_vms(k: Kbase) -> None:
    assert k.list_dns_zones() == ["demo.test"]
    done(k.reserve_dns("a", domain="demo.test", ip="192.0.2.1", alias=["b"]))
    done(k.reserve_dns("c", domain="demo.test", nets=["default", {"name": "lab", "ip": "2001:db8::1"}]))
    make(k, start=True)
    done(k.reserve_dns("box", domain="demo.test"))
    done(k.reserve_dns("d", domain="demo.test", instanceid=k.info("box")["id"]))
    rows = k.list_dns("demo.test")
    assert ["a", "A", 300, "192.0.2.1"] in rows
    assert ["b", "CNAME", 300, "a.demo.test."] in rows
    assert ["c", "AAAA", 300, "2001:db8::1"] in rows
    assert ["box", "A", 300, k.ip("box")] in rows
    assert ["d", "A", 300, k.ip("box")] in rows


def test_names_are_refused_as_a_whole(k: Kbase) -> None:
    before = k.list_dns("demo.test")
    refused(k.reserve_dns("new", domain="demo.test", ip="192.0.2.1", alias=["x", "x"]), "x")
    assert k.list_dns("demo.test") == before
    refused(k.reserve_dns("www", domain="demo.test", ip="192.0.2.1"), "www")
    done(k.reserve_dns("www", domain="demo.test", ip="192.0.2.1", force=True))
    refused(k.reserve_dns("new", ip="192.0.2.1"), "zone")
    refused(k.reserve_dns("nobody", domain="demo.test"), "nobody")
    refused(k.reserve_dns("new", domain="nowhere.test", ip="192.0.2.1"), "nowhere.test")
    refused(k.reserve_dns("new", domain="demo.test", ip="192.0.2.1", primary=True), "primary")
    assert k.list_dns("nowhere.test") == []


def test_a_name_is_given_back_alone_or_with_all_below_it(k: Kbase) -> None:
    for name in ("a", "x.a"):
        done(k.reserve_dns(name, domain="demo.test", ip="192.0.2.1"))
    done(k.delete_dns("a", "demo.test"))
    assert ["x.a", "A", 300, "192.0.2.1"] in k.list_dns("demo.test")
    done(k.reserve_dns("a", domain="demo.test", ip="192.0.2.1"))
    done(k.delete_dns("a", "demo.test", allentries=True))
    assert [row for row in k.list_dns("demo.test") if row[0].endswith("a")] == []
    refused(k.delete_dns("a", "demo.test"), "a")


# -- load balancers and host -------------------------------------------------------------------------------------------


def test_a_load_balancer_is_made_listed_and_deleted(k: Kbase) -> None:
    make(k)
    answer = done(k.create_loadbalancer("lb", ports=[80, "443"], vms=["box"], domain="demo.test", alias=["shop"]))
    assert ["lb", answer["ip"], "tcp", "80+443", "box"] in k.list_loadbalancers()
    assert ["lb", "A", 300, answer["ip"]] in k.list_dns("demo.test")
    assert ["shop", "CNAME", 300, "lb.demo.test."] in k.list_dns("demo.test")
    done(k.delete_loadbalancer("lb"))
    assert k.list_loadbalancers() == []
    refused(k.delete_loadbalancer("lb"), "lb")


def test_a_load_balancer_without_its_name_is_not_made(k: Kbase) -> None:
    refused(k.create_loadbalancer("www", ports=[80], domain="demo.test"), "www")
    refused(k.create_loadbalancer("lb", ports=[80], vms=["nobody"]), "nobody")
    refused(k.create_loadbalancer("lb", ports=[]), "ports")
    refused(k.create_loadbalancer("lb", ports=[80], ip="192.0.2.1"), "ip")
    refused(k.create_loadbalancer("lb", ports=[80], alias=["a"]), "domain")
    assert k.list_loadbalancers() == []


def test_the_host_tells_its_load_in_mib(k: Kbase) -> None:
    host = k.info_host()
    json.dumps(host)
    assert {"connection", "host", "vms_running", "cpus_total", "cpus_used", "memory_used", "memory_total"} <= set(host)
    assert host["connection"] == "fake"
    assert 0 < host["memory_in_use"] <= host["memory_total"]
    assert host["load"] >= 0
    assert all(isinstance(line, str) for line in (*host["storage"], *host["networks"]))
