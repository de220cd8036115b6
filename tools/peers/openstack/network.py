"""Neutron: networks, subnets, ports with addresses of their own, routers, floating addresses, security groups."""

from __future__ import annotations

import random
from ipaddress import ip_address, ip_network
from typing import Any

from tools.peers.openstack.state import Cloud, Json, neutron, now

#: Path → (kind, word for one of them). The plural's word is the path's with underscores.
KINDS = {
    "networks": "network",
    "subnets": "subnet",
    "ports": "port",
    "routers": "router",
    "floatingips": "floatingip",
    "security-groups": "security_group",
    "security-group-rules": "security_group_rule",
}
INTERFACE = "network:router_interface"


def one(cloud: Cloud, kind: str, object_id: str) -> Json:
    found = cloud.of(kind).get(object_id)
    if found is None:
        word = KINDS[kind].title().replace("_", "")
        raise neutron(404, f"{word}NotFound", f"{word} {object_id} could not be found.")
    return found


def create(cloud: Cloud, kind: str, wish: Json) -> Json:
    base = {"project_id": cloud.project_id, "tenant_id": cloud.project_id, "created_at": now(), "description": ""}
    if kind == "networks":
        used = len(cloud.of(kind))
        cloud.check_quota(kind, used, neutron(409, "OverQuota", "Quota exceeded for resources: ['network']."))
        defaults: Json = {
            "admin_state_up": True,
            "shared": False,
            "router:external": False,
            "mtu": 1442,
            "status": "ACTIVE",
        }
        return cloud.new(kind, {**base, **defaults, "subnets": [], **wish})
    if kind == "subnets":
        return _subnet(cloud, base, wish)
    if kind == "ports":
        return make_port(cloud, wish)
    if kind == "floatingips":
        return _floating(cloud, base, wish)
    if kind == "security-groups":
        group = cloud.new(kind, {**base, **wish, "security_group_rules": []})
        for ethertype in ("IPv4", "IPv6"):
            _rule(cloud, {"security_group_id": group["id"], "direction": "egress", "ethertype": ethertype})
        return group
    if kind == "security-group-rules":
        return _rule(cloud, wish)
    return cloud.new(kind, {**base, "status": "ACTIVE", **wish})


def update(cloud: Cloud, kind: str, object_id: str, change: Json) -> Json:
    item = one(cloud, kind, object_id)
    item.update(change)
    if kind == "floatingips" and "port_id" in change and not change["port_id"]:
        item |= {"fixed_ip_address": None, "router_id": None, "status": "DOWN"}
    return item


def delete(cloud: Cloud, kind: str, object_id: str) -> None:
    item = one(cloud, kind, object_id)
    if kind == "networks":
        if any(port["network_id"] == object_id for port in cloud.of("ports").values()):
            raise neutron(409, "NetworkInUse", f"Unable to complete operation on network {object_id}. There are ports.")
        for subnet in [each["id"] for each in cloud.of("subnets").values() if each["network_id"] == object_id]:
            cloud.of("subnets").pop(subnet)
    elif kind == "routers":
        if any(port["device_id"] == object_id for port in cloud.of("ports").values()):
            raise neutron(409, "RouterInUse", f"Router {object_id} still has ports")
    elif kind == "subnets":
        for port in cloud.of("ports").values():
            if any(each["subnet_id"] == object_id for each in port["fixed_ips"]):
                raise neutron(409, "SubnetInUse", f"Subnet {object_id} has ports with addresses.")
        _forget_subnet(cloud, item)
    elif kind == "security-groups":
        if any(object_id in port["security_groups"] for port in cloud.of("ports").values()):
            raise neutron(409, "SecurityGroupInUse", f"Security Group {object_id} in use.")
    elif kind == "security-group-rules":
        rules = cloud.of("security-groups")[item["security_group_id"]]["security_group_rules"]
        rules[:] = [each for each in rules if each["id"] != object_id]
    cloud.of(kind).pop(object_id, None)
    if kind == "ports":
        _part(cloud, object_id)


def _part(cloud: Cloud, port_id: str) -> None:
    """A floating address outlives its port."""
    for each in cloud.of("floatingips").values():
        if each.get("port_id") == port_id:
            each |= {"port_id": None, "fixed_ip_address": None, "router_id": None, "status": "DOWN"}


