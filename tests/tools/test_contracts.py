"""The import contracts name what is there: every kind of provider, and every module that drivers may not touch."""

from __future__ import annotations

import configparser

from tools.place import ROOT

PROVIDERS = ROOT / "providers"
FOR_DRIVERS = {"providers.base", "providers.guest", "providers.testing", "providers.kbase"}


def contract(name: str, key: str) -> set[str]:
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / ".importlinter")
    return set(contracts[f"importlinter:contract:{name}"][key].split())


def test_every_kind_stands_in_both_contracts_of_drivers() -> None:
    kinds = {f"providers.{manifest.parent.name}" for manifest in PROVIDERS.glob("*/plugin.py")}
    assert kinds <= contract("drivers-alone", "source_modules")
    assert kinds <= contract("drivers-apart", "modules")


def test_every_module_of_the_portals_half_is_forbidden_to_drivers() -> None:
    modules = {f"providers.{file.stem}" for file in PROVIDERS.glob("*.py")} - {"providers.__init__"}
    assert modules - FOR_DRIVERS <= contract("drivers-alone", "forbidden_modules")
