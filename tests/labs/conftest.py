"""What the tests of the labs share: a quick stage, and what was said on it."""

import pytest

from labs.findings import Stage


@pytest.fixture(scope="module")
def said() -> list[str]:
    """What the module's lab has said."""
    return []


@pytest.fixture(scope="module")
def stage(said: list[str]) -> Stage:
    """Where a lab runs with small loads, once for all tests of its module."""
    return Stage(said.append, quick=True)
