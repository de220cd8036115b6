"""Schemas of calls that are newer than the npm package: DNS zones and their record sets, written down from Hetzner's
reference (https://docs.hetzner.cloud/reference/cloud#zones and #zone-rrsets) and no more than that says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]
Call = tuple[str, str]

_ACTION: Json = {"$ref": "api#/components/schemas/action"}
_TEXT: Json = {"type": "string"}
_TEXTS: Json = {"type": "array", "items": _TEXT}
_LABELS: Json = {"type": "object", "additionalProperties": _TEXT}
#: Between a minute and the most that DNS can say.
_TTL: Json = {"type": ["integer", "null"], "minimum": 60, "maximum": 2147483647}
_TYPE: Json = {
    "enum": "A AAAA CAA CNAME DS HINFO HTTPS MX NS PTR RP SOA SRV SVCB TLSA TXT".split()  # noqa: SIM905
}
#: In lower case, transcribed to ASCII, without a dot at its end; "@" for the zone itself.
_NAME: Json = {"type": "string", "pattern": r"^(@|[a-z0-9*_]([a-z0-9*_.-]*[a-z0-9*_])?)$"}


def _shape(required: Json, **optional: Json) -> Json:
    """An object with these fields and no others."""
    return {
        "type": "object",
        "required": list(required),
        "properties": {**required, **optional},
        "additionalProperties": False,
    }


_RECORD = _shape({"value": _TEXT}, comment=_TEXT)
_RECORDS: Json = {"type": "array", "items": _RECORD, "minItems": 1, "uniqueItems": True}
_RRSET = _shape(
    {
        "id": _TEXT,
        "name": _NAME,
        "type": _TYPE,
        "ttl": _TTL,
        "labels": _LABELS,
        "protection": _shape({"change": {"type": "boolean"}}),
        "records": _RECORDS,
        "zone": {"type": "integer"},
    }
)
_ZONE = _shape(
    {
        "id": {"type": "integer"},
        "name": _TEXT,
        "created": _TEXT,
        "ttl": {"type": "integer"},
        "mode": {"enum": ["primary", "secondary"]},
        "protection": _shape({"delete": {"type": "boolean"}}),
        "labels": _LABELS,
        "authoritative_nameservers": _shape(
            {
                "assigned": _TEXTS,
                "delegated": _TEXTS,
                "delegation_last_check": {"type": ["string", "null"]},
                "delegation_status": {
                    "enum": ["valid", "partially-valid", "invalid", "lame", "unregistered", "unknown"]
                },
            }
        ),
        "record_count": {"type": "integer"},
        "registrar": {"enum": ["hetzner", "other", "unknown"]},
        "status": {"enum": ["ok", "updating", "error"]},
    },
    primary_nameservers={"type": "array", "items": {"type": "object"}},
)
_META: Json = {"type": "object", "required": ["pagination"]}
_RRSETS = "/zones/{id_or_name}/rrsets"
_ONE = f"{_RRSETS}/{{rr_name}}/{{rr_type}}"

TAKES: Mapping[Call, Json] = {
    ("POST", _RRSETS): _shape({"name": _NAME, "type": _TYPE, "records": _RECORDS}, ttl=_TTL, labels=_LABELS),
    ("POST", f"{_ONE}/actions/set_records"): _shape({"records": _RECORDS}),
    ("POST", f"{_ONE}/actions/change_ttl"): _shape({"ttl": _TTL}),
}
GIVES: Mapping[Call, Json] = {
    ("GET", "/zones"): _shape({"zones": {"type": "array", "items": _ZONE}, "meta": _META}),
    ("GET", _RRSETS): _shape({"rrsets": {"type": "array", "items": _RRSET}, "meta": _META}),
    ("POST", _RRSETS): _shape({"rrset": _RRSET, "action": _ACTION}),
    ("DELETE", _ONE): _shape({"action": _ACTION}),
    ("POST", f"{_ONE}/actions/set_records"): _shape({"action": _ACTION}),
    ("POST", f"{_ONE}/actions/change_ttl"): _shape({"action": _ACTION}),
}
