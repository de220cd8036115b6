"""DNS zones of the project. The API keeps records of one name and type together, as a set with one lifetime."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from providers.base import AlreadyExists, Dns, DnsRecord, DnsSpec, InvalidRequest, NotFound
from providers.hcloud.api import Json
from providers.hcloud.part import Part


class HcloudDns(Part, Dns):
    def zones(self) -> Sequence[str]:
        return [zone["name"] for zone in self.api.pages("zones")]

    def list(self, zone: str) -> Sequence[DnsRecord]:
        lifetime = self._zone(zone)["ttl"]
        return [
            DnsRecord(name=row["name"], type=row["type"], ttl_s=row["ttl"] or lifetime, data=plain(record["value"]))
            for row in self.api.pages("rrsets", _path(zone))
            for record in row["records"]
        ]

    def reserve(self, spec: DnsSpec, *, force: bool = False) -> DnsRecord:
        name = relative(spec.name, spec.zone)
        records = [{"value": written(spec.type, spec.data)}]
        body = {"name": name, "type": spec.type, "ttl": max(spec.ttl_s, 60), "records": records}
        self._zone(spec.zone)
        try:
            self.api.settle(self.api.post(_path(spec.zone), body)["action"])
        except AlreadyExists as exc:
            if not force:
                raise AlreadyExists(f"There is a record {name} {spec.type} already.", exc.detail) from exc
            one = f"{_path(spec.zone)}/{quote(name, safe='')}/{spec.type}/actions"
            self.api.settle(self.api.post(f"{one}/set_records", {"records": records})["action"])
            self.api.settle(self.api.post(f"{one}/change_ttl", {"ttl": body["ttl"]})["action"])
        return DnsRecord(name=name, type=spec.type, ttl_s=max(spec.ttl_s, 60), data=spec.data)

    def delete(self, zone: str, name: str, *, all_entries: bool = False) -> None:
        self._zone(zone)
        wanted = relative(name, zone)
        found = [
            row
            for row in self.api.pages("rrsets", _path(zone))
            # Names of the zone itself stay, unless they are what was asked for.
            if row["name"] == wanted and row["type"] not in {"SOA", "NS"}
        ]
        if not found:
            raise NotFound(f"There is no record “{wanted}” in the zone.")
        del all_entries
        for row in found:
            path = f"{_path(zone)}/{quote(row['name'], safe='')}/{row['type']}"
            self.api.settle(self.api.delete(path).get("action"))

    def _zone(self, name: str) -> Json:
        found = self.api.named("zones", name)
        if found is None:
            raise NotFound(f"There is no DNS zone “{name}” in the project.")
        return found


def _path(zone: str) -> str:
    return f"/zones/{quote(zone, safe='')}/rrsets"


def relative(name: str, zone: str) -> str:
    """A name as the API wants it: without the zone, "@" for the zone itself, in small ASCII letters."""
    short = name.rstrip(".").lower().removesuffix(f".{zone}")
    if short in {"", "@", zone}:
        return "@"
    try:
        return short if short.isascii() else short.encode("idna").decode()
    except UnicodeError as exc:
        raise InvalidRequest("This cannot be the name of a DNS record.", str(exc), field="name") from exc


def written(kind: str, data: str) -> str:
    """Texts stand in quotes in a zone file."""
    if kind != "TXT" or data.startswith('"'):
        return data
    escaped = data.replace("\\", "\\\\").replace('"', '\\"')
    return " ".join(f'"{escaped[start : start + 250]}"' for start in range(0, max(len(escaped), 1), 250))


def plain(told: str) -> str:
    """A short text as it was meant; what is in several pieces stays as it is."""
    if len(told) > 1 and told.startswith('"') and told.endswith('"') and '" "' not in told:
        return told[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    return told
