"""What people get wrong, and what breaks between the form and the work: a sentence, nothing half made, a second try.

On a real libvirt of the test's own, through the portal's pages and jobs in this process.
"""

from __future__ import annotations

import html
import os
import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import libvirt
import pytest
from django.test import Client
from pydantic import SecretStr

from kvweb.accounts.models import Project, User
from kvweb.jobs import services as jobs
from kvweb.jobs.models import Job, JobLine, JobState
from networking.models import Network
from providers import pool, services
from providers.base import DiskSpec, VmSpec
from providers.fake.config import FakeConfig
from providers.kvm.config import KvmConfig
from providers.models import Health, Provider
from providers.registry import plugin
from storage.models import Image, Pool
from tools.trial.libvirtd import NOBODY, PrivateLibvirt
from tools.trial.waiting import until
from vms import services as vms
from vms.choices import Presence
from vms.flavors import default_flavors
from vms.models import VirtualMachine

pytestmark = [pytest.mark.live, pytest.mark.slow, pytest.mark.django_db(transaction=True)]

NAME = "kvweb-test-bad"
#: What no person should read: libvirt's words, Python's, and paths of the host.
NOT_FOR_PEOPLE = re.compile(
    r"libvirt|traceback|exception|internal error|unexpected|errno|\bvir[A-Z]|qemu-img|qemu-system|monitor|0x|/tmp/"
    r"|/var/|None\b|unable to|cannot open|failed to",
    re.IGNORECASE,
)


def is_for_people(text: str) -> bool:
    """A whole sentence, and nothing of the machinery behind it."""
    return bool(re.fullmatch(r"[A-Z“].*[.!?]", text)) and not NOT_FOR_PEOPLE.search(text)


# -- the props ---------------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs run in this process, so that a test can break something between the form and the work."""
    monkeypatch.setattr(jobs, "enqueue", lambda job, *, after_s=0.0: True)


@pytest.fixture(scope="module")
def private() -> Iterator[PrivateLibvirt]:
    """One daemon for all; each test mends what it breaks."""
    daemon = PrivateLibvirt()
    try:
        image(daemon, "small.qcow2", mib=4)
        image(daemon, "big.qcow2", mib=400)
        daemon.start()
        yield daemon
    finally:
        daemon.remove()


def image(daemon: PrivateLibvirt, name: str, *, mib: int) -> None:
    """An image of real content: copying it takes its space and its time."""
    raw = daemon.folder / f"{name}.raw"
    with raw.open("wb") as file:
        for _ in range(mib):
            file.write(os.urandom(1 << 20))
    made = daemon.folder / name
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", raw, made], check=True)
    daemon.add_image(made)
    raw.unlink()
    made.unlink()


@pytest.fixture
def there(private: PrivateLibvirt) -> Iterator[libvirt.virConnect]:
    """The administrator's hand at the hypervisor; machines of the test are taken away afterwards."""
    connection = libvirt.open(private.uri)
    yield connection
    if not connection.isAlive():
        connection = libvirt.open(private.uri)
    for domain in connection.listAllDomains():
        if domain.isActive():
            domain.destroy()
        domain.undefine()
    images = connection.storagePoolLookupByName("default")
    images.refresh()
    for volume in images.listAllVolumes():
        if volume.name() not in IMAGES:
            volume.delete()
    connection.close()


@pytest.fixture
def provider(private: PrivateLibvirt, there: libvirt.virConnect, run: Callable[[], list[Job]]) -> Iterator[Provider]:
    """The hypervisor as the portal knows it after its first check."""
    added = services.add(kind="kvm", name="Lab", config=KvmConfig(uri=private.uri))
    run()
    added.refresh_from_db()
    assert added.health == Health.OK
    yield added
    pool.forget(added)


IMAGES = {"small.qcow2", "big.qcow2"}


@pytest.fixture
def run() -> Callable[[], list[Job]]:
    """Does the work that waits, also what is to be tried again later; returns the jobs as they ended."""

    def work() -> list[Job]:
        ran: list[int] = []
        for _ in range(30):
            job = Job.objects.filter(state=JobState.QUEUED, not_before=None).order_by("pk").first()
            if job is None:
                break
            jobs.run(job.pk)
            ran.append(job.pk)
        return list(Job.objects.filter(pk__in=ran).order_by("pk"))

    return work


