"""The regions of AWS and how people call them, to suggest in forms. Imports the SDK's data only when asked."""

from __future__ import annotations

from functools import cache
from typing import Any

#: Partitions without a way to the internet; who is inside knows their region and types it.
_CLOSED = "aws-iso"


@cache
def names() -> dict[str, str]:
    """Region → “Europe (Frankfurt)”, where EC2 is; empty names where the SDK is not installed.

    botocore brings the list: https://github.com/boto/botocore/blob/develop/botocore/data/endpoints.json
    """
    try:
        from botocore.loaders import Loader
    except ImportError:
        from providers.aws.serial_hosts import HOSTS

        return dict.fromkeys(sorted(HOSTS), "")
    found: dict[str, str] = {}
    for partition in Loader().load_data("endpoints")["partitions"]:
        if not partition["partition"].startswith(_CLOSED):
            offered = partition["services"].get("ec2", {}).get("endpoints", {})
            regions = partition["regions"]
            found |= {region: regions[region].get("description", "") for region in offered if region in regions}
    return dict(sorted(found.items()))


def suggest(schema: dict[str, Any]) -> None:
    """Add them to a field's schema, when it is asked for; see pydantic's `json_schema_extra`."""
    schema["suggestions"] = names()
