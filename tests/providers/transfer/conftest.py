"""A vendor for each test, and wishes that may ask it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.providers.transfer.vendor import Vendor, vendor


@pytest.fixture
def shop() -> Iterator[Vendor]:
    with vendor() as running:
        yield running
