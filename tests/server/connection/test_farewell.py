"""How much of what a client sends behind our last answer is read and forgotten."""

import pytest

from clerestory.server.connection.farewell import SHORT_LINGER, Farewell
from tests.server.support import bench_of, hello


def test_more_than_one_client_may_send_is_too_much_and_that_much_is_not() -> None:
    with bench_of(hello, max_linger=1000) as bench:
        farewell = Farewell(bench.service)
        assert [farewell.is_too_long(size) for size in (600, 400, 1)] == [False, False, True]


@pytest.mark.parametrize("lingering", [2, 3])
def test_where_many_linger_what_was_on_its_way_is_enough(lingering: int) -> None:
    with bench_of(hello, max_lingering=2) as bench:
        for _ in range(lingering):
            bench.connect().send(b"this is no request\r\n\r\n")
        assert bench.service.lingering() == lingering
        farewell = Farewell(bench.service)
        assert not farewell.is_too_long(SHORT_LINGER)
        assert farewell.is_too_long(1) is (lingering > 2)
        assert not farewell.is_too_long(1), "it is asked once, where the bound is passed"
