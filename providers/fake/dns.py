"""DNS zones and records of a simulated cloud."""

from __future__ import annotations

from collections.abc import Sequence

from providers.base import AlreadyExists, Dns, DnsRecord, DnsSpec, NotFound, check_dns
from providers.fake.cloud import Part
from providers.fake.state import Zone, ZoneEntry

TYPES = frozenset({"A", "AAAA", "CNAME", "TXT", "SRV", "MX"})


class FakeDns(Part, Dns):
    def zones(self) -> Sequence[str]:
        with self.cloud.reading("dns.zones") as tx:
            return [zone.name for zone in tx.all(Zone)]

    def list(self, zone: str) -> Sequence[DnsRecord]:
        with self.cloud.reading("dns.list") as tx:
            entries = sorted(tx.get(Zone, zone).entries, key=lambda entry: (entry.name, entry.type, entry.data))
            return [DnsRecord(**entry.model_dump()) for entry in entries]

    def reserve(self, spec: DnsSpec, *, force: bool = False) -> DnsRecord:
        check_dns(spec, TYPES)
        with self.cloud.writing("dns.reserve") as tx:
            zone = tx.get(Zone, spec.zone)
            same = [entry for entry in zone.entries if (entry.name, entry.type) == (spec.name, spec.type)]
            if same and not force:
                raise AlreadyExists(f"“{spec.name}” has a record of type {spec.type} already.", field="name")
            made = ZoneEntry(name=spec.name, type=spec.type, ttl_s=spec.ttl_s, data=spec.data)
            zone.entries = [*(entry for entry in zone.entries if entry not in same), made]
            tx.put(zone)
            return DnsRecord(**made.model_dump())

    def delete(self, zone: str, name: str, *, all_entries: bool = False) -> None:
        """The address records of a name, or with `all_entries` everything that it or a name below it has."""
        with self.cloud.writing("dns.delete") as tx:
            found = tx.get(Zone, zone)
            gone = [
                entry
                for entry in found.entries
                if (entry.name == name and (all_entries or entry.type in ("A", "AAAA", "CNAME")))
                or (all_entries and entry.name.endswith(f".{name}"))
            ]
            if not gone:
                raise NotFound(f"There is no record “{name}” in the zone “{zone}”.")
            found.entries = [entry for entry in found.entries if entry not in gone]
            tx.put(found)
