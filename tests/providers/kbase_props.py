"""Props for the tests of the contract: a fresh simulated cloud without delays, and short assertions."""

from __future__ import annotations

import json
from typing import Any

from providers import kbase
from providers.kbase import Kbase

QUICK: dict[str, Any] = {"start_s": 0, "stop_s": 0, "create_s": 0, "lease_s": 0}


def cloud(**settings: Any) -> Kbase:
    return kbase.connect("fake", **{**QUICK, **settings})


def done(result: Any) -> dict[str, Any]:
    """The answer of a change that must have succeeded."""
    json.dumps(result)
    assert result["result"] == "success", result
    assert "reason" not in result
    return dict(result)


def refused(result: Any, word: str = "") -> str:
    """The reason of a change that must have failed; `word` must be in it."""
    assert set(result) == {"result", "reason"}, result
    assert result["result"] == "failure"
    reason = result["reason"]
    assert isinstance(reason, str)
    assert reason.strip()
    assert word in reason, reason
    return reason


def make(k: Kbase, name: str = "box", **wishes: Any) -> dict[str, Any]:
    """A stopped VM from a small image."""
    done(k.create(name, **{"image": "alpine-3.22", "nets": ["default"], "start": False, "memory": 256, **wishes}))
    return dict(k.info(name))
