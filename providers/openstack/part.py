"""What every facet stands on: the connection, waiting, and marks by which the portal knows its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from providers.base import QUIET, NotFound, Progress, TimedOut
from providers.openstack.config import OpenStackConfig
from providers.openstack.connection import Cloud

T = TypeVar("T")

#: Metadata key, and beginning of descriptions and tags, of what the portal makes.
MARK = "kvweb_uuid"


def mark_of(portal_uuid: str) -> str:
    """As a tag of a server and as the description of ports and floating addresses, which have no metadata."""
    return f"kvweb:{portal_uuid}"


class Part:
    """Base of the facets. They keep nothing of their own."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud

    @property
    def config(self) -> OpenStackConfig:
        return self.cloud.config

    def wait(self, look: Callable[[], T | None], what: str, progress: Progress = QUIET) -> T:
        """Ask until `look` answers something; raises TimedOut with `what`, and what `look` and the checkpoint raise.

        Quick at first, since much is done at once, then every three seconds.
        """
        end, pause = time.monotonic() + self.config.wait_timeout_s, 0.1
        while True:
            answer = look()
            if answer is not None:
                return answer
            if time.monotonic() >= end:
                raise TimedOut(f"{what} took longer than {self.config.wait_timeout_s:g} s.")
            progress.checkpoint()
            time.sleep(pause)
            pause = min(pause * 1.4, 3.0)

    def wait_gone(self, look: Callable[[], object], what: str, progress: Progress = QUIET) -> None:
        """Ask until `look` raises NotFound."""

        def is_gone() -> bool | None:
            try:
                look()
            except NotFound:
                return True
            return None

        self.wait(is_gone, what, progress)
