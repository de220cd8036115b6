"""The contract's plain methods at a live libvirt: what they say they did is looked up with virsh."""

from __future__ import annotations

import functools
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from providers.kbase import Kbase, connect
from providers.kcontract.methods import all_methods
from providers.kvm import power
from providers.kvm.plugin import PLUGIN
from providers.kvm.testing import URI, Backend

pytestmark = pytest.mark.live

#: Methods that were called on libvirt here; the last test compares them with what the kind says it can.
CALLED: set[str] = set()


def virsh(*words: str) -> str:
    """What virsh prints; an AssertionError with its own words when it refuses."""
    run = subprocess.run(["virsh", "-q", "-c", URI, *words], capture_output=True, text=True, check=False)
    assert run.returncode == 0, f"virsh {' '.join(words)}: {run.stderr}"
    return run.stdout


def document(*words: str) -> Any:
    return etree.fromstring(virsh(*words).encode())


class Noting:
    """A Kbase that notes which of its methods were called."""

    def __init__(self, inner: Kbase) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        CALLED.add(name)
        method = getattr(self._inner, name)

        @functools.wraps(method)
        def call(*args: Any, **kwargs: Any) -> Any:
            return method(*args, **kwargs)

        return call


@pytest.fixture(scope="module")
def k(backend: Backend) -> Iterator[Any]:
    noting = Noting(connect("kvm", uri=URI, pool=backend.name, network=backend.network))
    yield noting
    noting.close()


@pytest.fixture
def name(k: Any, backend: Backend) -> Iterator[str]:
    """A VM of the contract that is off, with one disk from the image and one card; gone afterwards."""
    name = f"{backend.name}-{uuid.uuid4().hex[:6]}"
    done(create(k, backend, name))
    yield name
    if k.exists(name):
        done(k.delete(name, snapshots=True))


def create(k: Any, backend: Backend, name: str, **values: Any) -> Any:
    wishes = {
        "numcpus": 1,
        "memory": 48,
        "pool": backend.name,
        "image": f"{backend.name}.qcow2",
        "disks": [{"size": 1}],
        "nets": [backend.network],
        "start": False,
        **values,
    }
    return k.create(name, **wishes)


def done(answer: Any) -> Any:
    assert answer["result"] == "success", answer
    return answer


def state(name: str) -> str:
    return virsh("domstate", name).strip()


def disks(name: str, *more: str) -> dict[str, str]:
    """Target → source, as virsh lists them."""
    rows = [line.split(maxsplit=1) for line in virsh("domblklist", name, *more).splitlines() if line.strip()]
    return {row[0]: row[1] for row in rows}


def volumes(backend: Backend) -> set[str]:
    return {line.split()[0] for line in virsh("vol-list", backend.name).splitlines() if line.strip()}


def test_a_vm_lives_from_create_to_delete(k: Any, backend: Backend) -> None:
    name = f"{backend.name}-life"
    done(create(k, backend, name, start=True, metadata={"dnsclient": "ns1", "domain": "lab.test"}))
    assert state(name) == "running"
    assert k.exists(name)
    assert k.status(name) == "up"
    assert name in [vm["name"] for vm in k.list()]
    shape = k.info(name)
    facts = dict(line.split(":", 1) for line in virsh("dominfo", name).splitlines() if ":" in line)
    assert shape["memory"] * 1024 == int(facts["Max memory"].split()[0])
    assert shape["numcpus"] == int(facts["CPU(s)"])
    assert k.dnsinfo(name) == ("ns1", "lab.test")
    assert k.vm_ports(name) == [backend.network]
    assert "vnc" in k.console(name)
    assert "serial" in k.serialconsole(name)
    done(k.stop(name))
    assert state(name) == "shut off"
    done(k.start(name))
    assert state(name) == "running"
    mine = set(disks(name).values())
    done(k.delete(name))
    assert name not in virsh("list", "--all", "--name").split()
    assert not {path for path in mine if Path(path).name in volumes(backend)}
    assert f"{backend.name}.qcow2" in volumes(backend), "the image stays"


