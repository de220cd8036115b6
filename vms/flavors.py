"""The sizes that a new portal begins with."""

from __future__ import annotations

from vms.models import Flavor

#: Name, vCPUs, memory in MiB. The disk stays as large as the image unless somebody asks for more.
DEFAULTS: tuple[tuple[str, int, int], ...] = (
    ("tiny", 1, 256),
    ("small", 1, 1024),
    ("medium", 2, 2048),
    ("large", 2, 4096),
    ("xlarge", 4, 8192),
)


def default_flavors() -> int:
    """Write the default sizes into a portal that has none; returns how many. An administrator's own are left alone."""
    if Flavor.objects.exists():
        return 0
    rows = [
        Flavor(name=name, vcpus=vcpus, memory_mib=memory_mib, position=position)
        for position, (name, vcpus, memory_mib) in enumerate(DEFAULTS)
    ]
    return len(Flavor.objects.bulk_create(rows))
