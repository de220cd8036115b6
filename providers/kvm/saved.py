"""VMs whose memory lies in a file of the host (libvirt's managed save)."""

from __future__ import annotations

from typing import Any

from providers.base import Conflict


def refuse_saved(domain: Any) -> None:
    """Raise Conflict for such a VM: its memory belongs to the disks exactly as they are."""
    if domain.hasManagedSaveImage(0):
        raise Conflict("It is suspended to disk; resume it, or stop it for good, first.")
