"""The profile: every request counts once, with its time and what it waited for; whatever comes, it is bounded."""

from typing import Any

import pytest

from clerestory.handlers.api.messages import Request, Response
from clerestory.handlers.router import UNMATCHED, Router
from clerestory.server.xray.observe import profile as profiles
from clerestory.server.xray.observe.profile import EXAMPLES, ROUTES, Profile, Route
from clerestory.server.xray.observe.routes import OTHER
from clerestory.server.xray.observe.shares import ELSEWHERE, Share, key_of
from tests.server.connection.test_waiting import QUERYING, Named
from tests.server.support import Bench, bench_of, hello


def profiled(bench: Bench, window: float = 300.0) -> Profile:
    profile = Profile(bench.loop.clock(), window)
    bench.service.on_exchange_ended = profile.add
    return profile


def ask(bench: Bench, *paths: str, method: str = "GET") -> None:
    client = bench.connect()
    for path in paths:
        client.send(f"{method} {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
    client.half_close()
    bench.settle()


def counts(profile: Profile, now: float) -> dict[str, int]:
    """Requests by route, of those that are told."""
    found = {route.name: sum(share.count for _, share in profile.shares_of(route, now)) for route in profile.all()}
    return {name: count for name, count in found.items() if count}


def test_requests_are_counted_by_method_and_folded_path() -> None:
    with bench_of(hello) as bench:
        profile = profiled(bench)
        ask(bench, "/orders/1", "/orders/2?x=1", "/about")
        ask(bench, "/orders/3", method="DELETE")
        assert counts(profile, bench.loop.now) == {"GET /orders/{n}": 2, "GET /about": 1, "DELETE /orders/{n}": 1}


def test_a_router_s_pattern_is_the_route_also_where_it_is_mounted() -> None:
    inner, router = Router(), Router()
    inner.get("/{name}/rows/{number:int}")(lambda request, name, number: Response(b"row"))
    inner.get("/plain")(hello)
    router.mount("/tables", inner)
    router.get("/{name}")(lambda request, name: Response(b"name"))
    with bench_of(router) as bench:
        profile = profiled(bench)
        ask(bench, "/tables/t/rows/4", "/tables/plain", "/anything")
        assert counts(profile, bench.loop.now) == {
            "GET /tables/{name}/rows/{number}": 1,
            "GET /tables/plain": 1,
            "GET /{name}": 1,
        }


def test_what_no_route_matches_is_one_route() -> None:
    router = Router()
    router.get("/known")(hello)
    with bench_of(router) as bench:
        profile = profiled(bench)
        ask(bench, "/wp-login.php", "/.env", "/admin")
        ask(bench, "/known", method="DELETE")
        assert counts(profile, bench.loop.now) == {UNMATCHED: 4}


def test_where_no_route_is_known_what_is_not_found_is_one_route_too() -> None:
    with bench_of(lambda request: Response(b"", 404)) as bench:
        profile = profiled(bench)
        ask(bench, "/wp-login.php", "/.env")
        assert counts(profile, bench.loop.now) == {UNMATCHED: 2}


def test_the_time_of_a_request_is_from_its_first_byte_on_and_idling_is_not_in_it() -> None:
    operation = Named("a database")

    async def handler(request: Request) -> Response:
        await operation
        return Response(b"done")

    with bench_of(handler) as bench:
        profile = profiled(bench)
        client = bench.connect()
        bench.after(10)
        client.send(b"GET / HTTP/1.1\r\n")
        bench.after(1)
        client.send(b"host: x\r\n\r\n")
        bench.after(2)
        operation.finish()
        bench.settle()
        (route,) = profile.routes.values()
        ((_, share),) = profile.shares_of(route, bench.loop.now)
    assert share.total == pytest.approx(3.0, abs=0.01)
    assert sum(share.spent()) == pytest.approx(share.total)
    assert share.waits == pytest.approx({(QUERYING, "a database"): 2.0}, abs=0.01)


def test_more_routes_than_there_is_room_for_are_counted_together() -> None:
    with bench_of(hello) as bench:
        profile = profiled(bench)
        for number in range(ROUTES + 5):
            ask(bench, f"/{'x' * (number + 1)}")
        found = counts(profile, bench.loop.now)
        assert len(found) == ROUTES + 1
        assert found[OTHER] == 5
        assert len(profile.routes) == ROUTES


def test_a_route_that_has_become_busy_takes_the_place_of_a_quiet_one_when_a_window_ends() -> None:
    with bench_of(hello) as bench:
        profile = profiled(bench)
        for number in range(ROUTES):
            ask(bench, f"/{'x' * (number + 1)}", f"/{'x' * (number + 1)}")
        ask(bench, *["/busy"] * 3)
        ask(bench, "/idle")
        assert "GET /busy" not in counts(profile, bench.loop.now)
        bench.clock.now = profile.until + 1
        ask(bench, "/busy", "/idle")
        now = counts(profile, bench.loop.now)
        assert now["GET /busy"] == 1
        assert "GET /idle" not in now
        assert len(profile.routes) == ROUTES
        every = sum(sum(route.totals()[0].values()) for route in profile.all())
        assert every == 2 * ROUTES + 3 + 1 + 2, "no request is lost, nor counted twice"


def test_what_is_told_is_of_this_window_and_the_one_before_it() -> None:
    with bench_of(hello) as bench:
        profile = profiled(bench, window=100.0)
        ask(bench, "/a")
        assert profile.seconds(bench.loop.now) < 1
        bench.clock.now += 100
        assert counts(profile, bench.clock.now) == {"GET /a": 1}, "though no request has begun the next window"
        ask(bench, "/a")
        assert counts(profile, bench.clock.now) == {"GET /a": 2}
        assert profile.seconds(bench.clock.now) == pytest.approx(100, abs=2)
        bench.clock.now += 100
        assert counts(profile, bench.clock.now) == {"GET /a": 1}
        bench.clock.now += 1000
        assert counts(profile, bench.clock.now) == {}
        ask(bench, "/b")
        assert counts(profile, bench.clock.now) == {"GET /b": 1}
        totals, sums = profile.routes["GET /a"].totals()
        assert (sum(totals.values()), list(sums)) == (2, [2])


def test_the_slowest_requests_are_kept_with_their_path_and_no_more_of_them() -> None:
    operations: list[Named] = []

    async def handler(request: Request) -> Response:
        operations.append(Named("a database"))
        await operations[-1]
        return Response(b"done", 203)

    with bench_of(handler) as bench:
        profile = profiled(bench)
        client = bench.connect()
        for seconds in (1, 4, 2, 5, 3):
            client.send(b"GET /slow?secret=1 HTTP/1.1\r\nhost: x\r\n\r\n")
            bench.after(seconds)
            operations[-1].finish()
            bench.settle()
        (route,) = profile.routes.values()
        kept = profile.examples_of(route, bench.loop.now)
        assert [round(one.seconds) for one in kept] == [5, 4, 3][:EXAMPLES]
        slowest = kept[0]
        assert (slowest.status, slowest.method, slowest.target) == (203, "GET", "/slow?secret=1")
        assert [edge.trigger for _, edge in slowest.path] == [
            "HEAD_RECEIVED",
            "BACKEND_ANSWERED",
            "OUTPUT_READY",
            "OUTPUT_FLUSHED",
        ]
        assert profile.example(slowest.id) is slowest
        assert profile.example("1-99") is None


def test_lines_that_were_seen_of_another_request_are_not_taken_for_this_one_s() -> None:
    with bench_of(hello) as bench:
        profile = profiled(bench)
        line = (QUERYING, "a thread", "shop.py:1 f")
        profile.samples[1, 1] = {line: 3}
        profile.samples[2, 7] = {line: 3}
        ask(bench, "/a")
        ask(bench, "/a", "/a")
        (route,) = profile.routes.values()
        assert sum(share.lines.get(line, 0) for _, share in profile.shares_of(route, bench.loop.now)) == 3
        assert list(profile.samples) == [(2, 7)]


@pytest.mark.parametrize("many", [profiles.MOST, profiles.MOST + 5])
def test_things_waited_for_are_bounded_and_none_of_their_seconds_is_lost(many: int) -> None:
    into: dict[Any, Any] = {}
    for number in range(many):
        profiles._add(into, (3, str(number)), (3, ELSEWHERE), 1.0)
    assert len(into) == min(many, profiles.MOST + 1)
    assert sum(into.values()) == many


def test_shares_are_merged_and_routes_absorbed_without_loss() -> None:
    one, other = Share(), Share()
    for share, seconds in ((one, 1.0), (other, 2.0)):
        share.count, share.total, share.querying, share.sending = 1, seconds, seconds / 2, seconds / 4
        share.other = {1: seconds / 4}
        share.waits = {(QUERYING, "x"): seconds / 2}
    one.merge(other)
    assert (one.count, one.total, sum(one.spent()), one.waits) == (2, 3.0, 3.0, {(QUERYING, "x"): 1.5})
    left, right = Route("a", 0), Route("b", 0)
    right.shares = {key_of(1.0, 200): one}
    left.absorb(right)
    assert left.totals() == ({key_of(1.0, 200): 2}, {2: 3.0})
