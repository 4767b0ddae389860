"""Where the time went: the parts of some requests add up to all of their time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clerestory.server.connection.waiting import PLACES
from clerestory.server.xray.observe.breakdown import (
    HANDLER,
    OTHERS,
    at,
    duration,
    mean,
    merged,
    parts,
    parts_of,
    tell,
    told,
)
from clerestory.server.xray.observe.profile import Profile
from clerestory.server.xray.observe.shares import STATES, Share, key_of
from clerestory.statemachines.connection import State as S
from tests.server.connection.test_waiting import QUERYING, Named
from tests.server.support import bench_of
from tests.server.xray.observe.test_profile import ask, profiled

SENDING = STATES.index(S.SENDING_RESPONSE)


def share(count: int, seconds: float, **waits: float) -> tuple[int, Share]:
    """So many requests of so many seconds each, all of it in QUERYING_BACKEND."""
    made = Share()
    made.count, made.total = count, count * seconds
    made.querying = made.total
    made.waits = {(QUERYING, whom): part * count for whom, part in waits.items()}
    return key_of(seconds, 200), made


def test_what_no_operation_accounts_for_is_the_handler_s_or_the_client_s() -> None:
    spent = [0.0] * len(STATES)
    spent[0], spent[QUERYING], spent[SENDING] = 100.0, 3.0, 1.0
    found = parts_of(spent, {(QUERYING, "a thread"): 2.0}, {})
    assert [(part.state, part.whom, part.seconds, part.share) for part in found] == [
        (S.QUERYING_BACKEND, "a thread", 2.0, 0.5),
        (S.QUERYING_BACKEND, HANDLER, 1.0, 0.25),
        (S.SENDING_RESPONSE, "the client takes the response", 1.0, 0.25),
    ]


def test_time_is_split_among_the_lines_as_often_as_each_was_seen() -> None:
    spent = [0.0] * len(STATES)
    spent[QUERYING] = 4.0
    lines = {(QUERYING, "a thread", "a.py:1 f"): 3, (QUERYING, "a thread", "b.py:2 g"): 1}
    found = parts_of(spent, {(QUERYING, "a thread"): 4.0}, lines)
    assert [(part.line, part.seconds) for part in found] == [("a.py:1 f", 3.0), ("b.py:2 g", 1.0)]


def test_what_is_slight_is_told_together() -> None:
    spent = [0.0] * len(STATES)
    spent[QUERYING] = 1.0
    found = parts_of(spent, {(QUERYING, "main"): 0.984, (QUERYING, "x"): 0.008, (QUERYING, "y"): 0.008}, {})
    assert [(part.whom, round(part.seconds, 6)) for part in found] == [("main", 0.984), (OTHERS, 0.016)]


@given(
    st.lists(st.floats(0, 100), min_size=len(STATES), max_size=len(STATES)),
    st.dictionaries(st.sampled_from(PLACES), st.floats(0, 1), max_size=3),
)
def test_parts_add_up_to_the_whole(spent: list[float], portions: dict[int, float]) -> None:
    waits = {(place, "it"): spent[place] * portion for place, portion in portions.items()}
    whole = sum(spent[1:])
    found = parts_of(spent, waits, {})
    assert sum(part.seconds for part in found) == pytest.approx(whole, rel=0.0101, abs=1e-9)


def test_the_median_s_requests_and_the_slowest_hundredth_s_are_told_apart() -> None:
    profile = Profile(0.0)
    profile._find("GET", "/", is_route=True).shares = dict(
        [share(980, 0.01, database=0.009), share(15, 1.0, queue=0.9), share(5, 4.0, queue=3.9)]
    )
    (one,) = told(profile, 1.0)
    assert (one.route, one.requests, one.failed) == ("GET /", 1000, 0)
    assert (one.p50, one.p99) == pytest.approx((0.01, 1.0))
    assert [(part.whom, round(part.share, 2)) for part in one.typical] == [("database", 0.9), (HANDLER, 0.1)]
    assert one.slow[0].whom == "queue"
    assert sum(part.seconds for part in one.slow) == pytest.approx(35.0)
    assert sum(part.seconds for part in one.whole) == pytest.approx(one.busy)


def test_failures_are_counted_by_status_and_routes_that_nobody_asks_for_are_left_out() -> None:
    profile = Profile(0.0)
    route = profile._find("GET", "/", is_route=True)
    assert tell(profile, route, 1.0) is None
    assert told(profile, 1.0) == []
    for status in (200, 404, 500, 0):
        route.shares[key_of(1.0, status)] = share(1, 1.0)[1]
    (one,) = told(profile, 1.0)
    assert (one.requests, one.failed) == (4, 2)


def test_the_route_that_has_kept_clients_waiting_longest_comes_first() -> None:
    profile = Profile(0.0)
    for name, (count, seconds) in {"/slow": (1, 2.0), "/busy": (1000, 0.01), "/quick": (10, 0.001)}.items():
        key, made = share(count, seconds)
        profile._find("GET", name, is_route=True).shares[key] = made
    assert [one.route for one in told(profile, 1.0)] == ["GET /busy", "GET /slow", "GET /quick"]


def test_quantiles_of_few_requests() -> None:
    classes = merged([share(1, 1.0), share(1, 2.0)])
    assert [at(classes, part) for part in (0.0, 0.5, 0.51, 0.99, 1.0)] == [0, 0, 1, 1, 1]
    assert [mean(one) for _, one in classes] == [1.0, 2.0]
    assert mean(Share()) == 0.0
    assert parts([]) == []


def test_a_request_that_reads_its_body_slowly_waits_for_its_client() -> None:
    operation = Named("a database")

    async def handler(request: object) -> object:
        await request.read()  # type: ignore[attr-defined]
        await operation
        raise RuntimeError

    with bench_of(handler) as bench:
        profile = profiled(bench)
        client = bench.connect()
        client.send(b"POST /in HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\na")
        bench.after(3)
        client.send(b"b")
        bench.after(1)
        operation.finish()
        bench.settle()
        ask(bench, "/none")
        first = told(profile, bench.loop.now)[0]
    assert [(part.whom, round(part.seconds)) for part in first.whole[:2]] == [
        ("the client sends its body", 3),
        ("a database", 1),
    ]
    assert first.failed == 1


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0.00 ms"),
        (0.00024, "0.24 ms"),
        (0.0099951, "10.0 ms"),
        (0.026, "26.0 ms"),
        (0.0999, "99.9 ms"),
        (0.21, "210 ms"),
        (0.9996, "1.00 s"),
        (1.24, "1.24 s"),
        (75.04, "75.0 s"),
    ],
)
def test_durations_have_three_figures(seconds: float, text: str) -> None:
    assert duration(seconds) == text
