"""The bounds of the backends: each is named once, has a reason, and leaves room."""

import pytest

from clerestory.handlers.backends.pool.bounds import BOUNDS, POSTGRES_BACKLOG, THREAD_BACKLOG, UPSTREAM_WAITING, Bound


def test_every_bound_is_named_once_and_says_why() -> None:
    options = [bound.option for bound in BOUNDS]
    assert len(set(options)) == len(options)
    for bound in BOUNDS:
        assert bound.default > 0
        assert len(bound.why) > 10
        assert isinstance(bound.default, float) == (bound.unit == "seconds")


@pytest.mark.parametrize("bound", [THREAD_BACKLOG, POSTGRES_BACKLOG, UPSTREAM_WAITING])
def test_ordinary_concurrency_does_not_meet_a_bound_of_what_waits(bound: Bound) -> None:
    """A thousand clients that all ask at once wait; what refuses them is time."""
    assert bound.default >= 1000
