"""Which privileges the account needs for what; what it lacks is not offered, and named on the provider's page.

Names: https://developer.broadcom.com/xapis/vsphere-web-services-api/latest/ ("Required Privileges" of each method).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from providers.base import Capabilities, Features
from providers.vsphere.connection import Connection
from providers.vsphere.native import vim
from providers.vsphere.site import Site, vm_folder

_VM = "VirtualMachine"
#: For what → privileges, as docs/providers/vsphere.md has them.
NEEDED: Mapping[str, Sequence[str]] = {
    "making and deleting VMs": (
        f"{_VM}.Inventory.Create",
        f"{_VM}.Inventory.CreateFromExisting",
        f"{_VM}.Inventory.Delete",
        f"{_VM}.Provisioning.Clone",
        f"{_VM}.Provisioning.CloneTemplate",
        f"{_VM}.Provisioning.DeployTemplate",
        f"{_VM}.Provisioning.CreateTemplateFromVM",
        "Resource.AssignVMToPool",
        "Datastore.AllocateSpace",
        "Network.Assign",
    ),
    "changing them": (
        f"{_VM}.Config.CPUCount",
        f"{_VM}.Config.Memory",
        f"{_VM}.Config.Settings",
        f"{_VM}.Config.Resource",
        f"{_VM}.Config.AdvancedConfig",
        f"{_VM}.Config.Annotation",
        f"{_VM}.Config.Rename",
        f"{_VM}.Config.AddNewDisk",
        f"{_VM}.Config.AddExistingDisk",
        f"{_VM}.Config.RemoveDisk",
        f"{_VM}.Config.DiskExtend",
        f"{_VM}.Config.AddRemoveDevice",
        f"{_VM}.Config.EditDevice",
        "Resource.ColdMigrate",
    ),
    "power, consoles, media": (
        f"{_VM}.Interact.PowerOn",
        f"{_VM}.Interact.PowerOff",
        f"{_VM}.Interact.Suspend",
        f"{_VM}.Interact.Reset",
        f"{_VM}.Interact.ConsoleInteract",
        f"{_VM}.Interact.DeviceConnection",
        f"{_VM}.Interact.SetCDMedia",
    ),
    "snapshots": (
        f"{_VM}.State.CreateSnapshot",
        f"{_VM}.State.RemoveSnapshot",
        f"{_VM}.State.RevertToSnapshot",
    ),
    "volumes, ISO images": ("Datastore.Browse", "Datastore.FileManagement"),
    "templates, appliances": (
        "VApp.Import",
        f"{_VM}.Provisioning.MarkAsTemplate",
        f"{_VM}.Provisioning.MarkAsVM",
    ),
    "making networks": ("DVPortgroup.Create", "DVPortgroup.Modify", "DVPortgroup.Delete", "Host.Config.Network"),
}

#: What is not offered when any of these is lacking: a facet, or one of its features.
_CUTS: Mapping[str, Sequence[str]] = {
    "machines.create_empty machines.create_from_iso": (
        f"{_VM}.Inventory.Create", "Resource.AssignVMToPool", "Datastore.AllocateSpace"
    ),
    "machines.create_from_image": (
        f"{_VM}.Inventory.CreateFromExisting", f"{_VM}.Provisioning.DeployTemplate", "Resource.AssignVMToPool",
        "Datastore.AllocateSpace",
    ),
    "clones": (f"{_VM}.Inventory.CreateFromExisting", f"{_VM}.Provisioning.Clone"),
    "clones.template": (f"{_VM}.Provisioning.MarkAsTemplate", f"{_VM}.Provisioning.MarkAsVM"),
    "clones.export": (f"{_VM}.Provisioning.CreateTemplateFromVM",),
    "power": (f"{_VM}.Interact.PowerOn", f"{_VM}.Interact.PowerOff"),
    "power.pause": (f"{_VM}.Interact.Suspend",),
    "power.reset": (f"{_VM}.Interact.Reset",),
    "consoles": (f"{_VM}.Interact.ConsoleInteract",),
    "reshape.vcpus reshape.hot_vcpus": (f"{_VM}.Config.CPUCount",),
    "reshape.memory reshape.hot_memory": (f"{_VM}.Config.Memory",),
    "reshape.rename": (f"{_VM}.Config.Rename",),
    "reshape.description": (f"{_VM}.Config.Annotation",),
    "reshape.metadata reshape.remove_cloud_init": (f"{_VM}.Config.AdvancedConfig",),
    "disks": (f"{_VM}.Config.AddNewDisk", f"{_VM}.Config.RemoveDisk"),
    "disks.existing": (f"{_VM}.Config.AddExistingDisk",),
    "disks.grow": (f"{_VM}.Config.DiskExtend",),
    "disks.move": ("Resource.ColdMigrate",),
    "disks.iso": (f"{_VM}.Interact.DeviceConnection", f"{_VM}.Interact.SetCDMedia"),
    "nics": (f"{_VM}.Config.AddRemoveDevice", "Network.Assign"),
    "nics.change_network nics.link": (f"{_VM}.Config.EditDevice",),
    "snapshots": NEEDED["snapshots"],
    "volumes images.isos": ("Datastore.Browse",),
    "volumes.create volumes.grow volumes.clone": ("Datastore.FileManagement",),
    "images.add_from_url images.add_from_file": ("Datastore.FileManagement", "VApp.Import"),
    "networks.create": ("DVPortgroup.Create", "DVPortgroup.Delete"),
    "networks.update": ("DVPortgroup.Modify",),
}  # fmt: skip


def lacking(connection: Connection, site: Site) -> Sequence[str]:
    """Privileges that the account has nowhere in the datacenter, in one call; inside `vendor_calls()`."""
    entities: list[Any] = [vm_folder(connection), connection.datacenter]
    for name, kind in (
        ("ResourcePool", vim.ResourcePool),
        ("Datastore", vim.Datastore),
        ("Network", vim.Network),
        ("HostSystem", vim.HostSystem),
    ):
        entities += [connection.object(kind, each.id) for each in site.of(name)[:5]]
    wanted = list(dict.fromkeys(each for privileges in NEEDED.values() for each in privileges))
    # What a server's version does not know spoils the whole question; all versions know all of these.
    session = connection.session_key
    manager = connection.content.authorizationManager
    answer = manager.HasPrivilegeOnEntities(entities, session, wanted)
    held = {each.privId for entity in answer or () for each in entity.privAvailability or () if each.isGranted}
    return [each for each in wanted if each not in held]


def offered(capabilities: Capabilities, missing: Iterable[str]) -> Capabilities:
    """Without what the account may not do."""
    lost = set(missing)
    found: dict[str, Features | None] = {}
    for names, privileges in _CUTS.items():
        if not lost & set(privileges):
            continue
        for name in names.split():
            facet, _, feature = name.partition(".")
            present = found.get(facet, getattr(capabilities, facet))
            if present is not None:
                found[facet] = present.model_copy(update={feature: False}) if feature else None
    return capabilities.model_copy(update=found)
