"""An open simulated cloud: its store, the clock, the count of calls, and the faults that were asked for."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager

from providers.base import QUIET, AuthenticationFailed, DnsHost, EventTopic, NotFound, Progress, translated
from providers.fake import seed
from providers.fake.config import FakeConfig
from providers.fake.errors import translate
from providers.fake.faults import METADATA_PREFIX, Fault, error_of, fault_called
from providers.fake.files import Files
from providers.fake.state import Network, Vm, Volume
from providers.fake.store import Store, Transaction


class Cloud:
    """One process's hold on a cloud. `calls` counts its vendor calls, for budgets."""

    def __init__(self, config: FakeConfig) -> None:
        self.config = config
        self.calls = 0
        with translated(translate):
            self.store = Store(config.path)
            self.files = Files(config.path)
            with self.store.writing() as tx:
                if tx.fact("made") is None:
                    seed.furnish(tx, config)
                    tx.set_fact("made", str(tx.now))
        try:
            self.enter("driver.open")
            self._sign_in()
        except BaseException:
            self.store.close()
            raise

    def _sign_in(self) -> None:
        """The first credentials that open a cloud are its credentials; only their digest is kept."""
        config = self.config
        password = config.password.get_secret_value() if config.password is not None else ""
        shown = hashlib.sha256(f"{config.username}\0{password}".encode()).hexdigest()
        with self.store.writing() as tx:
            known = tx.fact("credentials")
            if known is None:
                tx.set_fact("credentials", shown)
            elif known != shown:
                raise AuthenticationFailed("The simulated cloud does not know this user name and password.")

    # -- calls ------------------------------------------------------------------------------------------------------

    @contextmanager
    def reading(self, place: str, vm: str = "") -> Iterator[Transaction]:
        """One vendor call that reads; `place` names it for faults, `vm` is the id of the VM it is about."""
        with translated(translate):
            self.enter(place, vm=vm)
            with self.store.reading() as tx:
                yield tx

    @contextmanager
    def writing(self, place: str, vm: str = "", progress: Progress = QUIET) -> Iterator[Transaction]:
        """One vendor call that changes something, all or nothing."""
        with translated(translate):
            self.enter(place, vm=vm, progress=progress)
            with self.store.writing() as tx:
                yield tx

    def enter(self, place: str, *, vm: str = "", progress: Progress = QUIET) -> None:
        """Count a call and let the fault that was asked for at this place happen."""
        self.calls += 1
        fault = self._due_fault(place, vm)
        if fault is not None:
            self.suffer(fault, vm=vm, progress=progress)

    def suffer(self, fault: Fault, *, vm: str = "", progress: Progress = QUIET) -> None:
        """What the fault does: take time, take the VM away, raise."""
        if fault is Fault.SLOW:
            self.wait(self.config.slow_s, progress)
        if fault is Fault.HANG:
            self.wait(self.config.hang_s, progress)
        if fault is Fault.VANISH and vm:
            with self.store.writing() as tx:
                forget_vm(tx, vm)
        error = error_of(fault)
        if error is not None:
            with translated(translate):
                raise error

    def wait(self, seconds: float, progress: Progress = QUIET) -> None:
        """Let simulated work take its time; can be cancelled at any moment."""
        end = time.monotonic() + seconds
        progress.checkpoint()
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, 0.05))
            progress.checkpoint()

    # -- faults -----------------------------------------------------------------------------------------------------

    def set_fault(self, place: str, *, kind: str, times: int = 1) -> None:
        """Ask for a fault at a place, `times` times (-1: until cleared), in every process that has this cloud open."""
        fault = fault_called(kind)
        with self.store.writing() as tx:
            tx.db.execute("INSERT INTO faults (place, kind, times) VALUES (?, ?, ?)", (place, fault.value, times))

    def clear_faults(self) -> None:
        with self.store.writing() as tx:
            tx.db.execute("DELETE FROM faults")

    def _due_fault(self, place: str, vm: str) -> Fault | None:
        with self.store.reading() as tx:
            row = tx.db.execute(
                "SELECT rowid, kind, times FROM faults WHERE place IN (?, '*') AND times != 0 ORDER BY rowid LIMIT 1",
                (place,),
            ).fetchone()
            told = self._fault_of_vm(tx, place, vm) if vm else None
        if row is not None:
            if row[2] > 0:
                with self.store.writing() as tx:
                    tx.db.execute("UPDATE faults SET times = times - 1 WHERE rowid = ?", (row[0],))
            return Fault(row[1])
        word = told or self.config.faults.get(place) or self.config.faults.get("*")
        return fault_called(word) if word else None

    @staticmethod
    def _fault_of_vm(tx: Transaction, place: str, vm: str) -> str | None:
        try:
            return tx.get(Vm, vm).metadata.get(METADATA_PREFIX + place)
        except NotFound:
            return None

    def close(self) -> None:
        self.store.close()


class Part:
    """Base of the facets: each works on the one open cloud."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud


def forget_vm(tx: Transaction, external_id: str) -> None:
    """Take a VM away with its addresses, its name in its networks, and the volumes that were made for it and that
    nothing else uses."""
    vm = tx.get(Vm, external_id)
    networks, macs = {nic.network for nic in vm.nics}, {nic.mac for nic in vm.nics}
    for network in tx.all(Network):
        before = network.model_copy(deep=True)
        network.leases = {mac: address for mac, address in network.leases.items() if mac not in macs}
        if network.id in networks:
            network.kept = [lease for lease in network.kept if lease.mac not in macs]
            network.dns_hosts = _without_name(network, vm.name)
        if network != before:
            tx.put(network)
    tx.drop(vm)
    in_use = {disk.volume for other in tx.all(Vm) for disk in other.disks}
    volumes = tx.all(Volume)
    in_use |= {volume.backing for volume in volumes}
    for volume in volumes:
        if volume.owner == vm.id and volume.id not in in_use:
            tx.drop(volume)
            tx.note(EventTopic.POOL, volume.pool, "volume deleted")
    tx.note(EventTopic.VM, vm.id, "deleted", gone=True)


def _without_name(network: Network, name: str) -> list[DnsHost]:
    """What the network answers without a VM that goes, also with a domain behind its name; an address that another
    card has by now keeps its names."""
    taken = {*network.leases.values(), *(lease.address for lease in network.kept)}
    kept: list[DnsHost] = []
    for host in network.dns_hosts:
        names = tuple(each for each in host.names if each != name and not each.startswith(f"{name}."))
        if host.address in taken or names == host.names:
            kept.append(host)
        elif names:
            kept.append(DnsHost(address=host.address, names=names))
    return kept
