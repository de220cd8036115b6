"""The room in which one promise is tried: a driver, names that nobody else has, and a broom for what was made."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from providers.base import Driver, NotFound, PowerState, ProviderError, SnapshotRecord, VmRecord
from providers.testing.harness import PREFIX, Harness, fresh_suffix

T = TypeVar("T")


class Leftovers(AssertionError):
    """After a promise was tried, the provider does not list what it listed before."""


class _Named(Protocol):
    @property
    def external_id(self) -> str: ...
    @property
    def name(self) -> str: ...


def present(facet: T | None) -> T:
    """The facet itself; a promise is only tried when the facet was probed, so None is a lie of the driver."""
    if facet is None:
        raise AssertionError("The driver was probed to have this facet, but it is None.")
    return facet


class Lab:
    """One promise's room. Everything made in it carries its suffix, is deleted at the end, and must then be gone."""

    def __init__(self, harness: Harness) -> None:
        self.harness = harness
        self.can = harness.can
        self.suffix = fresh_suffix()
        self.driver: Driver = harness.open()
        self._before = self.everything()
        self._undo: list[Callable[[], object]] = []

    # -- making things ----------------------------------------------------------------------------------------------

    def name(self, label: str = "vm") -> str:
        return f"{PREFIX}{label}-{self.suffix}"

    def vm(self, label: str = "vm", **changes: Any) -> VmRecord:
        """A minimal VM, stopped unless `start=True`; deleted with the lab."""
        spec = self.harness.vm_spec(self.name(label), **changes)
        record = self.driver.machines.create(spec)
        self.undo(lambda: self.delete_vm(record.external_id))
        return self.running(record) if spec.start else record

    def running(self, vm: VmRecord) -> VmRecord:
        """Wait until it runs."""
        return self.in_state(vm.external_id, PowerState.RUNNING)

    def in_state(self, external_id: str, power: PowerState) -> VmRecord:
        def look() -> VmRecord | None:
            record = self.driver.machines.get(external_id)
            return record if record.power is power else None

        found = self.harness.wait_until(look, f"the VM becomes {power}")
        return present(found)

    def snapshot_called(self, external_id: str, name: str) -> SnapshotRecord:
        snapshots = present(self.driver.snapshots)
        return only(record for record in snapshots.list(external_id) if record.name == name)

    def undo(self, step: Callable[[], object]) -> None:
        """Remember how to take something away again; the last is taken away first."""
        self._undo.append(step)

    def delete_vm(self, external_id: str) -> None:
        """Delete whatever is there, in any state, with its snapshots."""
        self.driver.machines.delete(external_id, with_snapshots=True)

    # -- leaving ----------------------------------------------------------------------------------------------------

    def everything(self) -> set[tuple[str, str, str]]:
        """(facet, external_id, name) of all that the provider lists."""
        driver = self.driver
        listed: list[tuple[str, Iterable[_Named]]] = [("machines", driver.machines.list())]
        for facet, lister in (
            ("pools", driver.pools),
            ("volumes", driver.volumes),
            ("images", driver.images),
            ("networks", driver.networks),
            ("subnets", driver.subnets),
            ("firewalls", driver.firewalls),
            ("load_balancers", driver.load_balancers),
        ):
            if lister is not None:
                listed.append((facet, lister.list()))
        found = {(facet, item.external_id, item.name) for facet, items in listed for item in items}
        if driver.buckets is not None:
            found |= {("buckets", bucket, bucket) for bucket in driver.buckets.list()}
        if driver.dns is not None and self.harness.dns_zone:
            found |= {
                ("dns", f"{row.name} {row.type} {row.data}", row.name) for row in driver.dns.list(self.harness.dns_zone)
            }
        return found

    def clean(self) -> None:
        for step in reversed(self._undo):
            with suppress(NotFound):
                step()
        self._undo.clear()

    def leftovers(self) -> str:
        """What is more or less than before, as text; things of other labs at the same provider do not count."""
        after = self.everything()
        more = {item for item in after - self._before if not self._is_foreign(item[2])}
        less = {item for item in self._before - after if not self._is_foreign(item[2])}
        parts = [f"left behind: {facet} {name}" for facet, _, name in sorted(more)]
        parts += [f"lost: {facet} {name}" for facet, _, name in sorted(less)]
        return "; ".join(parts)

    def _is_foreign(self, name: str) -> bool:
        return PREFIX in name and self.suffix not in name

    def sweep(self) -> None:
        """Delete what carries this lab's suffix, so that one broken promise does not break the next."""
        for record in self.driver.machines.list():
            if self.suffix in record.name:
                with suppress(ProviderError):
                    self.delete_vm(record.external_id)
        for facet in (self.driver.volumes, self.driver.images, self.driver.networks, self.driver.pools):
            for item in [] if facet is None else facet.list():
                if facet is not None and self.suffix in item.name:
                    with suppress(ProviderError):
                        facet.delete(item.external_id)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is not None:
                with suppress(Exception):
                    self.clean()
                with suppress(Exception):
                    self.sweep()
                return
            self.clean()
            remains = self.leftovers()
            if remains:
                self.sweep()
                raise Leftovers(remains)
        finally:
            self.driver.close()


def vm_with_a_volume(lab: Lab) -> VmRecord:
    """The minimal VM; with one disk more where it may have several, since at some clouds the first is no volume."""
    several = lab.can.machines.several_disks
    return lab.vm(disks=(*lab.harness.minimal.disks, *((lab.harness.disk_spec(),) if several else ())))


def only(items: Iterable[T]) -> T:
    """The one item; fails when there are none or several."""
    found = list(items)
    if len(found) != 1:
        raise AssertionError(f"Expected exactly one, found {len(found)}: {found!r}")
    return found[0]
