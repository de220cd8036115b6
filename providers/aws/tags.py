"""Tags: how the portal's facts are written on things at AWS, and read back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from providers.base import InvalidRequest

NAME = "Name"
OURS = "kvweb:"
UUID = "kvweb:uuid"
DESCRIPTION = "kvweb:description"
#: On a VM that is not complete; such a one is not listed.
BUILDING = "kvweb:building"
TAGS = "kvweb:tags"
#: On an image: whom it brings for signing in.
USER = "kvweb:user"
#: On what was made for one VM: its instance id.
VM = "kvweb:vm"
#: On what was made for one network.
NETWORK = "kvweb:network"
MOST_KEY, MOST_VALUE, MOST_TAGS = 128, 256, 50


def read(item: Mapping[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in item.get("Tags") or item.get("TagSet") or ()}


def written(values: Mapping[str, str]) -> list[dict[str, str]]:
    """For the SDK; raises InvalidRequest for what AWS does not take as a tag."""
    for key, value in values.items():
        check(key, value)
    if len(values) > MOST_TAGS:
        raise InvalidRequest(f"AWS takes at most {MOST_TAGS} tags.", field="metadata")
    return [{"Key": key, "Value": value} for key, value in values.items()]


def on(resource: str, values: Mapping[str, str]) -> list[dict[str, Any]]:
    """As a `TagSpecifications` of a call that makes one sort of thing."""
    return [{"ResourceType": resource, "Tags": written(values)}]


def check(key: str, value: str) -> None:
    field = {NAME: "name", DESCRIPTION: "description"}.get(key, "metadata")
    if not key or len(key) > MOST_KEY or key.lower().startswith("aws:"):
        raise InvalidRequest(f"“{key}” cannot be the name of a tag at AWS.", field=field)
    if len(value) > MOST_VALUE:
        what = {"name": "The name", "description": "The description"}.get(field, f"“{key}”")
        raise InvalidRequest(f"{what} is longer than the {MOST_VALUE} characters that AWS keeps.", field=field)


def metadata(tags: Mapping[str, str]) -> dict[str, str]:
    """What people wrote: neither the portal's own nor the vendor's."""
    return {key: value for key, value in tags.items() if key != NAME and not key.startswith((OURS, "aws:"))}


def filters(**wanted: str | Iterable[str]) -> list[dict[str, Any]]:
    """Filters of a call, with underscores for hyphens in their names; * and ? in values are taken literally."""
    return [
        {
            "Name": name.replace("_", "-"),
            "Values": [literal(value)] if isinstance(value, str) else [literal(one) for one in value],
        }
        for name, value in wanted.items()
    ]


def tagged(key: str, value: str) -> dict[str, Any]:
    """A filter for one tag."""
    return {"Name": f"tag:{key}", "Values": [literal(value)]}


def literal(value: str) -> str:
    """A filter's value in which nothing stands for anything else."""
    return "".join(f"\\{letter}" if letter in "*?\\" else letter for letter in value)
