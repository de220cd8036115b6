"""What network cards of a simulated cloud can be: models, traffic filters."""

from __future__ import annotations

from providers.base import InvalidRequest

FILTERS = frozenset({"clean-traffic", "no-mac-spoofing"})
MODELS = frozenset({"virtio", "e1000"})


def check_card(*, model: str | None, filter_: str | None) -> None:
    """Raise InvalidRequest for a model or filter that the cloud does not have."""
    if model and model not in MODELS:
        raise InvalidRequest(f"There is no card model “{model}”.", field="model")
    if filter_ and filter_ not in FILTERS:
        raise InvalidRequest(f"There is no traffic filter “{filter_}”.", field="filter")