def _floating(cloud: Cloud, base: Json, wish: Json) -> Json:
    used = len(cloud.of("floatingips"))
    cloud.check_quota("floatingips", used, neutron(409, "OverQuota", "Quota exceeded for resources: ['floatingip']."))
    outside = one(cloud, "networks", wish["floating_network_id"])
    if not outside.get("router:external"):
        raise neutron(400, "BadRequest", f"Network {outside['id']} is not a valid external network")
    router = ""
    if wish.get("port_id"):
        port = one(cloud, "ports", wish["port_id"])
        router = _router_between(cloud, port["network_id"], outside["id"])
        if not router:
            words = f"External network {outside['id']} is not reachable from subnet."
            raise neutron(404, "ExternalGatewayForFloatingIPNotFound", words)
        if any(each.get("port_id") == port["id"] for each in cloud.of("floatingips").values()):
            raise neutron(409, "FloatingIPPortAlreadyAssociated", f"Port {port['id']} has a floating IP already.")
    taken = {each["floating_ip_address"] for each in cloud.of("floatingips").values()}
    address = next(text for text in (f"172.24.4.{last}" for last in range(10, 250)) if text not in taken)
    return cloud.new(
        "floatingips",
        {
            **base,
            "status": "ACTIVE",
            "port_id": None,
            **wish,
            "router_id": router or None,
            "floating_ip_address": address,
        },
    )


def _router_between(cloud: Cloud, network_id: str, outside_id: str) -> str:
    """The router with a leg in the one network and its gateway in the other."""
    for port in cloud.of("ports").values():
        if port["network_id"] == network_id and port["device_owner"] == INTERFACE:
            gateway = cloud.of("routers")[port["device_id"]].get("external_gateway_info") or {}
            if gateway.get("network_id") == outside_id:
                return str(port["device_id"])
    return ""


def _forget_subnet(cloud: Cloud, subnet: Json) -> None:
    subnets = cloud.of("networks")[subnet["network_id"]]["subnets"]
    subnets[:] = [each for each in subnets if each != subnet["id"]]


def _subnet(cloud: Cloud, base: Json, wish: Json) -> Json:
    net = one(cloud, "networks", wish["network_id"])
    try:
        cidr = ip_network(wish["cidr"])
    except ValueError:
        raise neutron(400, "InvalidInput", f"'{wish['cidr']}' is not a valid IP subnet.") from None
    for other in cloud.of("subnets").values():
        if other["network_id"] == net["id"] and ip_network(other["cidr"]).overlaps(cidr):
            raise neutron(400, "InvalidInput", f"Requested subnet with cidr: {cidr} overlaps with another subnet.")
    gateway = wish["gateway_ip"] if "gateway_ip" in wish else str(cidr[1])
    last = -2 if cidr.version == 4 else -1
    first = cidr[2] if gateway else cidr[1]
    subnet = cloud.new(
        "subnets",
        {
            **base,
            "enable_dhcp": True,
            "allocation_pools": [{"start": str(first), "end": str(cidr[last])}],
            "dns_nameservers": [],
            "host_routes": [],
            **wish,
            "cidr": str(cidr),
            "gateway_ip": gateway,
        },
    )
    net["subnets"].append(subnet["id"])
    return subnet


def make_port(cloud: Cloud, wish: Json) -> Json:
    net = one(cloud, "networks", wish["network_id"])
    mac = str(wish.get("mac_address") or _mac())
    if any(port["mac_address"] == mac and port["network_id"] == net["id"] for port in cloud.of("ports").values()):
        raise neutron(409, "MacAddressInUse", f"The mac address {mac} is in use.")
    default = next((each["id"] for each in cloud.of("security-groups").values() if each["name"] == "default"), "")
    port: Json = {
        "name": "",
        "description": "",
        "device_id": "",
        "device_owner": "",
        "admin_state_up": True,
        "status": "DOWN",
        "project_id": cloud.project_id,
        "created_at": now(),
        "security_groups": [default] if default else [],
        **wish,
        "mac_address": mac,
    }
    port["fixed_ips"] = _addresses(cloud, net, wish.get("fixed_ips"))
    return cloud.new("ports", port)


def _mac() -> str:
    return "fa:16:3e:" + ":".join(f"{random.randrange(256):02x}" for _ in range(3))  # noqa: S311


def _addresses(cloud: Cloud, net: Json, wanted: Any) -> list[Json]:
    subnets = [each for each in cloud.of("subnets").values() if each["network_id"] == net["id"]]
    taken = {
        each["ip_address"]
        for port in cloud.of("ports").values()
        for each in port["fixed_ips"]
        if port["network_id"] == net["id"]
    }
    if wanted:
        found = []
        for each in wanted:
            subnet = next(
                (
                    one
                    for one in subnets
                    if each.get("subnet_id") == one["id"]
                    or ("ip_address" in each and ip_address(each["ip_address"]) in ip_network(one["cidr"]))
                ),
                None,
            )
            if subnet is None:
                raise neutron(400, "InvalidIpForNetwork", f"{each} is not valid for any of the subnets.")
            address = each.get("ip_address") or subnet["gateway_ip"]
            if address in taken:
                raise neutron(409, "IpAddressAlreadyAllocated", f"IP address {address} already allocated in subnet.")
            found.append({"subnet_id": subnet["id"], "ip_address": address})
        return found
    first = [next((each for each in subnets if each["ip_version"] == version), None) for version in (4, 6)]
    return [{"subnet_id": each["id"], "ip_address": _free(each, taken)} for each in first if each]


