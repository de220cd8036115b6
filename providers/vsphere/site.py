"""Where a VM can go: clusters, hosts, resource pools, datastores and networks of the datacenter, read in one call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from providers.base import InvalidRequest, NotFound, OutOfCapacity
from providers.vsphere.connection import Connection
from providers.vsphere.native import vim
from providers.vsphere.properties import Found, in_view, retrieve, wanted

#: Paths of each kind; a kind of its own for clusters, since asking a single host for a cluster's property is a fault.
_WANTED: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("ComputeResource", ("name", "resourcePool", "host")),
    ("ClusterComputeResource", ("name", "resourcePool", "host", "configuration.drsConfig.enabled")),
    ("HostSystem", ("name", "parent", "runtime.connectionState", "runtime.inMaintenanceMode")),
    ("ResourcePool", ("name", "owner")),
    ("Datastore", ("name", "summary.accessible", "summary.freeSpace", "summary.maintenanceMode")),
    ("Network", ("name",)),
    ("DistributedVirtualPortgroup", ("name", "config.distributedVirtualSwitch")),
    ("DistributedVirtualSwitch", ("name", "uuid")),
)


@dataclass(slots=True)
class Site:
    """What was there a moment ago."""

    connection: Connection
    found: list[Found]

    def of(self, *kinds: str) -> list[Found]:
        return [each for each in self.found if each.kind in kinds]

    # -- computing --------------------------------------------------------------------------------------------------

    def cluster(self, name: str) -> Found:
        """The cluster or single host of this name or id; without a name the first that has a host that works."""
        clusters = self.of("ClusterComputeResource", "ComputeResource")
        if name:
            for each in clusters:
                if name in (each.text("name"), each.id):
                    return each
            raise InvalidRequest(f"There is no cluster or host “{name}”.", field="zone")
        usable = [each for each in clusters if self._hosts(each)]
        if not usable:
            raise OutOfCapacity("No host is connected and out of maintenance.")
        # A cluster first: what runs in one survives its host.
        return min(usable, key=lambda each: (each.kind != "ClusterComputeResource", each.text("name")))

    def pool(self, cluster: Found, name: str = "") -> Any:
        """The handle of a resource pool of the cluster, or of the cluster's own."""
        if not name:
            return self.connection.object(vim.ResourcePool, cluster.text("resourcePool"))
        for each in self.of("ResourcePool"):
            if name in (each.text("name"), each.id) and each.text("owner") == cluster.id:
                return self.connection.object(vim.ResourcePool, each.id)
        raise InvalidRequest(f"There is no resource pool “{name}” in “{cluster.text('name')}”.", field="options")

    def host(self, cluster: Found) -> Any:
        """A host where the server does not choose by itself; None where DRS does."""
        if cluster.is_true("configuration.drsConfig.enabled"):
            return None
        hosts = self._hosts(cluster)
        if not hosts:
            raise OutOfCapacity("No host of this cluster is connected and out of maintenance.")
        return self.connection.object(vim.HostSystem, hosts[0].id)

    def _hosts(self, cluster: Found) -> list[Found]:
        return [
            each
            for each in self.of("HostSystem")
            if each.text("parent") == cluster.id
            and each.text("runtime.connectionState") == "connected"
            and not each.is_true("runtime.inMaintenanceMode")
        ]

    # -- storage ----------------------------------------------------------------------------------------------------

    def datastore(self, wanted_id: str) -> Found:
        """The datastore of this id or name; without one the configured one, or that with the most room."""
        name = wanted_id or self.connection.config.datastore
        stores = self.of("Datastore")
        if name:
            for each in stores:
                if name in (each.id, each.text("name")):
                    return each
            raise NotFound(f"There is no datastore “{name}”.", field="pool")
        usable = [
            each
            for each in stores
            if each.is_true("summary.accessible") and each.text("summary.maintenanceMode") in ("", "normal")
        ]
        if not usable:
            raise OutOfCapacity("No datastore can be used.")
        return max(usable, key=lambda each: (each.number("summary.freeSpace") or 0, each.text("name")))

    # -- networks ---------------------------------------------------------------------------------------------------

    def card_backing(self, network_id: str) -> Any:
        """What a card that is plugged into this network has behind it; raises NotFound."""
        network = next(
            (
                each
                for each in self.of("Network", "DistributedVirtualPortgroup", "OpaqueNetwork")
                if each.id == network_id
            ),
            None,
        )
        if network is None:
            raise NotFound(f"There is no network “{network_id}”.", field="network")
        cards = vim.vm.device.VirtualEthernetCard
        if network.kind != "DistributedVirtualPortgroup":
            handle = self.connection.object(vim.Network, network.id)
            return cards.NetworkBackingInfo(deviceName=network.text("name"), network=handle)
        switch_id = network.text("config.distributedVirtualSwitch")
        switch = next(each for each in self.found if each.id == switch_id)
        port = vim.dvs.PortConnection(switchUuid=switch.text("uuid"), portgroupKey=network.id)
        return cards.DistributedVirtualPortBackingInfo(port=port)


def read_site(connection: Connection) -> Site:
    """Look around; inside `vendor_calls()`."""
    kinds = {name: _kind(name) for name, _ in _WANTED}
    view = connection.view(
        vim.ComputeResource, vim.HostSystem, vim.ResourcePool, vim.Datastore, vim.Network, vim.DistributedVirtualSwitch
    )
    asked = [wanted(kinds[name], *paths) for name, paths in _WANTED]
    return Site(connection, list(retrieve(connection, [in_view(view)], asked)))


def _kind(name: str) -> Any:
    if name == "DistributedVirtualPortgroup":
        return vim.dvs.DistributedVirtualPortgroup
    return getattr(vim, name)


def vm_folder(connection: Connection) -> Any:
    """The folder that VMs live in: the configured one, or the datacenter's own."""
    path = connection.config.folder.strip("/")
    name = f"{connection.datacenter_name}/vm" + (f"/{path}" if path else "")
    folder = connection.content.searchIndex.FindByInventoryPath(name)
    if folder is None or not isinstance(folder, vim.Folder):
        raise InvalidRequest(f"There is no VM folder “{path}”.", field="folder")
    return folder
