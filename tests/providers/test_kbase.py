"""The contract as a class: complete, honest about failures, and its lifecycle methods do what they say."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from providers import kbase, registry
from providers.base import AuthenticationFailed, InvalidRequest, PowerState, Unreachable
from providers.kbase import Kbase
from providers.kcontract.methods import METHODS, all_methods
from tests.providers.kbase_props import QUICK, cloud, done, make, refused


@pytest.fixture
def k() -> Iterator[Kbase]:
    with cloud() as opened:
        yield opened


# -- the class ---------------------------------------------------------------------------------------------------------


def public_methods() -> set[str]:
    helpers = {"facet", "vm", "vm_or_none", "network_id", "pool_id", "image_id", "network_names", "pools_by_id"}
    members = inspect.getmembers(Kbase, inspect.isfunction)
    return {name for name, _ in members if not name.startswith("_")} - helpers


def test_every_method_of_the_class_is_in_the_table_and_the_other_way_round() -> None:
    assert public_methods() == set(all_methods())


def test_every_method_is_called_by_these_tests() -> None:
    text = "".join(path.read_text() for path in Path(__file__).parent.glob("test_kbase*.py"))
    uncalled = [name for name in all_methods() if not re.search(rf"\bk\.{name}\(", text)]
    assert not uncalled


def test_the_simulated_cloud_can_all_but_what_nobody_can() -> None:
    can = registry.plugin("fake").declares
    missing = {name for name, need in all_methods().items() if not need(can)}
    assert missing == {name for name in METHODS["Updates"] if METHODS["Updates"][name].__name__ == "never"}


def test_what_nobody_can_is_a_failure_with_a_reason(k: Kbase) -> None:
    make(k)
    refused(k.update_attribute("box", "a", "b"), "“a”")


def test_a_vm_becomes_a_template_and_a_vm_again(k: Kbase) -> None:
    make(k)
    assert k.convert_to_template("box") == {"result": "success"}
    assert not k.exists("box")
    assert "box" in k.volumes()
    refused(k.convert_to_template("box"))
    assert k.convert_to_vm("box") == {"result": "success"}
    assert k.exists("box")
    refused(k.convert_to_vm("box"))


# -- connecting --------------------------------------------------------------------------------------------------------


def test_it_closes_at_the_end_of_a_with_block() -> None:
    with kbase.connect("fake") as k:
        assert k.conn is k.driver
    assert k.conn is None
    k.close()


def test_a_setting_may_be_called_by_its_usual_word(tmp_path: Path) -> None:
    with kbase.connect("fake", path=str(tmp_path / "cloud"), user="root") as k:
        assert k.exists("web-1")
    with pytest.raises(AuthenticationFailed):
        kbase.connect("fake", path=str(tmp_path / "cloud"), user="other")


def test_wrong_settings_and_kinds_are_named() -> None:
    with pytest.raises(InvalidRequest):
        kbase.connect("fake", colour="red")
    with pytest.raises(registry.UnknownKind, match="no-such-kind"):
        kbase.connect("no-such-kind")


def test_reading_from_a_dead_provider_is_an_error_and_no_empty_list() -> None:
    with cloud(faults={"machines.list": "unreachable"}) as k, pytest.raises(Unreachable):
        k.list()


@pytest.mark.parametrize(
    "kind", ["unreachable", "rate_limited", "auth", "conflict", "out_of_capacity", "crash", "hang"]
)
def test_whatever_goes_wrong_a_change_answers_with_a_failure(kind: str) -> None:
    with cloud(faults={"power.start": kind}, hang_s=0) as k:
        make(k)
        reason = refused(k.start("box"))
        assert "0xC0FFEE" not in reason
        assert k.status("box") == "down"


def test_a_facet_that_is_not_there_is_a_failure_or_nothing() -> None:
    facets = ("snapshots", "buckets", "dns", "firewalls", "load_balancers", "host", "subnets", "flavors", "clones")
    with cloud(without=facets) as k:
        make(k)
        refused(k.create_snapshot("s", "box"), "snapshots")
        refused(k.clone("box", "copy"), "clones")
        refused(k.create_bucket("b"), "buckets")
        refused(k.reserve_dns("box", domain="demo.test", ip="192.0.2.1"), "DNS")
        assert (k.list_snapshots("box"), k.list_buckets(), k.list_dns_zones(), k.list_flavors()) == ([], [], [], [])
        assert (k.list_security_groups(), k.list_loadbalancers(), k.list_subnets(), k.info_host()) == ([], [], {}, {})


# -- reading -----------------------------------------------------------------------------------------------------------


def test_the_list_is_sorted_and_survives_json(k: Kbase) -> None:
    listed = k.list()
    assert [vm["name"] for vm in listed] == sorted(vm["name"] for vm in listed)
    assert json.loads(json.dumps(listed)) == listed
    assert {"name", "status", "ip", "image", "plan", "profile", "nets", "disks"} <= set(listed[0])


def test_the_list_costs_three_calls_however_many_vms(k: Kbase) -> None:
    before = k.driver.cloud.calls  # type: ignore[attr-defined]
    k.list()
    assert k.driver.cloud.calls - before == 3  # type: ignore[attr-defined]


def test_info_tells_a_vm_in_fixed_units(k: Kbase) -> None:
    info = make(k, memory=512, numcpus=3, disks=[10, {"size": "2"}], plan="shop")
    assert (info["numcpus"], info["memory"], info["plan"], info["image"]) == (3, 512, "shop", "alpine-3.22")
    assert [(disk["device"], disk["size"]) for disk in info["disks"]] == [("vda", 10), ("vdb", 2)]
    assert set(info["disks"][0]) == {"device", "size", "format", "type", "path"}
    assert {"device", "mac", "net", "type"} <= set(info["nets"][0])
    assert info["nets"][0]["net"] == "default"
    assert re.fullmatch(r"\d\d-\d\d-\d{4} \d\d:\d\d", info["creationdate"])


def test_info_of_nothing_is_empty(k: Kbase) -> None:
    assert k.info("nobody") == {}
    assert (k.status("nobody"), k.ip("nobody"), k.internalip("nobody")) == (None, None, None)
    assert k.dnsinfo("nobody") == (None, None)
    assert k.vm_ports("nobody") == []
    assert not k.exists("nobody")


def test_info_may_be_cut_to_fields_and_printed(k: Kbase) -> None:
    assert k.info("web-1", fields=["name", "status"]) == {"name": "web-1", "status": "up"}
    assert k.info("web-1", fields=["name", "status"], values=True) == ["web-1", "up"]
    assert json.loads(k.info("web-1", output="json"))["name"] == "web-1"
    assert yaml.safe_load(k.info("web-1", output="yaml"))["name"] == "web-1"
    assert "VmRecord" in k.info("web-1", debug=True)["debug"]
    told = k.info("web-1", guest=True)["guest"]
    assert (told["hostname"], told["os"]) == ("web-1", "Debian GNU/Linux 13 (trixie)")
    assert [(each["mountpoint"], each["disks"]) for each in told["filesystems"]] == [("/", ["vda"]), ("/boot", ["vda"])]
    assert k.info("mail", guest=True)["guest"] == {}, "it is off"
    assert k.info("anything", vm=k.vm("web-2"))["name"] == "web-2"
    with pytest.raises(InvalidRequest):
        k.info("web-1", output="xml")


def test_metadata_cannot_hide_a_fact(k: Kbase) -> None:
    info = make(k, metadata={"status": "fine", "owner": "alice"})
    assert (info["status"], info["owner"], info["metadata"]) == ("down", "alice", {"status": "fine"})


def test_addresses_networks_and_names_are_told(k: Kbase) -> None:
    make(k, nets=["default", "lab"], start=True, metadata={"domain": "demo.test", "dnsclient": "other"})
    assert k.ip("box") == k.info("box")["ip"]
    assert str(k.ip("box")).startswith("192.168.122.")
    assert k.internalip("box") == k.ip("box")
    assert k.vm_ports("box") == ["default", "lab"]
    assert k.dnsinfo("box") == ("other", "demo.test")


# -- running -----------------------------------------------------------------------------------------------------------


def test_a_vm_is_started_stopped_and_restarted(k: Kbase) -> None:
    make(k)
    refused(k.restart("box"), "does not run")
    done(k.start("box"))
    assert k.status("box") == "up"
    done(k.start("box"))
    done(k.restart("box"))
    assert k.status("box") == "up"
    done(k.stop("box"))
    assert k.status("box") == "down"
    done(k.start("box"))
    done(k.stop("box", soft=True))
    assert k.vm("box").power is PowerState.STOPPED


def test_a_soft_stop_waits_for_the_guest_and_a_hard_one_does_not() -> None:
    with cloud(stop_s=0.3) as k:
        make(k, start=True)
        done(k.stop("box"))
        done(k.start("box"))
        done(k.stop("box", soft=True))
        assert k.status("box") == "down"


def test_nothing_is_done_to_a_stranger(k: Kbase) -> None:
    for result in (k.start("nobody"), k.stop("nobody"), k.restart("nobody"), k.delete("nobody"), k.export("nobody")):
        refused(result, "nobody")


def test_a_vm_with_snapshots_is_deleted_only_when_told(k: Kbase) -> None:
    make(k)
    done(k.create_snapshot("s", "box"))
    refused(k.delete("box"), "snapshots")
    assert k.exists("box")
    done(k.delete("box", snapshots=True))
    assert not k.exists("box")
    refused(k.delete("box"))


def test_a_clone_has_its_own_identity(k: Kbase) -> None:
    make(k)
    done(k.clone("box", "copy", full=True, start=True))
    assert (k.status("copy"), k.status("box")) == ("up", "down")
    assert k.info("copy")["nets"][0]["mac"] != k.info("box")["nets"][0]["mac"]
    refused(k.clone("box", "copy"), "copy")


def test_an_export_becomes_an_image(k: Kbase) -> None:
    make(k)
    done(k.export("box"))
    done(k.export("box", image="golden"))
    assert {"box", "golden"} <= set(k.volumes())
    make(k, "other", image="golden")
    done(k.start("box"))
    refused(k.export("box"), "Stop the VM")


def test_detaching_disks_keeps_the_first_and_the_volumes(k: Kbase) -> None:
    make(k, disks=[5, 6, 7])
    names = set(k.list_disks())
    done(k.detach_disks("box"))
    assert [disk["size"] for disk in k.info("box")["disks"]] == [5]
    assert set(k.list_disks()) == names


def test_consoles_are_told_as_addresses_or_refused(k: Kbase) -> None:
    make(k)
    refused(k.console("box", web=True), "does not run")
    done(k.start("box"))
    assert str(k.console("box", web=True)).startswith("stream:fake:")
    assert "serial" in str(k.serialconsole("box", web=True))
    refused(k.console("box", tunnel=True), "unnel")
    refused(k.serialconsole("nobody"))


def test_two_threads_of_settings_do_not_meet() -> None:
    with cloud() as first, cloud() as second:
        make(first, "only-here")
        assert not second.exists("only-here")
    assert QUICK["start_s"] == 0
