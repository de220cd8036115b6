"""Which capability each method of the contract needs: from this the table of kinds and methods is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from providers.base import Capabilities, ConsoleKind

Need = Callable[[Capabilities], object]


def always(can: Capabilities) -> bool:
    del can
    return True


def never(can: Capabilities) -> bool:
    """Part of the contract, but no facet stands behind it: always a failure with a reason."""
    del can
    return False


def has_console(kind: ConsoleKind) -> Need:
    return lambda can: can.consoles and kind in can.consoles.kinds


#: Heading of the contract → method → what it needs.
METHODS: Mapping[str, Mapping[str, Need]] = {
    "Lifecycle": {
        "close": always,
        "exists": always,
        "create": always,
        "start": lambda can: can.power,
        "stop": lambda can: can.power,
        "restart": lambda can: can.power,
        "status": always,
        "list": always,
        "info": always,
        "ip": always,
        "internalip": always,
        "delete": always,
        "clone": lambda can: can.clones and (can.clones.linked or can.clones.full),
        "export": lambda can: can.clones and can.clones.export,
        "console": has_console(ConsoleKind.VNC),
        "serialconsole": has_console(ConsoleKind.SERIAL),
        "dnsinfo": always,
        "detach_disks": lambda can: can.disks,
        "vm_ports": always,
    },
    "Updates": {
        "update_metadata": lambda can: can.reshape and can.reshape.metadata,
        "update_information": lambda can: can.reshape and can.reshape.description,
        "update_memory": lambda can: can.reshape and can.reshape.memory,
        "update_cpus": lambda can: can.reshape and can.reshape.vcpus,
        "update_start": lambda can: can.reshape and can.reshape.autostart,
        "update_flavor": lambda can: can.reshape and can.reshape.flavor and can.flavors,
        "update_iso": lambda can: can.disks and can.disks.iso and can.images,
        "update_nic": lambda can: can.nics and can.nics.change_network,
        "update_pool": lambda can: can.disks and can.disks.move,
        "update_cpuflags": lambda can: can.reshape and can.reshape.options,
        "update_attribute": never,
        "update_reserveip": lambda can: can.networks and can.networks.static_leases,
        "remove_cloudinit": lambda can: can.reshape and can.reshape.remove_cloud_init,
        "reserve_host": lambda can: can.networks and can.networks.dns_hosts,
        "convert_to_template": lambda can: can.clones and can.clones.template,
        "convert_to_vm": lambda can: can.clones and can.clones.template,
    },
    "Snapshots": {
        "create_snapshot": lambda can: can.snapshots,
        "delete_snapshot": lambda can: can.snapshots,
        "revert_snapshot": lambda can: can.snapshots,
        "list_snapshots": lambda can: can.snapshots,
    },
    "Disks and pools": {
        "disk_exists": lambda can: can.volumes,
        "create_disk": lambda can: can.volumes and can.volumes.create,
        "add_disk": lambda can: can.disks,
        "delete_disk": lambda can: can.disks,
        "delete_disk_by_name": lambda can: can.disks and can.volumes,
        "resize_disk": lambda can: can.volumes and can.volumes.grow,
        "list_disks": lambda can: can.volumes,
        "create_pool": lambda can: can.pools and can.pools.create,
        "delete_pool": lambda can: can.pools and can.pools.create,
        "list_pools": lambda can: can.pools,
        "get_pool_path": lambda can: can.pools,
    },
    "Images and flavors": {
        "volumes": lambda can: can.images,
        "add_image": lambda can: can.images and (can.images.add_from_url or can.images.add_from_file),
        "delete_image": lambda can: can.images and can.images.delete,
        "list_flavors": lambda can: can.flavors,
        "info_flavor": lambda can: can.flavors,
    },
    "Network cards": {
        "add_nic": lambda can: can.nics,
        "delete_nic": lambda can: can.nics,
    },
    "Networks": {
        "net_exists": lambda can: can.networks,
        "create_network": lambda can: can.networks and can.networks.create,
        "update_network": lambda can: can.networks and can.networks.update,
        "delete_network": lambda can: can.networks and can.networks.create,
        "list_networks": lambda can: can.networks,
        "info_network": lambda can: can.networks,
        "network_ports": lambda can: can.networks,
    },
    "Subnets": {
        "create_subnet": lambda can: can.subnets and can.subnets.create,
        "update_subnet": lambda can: can.subnets and can.subnets.create,
        "delete_subnet": lambda can: can.subnets and can.subnets.create,
        "list_subnets": lambda can: can.subnets,
        "info_subnet": lambda can: can.subnets,
    },
    "Buckets": {
        "create_bucket": lambda can: can.buckets,
        "delete_bucket": lambda can: can.buckets,
        "list_buckets": lambda can: can.buckets,
        "list_bucketfiles": lambda can: can.buckets,
        "upload_to_bucket": lambda can: can.buckets,
        "download_from_bucket": lambda can: can.buckets,
        "delete_from_bucket": lambda can: can.buckets,
        "public_bucketfile_url": lambda can: can.buckets and can.buckets.public,
    },
    "Security groups": {
        "list_security_groups": lambda can: can.firewalls,
        "create_security_group": lambda can: can.firewalls,
        "update_security_group": lambda can: can.firewalls,
        "delete_security_group": lambda can: can.firewalls,
    },
    "DNS": {
        "reserve_dns": lambda can: can.dns,
        "delete_dns": lambda can: can.dns,
        "list_dns": lambda can: can.dns,
        "list_dns_zones": lambda can: can.dns and can.dns.zones,
    },
    "Load balancers": {
        "create_loadbalancer": lambda can: can.load_balancers,
        "delete_loadbalancer": lambda can: can.load_balancers,
        "list_loadbalancers": lambda can: can.load_balancers,
    },
    "Host": {
        "info_host": lambda can: can.host,
    },
}


def all_methods() -> dict[str, Need]:
    """Every method of the contract by its name."""
    return {name: need for methods in METHODS.values() for name, need in methods.items()}
