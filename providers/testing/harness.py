"""What a kind hands to the conformance suite: a way to its backend, the smallest VM, and hooks for what only it knows.

`providers/<kind>/testing.py` offers

- `harness(mode: str = "offline") -> Harness`, called once per test process; it raises `Unavailable` with a sentence
  when the backend is not there. Modes are "offline" (a simulator or a local server), "live" (the real account) and
  "bench" (like "offline", with many VMs).
- `LIVE: bool` (optional, default False): True when even "offline" needs a hypervisor on this machine; its tests then
  carry the marker `live`.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from providers.base import Capabilities, Config, DiskSpec, Driver, Plugin, ViewerConsole, VmRecord, VmSpec

#: Everything that the suite makes at a provider has a name that starts so; a sweep deletes by it.
PREFIX = "kvweb-test-"

T = TypeVar("T")


class Unavailable(Exception):
    """The backend of a kind is not on this machine; the text says what is missing."""


class NotInTime(AssertionError):
    """A condition did not come true within the harness's patience."""


@dataclass(kw_only=True)
class Harness:
    """Everything the suite needs to know about one kind on one backend. Only the first three are a must."""

    plugin: Plugin
    config: Config
    minimal: VmSpec
    """The smallest VM that can be made and started here: its disks, NICs, size and options. The name is replaced.

    It need not hold a guest. `start` is replaced as well: most promises work on a stopped VM, which is quick.
    """

    # -- what the provider offers to use; "" leaves out the promises that need it -----------------------------------
    image: str = ""
    """external_id of an image from which a disk can be made."""
    iso: str = ""
    """external_id of an ISO image."""
    network: str = ""
    """external_id of the network that `minimal` uses, or one that it may use."""
    other_network: str = ""
    """external_id of a second network, for changing a card's network."""
    pool: str = ""
    """external_id of the pool for volumes and disks."""
    pool_path: Callable[[str], str] | None = None
    """A fresh path for a pool of the given name, where pools can be created; removed by the harness's `close`."""
    free_cidr: str = "198.51.100.0/24"
    """A range that no network here uses; the suite makes networks inside it, one at a time. Empty: networks of this
    kind have no ranges."""
    dns_zone: str = ""
    image_file: Path | None = None
    """A small local file that `images.add` accepts."""
    copies_images: bool = False
    """Disks that were made of an image need it no longer: it may be deleted under a VM."""
    image_url: str = ""
    """An address that `images.add` can fetch without internet."""
    viewer_options: Mapping[str, Any] = field(default_factory=dict)
    """Options that give a VM a screen for a viewer on the person's own computer (SPICE)."""
    min_disk_gib: int = 1
    """The smallest size that a volume or an added disk may have."""

    # -- patience ---------------------------------------------------------------------------------------------------
    boots: bool = False
    """`minimal` holds a guest that comes up, listens to a shutdown request and asks for an address.

    False leaves out what needs a guest: soft stop, addresses. Real guests under emulation are slow, so a kind may say
    False here and prove those things in tests of its own.
    """
    timeout_s: float = 30.0
    """How long any state may take to come true."""
    event_s: float = 5.0
    """How long an event may take to arrive."""
    interval_s: float = 0.02
    """How often `wait_until` looks."""
    many: int = 3
    """How many VMs the budget promises make at once."""

    # -- hooks ------------------------------------------------------------------------------------------------------
    connect: Callable[[Config], Driver] | None = None
    """How to open a driver; None: `plugin.open`. Wrapping the real one here is how the suite itself is tested."""
    calls: Callable[[Driver], int] | None = None
    """How many vendor calls this driver has made so far; None leaves out the budgets."""
    budgets: Mapping[str, int] = field(default_factory=dict)
    """The most vendor calls that an operation may cost: "list", "get", "start", "stop", "create", "delete"."""
    second: Config | None = None
    """Another provider of this kind with the same networks, to which VMs can move."""
    wrong_credentials: Config | None = None
    unreachable: Config | None = None
    fault: Callable[[str], AbstractContextManager[None]] | None = None
    """Make vendor calls inside the block fail: "unreachable", "rate_limited", "auth", "unknown" (no known error)."""
    create_fault: Callable[[], AbstractContextManager[None]] | None = None
    """Make `machines.create` inside the block fail after its first disk exists."""
    user_data: Callable[[Driver, VmRecord], str] | None = None
    """The user data as the guest will read it."""
    view: Callable[[Driver, VmRecord, ViewerConsole], Callable[[], bool] | None] | None = None
    """Open a viewer with this ticket; what it returns tells whether it is connected still, None: it was refused."""
    mark_disk: Callable[[Driver, VmRecord, str], None] | None = None
    """Write a short text into the first disk, as a guest would."""
    read_mark: Callable[[Driver, VmRecord], str] | None = None
    """Read it back."""
    gaps: Mapping[str, str] = field(default_factory=dict)
    """Promises that this kind is known to break, "group::promise" → why. Strict: one that holds fails the suite."""
    on_close: Callable[[], None] | None = None
    """Take the backend down; called once at the end."""

    _can: Capabilities | None = field(default=None, repr=False)

    def open(self, config: Config | None = None) -> Driver:
        """A fresh driver on the backend; the caller closes it."""
        connect = self.connect or self.plugin.open
        return connect(config or self.config)

    @property
    def can(self) -> Capabilities:
        """What the backend was probed to have; asked once."""
        if self._can is None:
            with self.open() as driver:
                self._can = driver.probe()
        return self._can

    def vm_spec(self, name: str, **changes: Any) -> VmSpec:
        """The minimal VM under another name, stopped unless `start=True` is among the changes."""
        return VmSpec.model_validate({**dict(self.minimal), "start": False, "name": name, **changes})

    def disk_spec(self, **changes: Any) -> DiskSpec:
        """A small empty disk in the harness's pool."""
        return DiskSpec.model_validate({"size_gib": self.min_disk_gib, "pool": self.pool, **changes})

    def wait_until(self, look: Callable[[], T], what: str, *, timeout_s: float | None = None) -> T:
        """Ask `look` until it answers something true, and return that; raises NotInTime with `what` in its text."""
        patience = self.timeout_s if timeout_s is None else timeout_s
        end = time.monotonic() + patience
        while True:
            answer = look()
            if answer:
                return answer
            if time.monotonic() >= end:
                raise NotInTime(f"{what}: not within {patience:g} s; last answer {answer!r}")
            time.sleep(self.interval_s)

    def close(self) -> None:
        if self.on_close is not None:
            self.on_close()
            self.on_close = None


def fresh_suffix() -> str:
    """Eight characters that no other run on the same provider uses."""
    return uuid.uuid4().hex[:8]
