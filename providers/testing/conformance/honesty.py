"""Honesty: what is probed is declared, is there, and nothing beyond it works or leaks."""

from __future__ import annotations

import json
from collections.abc import Callable

from pydantic import SecretStr

from providers.base import Capabilities, NotSupported
from providers.testing.checks import refused
from providers.testing.lab import Lab, present
from providers.testing.promises import promise


@promise()
def what_is_probed_was_declared(lab: Lab) -> None:
    probed, declared = lab.driver.probe(), lab.harness.plugin.declares
    assert probed.within(declared) == probed, "More was probed than the kind declares."


@promise()
def a_facet_is_there_exactly_when_it_was_probed(lab: Lab) -> None:
    probed = lab.driver.probe()
    for facet in Capabilities.model_fields:
        is_there, is_probed = getattr(lab.driver, facet) is not None, getattr(probed, facet) is not None
        assert is_there == is_probed, (
            f"{facet}: the facet is {'' if is_there else 'not '}there, but probed: {is_probed}"
        )


@promise()
def probing_twice_says_the_same(lab: Lab) -> None:
    assert lab.driver.probe() == lab.driver.probe()


@promise()
def capabilities_survive_storage(lab: Lab) -> None:
    probed = lab.driver.probe()
    assert Capabilities.from_json(json.loads(json.dumps(probed.to_json()))) == probed


@promise()
def secrets_are_not_shown(lab: Lab) -> None:
    config = lab.harness.config
    secrets = [getattr(config, name) for name in config.secret_fields()]
    shown = f"{config!r} {config} {lab.driver!r} {lab.driver} {config.model_dump_json()}"
    for secret in secrets:
        if isinstance(secret, SecretStr) and secret.get_secret_value():
            assert secret.get_secret_value() not in shown, "A secret of the configuration is shown."


@promise()
def a_closed_driver_is_not_alive_and_may_be_closed_again(lab: Lab) -> None:
    driver = lab.harness.open()
    assert driver.is_alive
    driver.close()
    driver.close()
    assert not driver.is_alive


@promise(when=lambda can: can.power and not can.power.pause)
def pausing_is_refused_where_it_was_not_probed(lab: Lab) -> None:
    vm = lab.vm(start=True)
    with refused(NotSupported):
        present(lab.driver.power).pause(vm.external_id)


@promise(when=lambda can: can.reshape and not all(can.reshape.model_dump().values()))
def changes_are_refused_that_were_not_probed(lab: Lab) -> None:
    vm, reshape, can = lab.vm(), present(lab.driver.reshape), present(lab.can.reshape)
    attempts: tuple[tuple[bool, Callable[[], object]], ...] = (
        (can.vcpus, lambda: reshape.set_vcpus(vm.external_id, 2)),
        (can.memory, lambda: reshape.set_memory(vm.external_id, 128)),
        (can.flavor, lambda: reshape.set_flavor(vm.external_id, "any")),
        (can.rename, lambda: reshape.rename(vm.external_id, lab.name("renamed"))),
        (can.autostart, lambda: reshape.set_autostart(vm.external_id, True)),
        (can.description, lambda: reshape.set_description(vm.external_id, "other")),
        (can.metadata, lambda: reshape.set_metadata(vm.external_id, "key", "value")),
        (can.remove_cloud_init, lambda: reshape.remove_cloud_init(vm.external_id)),
        (can.options, lambda: reshape.set_options(vm.external_id, {})),
    )
    for may, attempt in attempts:
        if not may:
            with refused(NotSupported):
                attempt()


@promise(when=lambda can: can.snapshots and not can.snapshots.memory)
def memory_is_not_promised_where_it_was_not_probed(lab: Lab) -> None:
    vm = lab.vm(start=True)
    with refused(NotSupported):
        present(lab.driver.snapshots).create(vm.external_id, "memory", memory=True)


@promise(when=lambda can: can.consoles)
def a_vm_shows_only_consoles_that_were_probed(lab: Lab) -> None:
    vm = lab.driver.machines.get(lab.vm().external_id)
    assert (vm.consoles or frozenset()) <= present(lab.can.consoles).kinds
