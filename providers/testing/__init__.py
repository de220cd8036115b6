"""The conformance suite that every kind must pass, shipped with the product so that outside kinds can run it too."""

from providers.testing.harness import PREFIX, Harness, NotInTime, Unavailable
from providers.testing.lab import Lab, Leftovers, only, present
from providers.testing.promises import Promise, promise, promises, promises_of
from providers.testing.runner import Outcome, Result, attempt, harness_module, harness_of, is_demanded, mode_of, run

__all__ = [
    "PREFIX",
    "Harness",
    "Lab",
    "Leftovers",
    "NotInTime",
    "Outcome",
    "Promise",
    "Result",
    "Unavailable",
    "attempt",
    "harness_module",
    "harness_of",
    "is_demanded",
    "mode_of",
    "only",
    "present",
    "promise",
    "promises",
    "promises_of",
    "run",
]