def free_address(cloud: Cloud, subnet: Json) -> str:
    ports = [port for port in cloud.of("ports").values() if port["network_id"] == subnet["network_id"]]
    return _free(subnet, {each["ip_address"] for port in ports for each in port["fixed_ips"]})


def _free(subnet: Json, taken: set[str]) -> str:
    pool = subnet["allocation_pools"][0]
    address, last = ip_address(pool["start"]), ip_address(pool["end"])
    while str(address) in taken:
        address += 1
        if int(address) > int(last):
            raise neutron(409, "IpAddressGenerationFailure", f"No more IP addresses on subnet {subnet['id']}.")
    return str(address)


def bind(cloud: Cloud, port_id: str, server_id: str) -> None:
    port = one(cloud, "ports", port_id)
    if port["device_id"]:
        raise neutron(409, "PortInUse", f"Port {port_id} is still in use.")
    port.update(device_id=server_id, device_owner="compute:nova", status="ACTIVE")


def unplug(cloud: Cloud, port_id: str) -> None:
    """Nova deletes the ports that it made, and lets go of the others."""
    port = one(cloud, "ports", port_id)
    if port.get("_novas"):
        cloud.of("ports").pop(port_id)
        _part(cloud, port_id)
    else:
        port.update(device_id="", device_owner="", status="DOWN")


def unplug_all(cloud: Cloud, server_id: str) -> None:
    for port in [each["id"] for each in cloud.of("ports").values() if each["device_id"] == server_id]:
        unplug(cloud, port)


def add_interface(cloud: Cloud, router_id: str, wish: Json) -> Json:
    one(cloud, "routers", router_id)
    subnet = one(cloud, "subnets", wish["subnet_id"])
    port = make_port(
        cloud,
        {
            "network_id": subnet["network_id"],
            "device_id": router_id,
            "device_owner": INTERFACE,
            "fixed_ips": [{"subnet_id": subnet["id"]}],
        },
    )
    return {"id": router_id, "port_id": port["id"], "subnet_id": subnet["id"]}


def remove_interface(cloud: Cloud, router_id: str, wish: Json) -> Json:
    cloud.of("ports").pop(one(cloud, "ports", wish["port_id"])["id"])
    return {"id": router_id, "port_id": wish["port_id"]}


def _rule(cloud: Cloud, wish: Json) -> Json:
    group = one(cloud, "security-groups", wish["security_group_id"])
    empty: Json = dict.fromkeys(("protocol", "port_range_min", "port_range_max", "remote_ip_prefix", "remote_group_id"))
    rule = cloud.new("security-group-rules", {**empty, **wish})
    group["security_group_rules"].append({key: value for key, value in rule.items() if not key.startswith("_")})
    return rule


def group_named(cloud: Cloud, name: str) -> Json:
    for group in cloud.of("security-groups").values():
        if name in (group["name"], group["id"]):
            return group
    raise neutron(400, "SecurityGroupNotFound", f"Security group {name} not found for project.")


def addresses_of(cloud: Cloud, server_id: str) -> Json:
    told: Json = {}
    for port in cloud.kinds.get("ports", {}).values():
        if port["device_id"] != server_id:
            continue
        rows = told.setdefault(cloud.kinds["networks"][port["network_id"]]["name"], [])
        for each in port["fixed_ips"]:
            fixed = {"OS-EXT-IPS:type": "fixed", "OS-EXT-IPS-MAC:mac_addr": port["mac_address"]}
            rows.append({"addr": each["ip_address"], "version": ip_address(each["ip_address"]).version, **fixed})
        for each in cloud.kinds.get("floatingips", {}).values():
            if each.get("port_id") == port["id"]:
                kind = {"OS-EXT-IPS:type": "floating", "OS-EXT-IPS-MAC:mac_addr": port["mac_address"]}
                rows.append({"addr": each["floating_ip_address"], "version": 4, **kind})
    return told


def matches(item: Json, query: Any) -> bool:
    """Neutron's filters: any field, several values of one field mean any of them."""
    for key in set(query) - {"limit", "marker", "sort_key", "sort_dir", "fields"}:
        wanted = [value.lower() if value in ("True", "False") else value for value in query.getall(key)]
        has = item.get(key)
        if (str(has).lower() if isinstance(has, bool) else str(has)) not in wanted:
            return False
    return True