@pytest.fixture
def hers(alice: User, client_of: Callable[[User], Client]) -> Client:
    default_flavors()
    return client_of(alice)


@pytest.fixture
def send(hers: Client, provider: Provider) -> Callable[..., Any]:
    """Alice sends the form: a machine of one's own size from the small image, without network, not started."""

    def post(**values: Any) -> Any:
        small = Image.objects.get(name="small.qcow2")
        no_nics = {"nic-TOTAL_FORMS": 0, "nic-INITIAL_FORMS": 0}
        usual = {"name": NAME, "image": str(small.uuid), "size": "own", "vcpus": 1, "memory_mib": 64, "then": "stay"}
        return hers.post("/vms/create", {**usual, **no_nics, **values})

    return post


def the_job() -> Job:
    return Job.objects.filter(kind="vm.create").latest("pk")


def domains(there: libvirt.virConnect) -> list[str]:
    return sorted(domain.name() for domain in there.listAllDomains())


def left_behind(private: PrivateLibvirt) -> set[str]:
    return private.volumes() - IMAGES


def assert_failed_well(job: Job, *, typed: dict[str, Any]) -> None:
    """The job and the row say why in words for people, and what was typed is kept."""
    job.refresh_from_db()
    assert job.state == JobState.FAILED, (job.state, job.reason)
    assert is_for_people(job.reason), job.reason
    for line in JobLine.objects.filter(job=job):
        assert not NOT_FOR_PEOPLE.search(line.text), line.text
    assert {name: str(job.form["typed"][name]) for name in typed} == {name: str(value) for name, value in typed.items()}
    row = VirtualMachine.objects.get(name=NAME)
    assert row.presence == Presence.WANTED
    assert row.external_id == ""
    assert row.problem == f"Create failed: {job.reason}"
    assert row.problem_job == job.uuid


def assert_second_try_works(
    hers: Client, send: Callable[..., Any], run: Callable[[], list[Job]], **values: Any
) -> None:
    """From the failed job's own form, which shows what was typed, to a machine in the same row."""
    before = the_job()
    page = hers.get(f"/vms/create?again={before.uuid}")
    assert f'value="{NAME}"' in page.content.decode()
    assert send(again=str(before.uuid), **values).status_code == 302
    run()
    after = the_job()
    assert (after.state, after.reason) == (JobState.SUCCEEDED, "")
    row = VirtualMachine.objects.get(name=NAME)
    assert (row.presence, row.problem, row.problem_job) == (Presence.PRESENT, "", None)


