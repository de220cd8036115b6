"""Faults on demand: what can go wrong in a simulated cloud, where, and how to ask for it.

Kinds

| kind | what happens at the place |
|---|---|
| unreachable | `Unreachable`, as when the network is down |
| slow | it takes `slow_s` longer and then works |
| rate_limited | `RateLimited`, to be tried again after two seconds |
| auth | `AuthenticationFailed`, as when a password was changed |
| conflict | `Conflict`: the state does not allow it |
| out_of_capacity | `OutOfCapacity`: no room left |
| crash | an error that no table knows: leaves as a plain `ProviderError` with the vendor's as its cause |
| vanish | the VM disappears half-way, then `NotFound` |
| hang | nothing, for `hang_s`; then `TimedOut`. Can be cancelled |

Places are `<facet>.<method>` for every method of every facet ("machines.list", "power.start", "images.add" …), and in
the middle of long operations: `machines.create:after-check`, `machines.create:after-disk`, `machines.create:after-nic`,
`machines.create:before-start`, `images.add:half`, `clones.clone:half`, `clones.export:half`,
`migration.migrate:half`, `driver.open`, and `*` for
every call.

How to ask

- for a whole cloud: the setting `faults`, {"power.start": "conflict"};
- at run time, in every process that has the cloud open: `cloud.set_fault("machines.create:after-disk", times=1,
  kind="out_of_capacity")`;
- for one VM: its metadata, {"fault:power.stop": "hang"};
- without any of that, from a page: a VM called `…-fails-<kind>` (`web-fails-out-of-capacity`) fails half-way through
  its creation, at `machines.create:after-disk`.
"""

from __future__ import annotations

import re
from enum import StrEnum

from providers.base import (
    AuthenticationFailed,
    Conflict,
    InvalidRequest,
    NotFound,
    OutOfCapacity,
    RateLimited,
    TimedOut,
    Unreachable,
)
from providers.fake.errors import VendorError

METADATA_PREFIX = "fault:"
_NAME = re.compile(r"-fails-([a-z-]+)$")


class Fault(StrEnum):
    UNREACHABLE = "unreachable"
    SLOW = "slow"
    RATE_LIMITED = "rate_limited"
    AUTH = "auth"
    CONFLICT = "conflict"
    OUT_OF_CAPACITY = "out_of_capacity"
    CRASH = "crash"
    VANISH = "vanish"
    HANG = "hang"


def fault_called(word: str) -> Fault:
    """The fault of that name, dashes or underscores; raises InvalidRequest that lists the names."""
    try:
        return Fault(word.replace("-", "_"))
    except ValueError:
        raise InvalidRequest(f"There is no fault “{word}”; known are {', '.join(Fault)}.", field="faults") from None


def fault_in_name(vm_name: str) -> Fault | None:
    """The fault that a VM's name asks for, None for an ordinary name."""
    found = _NAME.search(vm_name)
    if found is None or found.group(1).replace("-", "_") not in set(Fault):
        return None
    return fault_called(found.group(1))


def error_of(fault: Fault) -> Exception | None:
    """What is raised at the place; None for the faults that only cost time."""
    match fault:
        case Fault.UNREACHABLE:
            return Unreachable("The simulated cloud does not answer.")
        case Fault.RATE_LIMITED:
            return RateLimited("The simulated cloud asks to slow down.", retry_after_s=2.0)
        case Fault.AUTH:
            return AuthenticationFailed("The simulated cloud refused the credentials.")
        case Fault.CONFLICT:
            return Conflict("The simulated cloud says that the present state does not allow this.")
        case Fault.OUT_OF_CAPACITY:
            return OutOfCapacity("The simulated cloud has no room left for this.")
        case Fault.CRASH:
            return VendorError("0xC0FFEE: internal state machine violation")
        case Fault.VANISH:
            return NotFound("It disappeared while it was being worked on.")
        case Fault.HANG:
            return TimedOut("The simulated cloud took too long.")
        case Fault.SLOW:
            return None
