"""The import contracts name every kind of provider that there is; a new folder without its lines fails here."""

from __future__ import annotations

import configparser

from tools.place import ROOT


def test_every_kind_stands_in_both_contracts_of_drivers() -> None:
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / ".importlinter")
    kinds = {f"providers.{manifest.parent.name}" for manifest in (ROOT / "providers").glob("*/plugin.py")}
    alone = set(contracts["importlinter:contract:drivers-alone"]["source_modules"].split())
    apart = set(contracts["importlinter:contract:drivers-apart"]["modules"].split())
    assert kinds - alone == set()
    assert kinds == apart
