"""A person and a cloud: what is wrong is named, then a machine is made, looked at, snapshotted and deleted."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from providers.aws.driver import AwsDriver
from providers.aws.testing import Peer as AwsPeer
from providers.testing import Unavailable, is_demanded
from providers.vsphere.driver import VsphereDriver
from providers.vsphere.testing import Backend
from tests.live.test_second_light import answer, press
from tests.vms.console.gateway import GREETING, Gateway
from tests.vms.console.vendor import SERVER_INIT, Vendor
from tools.peers.hcloud.cloud import Cloud
from tools.peers.hcloud.contract import contract
from tools.peers.hcloud.server import Peer
from tools.peers.openstack.simulator import Simulator as OpenStackPeer
from tools.trial.portal import Portal
from tools.trial.waiting import until

pytestmark = [pytest.mark.live, pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(480)]

NAME = "kvweb-test-cloud"
VSPHERE_NAME = "kvweb-test-vsphere"
AWS_NAME = "kvweb-test-aws"
TICKET = "cst-journey"
PATIENCE_MS = 30_000
#: A journey that is made once more meets the portal that the first one left.
ATTEMPTS = count(1)


@pytest.fixture(scope="module")
def portal() -> Iterator[Portal]:
    """A portal that needs no hypervisor."""
    home = Path(tempfile.mkdtemp(prefix="kvweb-live-", dir="/tmp"))
    running = Portal(home)
    try:
        running.start()
        yield running
    finally:
        running.stop()
        shutil.rmtree(home, ignore_errors=True)


# -- steps that every cloud shares -------------------------------------------------------------------------------------


def unfold(page: Page) -> None:
    """Open what the form has folded away: what a setting belongs to is the form's own affair."""
    for fold in page.locator("details.fold-row").all():
        if fold.get_attribute("open") is None:
            fold.locator("summary").first.click()


def add_and_be_refused(page: Page, *, said: str) -> str:
    """Send the form of a new provider whose secret is wrong; returns the provider's address, with its settings open."""
    page.get_by_role("button", name="Add and check").click()
    page.wait_for_url(re.compile(r"/providers/[0-9a-f-]{36}/"))
    expect(page.locator("body")).to_contain_text(said, timeout=PATIENCE_MS)
    provider = page.url
    page.goto(f"{provider}edit")
    return provider


def save_and_connect(page: Page) -> None:
    page.get_by_role("button", name="Save and check").click()
    expect(page.locator("body")).to_contain_text("The portal is connected", timeout=PATIENCE_MS)


def choose_an_image(page: Page, portal: Portal, provider: str, *, name: str, image: str) -> None:
    """Open the form of a new machine at this provider, give it a name and choose its image."""
    address = f"{portal.url}/vms/create?provider={provider.rstrip('/').rpartition('/')[2]}"

    def is_offered() -> bool:
        page.goto(address)
        return page.locator("label", has_text=image).count() > 0

    # They are read after the networks, and the form is as it was when it was opened.
    until(is_offered, timeout_s=60, said="Reading the images", explain=portal.jobs)
    page.get_by_label("Name", exact=True).fill(name)
    page.locator("label", has_text=image).first.click()


def create_and_start(page: Page) -> str:
    """Send the form; returns the address of the machine when it runs."""
    page.get_by_role("button", name="Create and start").click()
    page.wait_for_url(re.compile(r"/vms/[0-9a-f-]{36}/"))
    expect(page.locator("body")).to_contain_text("Running", timeout=PATIENCE_MS)
    return page.url


def see_the_screen(page: Page, vm: str) -> None:
    page.goto(f"{vm.rstrip('/')}/console/vnc")
    page.locator("canvas").first.wait_for()
    expect(page.locator("body")).to_contain_text("Connected", timeout=PATIENCE_MS)


def take_a_snapshot(page: Page, vm: str) -> None:
    page.goto(f"{vm}snapshots")
    page.get_by_role("link", name="Take a snapshot").first.click()
    answer(page, "Take snapshot", name="fresh")
    row = page.locator(".tree-list tbody tr", has_text="fresh")
    expect(row.get_by_role("link", name="Go back")).to_be_visible(timeout=PATIENCE_MS)


