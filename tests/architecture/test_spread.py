"""The order in which tests are handed out follows from numbers that are about tests which exist."""

from __future__ import annotations

import json
from pathlib import Path

from providers.registry import plugins
from tests.spread import CONFORMANCE, SECONDS, group_of

ROOT = Path(__file__).parents[2]


def test_a_file_stays_together_and_promises_stay_with_their_kind() -> None:
    assert group_of("tests/vms/test_views.py::test_a_list[kvm-1]") == "tests/vms/test_views.py"
    assert group_of(f"{CONFORMANCE}::test_it_keeps_its_promise[kvm-steps::a_name_is_free]") == f"{CONFORMANCE}[kvm]"
    assert group_of(f"{CONFORMANCE}::test_gaps_are_promises_that_exist[kvm]") == f"{CONFORMANCE}[kvm]"


def test_every_group_with_a_number_is_there() -> None:
    kinds = {f"{CONFORMANCE}[{kind}]" for kind in plugins()}
    named = set(json.loads(SECONDS.read_text()))
    assert {group for group in named - kinds if not (ROOT / group).is_file()} == set()
