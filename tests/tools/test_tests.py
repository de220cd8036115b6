"""What `make test` hands to pytest."""

from __future__ import annotations

import os
import subprocess
from typing import Any

import pytest

from providers.testing import is_demanded
from tools import test as make_test


class Ended:
    """A pytest that was begun and is through."""

    environments: list[dict[str, str]]

    def __init__(self, command: list[str], *, env: dict[str, str]) -> None:
        del command
        self.environments.append(env)

    def wait(self, timeout: float | None = None) -> int:
        del timeout
        return 0


def test_a_ci_machine_is_told_by_our_own_name_and_demands_every_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, str]] = []
    monkeypatch.setattr(Ended, "environments", seen, raising=False)
    started: Any = Ended
    monkeypatch.setattr(subprocess, "Popen", started)
    monkeypatch.setenv("CI", "true")
    make_test.pytest([])
    (environment,) = seen
    assert "CI" not in environment
    monkeypatch.setattr(os, "environ", environment)
    assert is_demanded("vsphere")


def test_elsewhere_a_backend_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CI", "KVWEB_CI", "KVWEB_LIVE"):
        monkeypatch.delenv(name, raising=False)
    assert not is_demanded("vsphere")
    monkeypatch.setenv("KVWEB_LIVE", "aws, vsphere")
    assert is_demanded("vsphere")
