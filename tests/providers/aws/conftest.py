"""The stand-in for AWS, shared with the conformance suite of the same process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("moto")

from providers.aws.driver import AwsDriver
from providers.aws.testing import Peer, harness
from providers.aws.testing import peer as shared_peer
from providers.testing import Harness


@pytest.fixture(scope="session")
def peer() -> Peer:
    return shared_peer()


@pytest.fixture(scope="session")
def aws(peer: Peer) -> Harness:
    return harness()


@pytest.fixture
def driver(peer: Peer) -> Iterator[AwsDriver]:
    made = AwsDriver(peer.config())
    yield made
    peer.tell("faults", [])
    peer.tell("pace", {"pending": 0, "stopping": 0, "shutting-down": 0})
    made.close()
