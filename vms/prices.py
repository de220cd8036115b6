"""What a size costs, in words: prices as providers publish them, kept with their flavors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

SIGNS = {"EUR": "€", "USD": "$", "GBP": "£"}


def words(prices: Sequence[Mapping[str, Any]], zone: str) -> str:
    """“€3.29 a month” in this zone; “from …” where the zone is not known and prices differ; empty without prices."""
    here = [one for one in prices if one.get("zone") in {zone, ""}]
    found = here or list(prices)
    if not found:
        return ""
    cheapest = min(found, key=lambda one: (one.get("monthly") or 0, one.get("hourly") or 0))
    told = amount(cheapest)
    differs = len({amount(one) for one in found}) > 1
    return f"from {told}" if told and differs else told


def amount(price: Mapping[str, Any]) -> str:
    """By the month where that is told, else by the hour."""
    currency = str(price.get("currency") or "")
    sign = SIGNS.get(currency, f"{currency} ")
    if price.get("monthly") is not None:
        return f"{sign}{price['monthly']:.2f} a month"
    if price.get("hourly") is not None:
        return f"{sign}{price['hourly']:.4f}".rstrip("0").rstrip(".") + " an hour"
    return ""
