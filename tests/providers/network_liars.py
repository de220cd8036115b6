"""Drivers that break one promise each about networks."""

from __future__ import annotations

from typing import Any

from providers.fake.driver import FakeDriver
from providers.fake.state import Network
from tests.providers.bending import bend


def leaves_names_behind(driver: FakeDriver) -> None:
    """Deletes the VM and goes on answering its name."""
    honest = driver.machines.delete

    def delete(external_id: str, **options: Any) -> None:
        with driver.cloud.store.reading() as tx:
            before = {network.id: network.dns_hosts for network in tx.all(Network)}
        honest(external_id, **options)
        with driver.cloud.store.writing() as tx:
            for network in tx.all(Network):
                network.dns_hosts = before[network.id]
                tx.put(network)

    bend(driver.machines, delete=delete)


def takes_away_the_names_of_others(driver: FakeDriver) -> None:
    """Forgets every name of the networks that the VM was in."""
    honest = driver.machines.delete

    def delete(external_id: str, **options: Any) -> None:
        networks = {nic.network for nic in driver.machines.get(external_id).nics or ()}
        honest(external_id, **options)
        with driver.cloud.store.writing() as tx:
            for network in tx.all(Network):
                if network.id in networks:
                    network.dns_hosts = []
                    tx.put(network)

    bend(driver.machines, delete=delete)
