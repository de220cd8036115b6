"""The import contracts name every kind of provider that there is; a new folder without its lines fails here."""

from __future__ import annotations

import configparser

from tools.place import ROOT

PROVIDERS = ROOT / "providers"


def contract(name: str, key: str) -> set[str]:
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / ".importlinter")
    return set(contracts[f"importlinter:contract:{name}"][key].split())


def test_every_kind_stands_in_both_contracts_of_drivers() -> None:
    kinds = {f"providers.{manifest.parent.name}" for manifest in PROVIDERS.glob("*/plugin.py")}
    assert kinds <= contract("drivers-alone", "source_modules")
    assert kinds <= contract("drivers-apart", "modules")
