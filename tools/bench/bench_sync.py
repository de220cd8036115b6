"""A full inventory sync of many libvirt domains, beside libvirt's bulk call alone and beside `virsh list`."""

from __future__ import annotations

import subprocess
import uuid
from typing import Any

from tools.bench.django_home import django_here
from tools.bench.harness import Skip, bench, measure

COUNTS = (100, 500, 2000)


def _define(connection: Any, first: int, last: int) -> None:
    from lxml import etree
    from lxml.builder import E

    for number in range(first, last):
        document = E.domain(
            E.name(f"kvweb-test-{number:05}"),
            E.uuid(str(uuid.UUID(int=number + 1))),
            E.memory("65536"),
            E.vcpu("1"),
            E.os(E.type("hvm", arch="x86_64", machine="pc")),
            E.devices(
                E.disk(
                    E.driver(name="qemu", type="qcow2"),
                    E.source(file=f"/nowhere/{number}.qcow2"),
                    E.target(dev="vda", bus="virtio"),
                    type="file",
                    device="disk",
                ),
                E.interface(E.source(network="default"), E.model(type="virtio"), type="network"),
            ),
            type="qemu",
        )
        connection.defineXML(etree.tostring(document).decode())


@bench
def inventory_sync() -> None:
    django_here()
    import libvirt

    from kvweb.portal.inventory import sync
    from providers.models import Health, Provider
    from providers.pool import driver_for
    from providers.registry import plugin
    from tools.trial.libvirtd import PrivateLibvirt

    try:
        daemon = PrivateLibvirt()
        daemon.start()
    except (OSError, AssertionError) as exc:
        raise Skip(f"no libvirtd could be started: {exc}") from exc
    try:
        connection = libvirt.open(daemon.uri)
        provider = Provider.objects.create(
            name="Sync bench",
            kind="kvm",
            config=plugin("kvm").config.read({"uri": daemon.uri}).model_dump(mode="json"),
            capabilities=plugin("kvm").declares.to_json(),
            health=Health.OK,
        )
        defined = 0
        for count in COUNTS:
            _define(connection, defined, count)
            defined = count
            with driver_for(provider) as driver:
                sync(provider, driver)
                told = sync(provider, driver, everything=False)
                if told["vms"] != count:
                    raise RuntimeError(f"{told['vms']} of {count} domains were told")

                def synced(driver: Any = driver) -> None:
                    sync(provider, driver, everything=False)

                measure(
                    f"full inventory sync of {count} domains, none changed",
                    "ms",
                    synced,
                    baseline=lambda: _bulk(connection),
                    baseline_name="libvirt's bulk call alone",
                    goal="<= 2 x",
                    times=9,
                )
            measure(
                f"`virsh list --all` of {count} domains",
                "ms",
                lambda: _virsh(daemon.uri),
                baseline=lambda: _bulk(connection),
                baseline_name="libvirt's bulk call alone",
            )
        _changes(provider, connection)
        connection.close()
    finally:
        daemon.remove()


def _bulk(connection: Any) -> None:
    import libvirt

    connection.getAllDomainStats(
        libvirt.VIR_DOMAIN_STATS_STATE
        | libvirt.VIR_DOMAIN_STATS_VCPU
        | libvirt.VIR_DOMAIN_STATS_BALLOON
        | libvirt.VIR_DOMAIN_STATS_INTERFACE,
        0,
    )


def _virsh(uri: str) -> None:
    subprocess.run(["virsh", "-c", uri, "list", "--all"], check=True, stdout=subprocess.DEVNULL)


def _changes(provider: Any, connection: Any) -> None:
    """What a hundred changed machines add to a sync, each."""
    from dataclasses import replace

    from providers.base import PowerState
    from providers.pool import driver_for
    from vms import inventory

    with driver_for(provider) as driver:
        records = list(driver.machines.list())
    states = [PowerState.PAUSED, PowerState.STOPPED]

    def per_change() -> float:
        import time

        states.reverse()
        changed = [
            replace(record, power=states[0]) if number < 100 else record for number, record in enumerate(records)
        ]
        began = time.perf_counter()
        inventory.apply(provider, changed, is_complete=True)
        with_changes = time.perf_counter() - began
        began = time.perf_counter()
        inventory.apply(provider, changed, is_complete=True)
        return (with_changes - (time.perf_counter() - began)) * 1000 / 100

    measure("sync, added by each changed VM", "ms", per_change, goal="<= 0.2", times=9)