def delete(page: Page, name: str) -> None:
    """Delete the machine whose page is open."""
    press(page, "Delete")
    dialog = page.locator("dialog[open]")
    dialog.locator("#typed").fill(name)
    dialog.get_by_role("button", name="Delete", exact=True).click()


# -- Hetzner Cloud -----------------------------------------------------------------------------------------------------


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer(Cloud(action_s=0.3), contract()) as running:
        yield running
    assert not running.violations, "Not as Hetzner's schemas say."


def test_a_machine_at_a_cloud_lives_and_goes(signed_in: Page, portal: Portal, peer: Peer) -> None:
    page = signed_in
    page.set_default_timeout(PATIENCE_MS)

    # The check says what is wrong, and what it found when it is right.
    page.goto(f"{portal.url}/providers/add/hcloud")
    page.locator("[name=name]").first.fill(f"Hetzner {next(ATTEMPTS)}")
    page.locator("[name=config_token]").fill("w" * 64)
    unfold(page)
    page.locator("[name=config_endpoint]").fill(peer.url)
    page.locator("[name=config_poll_s]").fill("0.1")
    provider = add_and_be_refused(page, said="refused the token")
    page.locator("[name=config_token]").fill(peer.cloud.token)
    save_and_connect(page)

    # Locations have their prices, and no questions that the cloud cannot answer.
    choose_an_image(page, portal, provider, name=NAME, image="debian-12")
    expect(page.locator("#create-size")).to_contain_text("€3.29 a month")
    page.locator("[name=zone]").select_option("nbg1")
    expect(page.locator("#create-size")).to_contain_text("€3.79 a month")
    expect(page.locator("#create-size")).to_contain_text("Not to be had in Nuremberg")
    page.locator("[name=password]").fill("first-light-2026")
    vm = create_and_start(page)
    (server,) = peer.cloud.tables["servers"].values()
    assert (server["name"], server["location"]["name"]) == (NAME, "nbg1")
    assert server["labels"]["project"]

    # The screen, carried by the portal.
    see_the_screen(page, vm)

    take_a_snapshot(page, vm)
    delete(page, NAME)
    until(lambda: left(peer) == (0, 0), timeout_s=30, said="Deleting the machine and its snapshot", explain=portal.jobs)


def left(peer: Peer) -> tuple[int, int]:
    """How many servers and snapshots there are."""
    with peer.cloud.lock:
        images = peer.cloud.tables["images"].values()
        return len(peer.cloud.tables["servers"]), sum(image["type"] == "snapshot" for image in images)


class Screen(Vendor):
    """A screen that shows nothing new: it takes what the viewer sends, and stays."""

    def _screen(self, stream: Any) -> None:
        stream.send(b"RFB 003.008\n")
        stream.read(12)
        stream.send(b"\x01\x01")
        stream.read(1)
        stream.send(bytes(4))
        stream.read(1)
        stream.send(SERVER_INIT)
        while True:
            self.got += stream.read(1)


@pytest.fixture
def screen() -> Iterator[Screen]:
    host = Screen(path=f"/ticket/{TICKET}", chosen="binary")
    yield host
    host.close()


@pytest.fixture
def vcenter(screen: Screen) -> Iterator[Backend]:
    try:
        backend = Backend(environment={"VCSIM_SCREEN_PORT": str(screen.port), "VCSIM_SCREEN_TICKET": TICKET})
    except Unavailable as exc:
        if is_demanded("vsphere"):
            pytest.fail(str(exc))
        pytest.skip(str(exc))
    yield backend
    backend.close()


