"""Names at Designate. They are told and taken without their zone; the zone's own name is “@”."""

from __future__ import annotations

from collections.abc import Sequence

from openstack import exceptions as sdk

from providers.base import (
    AlreadyExists,
    Conflict,
    Dns,
    DnsRecord,
    DnsSpec,
    InvalidRequest,
    NotFound,
    NotSupported,
    check_dns,
)
from providers.openstack.errors import vendor_calls
from providers.openstack.part import Part
from providers.openstack.service import Json, Service

TYPES = frozenset({"A", "AAAA", "CNAME", "TXT", "SRV", "MX"})
_ADDRESSES = frozenset({"A", "AAAA", "CNAME"})
_ROOT = "@"
#: One piece of a text, in the bytes of a zone file.
_MOST_TEXT = 255


class OpenStackDns(Part, Dns):
    def zones(self) -> Sequence[str]:
        with vendor_calls():
            return sorted(each["name"].rstrip(".") for each in self.designate.all("/zones", "zones"))

    def list(self, zone: str) -> Sequence[DnsRecord]:
        with vendor_calls():
            told = self._zone(zone)
            return [
                DnsRecord(
                    name=_short(each["name"], zone),
                    type=each["type"],
                    ttl_s=int(each.get("ttl") or told["ttl"]),
                    data=_plain(each["type"], data),
                )
                for each in self._sets(told["id"])
                for data in each["records"]
            ]

    def reserve(self, spec: DnsSpec, *, force: bool = False) -> DnsRecord:
        data = _checked(spec)
        with vendor_calls():
            zone = self._zone(spec.zone)
            path, full = f"/zones/{zone['id']}/recordsets", _full(spec.name, spec.zone)
            present = next(
                (each for each in self._sets(zone["id"]) if (each["name"], each["type"]) == (full, spec.type)), None
            )
            if present is not None and not force:
                raise _taken(spec)
            wish: Json = {"ttl": spec.ttl_s or None, "records": [data]}
            if present is not None:
                made = self.designate.put(f"{path}/{present['id']}", wish)
            else:
                try:
                    made = self.designate.post(path, {"name": full, "type": spec.type, **wish})
                except sdk.HttpException as exc:
                    if exc.status_code == 409:
                        raise _taken(spec) from exc
                    raise
            self.wait(lambda: self._is_active(f"{path}/{made['id']}"), "Entering the name")
            return DnsRecord(name=spec.name, type=spec.type, ttl_s=spec.ttl_s, data=spec.data)

    def delete(self, zone: str, name: str, *, all_entries: bool = False) -> None:
        """The address records of a name, or with `all_entries` everything that it or a name below it has."""
        with vendor_calls():
            zone_id, full = self._zone(zone)["id"], _full(name, zone)
            gone = [
                each
                for each in self._sets(zone_id)
                if each["type"] not in ("NS", "SOA")
                and (
                    (each["name"] == full and (all_entries or each["type"] in _ADDRESSES))
                    or (all_entries and each["name"].endswith(f".{full}"))
                )
            ]
            if not gone:
                raise NotFound(f"There is no record “{name}” in the zone “{zone}”.")
            for each in gone:
                self.designate.delete(f"/zones/{zone_id}/recordsets/{each['id']}")
            for each in gone:
                # Until its servers forgot it the name is taken.
                path = f"/zones/{zone_id}/recordsets/{each['id']}"
                self.wait_gone(lambda path=path: self._still_there(path), "Taking the name out")  # type: ignore[misc]

    # -- parts ------------------------------------------------------------------------------------------------------

    @property
    def designate(self) -> Service:
        if self.cloud.dns is None:
            raise NotSupported("This cloud has no DNS service.")
        return self.cloud.dns

    def _zone(self, name: str) -> Json:
        found = self.designate.all("/zones", "zones", name=f"{name.rstrip('.')}.")
        if not found:
            raise NotFound(f"There is no DNS zone “{name}” in the project.")
        return found[0]

    def _sets(self, zone_id: str) -> Sequence[Json]:
        """Without those that are on their way out: Designate goes on listing them until its servers forgot them."""
        told = self.designate.all(f"/zones/{zone_id}/recordsets", "recordsets")
        return [each for each in told if each.get("action") != "DELETE"]

    def _still_there(self, path: str) -> Json:
        try:
            return self.designate.get(path)
        except sdk.NotFoundException as exc:
            raise NotFound from exc

    def _is_active(self, path: str) -> bool | None:
        told = self.designate.get(path)
        if told["status"] == "ERROR":
            raise Conflict("The cloud's DNS servers did not take this record.", str(told.get("id")))
        return True if told["status"] == "ACTIVE" else None


def _taken(spec: DnsSpec) -> AlreadyExists:
    return AlreadyExists(f"“{spec.name}” has a record of type {spec.type} already.", field="name")


def _full(name: str, zone: str) -> str:
    zone = zone.rstrip(".")
    short = name.rstrip(".").removesuffix(f".{zone}")
    return f"{zone}." if short in ("", _ROOT, zone) else f"{short}.{zone}."


def _short(name: str, zone: str) -> str:
    zone = zone.rstrip(".")
    return _ROOT if name == f"{zone}." else name.removesuffix(f".{zone}.")


def _checked(spec: DnsSpec) -> str:
    """The data as Designate takes it; raises InvalidRequest."""
    check_dns(spec, TYPES)
    if spec.type == "CNAME":
        return f"{spec.data.rstrip('.')}."
    if spec.type == "TXT" and not spec.data.startswith('"'):
        escaped = spec.data.replace("\\", "\\\\").replace('"', '\\"')
        if len(escaped.encode()) > _MOST_TEXT:
            raise InvalidRequest(f"A text has at most {_MOST_TEXT} bytes.", field="data")
        return f'"{escaped}"'
    return spec.data


def _plain(kind: str, data: str) -> str:
    """A text as it was meant; one of several pieces stays as it is."""
    if kind != "TXT" or '" "' in data or not (len(data) > 1 and data[0] == data[-1] == '"'):
        return data
    return data[1:-1].replace('\\"', '"').replace("\\\\", "\\")