# -- the form ----------------------------------------------------------------------------------------------------------

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no name": ({"name": ""}, "name"),
    "a blank name": ({"name": "   "}, "name"),
    "300 characters": ({"name": "x" * 300}, "name"),
    "markup": ({"name": "a&b<c>"}, "name"),
    "a way out of the folder": ({"name": "../x"}, "name"),
    "an option": ({"name": "-rf"}, "name"),
    "quotes": ({"name": "x\"y'z"}, "name"),
    "an emoji": ({"name": "web😀"}, "name"),
    "a line break": ({"name": "web\nserver"}, "name"),
    "no CPU": ({"vcpus": 0}, "vcpus"),
    "less than no CPU": ({"vcpus": -1}, "vcpus"),
    "more CPUs than the host has": ({"vcpus": 1024}, "vcpus"),
    "more CPUs than there are numbers": ({"vcpus": "9" * 40}, "vcpus"),
    "no memory": ({"memory_mib": 0}, "memory_mib"),
    "less than no memory": ({"memory_mib": -512}, "memory_mib"),
    "more memory than the host has": ({"memory_mib": 16_777_216}, "memory_mib"),
    "a disk of nothing": ({"disk_gib": 0}, "disk_gib"),
    "less than no disk": ({"disk_gib": -1}, "disk_gib"),
    "a disk larger than the pool": ({"disk_gib": 65_536}, "disk_gib"),
    "a pool of another world": ({"pool": "../../etc"}, "pool"),
    "an image of another world": ({"image": "/etc/shadow"}, "image"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said_at_its_field_and_nothing_is_made(
    case: str, send: Callable[..., Any], private: PrivateLibvirt, there: libvirt.virConnect
) -> None:
    values, field = WRONG[case]
    answer = send(**values)
    assert answer.status_code == 422
    [sentence] = answer.context["form"].errors[field]
    assert is_for_people(sentence), sentence
    page = answer.content.decode()
    assert f'id="id_{field}_error"' in page
    # What was typed stands in its field again, as text.
    if field in {"name", "vcpus", "memory_mib", "disk_gib"}:
        assert html.escape(str(values[field]), quote=True) in page
    assert not VirtualMachine.objects.exists()
    assert not Job.objects.filter(kind="vm.create").exists()
    assert (domains(there), left_behind(private)) == ([], set())


def test_a_name_that_a_machine_has_is_taken(
    send: Callable[..., Any], run: Callable[[], list[Job]], there: libvirt.virConnect
) -> None:
    assert send().status_code == 302
    run()
    [sentence] = send().context["form"].errors["name"]
    assert sentence == "This name is taken at “Lab”; choose another."
    assert domains(there) == [NAME]


# -- the driver, asked without a form ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a&b<c>", "../x", "x\"y'z", "web😀", "x" * 63, " ", "..", "-rf", "%s%n", "a;b|c$(d)"])
def test_an_awkward_name_is_kept_exactly_or_refused_in_words(
    name: str,
    alice: User,
    project: Project,
    provider: Provider,
    private: PrivateLibvirt,
    there: libvirt.virConnect,
    run: Callable[[], list[Job]],
) -> None:
    small = Image.objects.get(name="small.qcow2")
    spec = VmSpec(name=name, vcpus=1, memory_mib=64, disks=(DiskSpec(image=small.external_id),), start=False)
    before = {path for path in private.folder.iterdir() if path.name != "log"}
    vm, job = vms.create(project=project, provider=provider, spec=spec, image=small, user=alice)
    run()
    job.refresh_from_db()
    if job.state == JobState.SUCCEEDED:
        assert domains(there) == [name]
        assert len(left_behind(private)) == 1
        vm.refresh_from_db()
        assert vm.name == name
        vms.delete(vm)
        run()
    else:
        assert (job.state, job.field) == (JobState.FAILED, "name")
        assert is_for_people(job.reason), job.reason
    assert (domains(there), left_behind(private)) == ([], set())
    assert {path for path in private.folder.iterdir() if path.name != "log"} == before


# -- between the form and the work -------------------------------------------------------------------------------------


def test_a_name_that_somebody_took_meanwhile(
    send: Callable[..., Any],
    hers: Client,
    run: Callable[[], list[Job]],
    private: PrivateLibvirt,
    there: libvirt.virConnect,
) -> None:
    send(description="For the ledger")
    there.defineXML(
        f"<domain type='qemu'><name>{NAME}</name><memory unit='MiB'>32</memory><os><type>hvm</type></os></domain>"
    )
    run()
    assert_failed_well(the_job(), typed={"name": NAME, "description": "For the ledger"})
    assert (the_job().code, the_job().field) == ("already_exists", "name")
    assert left_behind(private) == set()
    there.lookupByName(NAME).undefine()
    assert_second_try_works(hers, send, run)


@pytest.mark.parametrize("how", ["through libvirt", "beside libvirt"])
@pytest.mark.parametrize("full_copy", ["", "on"], ids=["thin", "in full"])
def test_an_image_that_vanished(
    how: str,
    full_copy: str,
    send: Callable[..., Any],
    hers: Client,
    run: Callable[[], list[Job]],
    private: PrivateLibvirt,
    there: libvirt.virConnect,
) -> None:
    send(full_copy=full_copy, description="For the ledger")
    put_away = private.folder / "small.qcow2"
    (private.images / "small.qcow2").rename(put_away)
    if how == "through libvirt":
        there.storagePoolLookupByName("default").refresh()
    try:
        run()
        assert_failed_well(the_job(), typed={"name": NAME, "description": "For the ledger"})
        assert "image" in the_job().reason
        assert the_job().field == "disks.0.image"
        assert (domains(there), private.volumes()) == ([], {"big.qcow2"})
    finally:
        put_away.rename(private.images / "small.qcow2")
        there.storagePoolLookupByName("default").refresh()
    assert_second_try_works(hers, send, run, full_copy=full_copy)


@contextmanager
def another_pool(there: libvirt.virConnect, provider: Provider, folder: Path) -> Iterator[Any]:
    """A second pool of the hypervisor, known to the portal; gone afterwards."""
    made = make_pool(there, folder)
    _, _, _, available = made.info()
    Pool.objects.create(
        provider=provider,
        external_id="tiny",
        name="tiny",
        type="dir",
        capacity_gib=available / 2**30,
        available_gib=available / 2**30,
    )
    try:
        yield made
    finally:
        for left in there.listAllStoragePools():
            if left.name() == "tiny":
                if left.isActive():
                    left.destroy()
                left.undefine()


def make_pool(there: libvirt.virConnect, folder: Path) -> Any:
    folder.mkdir(exist_ok=True)
    os.chown(folder, NOBODY, NOBODY)
    document = f"<pool type='dir'><name>tiny</name><target><path>{folder}</path></target></pool>"
    known = [one for one in there.listAllStoragePools() if one.name() == "tiny"]
    made = known[0] if known else there.storagePoolDefineXML(document)
    if not made.isActive():
        made.create()
    return made


@pytest.mark.parametrize("how", ["removed", "switched off", "without its folder"])
def test_a_pool_that_vanished(
    how: str,
    send: Callable[..., Any],
    hers: Client,
    run: Callable[[], list[Job]],
    private: PrivateLibvirt,
    there: libvirt.virConnect,
    provider: Provider,
) -> None:
    folder = private.folder / f"tiny-{how.replace(' ', '-')}"
    with another_pool(there, provider, folder) as tiny:
        chosen = str(Pool.objects.get(name="tiny").uuid)
        send(pool=chosen, description="For the ledger")
        if how != "without its folder":
            tiny.destroy()
        if how != "switched off":
            folder.rmdir()
        if how == "removed":
            tiny.undefine()
        run()
        assert_failed_well(the_job(), typed={"name": NAME, "pool": chosen, "description": "For the ledger"})
        assert "pool" in the_job().reason
        assert (domains(there), left_behind(private)) == ([], set())
        make_pool(there, folder)
        assert_second_try_works(hers, send, run, pool=chosen)
        assert list(folder.iterdir())
        vms.delete(VirtualMachine.objects.get())
        run()
        assert not list(folder.iterdir())


def test_a_network_that_vanished(
    send: Callable[..., Any],
    hers: Client,
    run: Callable[[], list[Job]],
    private: PrivateLibvirt,
    there: libvirt.virConnect,
    provider: Provider,
) -> None:
    lan = Network.objects.create(provider=provider, external_id="kvweb-test-lan", name="kvweb-test-lan", mode="bridge")
    card = {"nic-TOTAL_FORMS": 1, "nic-0-network": str(lan.uuid)}
    send(**card, description="For the ledger")
    run()
    assert_failed_well(the_job(), typed={"name": NAME, "description": "For the ledger"})
    (typed,) = the_job().form["typed"]["nics"]
    assert typed["network"] == str(lan.uuid)
    assert the_job().reason == "There is no network “kvweb-test-lan”."
    assert the_job().field == "nics.0.network"
    assert (domains(there), left_behind(private)) == ([], set())
    # Without a card it can be made.
    assert_second_try_works(hers, send, run)


@pytest.fixture
def small_disk(private: PrivateLibvirt) -> Iterator[Path]:
    """A file system of 20 MiB."""
    if os.geteuid() != 0:
        pytest.skip("Only root can mount a small file system to fill it up.")
    folder = private.folder / "small-disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)
        folder.rmdir()


@pytest.mark.parametrize("known", [True, False], ids=["libvirt knows", "libvirt does not know"])
def test_a_disk_that_is_full(
    known: bool,
    small_disk: Path,
    send: Callable[..., Any],
    hers: Client,
    run: Callable[[], list[Job]],
    private: PrivateLibvirt,
    there: libvirt.virConnect,
    provider: Provider,
) -> None:
    with another_pool(there, provider, small_disk) as tiny:
        chosen = {"pool": str(Pool.objects.get(name="tiny").uuid), "full_copy": "on"}
        send(**chosen, description="For the ledger")
        ballast = small_disk / "ballast"
        ballast.write_bytes(os.urandom(18 << 20))
        if known:
            tiny.refresh()
        run()
        assert_failed_well(the_job(), typed={"name": NAME, "description": "For the ledger", "pool": chosen["pool"]})
        assert the_job().code == "out_of_capacity"
        assert domains(there) == []
        assert [path.name for path in small_disk.iterdir()] == ["ballast"]
        ballast.unlink()
        tiny.refresh()
        assert_second_try_works(hers, send, run, **chosen)
        vms.delete(VirtualMachine.objects.get())
        run()
        assert not list(small_disk.iterdir())


def test_a_disk_that_the_image_does_not_fit_on_is_refused_by_the_form(
    small_disk: Path, send: Callable[..., Any], private: PrivateLibvirt, there: libvirt.virConnect, provider: Provider
) -> None:
    with another_pool(there, provider, small_disk):
        big = Image.objects.get(name="big.qcow2")
        answer = send(pool=str(Pool.objects.get(name="tiny").uuid), image=str(big.uuid), full_copy="on")
        assert answer.context["form"].errors["disk_gib"] == ["The pool “tiny” has 0.0 GiB free."]


def test_a_libvirtd_that_dies_in_the_middle(
    send: Callable[..., Any],
    hers: Client,
    run: Callable[[], list[Job]],
    private: PrivateLibvirt,
    provider: Provider,
) -> None:
    big = str(Image.objects.get(name="big.qcow2").uuid)
    send(image=big, full_copy="on", description="For the ledger")

    def die_in_the_middle() -> None:
        until(lambda: left_behind(private), timeout_s=20, said="The first volume", every_s=0.005)
        private.kill()

    killer = threading.Thread(target=die_in_the_middle)
    killer.start()
    try:
        run()
    finally:
        killer.join(timeout=30)
        # What qemu-img still writes for the dead daemon comes to its end.
        until(lambda: not copying(private), timeout_s=60, said="The end of the copy")
        private.start()
    assert_failed_well(the_job(), typed={"name": NAME, "image": big, "description": "For the ledger"})
    assert the_job().code == "unreachable"
    provider.refresh_from_db()
    assert (provider.health, provider.health_reason) == (Health.FAILED, the_job().reason)
    # Clearing up waits until the hypervisor is back.
    settling = Job.objects.get(kind="vm.settle")
    assert settling.state == JobState.QUEUED
    assert is_for_people(settling.message), settling.message
    Job.objects.filter(pk=settling.pk).update(not_before=None)
    run()
    settling.refresh_from_db()
    assert (settling.state, settling.result) == (JobState.SUCCEEDED, {"found": False, "removed": True})
    assert left_behind(private) == set()
    there = libvirt.open(private.uri)
    assert domains(there) == []
    assert_second_try_works(hers, send, run)
    assert domains(there) == [NAME]
    there.close()
    provider.refresh_from_db()
    assert provider.health == Health.OK


def copying(private: PrivateLibvirt) -> bool:
    done = subprocess.run(["pgrep", "-f", f"qemu-img.*{private.folder}"], capture_output=True)
    return done.returncode == 0


# -- a provider that cannot be reached ---------------------------------------------------------------------------------


@contextmanager
def deaf_listener() -> Iterator[int]:
    """Takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        kept: list[socket.socket] = []

        def accept() -> None:
            try:
                while True:
                    kept.append(listener.accept()[0])
            except OSError:
                return

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            for one in kept:
                one.close()


#: Connection URI → within how many seconds it is said. The configured deadline is five.
UNREACHABLE = {
    "a port that is closed": ("qemu+tcp://127.0.0.1:1/system", 5),
    "a port that is closed, over ssh": ("qemu+ssh://nobody@127.0.0.1:1/system", 6),
    "a port that is closed, over TLS": ("qemu+tls://127.0.0.1:1/system", 5),
    "a host that does not exist": ("qemu+tcp://kvweb-test.invalid/system", 6),
    "a listener that says nothing": ("qemu+tcp://127.0.0.1:{deaf}/system", 6),
    "a listener that says nothing, over ssh": ("qemu+ssh://nobody@127.0.0.1:{deaf}/system", 6),
    "a socket that is not there": ("qemu+unix:///system?socket=/nonexistent/libvirt-sock", 5),
}


@pytest.mark.parametrize("case", UNREACHABLE)
def test_a_hypervisor_that_cannot_be_reached_is_said_soon(
    case: str,
    root: User,
    hers: Client,
    private: PrivateLibvirt,
    there: libvirt.virConnect,
    client_of: Callable[[User], Client],
    run: Callable[[], list[Job]],
) -> None:
    address, within_s = UNREACHABLE[case]
    client = client_of(root)
    with deaf_listener() as port:
        uri = address.format(deaf=port)
        typed = {"config_uri": uri, "config_network": "default", "config_virt_type": "auto", "config_open_timeout_s": 5}
        assert client.post("/providers/add/kvm", {"name": "Far", **typed}).status_code == 302
        started = time.monotonic()
        [check] = run()
        took_s = time.monotonic() - started
    assert took_s < within_s
    assert check.state == JobState.FAILED
    assert is_for_people(check.reason), check.reason
    provider = Provider.objects.get()
    assert (provider.health, provider.health_reason) == (Health.FAILED, check.reason)
    assert provider.unreachable_since is not None
    # Nobody can send a form into the void, and the page says why.
    answer = hers.post("/vms/create", {"name": NAME, "image": "empty", "provider": str(provider.uuid)})
    assert f"“Far” cannot be reached at the moment: {check.reason}" in answer.context["form"].errors["provider"]
    # Mended, it is well again.
    again = {"name": "Far", **typed, "config_uri": private.uri}
    assert client.post(f"/providers/{provider.uuid}/edit", again).status_code == 302
    run()
    mended = Provider.objects.get()
    assert (mended.health, mended.health_reason, mended.unreachable_since) == (Health.OK, "", None)
    pool.forget(mended)


def test_wrong_credentials_are_said_and_never_shown(
    root: User, tmp_path: Path, client_of: Callable[[User], Client], run: Callable[[], list[Job]]
) -> None:
    path = str(tmp_path / "cloud.sqlite3")
    right = FakeConfig(path=path, demo=False, username="tester", password=SecretStr("right horse"))
    plugin("fake").open(right).close()
    client = client_of(root)
    typed = {"name": "Far", "config_path": path, "config_username": "tester", "config_faults": "{}"}
    numbers = {
        f"config_{name}": getattr(right, name)
        for name in (
            "start_s",
            "stop_s",
            "create_s",
            "lease_s",
            "slow_s",
            "hang_s",
            "cpus",
            "memory_mib",
            "storage_gib",
        )
    }
    answer = client.post("/providers/add/fake", {**typed, **numbers, "config_password": "wrong horse"})
    assert answer.status_code == 302, answer.context["form"].errors
    [check] = run()
    assert (check.state, check.code) == (JobState.FAILED, "authentication_failed")
    assert is_for_people(check.reason), check.reason
    provider = Provider.objects.get()
    assert (provider.health, provider.health_code) == (Health.FAILED, "authentication_failed")
    for address in ("", "edit"):
        assert "wrong horse" not in client.get(f"/providers/{provider.uuid}/{address}").content.decode()
    told = [*Job.objects.values_list("params", "result", "reason", "message"), *JobLine.objects.values_list("text")]
    assert "wrong horse" not in str(told)
    client.post(f"/providers/{provider.uuid}/edit", {**typed, **numbers, "config_password": "right horse"})
    run()
    provider.refresh_from_db()
    assert (provider.health, provider.health_reason) == (Health.OK, "")
    pool.forget(provider)
