"""What the create page remembers of what somebody typed: between two answers, and for "same again" with the job."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from kvweb.accounts.models import User
from kvweb.jobs.models import Job
from providers.base import ProviderError
from providers.secrets import seal, unseal
from vms import create_options

#: Fields with one value each, as their names stand in the form.
FIELDS = (
    *("project", "provider", "name", "image", "zone", "size", "vcpus", "memory_mib", "disk_gib"),
    *("username", "ssh_password_login", "new_key", "new_key_name", "keep_key"),
    *("pool", "full_copy", "firmware", "autostart", "description"),
    *("hostname", "packages", "commands", "timezone", "user_data", "merge", "again", "ticket"),
)
#: Formset name → prefix in the POST, fields of a row.
ROWS: dict[str, tuple[str, tuple[str, ...]]] = {
    "nics": ("nic", ("network", "address", "gateway", "address6", "gateway6", "dns")),
    "disks": ("disk", ("size_gib", "pool")),
    "guest_files": ("file", ("path", "content", "permissions", "owner")),
    "guest_users": ("user", ("name", "keys", "sudo")),
}
#: People write tokens and passwords into these: kept sealed, and opened for the one who typed them only.
PRIVATE = ("commands", "user_data", "guest_files")
#: Belong to one page, not to what was wanted.
PASSING = ("again", "ticket", "new_key", "new_key_name", "keep_key")


def typed(data: Mapping[str, Any]) -> dict[str, Any]:
    """A POST as the values that an unbound form shows again; unchecked boxes are False, the password is left out."""
    values: dict[str, Any] = {name: data.get(name, "") for name in FIELDS if name in data}
    for box in ("ssh_password_login", "keep_key", "full_copy", "autostart", "merge"):
        values[box] = bool(data.get(box))
    getlist = getattr(data, "getlist", None)
    values["keys"] = getlist("keys") if getlist else list(data.get("keys", []))
    values.update(create_options.typed(data, getlist))
    for name, (prefix, fields) in ROWS.items():
        if f"{prefix}-TOTAL_FORMS" in data:
            values[name] = [
                {field: data.get(f"{prefix}-{index}-{field}", "") for field in fields}
                for index in range(_count(data[f"{prefix}-TOTAL_FORMS"]))
            ]
    return values


def _count(text: object) -> int:
    try:
        return min(max(int(str(text)), 0), 50)
    except ValueError:
        return 0


def kept(data: Mapping[str, Any], but: frozenset[str] = frozenset()) -> dict[str, Any]:
    """What goes into Job.form: JSON, without password, what may hold secrets sealed."""
    values = typed(data)
    ticket = values.get("ticket", "")
    private = {name: text for name in PRIVATE if (text := values.pop(name, ""))}
    for name in (*PASSING, *but):
        values.pop(name, None)
    return {"typed": values, "sealed": seal({"private": json.dumps(private)}) if private else "", "ticket": ticket}


def remembered(job: Job, user: User) -> dict[str, Any]:
    """The values of an earlier creation, for the form of `user`: keys and secrets only when they are their own."""
    values: dict[str, Any] = dict(job.form.get("typed", {}))
    if job.user_id != user.pk:
        values.pop("keys", None)
        return values
    try:
        opened = unseal(job.form.get("sealed", ""))
    except ProviderError:
        return values
    return {**values, **json.loads(opened.get("private", "{}"))}