def test_a_machine_at_a_vcenter_lives_and_goes(
    signed_in: Page, portal: Portal, vcenter: Backend, screen: Screen
) -> None:
    page = signed_in
    page.set_default_timeout(PATIENCE_MS)

    # The check says what is wrong, and what it found when it is right.
    page.goto(f"{portal.url}/providers/add/vsphere")
    page.locator("[name=name]").first.fill(f"Office {next(ATTEMPTS)}")
    page.locator("[name=config_host]").fill("127.0.0.1")
    page.locator("[name=config_port]").fill(str(vcenter.config.port))
    page.locator("[name=config_username]").fill(vcenter.config.username)
    page.locator("[name=config_password]").fill("wrong")
    page.locator("[name=config_ca]").fill(f"{vcenter.config.ca}\n{screen.ca}")
    provider = add_and_be_refused(page, said="refused the user or the password")
    page.locator("[name=config_password]").fill(vcenter.config.password.get_secret_value())
    save_and_connect(page)
    until(
        lambda: portal.rows("select 1 from storage_image where name = 'kvweb-golden'"),
        timeout_s=60,
        said="Reading the images, which come after the networks",
        explain=portal.jobs,
    )

    choose_an_image(page, portal, provider, name=VSPHERE_NAME, image="kvweb-golden")
    page.locator("[name=password]").fill("first-light-2026")
    vm = create_and_start(page)

    # The screen: a ticket of the vCenter's, carried by the portal.
    see_the_screen(page, vm)

    take_a_snapshot(page, vm)
    delete(page, VSPHERE_NAME)
    until(lambda: not names(vcenter), timeout_s=60, said="Deleting the machine", explain=portal.jobs)


def names(vcenter: Backend) -> list[str]:
    with VsphereDriver(vcenter.config) as driver:
        return [vm.name for vm in driver.machines.list()]


@pytest.fixture
def aws() -> Iterator[AwsPeer]:
    try:
        running = AwsPeer()
    except Unavailable as exc:
        if is_demanded("aws"):
            pytest.fail(str(exc))
        pytest.skip(str(exc))
    running.tell("pace", {"pending": 0.5, "stopping": 0.5, "shutting-down": 0.5})
    yield running
    running.close()


@pytest.fixture
def gateway(aws: AwsPeer) -> Iterator[Gateway]:
    """AWS's gateway to serial lines, which takes the keys that were pushed to the stand-in."""
    running = Gateway()
    aws.tell("beyond", {"keys": str(running.keys)})
    yield running
    running.close()


def test_a_machine_at_aws_lives_and_goes(signed_in: Page, portal: Portal, aws: AwsPeer, gateway: Gateway) -> None:
    page = signed_in
    page.set_default_timeout(PATIENCE_MS)

    # The check says what is wrong, and what it found when it is right.
    page.goto(f"{portal.url}/providers/add/aws")
    page.locator("[name=name]").first.fill(f"Frankfurt {next(ATTEMPTS)}")
    page.locator("[name=config_access_key_id]").fill(aws.told["key"])
    page.locator("[name=config_secret_access_key]").fill("wrong")
    unfold(page)
    page.locator("[name=config_instance_types]").fill("t3.*")
    page.locator("[name=config_public_images]").fill("136693071363/debian-12-amd64-*")
    page.locator("[name=config_endpoint_url]").fill(aws.url)
    page.locator("[name=config_serial_host]").fill(f"127.0.0.1:{gateway.port}")
    page.locator("[name=config_serial_known_hosts]").fill(gateway.known_hosts)
    provider = add_and_be_refused(page, said="does not belong to this access key")
    page.locator("[name=config_secret_access_key]").fill(aws.told["secret"])
    save_and_connect(page)
    until(
        lambda: portal.rows("select 1 from networking_network where external_id = ?", aws.told["network"]),
        timeout_s=60,
        said="Reading the networks",
        explain=portal.jobs,
    )

    choose_an_image(page, portal, provider, name=AWS_NAME, image="debian-12")
    expect(page.locator("#create-size")).to_contain_text("t3.micro")
    expect(page.locator("#create-size")).to_contain_text("$0.01 an hour")
    page.locator("[name=password]").fill("first-light-2026")
    vm = create_and_start(page)

    # The serial line, by a key that AWS takes for a minute.
    with AwsDriver(aws.config()) as driver:
        gateway.know(f"{driver.machines.find(AWS_NAME).external_id}.port0")
    page.goto(f"{vm.rstrip('/')}/console/serial")
    expect(page.locator(".xterm-rows")).to_contain_text(GREETING.decode().strip(), timeout=PATIENCE_MS)

    take_a_snapshot(page, vm)
    delete(page, AWS_NAME)
    until(lambda: left_at_aws(aws) == (0, 0), timeout_s=60, said="Deleting the machine", explain=portal.jobs)


