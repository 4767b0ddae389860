"""The sampler: which lines of the application are seen, and that it is bounded in time and in what it keeps."""

import threading
from typing import Any

import pytest

from clerestory.handlers.api.messages import Request, Response
from clerestory.handlers.backends.threads.threads import ThreadPool
from clerestory.server.connection.waiting import SLOW
from clerestory.server.xray.observe import sampler as samplers
from clerestory.server.xray.observe.sampler import BATCH, KEPT, LINES, MOST_SKIPS, Sampler, line_of_steps
from tests.server.connection.test_waiting import QUERYING, Named
from tests.server.http2.support import Peer, head, speaking
from tests.server.support import GET, Bench, bench_of
from tests.server.xray.observe.test_profile import profiled
from tests.support.waiting import eventually


async def waits_here(operation: Any) -> None:
    await operation  # the line that is seen


def sampled(bench: Bench) -> Sampler:
    return Sampler(bench.service, profiled(bench), bench.loop)


def test_the_innermost_line_of_a_handler_that_waits_is_seen() -> None:
    operation = Named("a database")

    async def handler(request: Request) -> Response:
        await waits_here(operation)
        return Response(b"done")

    with bench_of(handler) as bench:
        sampler = sampled(bench)
        profile = sampler._profile
        client = bench.connect()
        client.send(GET)
        for _ in range(3):
            bench.after(1)
            sampler.sample()
        ((request, lines),) = profile.samples.items()
        ((line, count),) = lines.items()
        assert (request, count) == ((client.connection.number, 1), 3)
        assert line[:2] == (QUERYING, "a database")
        assert line[2].startswith("observe/test_sampler.py:")
        assert line[2].endswith(" waits_here")
        operation.finish()
        bench.settle()
        (route,) = profile.routes.values()
        ((_, share),) = profile.shares_of(route, bench.loop.now)
        assert share.lines == {line: 3}
        assert profile.samples == {}


def test_of_a_function_in_a_thread_the_line_is_the_thread_s() -> None:
    opened, entered, pool = threading.Event(), threading.Event(), ThreadPool(1)

    def blocks() -> bytes:
        entered.set()
        opened.wait(20)
        return b"done"

    async def handler(request: Request) -> Response:
        return Response(await pool.call(blocks))

    with bench_of(handler) as bench:
        sampler = sampled(bench)
        client = bench.connect()
        client.send(GET)
        assert entered.wait(20)
        try:

            def seen() -> bool:
                sampler.sample()
                return bool(sampler._profile.samples)

            eventually(seen, what="a sample")
            (lines,) = sampler._profile.samples.values()
            assert any(line[2].endswith("blocks") for line in lines)
            assert {line[1].rpartition(".")[2] for line in lines} == {"blocks"}
        finally:
            opened.set()

            def answered() -> bool:
                bench.turn()
                return client.received().endswith(b"done")

            eventually(answered, what="the answer")
            pool.close(5)


def test_what_idles_and_what_waits_for_its_client_is_not_looked_at() -> None:
    with bench_of(lambda request: Response(b"")) as bench:
        sampler = sampled(bench)
        bench.connect()
        bench.connect().send(b"GET / HT")
        sampler.sample()
        assert sampler._profile.samples == {}


def test_of_streams_each_request_s_lines_are_kept() -> None:
    operations: list[Named] = []

    async def handler(request: Request) -> Response:
        operations.append(Named(request.path))
        await waits_here(operations[-1])
        return Response(b"done")

    with speaking(handler) as bench:
        sampler = sampled(bench)
        profile = sampler._profile
        peer = Peer(bench)
        for path in (b"/a", b"/b"):
            peer.begin(head(b"GET", path))
        peer.flush()
        sampler.sample()
        assert len(profile.samples) == 2
        for operation in operations:
            operation.finish()
        peer.flush()
        seen = {name: share.lines for name, route in profile.routes.items() for share in route.shares.values()}
        assert {name: [line[:2] for line in lines] for name, lines in seen.items()} == {
            "GET /a": [(QUERYING, "/a")],
            "GET /b": [(QUERYING, "/b")],
        }
        assert all(line[2].endswith(" waits_here") for lines in seen.values() for line in lines)
        assert profile.samples == {}


def waiting_many(bench: Bench, count: int) -> None:
    for _ in range(count):
        bench.connect().send(GET)


def test_a_look_is_bounded_in_time_and_the_next_one_goes_on_with_the_others() -> None:
    async def handler(request: Request) -> Response:
        await Named("a database")
        return Response(b"")

    with bench_of(handler) as bench:
        sampler = sampled(bench)
        many = 2 * BATCH
        waiting_many(bench, many)
        times = iter([0.0])
        sampler._ours = type("Ours", (), {"clock": staticmethod(lambda: next(times, 1.0))})()  # the time is up at once
        sampler.sample()
        first = set(sampler._profile.samples)
        assert len(first) == BATCH - 1
        times = iter([0.0])
        sampler.sample()
        assert len(sampler._profile.samples) == 2 * (BATCH - 1)


