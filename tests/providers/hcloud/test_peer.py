"""The stand-in behaves as Hetzner documents it, and the official library understands each of its answers."""

from __future__ import annotations

import time

import pytest
import requests
from hcloud import APIException, Client
from hcloud.actions.domain import ActionFailedException
from hcloud.firewalls.domain import FirewallRule
from hcloud.images.domain import Image
from hcloud.load_balancer_types.domain import LoadBalancerType
from hcloud.load_balancers.domain import LoadBalancerService, LoadBalancerTarget
from hcloud.locations.domain import Location
from hcloud.networks.domain import NetworkSubnet
from hcloud.server_types.domain import ServerType
from hcloud.servers.client import BoundServer
from hcloud.servers.domain import ServerCreatePublicNetwork
from websockets.sync.client import connect

from providers.base import ConsoleKind, FirewallSpec, WebSocketConsole
from providers.base import FirewallRule as Rule
from providers.hcloud.driver import HcloudDriver
from providers.testing import present
from tools.peers.hcloud.server import Peer
from tools.peers.hcloud.services import add_zone


@pytest.fixture
def client(peer: Peer) -> Client:
    # Ids go as numbers where the library is given them; the schemas, which are older, want texts.
    peer.contract = None
    return Client(token=peer.cloud.token, api_endpoint=peer.url, poll_interval=0.02, timeout=5)


def server(client: Client, name: str = "web-1") -> BoundServer:
    made = client.servers.create(
        name,
        ServerType(name="cx22"),
        Image(id=1000),
        location=Location(name="fsn1"),
        labels={"role": "web"},
        public_net=ServerCreatePublicNetwork(enable_ipv4=True, enable_ipv6=True),
    )
    made.action.wait_until_finished()
    for action in made.next_actions:
        action.wait_until_finished()
    made.server.reload()
    return made.server


def test_the_library_reads_whatever_there_is(client: Client, peer: Peer) -> None:
    peer.cloud.action_s = 0.02
    one = server(client)
    assert (one.status, present(one.server_type).name, present(one.image).name) == ("running", "cx22", "debian-12")
    network = client.networks.create("inside", "10.0.0.0/16")
    network.add_subnet(NetworkSubnet("10.0.1.0/24", type="cloud", network_zone="eu-central")).wait_until_finished()
    one.attach_to_network(network, ip="10.0.1.7").wait_until_finished()
    one.reload()
    assert [net.ip for net in one.private_net or ()] == ["10.0.1.7"]
    volume = client.volumes.create(10, "data", server=one)
    volume.action.wait_until_finished()
    firewall = client.firewalls.create("web", rules=[FirewallRule("in", "tcp", ["0.0.0.0/0"], port="80")]).firewall
    balancer = client.load_balancers.create(
        "front",
        LoadBalancerType(name="lb11"),
        location=Location(name="fsn1"),
        services=[LoadBalancerService(protocol="tcp", listen_port=80, destination_port=80, proxyprotocol=False)],
        targets=[LoadBalancerTarget(type="server", server=one, use_private_ip=False)],
    ).load_balancer
    snapshot = one.create_image("before", "snapshot")
    snapshot.action.wait_until_finished()
    add_zone(peer.cloud, "demo.test")
    assert [each.name for each in client.servers.get_all(label_selector="role=web")] == ["web-1"]
    assert [each.name for each in client.zones.get_all()] == ["demo.test"]
    assert [rule.port for rule in client.firewalls.get_by_id(present(firewall.id)).rules or ()] == ["80"]
    assert client.load_balancers.get_by_id(present(balancer.id)).targets
    assert {"snapshot", "system"} == {image.type for image in client.images.get_all()}
    for everything in (client.locations, client.server_types, client.isos, client.volumes, client.networks):
        assert everything.get_all()


def test_an_action_takes_time_and_tells_how_far_it_is(client: Client, peer: Peer) -> None:
    one = server(client)
    peer.cloud.slow["stop_server"] = 0.3
    action = one.power_off()
    seen = set()
    while action.status == "running":
        seen.add(action.progress)
        time.sleep(0.05)
        action.reload()
    assert len(seen) > 2
    assert action.progress == 100
    peer.cloud.failing["start_server"] = 1
    with pytest.raises(ActionFailedException):
        one.power_on().wait_until_finished()


def test_a_locked_server_and_a_taken_name_are_refused(client: Client, peer: Peer) -> None:
    one = server(client)
    peer.cloud.slow["stop_server"] = 5
    one.power_off()
    with pytest.raises(APIException) as locked:
        one.reboot()
    with pytest.raises(APIException) as taken:
        server(client)
    assert (locked.value.code, taken.value.code) == ("locked", "uniqueness_error")


def test_throttling_has_its_headers(peer: Peer) -> None:
    headers = {"Authorization": f"Bearer {peer.cloud.token}"}
    with peer.failing("rate_limited"):
        answer = requests.get(f"{peer.url}/servers", headers=headers, timeout=5)
    assert answer.status_code == 429
    assert answer.headers["RateLimit-Remaining"] == "0"
    assert int(answer.headers["RateLimit-Reset"]) > time.time()


def test_the_control_address_makes_faults(peer: Peer) -> None:
    control = peer.url.removesuffix("/v1") + "/control"
    requests.post(control, json={"fault": {"kind": "unavailable", "times": 1}, "set": {"action_s": 1}}, timeout=5)
    headers = {"Authorization": f"Bearer {peer.cloud.token}"}
    told = [requests.get(f"{peer.url}/servers", headers=headers, timeout=5).status_code for _ in range(2)]
    assert told == [503, 200]
    assert peer.cloud.action_s == 1


def test_the_screen_speaks_rfb_once_for_each_token(driver: HcloudDriver, client: Client) -> None:
    one = server(client)
    target = driver.consoles.open(str(one.id), ConsoleKind.VNC)
    assert isinstance(target, WebSocketConsole)
    assert target.password
    assert target.password not in repr(target)
    with connect(target.url, subprotocols=["binary"], open_timeout=5) as line:  # type: ignore[list-item]
        assert line.recv(timeout=5) == b"RFB 003.008\n"
    with pytest.raises(Exception, match="401"), connect(target.url, open_timeout=5):
        pass


def test_rules_for_what_goes_out_are_left_alone(driver: HcloudDriver, client: Client) -> None:
    out = FirewallRule("out", "tcp", [], port="25", destination_ips=["192.0.2.0/24"])
    made = client.firewalls.create("mail", rules=[FirewallRule("in", "tcp", ["0.0.0.0/0"], port="25"), out]).firewall
    wider = FirewallSpec(name="mail", rules=(Rule(from_port=25, to_port=26),))
    assert driver.firewalls.update(str(made.id), wider).rules == wider.rules
    directions = [rule.direction for rule in client.firewalls.get_by_id(present(made.id)).rules or ()]
    assert directions == ["in", "out"]
