"""Which machines use a pool, a volume or a network, for the apps below: registered in `providers.machines`."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from functools import reduce
from operator import or_

from django.db import connection
from django.db.models import F, Q, TextField
from django.db.models.functions import Cast

from kvweb.accounts.access import VERBS_OF_ROLE, Person, roles_of
from providers.machines import Devices, Machine
from vms.choices import Presence
from vms.models import VirtualMachine

VERB = "vm.view"

#: Taken apart by the database: reading ten thousand lists of cards takes Python ten times as long.
_CARDS = {
    "sqlite": "json_each(vm.nics) AS card",
    "postgresql": "jsonb_array_elements(CASE jsonb_typeof(vm.nics) WHEN 'array' THEN vm.nics ELSE '[]' END) AS card",
}
_NETWORK = {"sqlite": "json_extract(card.value, '$.network')", "postgresql": "card.value ->> 'network'"}


def cards(providers: Collection[int]) -> Iterator[tuple[int, str, str]]:
    """Provider, network and machine of every card there."""
    vendor, ids = connection.vendor, list(providers)
    table = connection.ops.quote_name(VirtualMachine._meta.db_table)
    # Only texts from above and names of our own tables are put together; values travel as parameters.
    statement = (
        f"SELECT vm.provider_id, {_NETWORK[vendor]} AS network, vm.external_id FROM {table} AS vm, {_CARDS[vendor]}"  # noqa: S608
        f" WHERE vm.presence = %s AND vm.provider_id IN ({', '.join(['%s'] * len(ids))})"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [Presence.PRESENT.value, *ids])
        for provider_id, network, external_id in cursor.fetchall():
            if network:
                yield provider_id, network, external_id


def machines(
    person: Person | None,
    providers: Collection[int],
    external_ids: Collection[str] | None,
    devices: Devices,
    mentioning: Collection[str],
) -> Iterator[Machine]:
    """The machines that are there; one query. What `person` may see is marked."""
    rows = VirtualMachine.objects.filter(provider_id__in=providers, presence=Presence.PRESENT).order_by()
    if external_ids is not None:
        rows = rows.filter(external_id__in=external_ids)
    # Databases write other letters than these in different ways; then all are read.
    if devices and mentioning and all(word.isascii() for word in mentioning):
        told = [Q(told__contains=json.dumps(word)) for word in mentioning]
        rows = rows.annotate(told=Cast(devices, TextField())).filter(reduce(or_, told))
    names = ("provider_id", "external_id", "name", "uuid", "project_id", "is_unassigned")
    columns = rows.annotate(is_unassigned=F("project__is_unassigned")).values_list(*names, *filter(None, [devices]))
    sees_all = person is not None and person.is_active and person.is_superuser
    roles = {} if person is None or sees_all else roles_of(person)
    seen = {project_id for project_id, role in roles.items() if VERB in VERBS_OF_ROLE.get(role, ())}
    for provider_id, external_id, name, uuid, project_id, is_unassigned, *found in columns:
        held = (found[0] or []) if found else []
        yield Machine(
            provider_id=provider_id,
            external_id=external_id,
            name=name,
            address=f"/vms/{uuid}/",
            project_id=None if is_unassigned else project_id,
            is_visible=sees_all or project_id in seen,
            nics=held if devices == "nics" else [],
            disks=held if devices == "disks" else [],
        )
