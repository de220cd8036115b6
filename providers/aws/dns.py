"""Names at Route 53. Names are told and taken without their zone; the zone's own name is “@”."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from providers.aws.cloud import Part
from providers.base import AlreadyExists, Dns, DnsRecord, DnsSpec, NotFound, check_dns

TYPES = frozenset({"A", "AAAA", "CNAME", "TXT", "SRV", "MX"})
ROOT = "@"


class AwsDns(Part, Dns):
    def zones(self) -> Sequence[str]:
        return sorted(self._zones())

    def list(self, zone: str) -> Sequence[DnsRecord]:
        return [
            DnsRecord(name=self._short(one["Name"], zone), type=one["Type"], ttl_s=int(one.get("TTL") or 0), data=data)
            for one in self._sets(self._id(zone))
            for data in _values(one)
        ]

    def reserve(self, spec: DnsSpec, *, force: bool = False) -> DnsRecord:
        data = _checked(spec)
        zone_id, name = self._id(spec.zone), self._full(spec.name, spec.zone)
        present = [one for one in self._sets(zone_id) if (_plain(one["Name"]), one["Type"]) == (name, spec.type)]
        if present and not force:
            raise AlreadyExists(f"“{spec.name}” has a record of type {spec.type} already.", field="name")
        entry = {"Name": name, "Type": spec.type, "TTL": spec.ttl_s, "ResourceRecords": [{"Value": data}]}
        self._change(zone_id, [{"Action": "UPSERT" if force else "CREATE", "ResourceRecordSet": entry}])
        return DnsRecord(name=spec.name, type=spec.type, ttl_s=spec.ttl_s, data=spec.data)

    def delete(self, zone: str, name: str, *, all_entries: bool = False) -> None:
        """The address records of a name, or with `all_entries` everything that it or a name below it has."""
        zone_id, full = self._id(zone), self._full(name, zone)
        gone = [
            one
            for one in self._sets(zone_id)
            if one["Type"] not in ("NS", "SOA")
            and (
                (_plain(one["Name"]) == full and (all_entries or one["Type"] in ("A", "AAAA", "CNAME")))
                or (all_entries and _plain(one["Name"]).endswith(f".{full}"))
            )
        ]
        if not gone:
            raise NotFound(f"There is no record “{name}” in the zone “{zone}”.")
        self._change(zone_id, [{"Action": "DELETE", "ResourceRecordSet": one} for one in gone])

    # -- parts ---------------------------------------------------------------------------------------------------------

    def _zones(self) -> dict[str, str]:
        """Name → id; of a public and a private zone of one name the public one."""
        told = self.cloud.pages("route53", "list_hosted_zones", "HostedZones")
        ordered = sorted(told, key=lambda one: not one.get("Config", {}).get("PrivateZone"))
        return {one["Name"].rstrip("."): one["Id"] for one in ordered}

    def _id(self, zone: str) -> str:
        found = self._zones().get(zone.rstrip("."))
        if found is None:
            raise NotFound(f"There is no zone “{zone}”.", field="zone")
        return found

    def _sets(self, zone_id: str) -> Sequence[Mapping[str, Any]]:
        found: Sequence[Mapping[str, Any]] = self.cloud.pages(
            "route53", "list_resource_record_sets", "ResourceRecordSets", HostedZoneId=zone_id
        )
        return found

    def _change(self, zone_id: str, changes: Sequence[Mapping[str, Any]]) -> None:
        self.cloud.call(
            "route53", "change_resource_record_sets", HostedZoneId=zone_id, ChangeBatch={"Changes": list(changes)}
        )

    @staticmethod
    def _full(name: str, zone: str) -> str:
        zone = zone.rstrip(".")
        return f"{zone}." if name in ("", ROOT) else f"{name}.{zone}."

    @staticmethod
    def _short(name: str, zone: str) -> str:
        full, zone = _plain(name).rstrip("."), zone.rstrip(".")
        return ROOT if full == zone else full.removesuffix(f".{zone}")


def _plain(name: str) -> str:
    """Route 53 writes a star as \\052."""
    return name.replace("\\052", "*")


def _values(told: Mapping[str, Any]) -> list[str]:
    target = told.get("AliasTarget", {}).get("DNSName")
    return [one["Value"] for one in told.get("ResourceRecords") or ()] + ([target] if target else [])


def _checked(spec: DnsSpec) -> str:
    """The data as Route 53 wants it; raises InvalidRequest."""
    check_dns(spec, TYPES)
    if spec.type == "TXT" and not spec.data.startswith('"'):
        quoted = spec.data.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{quoted}"'
    return spec.data
