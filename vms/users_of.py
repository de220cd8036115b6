"""Which machines use a pool, a volume or a network, for the apps below: registered in `providers.machines`."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from django.db.models import F

from kvweb.accounts.access import VERBS_OF_ROLE, Person, roles_of
from providers.machines import Devices, Machine
from vms.choices import Presence
from vms.models import VirtualMachine

VERB = "vm.view"


def machines(
    person: Person | None, providers: Collection[int], external_ids: Collection[str] | None, devices: Devices
) -> Iterator[Machine]:
    """The machines that are there; one query. What `person` may see is marked."""
    rows = VirtualMachine.objects.filter(provider_id__in=providers, presence=Presence.PRESENT).order_by()
    if external_ids is not None:
        rows = rows.filter(external_id__in=external_ids)
    names = ("provider_id", "external_id", "name", "uuid", "project_id", "is_unassigned")
    columns = rows.annotate(is_unassigned=F("project__is_unassigned")).values_list(*names, *filter(None, [devices]))
    sees_all = person is not None and person.is_active and person.is_superuser
    roles = {} if person is None or sees_all else roles_of(person)
    seen = {project_id for project_id, role in roles.items() if VERB in VERBS_OF_ROLE.get(role, ())}
    for provider_id, external_id, name, uuid, project_id, is_unassigned, *found in columns:
        told = (found[0] or []) if found else []
        yield Machine(
            provider_id=provider_id,
            external_id=external_id,
            name=name,
            address=f"/vms/{uuid}/",
            project_id=None if is_unassigned else project_id,
            is_visible=sees_all or project_id in seen,
            nics=told if devices == "nics" else [],
            disks=told if devices == "disks" else [],
        )