def test_a_guest_that_does_not_listen_has_not_restarted(
    k: Any, backend: Backend, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its disk is empty, so nobody hears the button; the hypervisor takes the request all the same."""
    monkeypatch.setattr(power, "RESTART_S", 2.0)
    done(k.start(name))
    result = k.restart(name)
    assert result["result"] == "failure"
    assert "did not within 2 s" in result["reason"]
    assert state(name) == "running"
    done(k.stop(name))


def test_a_vm_is_changed(k: Any, backend: Backend, name: str) -> None:
    done(k.update_memory(name, 64))
    done(k.update_cpus(name, 2))
    done(k.update_information(name, "for <tests> & 'more'"))
    done(k.update_metadata(name, "plan", "kvweb-test"))
    done(k.update_start(name, True))
    done(k.update_cpuflags(name, ["aes"], disable=True))
    shape = document("dumpxml", "--inactive", name)
    assert int(shape.findtext("memory")) == 64 * 1024
    assert shape.findtext("vcpu") == "2"
    assert "for <tests> & 'more'" in virsh("desc", name)
    assert "kvweb-test" in etree.tostring(shape.find("metadata")).decode()
    assert "enable" in virsh("dominfo", name).split("Autostart:")[1].splitlines()[0]
    assert shape.xpath("cpu/feature[@name='aes' and @policy='disable']")
    done(k.update_iso(name, f"{backend.name}.iso"))
    assert any(path.endswith(".iso") for path in disks(name, "--inactive").values())
    done(k.update_iso(name, None))
    assert not any(path.endswith(f"{backend.name}.iso") for path in disks(name, "--inactive").values())
    done(k.update_nic(name, 0, backend.other_network))
    assert backend.other_network in virsh("domiflist", "--inactive", name)


def test_first_boot_data_is_taken_away(k: Any, backend: Backend) -> None:
    name = f"{backend.name}-seed"
    done(create(k, backend, name, cmds=["echo hello"]))
    seeds = {Path(path).name for path in disks(name).values() if path.endswith("-seed.iso")}
    assert seeds <= volumes(backend)
    assert seeds
    done(k.remove_cloudinit(name))
    assert not seeds & volumes(backend)
    assert not any(path.endswith("-seed.iso") for path in disks(name, "--inactive").values())
    done(k.delete(name))


def test_snapshots(k: Any, name: str) -> None:
    done(k.create_snapshot("before", name))
    done(k.create_snapshot("after", name))
    assert k.list_snapshots(name) == ["before", "after"]
    assert set(virsh("snapshot-list", name, "--name").split()) == {"before", "after"}
    done(k.revert_snapshot("before", name))
    assert virsh("snapshot-current", name, "--name").strip() == "before"
    done(k.delete_snapshot("before", name))
    assert virsh("snapshot-list", name, "--name").split() == ["after"]
    assert k.delete(name)["result"] == "failure", "with a snapshot only when it is said"


def test_clones_and_images_of_a_vm(k: Any, backend: Backend, name: str) -> None:
    for full in (False, True):
        twin = f"{name}-{full}".lower()
        done(k.clone(name, twin, full=full))
        assert virsh("domuuid", twin) != virsh("domuuid", name)
        assert document("dumpxml", twin).find(".//interface/mac").get("address") != (
            document("dumpxml", name).find(".//interface/mac").get("address")
        )
        backing = document("vol-dumpxml", disks(twin)["vda"]).find("backingStore/path")
        assert (backing is None) is full
        done(k.delete(twin))
    made = done(k.export(name, f"{name}-image.qcow2"))["image"]
    assert made in volumes(backend)
    assert document("vol-dumpxml", "--pool", backend.name, made).find("backingStore/path") is None
    assert made in k.volumes()
    done(k.delete_image(made))
    assert made not in volumes(backend)


def test_images(k: Any, backend: Backend) -> None:
    added = done(k.add_image(str(backend.image_file), backend.name, name=f"{backend.name}-added.raw"))["image"]
    assert added in volumes(backend)
    content = backend.folder / "back.raw"
    virsh("vol-download", "--pool", backend.name, added, str(content))
    assert content.read_bytes()[: 64 * 1024] == backend.image_file.read_bytes()[: 64 * 1024]
    assert added in k.volumes()
    assert f"{backend.name}.iso" in k.volumes(iso=True)
    done(k.delete_image(added))
    assert added not in volumes(backend)


def test_disks(k: Any, backend: Backend, name: str) -> None:
    lone = f"{name}-lone.qcow2"
    path = done(k.create_disk(lone, 1, pool=backend.name))["path"]
    assert k.disk_exists(backend.name, lone)
    assert k.list_disks()[lone] == {"pool": backend.name, "path": path}
    done(k.resize_disk(path, 2))
    assert document("vol-dumpxml", path).findtext("capacity") == str(2 * 1024**3)
    done(k.add_disk(name, existing=path))
    assert path in disks(name, "--inactive").values()
    done(k.add_disk(name, size=1, pool=backend.name))
    assert len(disks(name, "--inactive")) >= 3
    third = next(source for source in disks(name, "--inactive").values() if source != path and "-0." not in source)
    done(k.delete_disk(name, Path(third).name))
    assert Path(third).name not in volumes(backend)
    done(k.detach_disks(name))
    assert path not in disks(name, "--inactive").values()
    assert lone in volumes(backend), "detaching keeps the volume"
    done(k.delete_disk_by_name(lone, backend.name))
    assert lone not in volumes(backend)


def test_pools(k: Any, backend: Backend, name: str) -> None:
    pool, folder = f"{backend.name}-more", backend.folder / "more"
    folder.mkdir(mode=0o755)
    done(k.create_pool(pool, str(folder)))
    assert document("pool-dumpxml", pool).findtext("target/path") == str(folder)
    assert pool in k.list_pools()
    assert k.get_pool_path(pool) == str(folder)
    done(k.update_pool(name, pool))
    assert disks(name, "--inactive")["vda"].startswith(f"{folder}/")
    done(k.update_pool(name, backend.name))
    assert not list(folder.iterdir())
    done(k.create_disk("kept.qcow2", 1, pool=pool))
    assert k.delete_pool(pool)["result"] == "failure", "a pool with volumes goes only when it is said"
    done(k.delete_pool(pool, full=True))
    assert pool not in virsh("pool-list", "--all", "--name").split()
    assert not list(folder.iterdir())


def test_network_cards(k: Any, backend: Backend, name: str) -> None:
    done(k.add_nic(name, backend.other_network, model="e1000e"))
    cards = [line.split() for line in virsh("domiflist", "--inactive", name).splitlines() if line.strip()]
    assert [(card[2], card[3]) for card in cards] == [(backend.network, "virtio"), (backend.other_network, "e1000e")]
    assert k.network_ports(backend.other_network) == [name]
    done(k.delete_nic(name, cards[1][4]))
    assert backend.other_network not in virsh("domiflist", "--inactive", name)


@pytest.fixture
def network(k: Any, backend: Backend, make_network: Callable[..., Any]) -> str:
    """A network with DHCP and names, by the fixture that finds a free range."""
    del k, backend
    return str(make_network(dhcp=True, domain="lab.test").name)


def test_networks(k: Any, backend: Backend, network: str) -> None:
    cidr = k.info_network(network)["cidr"]
    done(k.delete_network(network))
    done(k.create_network(network, cidr, nat=False, overrides={"autostart": False}))
    assert k.net_exists(network)
    shape = document("net-dumpxml", network)
    assert shape.find("forward") is None, "isolated"
    assert shape.find("ip/dhcp/range") is not None
    assert network in k.list_networks()
    done(k.update_network(network, dhcp=False, domain="lab.test"))
    shape = document("net-dumpxml", "--inactive", network)
    assert shape.find("ip/dhcp") is None
    assert shape.find("domain").get("name") == "lab.test"
    done(k.delete_network(network))
    assert network not in virsh("net-list", "--all", "--name").split()
    assert not k.net_exists(network)


def lease(network: str, mac: str) -> str:
    """The address that the network's own DHCP server gave this card; empty while it has none."""
    rows = [line.split() for line in virsh("net-dhcp-leases", network).splitlines()]
    return next((row[4].partition("/")[0] for row in rows if mac in row), "")


def test_names_and_addresses_that_networks_keep(k: Any, backend: Backend, network: str) -> None:
    name = f"{backend.name}-kept"
    # Nothing is on its disk: the firmware asks the network, and takes an address as a guest would.
    from_network = {"options": {"boot_order": ["network"]}}
    done(create(k, backend, name, nets=[network], start=True, overrides=from_network))
    try:
        card = document("dumpxml", name).find(".//interface/mac").get("address")
        deadline = time.monotonic() + 60
        while not (address := lease(network, card)):
            assert time.monotonic() < deadline, "the firmware took no address"
            time.sleep(0.5)
        assert k.ip(name) == address
        assert k.internalip(name) == address
        done(k.update_reserveip(name))
        assert document("net-dumpxml", network).find(f".//dhcp/host[@mac='{card}']").get("ip") == address
        done(k.reserve_host(name, [network], "lab.test"))
        names = document("net-dumpxml", network).findall(f".//dns/host[@ip='{address}']/hostname")
        assert {each.text for each in names} == {name, f"{name}.lab.test"}
        assert "lab.test" in k.list_dns_zones()
        done(k.reserve_dns("printer", domain="lab.test", ip=address.rpartition(".")[0] + ".78"))
        assert any(row[0].startswith("printer") for row in k.list_dns("lab.test"))
        assert "printer" in virsh("net-dumpxml", network)
        done(k.delete_dns("printer", "lab.test"))
        assert "printer" not in virsh("net-dumpxml", network)
    finally:
        done(k.delete(name))


def test_the_host(k: Any) -> None:
    facts = k.info_host()
    node = dict(line.split(":", 1) for line in (virsh("nodeinfo") + virsh("nodememstats")).splitlines() if ":" in line)
    assert facts["host"] == virsh("hostname").strip()
    assert facts["cpus_total"] == int(node["CPU(s)"])
    assert facts["memory_total"] == int(node["total  "].split()[0]) // 1024


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("create_bucket", ("b",)),
        ("create_security_group", ("g",)),
        ("create_loadbalancer", ("l",)),
        ("create_subnet", ("s", "10.0.0.0/24")),
        ("update_flavor", ("vm", "tiny")),
        ("convert_to_template", ("vm",)),
        ("update_attribute", ("vm", "a", "b")),
    ],
)
def test_what_libvirt_does_not_have_is_refused_with_a_reason(k: Any, method: str, arguments: tuple[str, ...]) -> None:
    answer = getattr(k, method)(*arguments)
    assert answer["result"] == "failure"
    assert len(answer["reason"]) > 10


def test_every_method_that_the_kind_declares_was_tried_here(k: Any) -> None:
    k.close()
    declared = {name for name, need in all_methods().items() if need(PLUGIN.declares)}
    assert len(declared) >= 62
    assert declared - CALLED == set()
