"""What a provider can do, as its page says it: sentences for people, of every feature of every kind."""

from __future__ import annotations

from providers.abilities import ABILITIES, UNTOLD, chips
from providers.base import Capabilities, DiskFeatures, PowerFeatures
from providers.registry import plugins


def test_every_feature_has_its_words() -> None:
    for facet, ability in ABILITIES.items():
        told = {name for sentence in ability.sentences for name in sentence.features} | UNTOLD.get(facet, frozenset())
        features = next(
            found for found in (getattr(plugin.declares, facet) for plugin in plugins().values()) if found is not None
        )
        assert told == set(type(features).model_fields), facet
    assert set(ABILITIES) == set(Capabilities.model_fields)


def test_what_can_be_done_is_said_in_sentences_without_names_of_the_contract() -> None:
    for plugin in plugins().values():
        for chip in chips(plugin.declares):
            assert chip.details[:1].isupper(), (plugin.kind, chip)
            assert chip.details.endswith("."), (plugin.kind, chip)
            assert "_" not in chip.details, (plugin.kind, chip)
            assert "  " not in chip.details, (plugin.kind, chip)


def test_only_what_holds_is_said() -> None:
    found = Capabilities(power=PowerFeatures(pause=True), disks=DiskFeatures(least_gib=10))
    words = {chip.name: chip.details for chip in chips(found)}
    assert words["power"] == "Start, restart, force off and pause."
    assert words["disks"] == "Attach and detach. The smallest has 10 GiB."


def test_what_only_other_providers_of_the_kind_can_do_is_marked() -> None:
    listed = {chip.name: chip for chip in chips(Capabilities(), Capabilities(power=PowerFeatures()))}
    assert listed["power"].is_absent
    assert "disks" not in listed
