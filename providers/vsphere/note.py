"""What the portal keeps with a VM: one value of its extra configuration, as JSON.

It needs no custom attribute, is set in the same call that makes the VM, and can be asked for alone.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

KEY = "kvweb.note"
PATH = f'config.extraConfig["{KEY}"]'


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What the note says; that of a VM which is not the portal's is empty."""

    portal_uuid: str = ""
    image: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    attached: tuple[str, ...] = ()
    """Files of disks that existed before they were plugged in: they outlive the VM."""
    is_unfinished: bool = False
    """It is being made: whoever finds it so later may clear it away."""
    is_image: bool = False
    """It is, or becomes, a template that was brought in."""
    instance: str = ""
    """The VM's instance uuid when this was written. A copy that somebody made beside the portal has another one, and
    must not pass for the original."""

    def to_text(self) -> str:
        """As it is stored; empty fields are left out."""
        values = {
            "uuid": self.portal_uuid,
            "image": self.image,
            "metadata": dict(self.metadata),
            "attached": list(self.attached),
            "unfinished": self.is_unfinished,
            "image_brought_in": self.is_image,
            "instance": self.instance,
        }
        return json.dumps({name: value for name, value in values.items() if value}, sort_keys=True)

    def of(self, instance: str) -> Note:
        """The same for the VM with this instance uuid."""
        return replace(self, instance=instance)

    def with_value(self, key: str, value: str | None) -> Note:
        """With one key of the metadata set, or removed with None."""
        metadata = {name: each for name, each in self.metadata.items() if name != key}
        return replace(self, metadata=metadata if value is None else {**metadata, key: value})


def read(text: str, instance: str) -> Note:
    """The note of a VM with this instance uuid. What cannot be read, or belongs to another VM, says nothing."""
    try:
        values: Any = json.loads(text or "{}")
    except ValueError:
        return Note()
    if not isinstance(values, dict) or str(values.get("instance", "")) != instance:
        return Note()
    metadata, attached = values.get("metadata"), values.get("attached")
    return Note(
        portal_uuid=str(values.get("uuid", "")),
        image=str(values.get("image", "")),
        metadata={str(key): str(value) for key, value in metadata.items()} if isinstance(metadata, dict) else {},
        attached=tuple(str(file) for file in attached) if isinstance(attached, list) else (),
        is_unfinished=bool(values.get("unfinished")),
        is_image=bool(values.get("image_brought_in")),
        instance=instance,
    )


def instance_of(portal_uuid: str) -> str:
    """The instance uuid of the VM that gets this portal uuid: the same one where it is a uuid, so that one look-up
    finds it; else one that follows from it; a new one for a VM without."""
    if not portal_uuid:
        return str(uuid.uuid4())
    try:
        return str(uuid.UUID(portal_uuid))
    except ValueError:
        return str(uuid.uuid5(uuid.NAMESPACE_OID, portal_uuid))
