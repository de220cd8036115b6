"""The contract's networks, cards and names over a real libvirt; what came of them is what `virsh` says."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from providers.base import NetworkRecord, NicSpec
from providers.kbase import Kbase
from providers.kvm.plugin import PLUGIN
from providers.kvm.testing import Backend
from tests.providers.kbase_props import done, refused
from tests.providers.kvm.conftest import MakeNetwork, MakeVm
from tests.providers.kvm.test_networks import asked, both, document, virsh

pytestmark = pytest.mark.live

MAC = f"52:54:00:{random.randrange(256):02x}:{random.randrange(256):02x}:03"


@pytest.fixture
def k(backend: Backend) -> Kbase:
    return Kbase(backend.driver, PLUGIN)


@pytest.fixture
def name(backend: Backend) -> Iterator[str]:
    """Of a network that is gone afterwards."""
    chosen = f"{backend.name}-contract"
    yield chosen
    Kbase(backend.driver).delete_network(chosen, force=True)


def said(name: str, path: str) -> tuple[str, str]:
    return both(NetworkRecord(external_id=name, name=name), path)


def test_a_network_is_made_changed_told_and_deleted(k: Kbase, name: str, make_vm: MakeVm) -> None:
    third = random.randrange(256)
    base, cidr = f"10.216.{third}", f"10.216.{third}.0/24"
    overrides: dict[str, Any] = {
        "dhcp_start": f"{base}.50",
        "dhcp_end": f"{base}.99",
        "dual_cidr": f"fd00:216:{third:x}::/64",
        "mtu": 1400,
        "autostart": False,
        "leases": [{"mac": MAC, "ip": f"{base}.7", "name": "web"}],
        "dns_hosts": [{"ip": f"{base}.9", "names": ["www"]}],
    }
    done(k.create_network(name, cidr=cidr, nat=False, domain="lab.test", plan="shop", overrides=overrides))
    assert said(name, "ip/dhcp/range/@start") == (f"{base}.50", f"{base}.50")
    assert said(name, "ip/dhcp/host/@ip") == (f"{base}.7", f"{base}.7")
    assert said(name, "mtu/@size") == ("1400", "1400")
    assert "Autostart:      no" in virsh("net-info", name)
    told = k.list_networks()[name]
    assert (told["cidr"], told["dhcp"], told["type"], told["mode"]) == (cidr, True, "routed", "isolated")
    assert (told["domain"], told["plan"], told["ip"], told["mtu"]) == ("lab.test", "shop", f"{base}.1", 1400)
    assert k.info_network(name) == {"name": name, **told}
    refused(k.create_network(name, cidr=f"10.217.{third}.0/24"), name)
    refused(k.create_network(f"{name}-2", cidr=cidr), name)
    done(k.update_network(name, dhcp=False, nat=True))
    assert said(name, "count(ip/dhcp)") == ("0", "0")
    assert said(name, "forward/@mode") == ("nat", "nat")
    assert said(name, "dns/host/hostname") == ("www", "www")
    refused(k.update_network(name, overrides={"vlan": 7}), "bridge")
    vm = make_vm(nics=(NicSpec(network=name),), disks=())
    assert k.network_ports(name) == [vm.name]
    assert k.vm_ports(vm.name) == [name]
    refused(k.delete_network(name), vm.name)
    refused(k.delete_network(cidr="10.217.0.0/16"), "10.217.0.0/16")
    k.driver.machines.delete(vm.external_id)
    done(k.delete_network(cidr=cidr))
    assert not k.net_exists(name)
    assert name not in virsh("net-list", "--all", "--name").split()
    refused(k.delete_network(name), name)


def test_cards_are_added_moved_and_removed(k: Kbase, backend: Backend, make_vm: MakeVm) -> None:
    vm = make_vm()
    done(k.add_nic(vm.name, backend.network, model="e1000e"))
    rows = virsh("domiflist", vm.name).split("\n")[2:]
    assert [(row.split()[2], row.split()[3]) for row in rows if row.strip()] == [
        (backend.network, "virtio"),
        (backend.network, "e1000e"),
    ]
    done(k.update_nic(vm.name, 1, backend.other_network))
    assert backend.other_network in virsh("domiflist", vm.name)
    refused(k.update_nic(vm.name, 7, backend.network), "7")
    refused(k.add_nic(vm.name, "kvweb-test-nowhere"), "kvweb-test-nowhere")
    refused(k.add_nic(vm.name, backend.network, model="fast"), "fast")
    done(k.delete_nic(vm.name, "eth1"))
    assert backend.other_network not in virsh("domiflist", vm.name)
    refused(k.delete_nic(vm.name, "eth1"), "eth1")
    done(k.delete_nic(vm.name, k.info(vm.name)["nets"][0]["mac"]))
    assert backend.network not in virsh("domiflist", vm.name)


def test_names_are_entered_listed_and_deleted(k: Kbase, make_network: MakeNetwork) -> None:
    zone = f"z{random.randrange(10**6)}.test"
    network = make_network(domain=zone)
    address = network.gateway.rpartition(".")[0] + ".9"
    done(k.reserve_dns("www", domain=zone, ip=address, alias=["ftp", "mail"]))
    assert zone in k.list_dns_zones()
    assert k.list_dns(zone) == [[each, "A", 0, address] for each in ("ftp", "mail", "www")]
    assert asked(network.gateway, f"mail.{zone}") == [address]
    assert both(network, "count(dns/host)") == ("1", "1")
    refused(k.reserve_dns("www", domain=zone, ip=address), "www")
    refused(k.reserve_dns("new", domain=zone, ip=address, alias=["mail"]), "mail")
    assert asked(network.gateway, f"new.{zone}") == [], "All are entered, or none."
    done(k.delete_dns("www", zone))
    assert asked(network.gateway, f"www.{zone}") == []
    refused(k.delete_dns("www", zone), "www")
    refused(k.reserve_dns("www", domain="nobody.test", ip=address), "nobody.test")
    assert k.list_dns("nobody.test") == []


def test_a_host_is_entered_in_its_networks(k: Kbase, make_network: MakeNetwork) -> None:
    network = make_network(domain="lab.test")
    address = network.gateway.rpartition(".")[0] + ".20"
    done(k.reserve_host("printer", [{"name": network.name, "ip": address}], "office.test"))
    assert asked(network.gateway, "printer.office.test") == asked(network.gateway, "printer.lab.test") == [address]
    names = [each.text for each in document(network).iterfind("dns/host/hostname")]
    assert names == ["printer", "printer.office.test"]
    refused(k.reserve_host("nobody", [network.name], None), network.name)
    refused(k.update_reserveip("nobody"), "nobody")


def test_a_vm_is_created_with_all_that_a_card_can_be(k: Kbase, backend: Backend, make_network: MakeNetwork) -> None:
    network, name = make_network(), f"{backend.name}-net-forms"
    address = network.gateway.rpartition(".")[0] + ".30"
    net = {
        "name": network.name,
        "ip": address,
        "mac": MAC,
        "filter": "clean-traffic",
        "isolated": True,
        "type": "e1000",
    }
    wishes = {"image": backend.image.rpartition("/")[2], "start": False, "memory": 64, "pool": backend.name}
    done(k.create(name, nets=[net], reservehost=True, domain="lab.test", **wishes))
    try:
        assert asked(network.gateway, f"{name}.lab.test") == [address]
        xml = virsh("dumpxml", name)
        assert "<filterref filter='clean-traffic'>" in xml
        assert f"<parameter name='IP' value='{address}'/>" in xml
        assert "<port isolated='yes'/>" in xml
        assert said(network.name, f"ip/dhcp/host[@mac='{MAC}']/@ip") == (address, address)
    finally:
        done(k.delete(name))
    assert said(network.name, "count(ip/dhcp/host)") == ("0", "0")
    refused(k.create(name, nets=[{"name": backend.network, "vlan": 7}], **wishes), "VLAN")
    refused(k.create(f"{name} & more", nets=[net], reservehost=True, **wishes), "no host name")
    assert not k.exists(f"{name} & more")
