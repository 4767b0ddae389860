"""Servers of several processes take longer to start."""

from functools import partial

import pytest

from tests.conftest import Start


@pytest.fixture
def start(start: Start) -> Start:
    """As everywhere, with more patience."""
    return partial(start, patience=180.0)
