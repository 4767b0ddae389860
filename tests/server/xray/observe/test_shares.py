"""The classes of duration, and the sums of what requests have waited for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clerestory.server.xray.observe.shares import (
    QUERYING,
    SENDING,
    Counts,
    Share,
    add_others,
    key_of,
    longest_of,
    quantile_of,
)


@given(st.floats(1e-9, 1e6), st.sampled_from([0, 101, 200, 301, 404, 503]))
def test_a_class_of_durations_is_no_wider_than_a_quarter(seconds: float, status: int) -> None:
    key = key_of(seconds, status)
    longest = longest_of(key)
    assert longest / 1.26 <= seconds <= longest
    assert key & 7 == status // 100
    assert key_of(longest, status) > key


def test_quantiles_of_counts() -> None:
    counts = Counts({key_of(0.01, 0): 98, key_of(1.0, 0): 2})
    assert quantile_of(counts, 0.5) == pytest.approx(0.01, rel=0.26)
    assert quantile_of(counts, 0.99) == pytest.approx(1.0, rel=0.26)
    assert quantile_of(Counts(), 0.5) is None


def test_shares_are_merged_without_loss() -> None:
    one, other = Share(), Share()
    for share, seconds in ((one, 1.0), (other, 2.0)):
        share.count, share.total, share.querying, share.sending = 1, seconds, seconds / 2, seconds / 4
        share.other = {1: seconds / 4}
        share.waits = {(QUERYING, "x"): seconds / 2}
        share.lines = {(QUERYING, "x", "a.py:1 f"): 2}
    one.merge(other)
    assert (one.count, one.total, sum(one.spent()), one.waits) == (2, 3.0, 3.0, {(QUERYING, "x"): 1.5})
    assert one.lines == {(QUERYING, "x", "a.py:1 f"): 4}


def test_only_the_states_that_are_rare_are_kept_apart() -> None:
    spent = [0.0] * 12
    spent[0], spent[1], spent[QUERYING], spent[SENDING] = 9.0, 0.5, 1.0, 2.0
    into: dict[int, float] = {}
    add_others(into, spent, 4)
    assert into == {1: 2.0}
