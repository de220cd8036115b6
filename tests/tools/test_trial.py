"""Several tests at one libvirt: who comes first says what was there, and who leaves last clears up."""

from __future__ import annotations

from pathlib import Path

from tools.trial.hypervisor import _enter, _is_alone


def test_only_who_leaves_last_is_alone_and_knows_what_the_first_found(tmp_path: Path) -> None:
    place = tmp_path / "lock"
    with place.open("a+") as first, place.open("a+") as second:
        assert _enter(first.fileno(), ["/pool/owner.qcow2"]) == {"/pool/owner.qcow2"}
        # The first has brought the guest meanwhile: it is no less ours for that.
        assert _enter(second.fileno(), ["/pool/owner.qcow2", "/pool/kvweb-guest-1.qcow2"]) == {"/pool/owner.qcow2"}
        assert not _is_alone(first.fileno())
        assert _is_alone(second.fileno())


def test_a_run_after_all_have_left_begins_anew(tmp_path: Path) -> None:
    place = tmp_path / "lock"
    with place.open("a+") as earlier:
        _enter(earlier.fileno(), ["/pool/old.qcow2", "/pool/older.qcow2"])
    with place.open("a+") as later:
        assert _enter(later.fileno(), ["/pool/new.qcow2"]) == {"/pool/new.qcow2"}