def test_lines_and_requests_are_bounded() -> None:
    with bench_of(lambda request: Response(b"")) as bench:
        sampler = sampled(bench)
        for number in range(KEPT + 3):
            sampler._put((number, 1), (QUERYING, "x", "a.py:1 f"))
        assert len(sampler._profile.samples) == KEPT
        for number in range(LINES + 3):
            sampler._put((0, 1), (QUERYING, "x", f"a.py:{number} f"))
        assert len(sampler._profile.samples[0, 1]) == LINES
        sampler.sample()
        assert sampler._profile.samples == {}, "requests that have gone are forgotten"


def test_what_cannot_be_looked_at_is_left_out() -> None:
    class Odd(Named):
        def stack(self) -> list[tuple[str, int, str]]:
            raise RuntimeError("gone")

    async def handler(request: Request) -> Response:
        await Odd("odd")
        return Response(b"")

    with bench_of(handler) as bench:
        sampler = sampled(bench)
        bench.connect().send(GET)
        sampler.sample()
        assert sampler._profile.samples == {}
    assert line_of_steps(None) == ""


@pytest.mark.parametrize(("rate", "skips"), [(999, 0), (1001, 15), (3999, 15), (4001, MOST_SKIPS), (10**6, MOST_SKIPS)])
def test_the_more_requests_there_are_the_more_quick_ones_are_left_out(rate: int, skips: int) -> None:
    with bench_of(lambda request: Response(b"")) as bench:
        sampler = sampled(bench)
        begun = sampler._counted_at
        bench.service.statuses[200] += 10 * rate
        sampler.adapt(begun + 10)
        assert bench.service.skips == skips
        sampler.adapt(begun + 20)
        assert bench.service.skips == 0, "nothing has come since"
        assert (skips & (skips + 1)) == 0, "it is a mask"


def test_those_that_are_left_out_are_counted_by_those_that_are_added() -> None:
    operation = Named("a database")

    async def handler(request: Request) -> Response:
        if request.path == "/slow":
            await operation
        return Response(b"")

    with bench_of(handler) as bench:
        profile = profiled(bench)
        bench.service.skips = 3
        client = bench.connect()
        for _ in range(16):
            client.send(GET)
        client.send(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n")
        bench.after(1)
        operation.finish()
        bench.settle()
        found = {route.name: sum(route.totals()[0].values()) for route in profile.routes.values()}
    assert found == {"GET /": 16, "GET /slow": 1}


def test_what_has_waited_quickly_is_left_out_too_and_counted_with_its_waits() -> None:
    operation = Named("upstream u")

    async def handler(request: Request) -> Response:
        await operation
        return Response(b"")

    with bench_of(handler) as bench:
        profile = profiled(bench)
        bench.service.skips = 3
        client = bench.connect()
        for _ in range(16):
            client.send(GET)
            bench.after(0.001)
            operation.finish()
            bench.settle()
        (route,) = profile.routes.values()
        shares = [share for _, share in profile.shares_of(route, bench.loop.now)]
    assert (sum(share.count for share in shares), profile.alone) == (16, 0)
    waits = sum(share.waits[QUERYING, "upstream u"] for share in shares)
    assert waits == pytest.approx(0.016, rel=0.2)
    assert sum(profile.upstreams["upstream u"].values()) == 16


def test_where_most_are_slow_it_takes_longer_to_be_slow_and_only_the_slowest_are_all_added() -> None:
    with bench_of(lambda request: Response(b"")) as bench:
        sampler, service = sampled(bench), bench.service
        profile, now, found = sampler._profile, sampler._counted_at, []
        for slow in (0, 5000, 5000, 5000, 200, 50, 50, 50):
            service.statuses[200] += 5000
            profile.alone += slow
            now += 1.0
            sampler.adapt(now)
            found.append(service.slow / SLOW)
        profile.slow = 3 * SLOW
        for slow in (5000, 5000):
            service.statuses[200] += 5000
            profile.alone += slow
            now += 1.0
            sampler.adapt(now)
            found.append(service.slow / SLOW)
        sampler.adapt(now + 1.0)  # nothing has come: from now on all are added
        sampler.adapt(now + 2.0)
    assert found == [1, 2, 4, 8, 8, 4, 2, 1, 2, 3], "what is told as slow (--slow) is never left out"
    assert (service.skips, service.slow) == (0, SLOW)


def test_a_look_takes_no_more_than_a_hundredth_of_the_time() -> None:
    assert samplers.LONGEST * 100 <= samplers.INTERVAL