def left_at_aws(aws: AwsPeer) -> tuple[int, int]:
    """How many machines and volumes there are."""
    with AwsDriver(aws.config()) as driver:
        return len(driver.machines.list()), len(driver.volumes.list())


OPENSTACK_NAME = "kvweb-test-openstack"


@pytest.fixture
def openstack() -> Iterator[tuple[OpenStackPeer, Screen]]:
    """A cloud that takes its time, and its proxy of screens, which an authority of the cloud's own vouches for."""
    proxy = Screen(path=f"/?token={TICKET}", chosen="binary")
    peer = OpenStackPeer(delay_s=0.5, console_url=f"https://127.0.0.1:{proxy.port}", console_token=TICKET)
    yield peer, proxy
    peer.stop()
    proxy.close()


def test_a_machine_at_an_openstack_cloud_lives_and_goes(
    signed_in: Page, portal: Portal, openstack: tuple[OpenStackPeer, Screen]
) -> None:
    page, (peer, proxy) = signed_in, openstack
    page.set_default_timeout(PATIENCE_MS)

    # The check says what is wrong, and what it found when it is right.
    page.goto(f"{portal.url}/providers/add/openstack")
    page.locator("[name=name]").first.fill(f"Cellar {next(ATTEMPTS)}")
    for name, text in (("auth_url", peer.auth_url), ("username", "tester"), ("password", "wrong"), ("project", "demo")):
        page.locator(f"[name=config_{name}]").fill(text)
    unfold(page)
    page.locator("[name=config_ca]").fill(proxy.ca)
    provider = add_and_be_refused(page, said="does not accept this user name and password")
    page.locator("[name=config_password]").fill(peer.cloud.password)
    save_and_connect(page)
    until(
        lambda: portal.rows("select 1 from storage_image where external_id = ?", peer.content["image"]),
        timeout_s=60,
        said="Reading the images, which come after the networks",
        explain=portal.jobs,
    )

    choose_an_image(page, portal, provider, name=OPENSTACK_NAME, image="tiny")
    expect(page.locator("#create-size")).to_contain_text("kvweb.small")
    network = page.locator("#create-nics select").first
    network.select_option(label=next(text for text in network.locator("option").all_inner_texts() if "inner" in text))
    page.locator("[name=password]").fill("first-light-2026")
    vm = create_and_start(page)
    (server,) = peer.cloud.of("servers").values()
    assert server["name"] == OPENSTACK_NAME

    # The screen: Nova's token for its proxy, carried by the portal.
    see_the_screen(page, vm)

    # A floating address, given and shown.
    page.goto(f"{vm}networks")
    page.get_by_role("link", name="Give an address").first.click()
    answer(page, "Give an address")
    expect(page.locator(".nic")).to_contain_text("172.24.4.", timeout=PATIENCE_MS)

    # It keeps no snapshots, and says what there is instead: an image, of a machine that is off.
    page.goto(f"{vm}snapshots")
    expect(page.locator("body")).to_contain_text("make an image of it instead")
    press(page, "Shut down")
    answer(page, "Shut down")
    expect(page.locator(".page-header .state")).to_contain_text("Off", timeout=PATIENCE_MS)
    press(page, "Make an image of it")
    answer(page, "Make image", name="golden")
    for is_there in (
        lambda: portal.rows("select 1 from storage_image where name = 'golden' and external_id != ''"),
        # Asked as well, since a second try finds the row that the first has left.
        lambda: [one["status"] for one in peer.cloud.of("images").values() if one["name"] == "golden"] == ["active"],
    ):
        until(is_there, timeout_s=60, said="Making the image", explain=portal.jobs)

    # Deleted with its volume, its address, and nothing else.
    page.goto(vm)
    delete(page, OPENSTACK_NAME)
    until(lambda: left_at_openstack(peer) == [0, 0, 0], timeout_s=60, said="Deleting the machine", explain=portal.jobs)


def left_at_openstack(peer: OpenStackPeer) -> list[int]:
    """How many servers, volumes and floating addresses there are."""
    return [len(peer.cloud.of(kind)) for kind in ("servers", "volumes", "floatingips")]
