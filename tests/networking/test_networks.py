"""Networks: what administrators make of them, what members may use, what strangers are not told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from kvweb.accounts.models import Project, User
from kvweb.audit.models import AuditEntry
from kvweb.jobs.models import Job
from kvweb.portal.inventory import sync
from networking import inventory, leases, selectors
from networking.models import Network
from providers.base import LeaseRecord, NetworkRecord
from providers.models import Health, Provider
from providers.pool import driver_for
from tests.conftest import MakeVm

pytestmark = pytest.mark.django_db

SignIn = Callable[[User], Client]
RunJobs = Callable[[], list[Job]]


@pytest.fixture
def synced(fake_provider: Provider) -> Provider:
    with driver_for(fake_provider) as driver:
        sync(fake_provider, driver)
    return fake_provider


@pytest.fixture
def admin(root: User, client_of: SignIn) -> Client:
    return client_of(root)


@pytest.fixture
def lan(synced: Provider, admin: Client, run_jobs: RunJobs) -> Network:
    """A network that was made here: NAT, with a range and DHCP."""
    admin.post("/networks/create", form(synced))
    run_jobs()
    return Network.objects.get(name="lan")


def form(provider: Provider, **values: str) -> dict[str, str]:
    typed = {"provider": str(provider.uuid), "name": "lan", "mode": "nat", "cidr": "10.20.30.0/24", "dhcp": "on"}
    return typed | {"autostart": "on"} | values


def told(provider: Provider, network: Network) -> NetworkRecord:
    """What the provider itself says."""
    with driver_for(provider) as driver:
        assert driver.networks is not None
        return driver.networks.get(network.external_id)


def shown(client: Client, address: str) -> str:
    return client.get(address).content.decode()


def test_a_network_is_made_as_it_was_wished(synced: Provider, admin: Client, run_jobs: RunJobs) -> None:
    typed = form(synced, dhcp_start="10.20.30.100", dhcp_end="10.20.30.200", domain="lan.example.org")
    answer = admin.post("/networks/create", typed)
    network = Network.objects.get(name="lan")
    assert answer.url == f"/networks/{network.uuid}/"  # type: ignore[attr-defined]
    assert "Creating" in shown(admin, f"/networks/{network.uuid}/")
    run_jobs()
    network.refresh_from_db()
    record = told(synced, network)
    assert (record.cidrs, record.domain) == (("10.20.30.0/24",), "lan.example.org")
    assert (record.dhcp_start, record.dhcp_end) == ("10.20.30.100", "10.20.30.200")
    assert network.dhcp_start == "10.20.30.100"
    assert "Active" in shown(admin, f"/networks/{network.uuid}/")
    assert AuditEntry.objects.filter(verb="network.create", actor__username="root").exists()


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"name": ""}, "Give it a name."),
        ({"name": "a/b"}, "begin with a letter or digit"),
        ({"cidr": "10.20.30.7/24"}, "the range is 10.20.30.0/24"),
        ({"dhcp_start": "10.20.30.9"}, "Give both ends, or none."),
        ({"dhcp_start": "10.9.9.9", "dhcp_end": "10.9.9.20"}, "It must lie inside 10.20.30.0/24"),
        ({"ipv6_cidr": "10.9.9.0/24"}, "Give a range of IPv6"),
        ({"domain": "no domain"}, "This is no domain name."),
        ({"mode": "bridge"}, "Name a bridge of the host."),
        ({"vlan": "5000"}, "4094"),
    ],
)
def test_what_is_wrong_stands_beside_its_field_before_a_job_starts(
    values: dict[str, str], sentence: str, synced: Provider, admin: Client
) -> None:
    answer = admin.post("/networks/create", form(synced, **values))
    assert answer.status_code == 422
    assert sentence in answer.content.decode()
    assert not Job.objects.exists()


def test_a_range_that_another_network_has_is_told_with_a_free_one(
    admin: Client, synced: Provider, lan: Network
) -> None:
    answer = admin.post("/networks/create", form(synced, name="second", cidr="10.20.0.0/16"))
    page = answer.content.decode()
    assert "“lan” has addresses of it (10.20.30.0/24)." in page
    assert "is free." in page
    hint = shown(admin, f"/networks/look?provider={synced.uuid}&cidr=10.20.30.0/24")
    assert "“lan” has addresses of it" in hint
    assert "It is free: room for 253 machines" in shown(
        admin, f"/networks/look?provider={synced.uuid}&cidr=10.99.0.0/24"
    )
    assert "no address range" in shown(admin, f"/networks/look?provider={synced.uuid}&cidr=x/24")


def test_a_failed_creation_can_be_tried_again(admin: Client, synced: Provider, run_jobs: RunJobs) -> None:
    with driver_for(synced) as driver:
        from providers.base import NetworkSpec

        assert driver.networks is not None
        driver.networks.create(NetworkSpec(name="lan", cidr="10.1.1.0/24"))
    admin.post("/networks/create", form(synced))
    run_jobs()
    network = Network.objects.get(name="lan")
    page = shown(admin, f"/networks/{network.uuid}/")
    assert "failed:" in page
    again = f"/networks/create?again={network.problem_job}"
    assert 'value="10.20.30.0/24"' in shown(admin, again)
    admin.post(again, form(synced, name="lan-2"))
    run_jobs()
    network.refresh_from_db()
    assert (network.name, network.is_wanted) == ("lan-2", False)


def test_a_network_is_changed_in_place_and_what_was_not_named_stays(
    admin: Client, synced: Provider, lan: Network, run_jobs: RunJobs
) -> None:
    page = shown(admin, f"/networks/{lan.uuid}/edit")
    assert 'value="10.20.30.0/24"' in page
    typed = {"cidr": "10.20.30.0/24", "dhcp": "on", "autostart": "on", "domain": "new.example.org"}
    typed |= {"dhcp_start": lan.dhcp_start, "dhcp_end": lan.dhcp_end, "mtu": str(lan.mtu or "")}
    admin.post(f"/networks/{lan.uuid}/edit", typed)
    job = Job.objects.get(kind="network.change")
    assert job.params == {"changes": {"domain": "new.example.org"}}
    run_jobs()
    record = told(synced, lan)
    assert (record.domain, record.cidrs, record.dhcp) == ("new.example.org", ("10.20.30.0/24",), True)


def test_a_change_that_changes_nothing_starts_no_job(admin: Client, lan: Network) -> None:
    typed = {"cidr": "10.20.30.0/24", "dhcp": "on", "autostart": "on", "domain": lan.domain}
    typed |= {"dhcp_start": lan.dhcp_start, "dhcp_end": lan.dhcp_end, "mtu": str(lan.mtu or "")}
    answer = admin.post(f"/networks/{lan.uuid}/edit", typed)
    assert "Nothing is different" in answer.content.decode()
    assert not Job.objects.filter(kind="network.change").exists()


def test_an_address_is_kept_and_released(admin: Client, synced: Provider, lan: Network, run_jobs: RunJobs) -> None:
    typed = {"mac": "52-54-00-AA-00-01", "address": "10.20.30.77", "name": "printer"}
    admin.post(f"/networks/{lan.uuid}/do/reserve", typed)
    run_jobs()
    (kept,) = told(synced, lan).leases
    assert (kept.mac, kept.address, kept.name) == ("52:54:00:aa:00:01", "10.20.30.77", "printer")
    page = shown(admin, f"/networks/{lan.uuid}/")
    assert "10.20.30.77" in page
    assert "kept" in page
    assert "Release 10.20.30.77" in shown(admin, f"/networks/{lan.uuid}/ask/release?mac=52:54:00:aa:00:01")
    admin.post(f"/networks/{lan.uuid}/do/release", {"mac": "52:54:00:aa:00:01"})
    run_jobs()
    assert told(synced, lan).leases == ()


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ({"mac": "x", "address": "10.20.30.77"}, "A MAC address looks like"),
        ({"mac": "52:54:00:aa:00:01", "address": "10.99.0.1"}, "outside this network"),
        ({"mac": "52:54:00:aa:00:01", "address": "10.20.30.1"}, "gateway"),
        ({"mac": "52:54:00:aa:00:01", "address": "10.20.30.7", "name": "a b"}, "Use letters"),
    ],
)
def test_an_address_that_cannot_be_kept_is_told_beside_its_field(
    typed: dict[str, str], sentence: str, admin: Client, lan: Network
) -> None:
    answer = admin.post(f"/networks/{lan.uuid}/do/reserve", typed)
    assert answer.status_code == 422
    assert sentence in answer.content.decode()


def test_names_are_edited_as_lines(admin: Client, synced: Provider, lan: Network, run_jobs: RunJobs) -> None:
    answer = admin.post(f"/networks/{lan.uuid}/do/dns", {"hosts": "10.20.30.5"})
    assert "Line 1: say which names" in answer.content.decode()
    admin.post(f"/networks/{lan.uuid}/do/dns", {"hosts": "10.20.30.5 printer print.lan\n# a remark\n10.20.30.6 nas"})
    run_jobs()
    hosts = {host.address: host.names for host in told(synced, lan).dns_hosts}
    assert hosts == {"10.20.30.5": ("printer", "print.lan"), "10.20.30.6": ("nas",)}
    assert "print.lan" in shown(admin, f"/networks/{lan.uuid}/")


def test_a_network_is_stopped_started_and_deleted(
    admin: Client, synced: Provider, lan: Network, run_jobs: RunJobs
) -> None:
    admin.post(f"/networks/{lan.uuid}/do/stop", {"confirmed": "1"})
    run_jobs()
    assert not Network.objects.get(pk=lan.pk).is_active
    admin.post(f"/networks/{lan.uuid}/do/start")
    run_jobs()
    assert Network.objects.get(pk=lan.pk).is_active
    admin.post(f"/networks/{lan.uuid}/do/delete", {"typed": "lan"})
    run_jobs()
    assert not Network.objects.filter(name="lan").exists()


def test_a_deletion_that_is_refused_says_why_and_leaves_the_network(
    admin: Client, synced: Provider, lan: Network, run_jobs: RunJobs
) -> None:
    from providers.base import NicSpec, VmSpec

    with driver_for(synced) as driver:
        driver.machines.create(VmSpec(name="web", nics=(NicSpec(network=lan.external_id),), start=False))
    admin.post(f"/networks/{lan.uuid}/do/delete", {"typed": "lan"})
    run_jobs()
    lan.refresh_from_db()
    assert "web" in lan.problem
    assert told(synced, lan).name == "lan"


def test_who_has_which_address_is_read_when_somebody_looks(
    admin: Client, synced: Provider, lan: Network, run_jobs: RunJobs, root: User
) -> None:
    from providers.base import NicSpec, VmSpec

    image = synced.images.first()
    assert image is not None
    from providers.base import DiskSpec

    with driver_for(synced) as driver:
        spec = VmSpec(name="web", nics=(NicSpec(network=lan.external_id),), disks=(DiskSpec(image=image.external_id),))
        driver.machines.create(spec)
        sync(synced, driver)
    Network.objects.update(read_at=None)
    assert admin.post(f"/networks/{lan.uuid}/read", headers={"HX-Request": "true"}).status_code == 204
    admin.post(f"/networks/{lan.uuid}/read", headers={"HX-Request": "true"})
    assert Job.objects.filter(kind="network.read").count() == 1
    run_jobs()
    page = shown(admin, f"/networks/{lan.uuid}/")
    (lease,) = Network.objects.get(pk=lan.pk).leases
    assert lease["address"] in page
    assert ">web</a>" in page


def test_of_very_many_addresses_those_that_tell_most_are_listed(admin: Client, lan: Network) -> None:
    """A network of the size /16 can have given out 65 000."""
    given = [
        LeaseRecord(mac=f"52:54:00:00:{n // 256:02x}:{n % 256:02x}", address=f"10.20.{30 + n // 250}.{n % 250 + 2}")
        for n in range(3000)
    ]
    inventory.apply_leases(lan, given)
    lan.refresh_from_db()
    assert len(lan.leases) == inventory.MOST_LEASES
    last = given[-1]
    Network.objects.update(reservations=[{"mac": last.mac, "address": last.address, "name": "printer"}])
    page = shown(admin, f"/networks/{lan.uuid}/part")
    assert page.count("<tr><td>") == leases.MOST_ROWS
    assert last.address in page
    assert "Of 2001 addresses the first 200 are listed" in page


def test_addresses_do_not_tell_strangers_the_names_of_machines(
    admin: Client, synced: Provider, lan: Network, make_vm: MakeVm, alice: User, charlie: User, client_of: SignIn
) -> None:
    mac = "52:54:00:aa:00:01"
    make_vm(name="payroll", nics=[{"mac": mac, "network": lan.external_id}])
    inventory.apply_leases(lan, [LeaseRecord(mac=mac, address="10.20.30.9", hostname="payroll")])
    seen = {person.username: shown(client_of(person), f"/networks/{lan.uuid}/part") for person in (alice, charlie)}
    assert "10.20.30.9" in seen["charlie"]
    assert ("payroll" in seen["alice"], "payroll" in seen["charlie"]) == (True, False)


def test_a_network_is_offered_to_projects_and_others_do_not_see_it(
    admin: Client, lan: Network, project: Project, alice: User, charlie: User, client_of: SignIn
) -> None:
    assert "lan" in shown(client_of(charlie), "/networks/?q=lan")
    admin.post(f"/networks/{lan.uuid}/do/offer", {"projects": str(project.uuid)})
    assert client_of(alice).get(f"/networks/{lan.uuid}/").status_code == 200
    assert client_of(charlie).get(f"/networks/{lan.uuid}/").status_code == 404
    elsewhere = Project.objects.get(name="Elsewhere")
    assert lan in selectors.usable(lan.provider, project)
    assert lan not in selectors.usable(lan.provider, elsewhere)


def test_members_see_networks_and_change_none(lan: Network, alice: User, client_of: SignIn) -> None:
    client = client_of(alice)
    page = shown(client, f"/networks/{lan.uuid}/")
    assert "10.20.30.0/24" in page
    assert "Delete" not in page
    jobs = Job.objects.count()
    for action in ("start", "stop", "delete", "reserve", "release", "dns", "offer", "restart"):
        client.post(f"/networks/{lan.uuid}/do/{action}", {"typed": "lan", "confirmed": "1", "mac": "52:54:00:aa:00:01"})
    assert client.get(f"/networks/{lan.uuid}/edit").status_code == 404
    assert client.get("/networks/create").status_code == 404
    assert Job.objects.count() == jobs


def test_machines_of_others_are_a_number(lan: Network, make_vm: MakeVm, charlie: User, client_of: SignIn) -> None:
    make_vm(name="ledger", nics=[{"external_id": "net0", "mac": "52:54:00:aa:00:09", "network": lan.external_id}])
    page = shown(client_of(charlie), f"/networks/{lan.uuid}/")
    assert "ledger" not in page
    assert "1 machine of other projects" in page


def test_an_unreachable_provider_is_told_and_nothing_is_done(admin: Client, lan: Network) -> None:
    Provider.objects.update(health=Health.FAILED, health_reason="Silence.")
    jobs = Job.objects.count()
    assert "cannot be reached" in shown(admin, f"/networks/{lan.uuid}/")
    admin.post(f"/networks/{lan.uuid}/do/stop", {"confirmed": "1"})
    admin.post(f"/networks/{lan.uuid}/read", headers={"HX-Request": "true"})
    assert Job.objects.count() == jobs


def test_the_dialog_answers_in_place(admin: Client, lan: Network, run_jobs: Any) -> None:
    headers = {"HX-Request": "true", "HX-Target": "dialog"}
    wrong = admin.post(f"/networks/{lan.uuid}/do/reserve", {"mac": "x", "address": "y"}, headers=headers)
    assert wrong.status_code == 422
    assert "<form" in wrong.content.decode()
    assert "<html" not in wrong.content.decode()
    typed = {"mac": "52:54:00:aa:00:01", "address": "10.20.30.8"}
    done = admin.post(f"/networks/{lan.uuid}/do/reserve", typed, headers=headers)
    assert done.status_code == 204
    assert '"done"' in done.headers["HX-Trigger"]


def test_machines_are_plugged_only_into_what_is_offered_to_their_project(
    lan: Network, project: Project, make_vm: MakeVm, alice: User, client_of: SignIn
) -> None:
    elsewhere = Project.objects.create(name="Lighthouse")
    vm = make_vm(name="web", power="stopped")
    client = client_of(alice)
    assert str(lan.uuid) in shown(client, f"/vms/{vm.uuid}/ask/add-nic")
    lan.projects.set([elsewhere])
    assert str(lan.uuid) not in shown(client, f"/vms/{vm.uuid}/ask/add-nic")
    assert str(lan.uuid) not in shown(client, f"/vms/create?project={project.uuid}")
    client.post(f"/vms/{vm.uuid}/do/add-nic", {"network": str(lan.uuid)})
    assert not Job.objects.filter(kind__startswith="vm.").exists()
