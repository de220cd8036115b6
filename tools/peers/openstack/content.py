"""What tests find in a fresh cloud of the real services: flavors, networks, an image, made by its administrator."""

from __future__ import annotations

from typing import Any

import openstack

AUTH_URL = "http://127.0.0.1:5000/v3"
PASSWORD = "pw"  # noqa: S105 - of a cloud on loopback that lives as long as its tests
#: Small, so that nothing waits for bytes: Nova's fake hypervisor boots anything.
IMAGE_BYTES = 65536


def connected(user: str, project: str) -> Any:
    return openstack.connect(
        auth_url=AUTH_URL,
        username=user,
        password=PASSWORD,
        project_name=project,
        user_domain_id="default",
        project_domain_id="default",
        region_name="RegionOne",
        load_yaml_config=False,
        load_envvars=False,
    )


def fill() -> dict[str, str]:
    """Make what is missing; the ids by what they are for. Can be called again."""
    admin, member = connected("admin", "admin"), connected("demo", "demo")
    for name, memory_mib, vcpus in (("kvweb.tiny", 64, 1), ("kvweb.small", 512, 2)):
        if admin.compute.find_flavor(name) is None:
            admin.compute.create_flavor(name=name, ram=memory_mib, vcpus=vcpus, disk=1)
    outside = admin.network.find_network("public") or admin.network.create_network(
        name="public",
        is_router_external=True,
        provider_network_type="flat",
        provider_physical_network="public",
    )
    if not outside.subnet_ids:
        admin.network.create_subnet(
            network_id=outside.id,
            ip_version=4,
            cidr="172.24.4.0/24",
            gateway_ip="172.24.4.1",
            allocation_pools=[{"start": "172.24.4.10", "end": "172.24.4.200"}],
            is_dhcp_enabled=False,
        )
    _raise_limits(admin, member.current_project_id)
    image = next(iter(admin.image.images(name="tiny")), None) or admin.image.create_image(
        "tiny", data=bytes(IMAGE_BYTES), disk_format="raw", container_format="bare", visibility="public", wait=True
    )
    inner = _network(member, "inner", "10.20.0.0/24")
    if member.network.find_router("out") is None:
        router = member.network.create_router(name="out", external_gateway_info={"network_id": outside.id})
        (subnet,) = member.network.subnets(network_id=inner)
        member.network.add_interface_to_router(router, subnet_id=subnet.id)
    return {
        "image": image.id,
        "network": inner,
        "other_network": _network(member, "other", "10.21.0.0/24"),
    }


def _network(member: Any, name: str, cidr: str) -> str:
    network = member.network.find_network(name) or member.network.create_network(name=name)
    if not network.subnet_ids:
        member.network.create_subnet(network_id=network.id, ip_version=4, cidr=cidr)
    return str(network.id)


def _raise_limits(admin: Any, project_id: str) -> None:
    """Beyond those of a new project, which a suite that makes many VMs meets."""
    admin.compute.update_quota_set(project_id, instances=100, cores=400, ram=100_000)
    admin.block_storage.update_quota_set(project_id, volumes=200, gigabytes=4000, snapshots=200)
    admin.network.update_quota(project_id, ports=1000, networks=200, subnets=400, security_groups=200, routers=100)


def introduce() -> None:
    """Make the services known to Keystone, and a project for tests. Can be called again."""
    identity = connected("admin", "admin").identity
    service = identity.find_project("service") or identity.create_project(name="service", domain_id="default")
    roles = [identity.find_role(name) or identity.create_role(name=name) for name in ("admin", "service")]
    for name in ("glance", "placement", "nova", "neutron", "cinder"):
        user = identity.find_user(name) or identity.create_user(name=name, password=PASSWORD, domain_id="default")
        for role in roles:
            identity.assign_project_role_to_user(service, user, role)
    known = {each.type for each in identity.services()}
    for name, kind, url in (
        ("glance", "image", "http://127.0.0.1:9292"),
        ("placement", "placement", "http://127.0.0.1:8778"),
        ("nova", "compute", "http://127.0.0.1:8774/v2.1"),
        ("neutron", "network", "http://127.0.0.1:9696"),
        ("cinder", "block-storage", "http://127.0.0.1:8776/v3"),
    ):
        if kind in known:
            continue
        made = identity.create_service(name=name, type=kind)
        for interface in ("public", "internal"):
            identity.create_endpoint(service_id=made.id, interface=interface, url=url, region_id="RegionOne")
    demo = identity.find_project("demo") or identity.create_project(name="demo", domain_id="default")
    user = identity.find_user("demo") or identity.create_user(name="demo", password=PASSWORD, domain_id="default")
    identity.assign_project_role_to_user(demo, user, identity.find_role("member"))


def is_ready() -> bool:
    """Whether everything that a test needs answers and has reported to its own service."""
    admin = connected("admin", "admin")
    list(admin.image.images())
    list(admin.network.networks())
    compute = {each.binary for each in admin.compute.services() if each.state == "up"}
    volume = {each.binary for each in admin.block_storage.services() if each.state == "up"}
    agents = [each for each in admin.network.agents() if each.is_alive]
    wanted = {"nova-compute", "nova-conductor", "nova-scheduler"}
    return wanted <= compute and "cinder-volume" in volume and bool(agents) and any(admin.compute.hypervisors())
