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
    return {
        "image": image.id,
        "network": _network(member, "inner", "10.20.0.0/24"),
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
