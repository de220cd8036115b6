"""What sizes cost, as AWS publishes it: on demand, for Linux, without discounts and taxes.

https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/price-changes.html. The service is in a few regions only
and tells of all; a thousand products are ten pages, read once a day by each process.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from providers.aws import rights
from providers.aws.cloud import Cloud
from providers.base import Price, ProviderError

KEPT_S = 24 * 3600.0
#: After a failure nobody is made to wait again soon.
FAILED_S = 600.0
#: Of the ordinary sort: shared hardware, no licences, no reserved capacity.
_PLAIN = {"operatingSystem": "Linux", "tenancy": "Shared", "preInstalledSw": "NA", "capacitystatus": "Used"}
_HOURS = "Hrs"


def by_type(cloud: Cloud) -> Mapping[str, Price]:
    """Instance type → its price in this region; empty where the key may not ask, or nobody answers."""
    known: Mapping[str, Price] | None = cloud.remembered("prices")
    if known is not None:
        return known
    if not cloud.config.prices or "prices" not in rights.known(cloud).may:
        return {}
    wanted = {"regionCode": cloud.config.region, "marketoption": "OnDemand", **_PLAIN}
    asked = [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in wanted.items()]
    try:
        told = cloud.pages("pricing", "get_products", "PriceList", ServiceCode="AmazonEC2", Filters=asked)
    except ProviderError:
        # A hint is not worth a failed list of sizes.
        found: dict[str, Price] = cloud.remember("prices", {}, FAILED_S)
        return found
    return dict(cloud.remember("prices", dict(_read(told)), KEPT_S))


def _read(told: Iterable[str]) -> Iterable[tuple[str, Price]]:
    for text in told:
        product = json.loads(text)
        name = product.get("product", {}).get("attributes", {}).get("instanceType")
        price = _hourly(product.get("terms", {}).get("OnDemand", {}))
        if name and price is not None:
            yield name, price


def _hourly(terms: Mapping[str, Any]) -> Price | None:
    for term in terms.values():
        for dimension in term.get("priceDimensions", {}).values():
            for currency, amount in dimension.get("pricePerUnit", {}).items():
                if dimension.get("unit") == _HOURS and float(amount) > 0:
                    return Price(currency=currency, hourly=float(amount))
    return None
