"""Volumes that machines share already, so that one more can have them too."""

from __future__ import annotations

from storage.models import Volume
from vms.models import VirtualMachine


def shared_volumes(vm: VirtualMachine) -> list[int]:
    """Keys of raw volumes of the machine's project that others have, all of whom say that they share; two queries."""
    used = Volume.objects.filter(
        provider=vm.provider, project=vm.project, is_used=True, format="raw", missing_since=None
    ).only("pk", "external_id", "used_by")
    candidates = [volume for volume in used if vm.external_id not in volume.used_by]
    users = {name for volume in candidates for name in volume.used_by}
    machines = VirtualMachine.objects.filter(provider=vm.provider, external_id__in=users)
    sharing = {
        (external_id, disk.get("volume"))
        for external_id, disks in machines.values_list("external_id", "disks")
        for disk in disks or []
        if disk.get("shareable")
    }
    return [volume.pk for volume in candidates if all((user, volume.external_id) in sharing for user in volume.used_by)]
