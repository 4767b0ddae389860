"""`--slow`: a request that takes so long is logged once, with what it waited for, and kept."""

from typing import Any

import pytest

from clerestory.handlers.api.messages import Request, Response
from clerestory.server.xray.observe.profile import TOLD, Profile
from clerestory.server.xray.serve.slow import log_slow
from tests.server.connection.test_waiting import Named
from tests.server.support import Bench, bench_of


def served(bench: Bench, operations: list[Named], *seconds: float) -> None:
    client = bench.connect()
    for one in seconds:
        client.send(b"GET /orders/7?secret=abc HTTP/1.1\r\nhost: x\r\n\r\n")
        bench.after(one)
        operations[-1].finish()
        bench.settle()


def handler_of(operations: list[Named]) -> Any:
    async def handler(request: Request) -> Response:
        operations.append(Named("a database"))
        await operations[-1]
        return Response(b"done")

    return handler


@pytest.mark.parametrize("queries", [False, True])
def test_what_takes_so_long_is_logged_with_what_it_waited_for(queries: bool) -> None:
    operations: list[Named] = []
    with bench_of(handler_of(operations)) as bench:
        logs: Any = bench.service.logs
        logs.queries = queries
        profile = Profile(bench.loop.clock())
        log_slow(profile, bench.service, 2.0, logs)
        served(bench, operations, 1.5, 2.5)
        (event,) = [one for one in logs.events if one["event"] == "request_slow"]
        assert (event["level"], event["id"], event["method"], event["status"]) == ("warning", "1-2", "GET", 200)
        assert event["target"] == ("/orders/7?secret=abc" if queries else "/orders/7?...")
        assert event["seconds"] == pytest.approx(2.5, abs=0.01)
        assert event["waited"].startswith("2.50 s a database")
        kept = profile.example("1-2")
        assert kept is not None
        assert kept.path


def test_the_latest_of_these_are_kept_and_no_more() -> None:
    operations: list[Named] = []
    with bench_of(handler_of(operations)) as bench:
        profile = Profile(bench.loop.clock())
        log_slow(profile, bench.service, 0.5, bench.service.logs)
        served(bench, operations, *[1.0] * (TOLD + 1))
        (route,) = profile.routes.values()
        found = profile.examples_of(route, bench.loop.now)
        assert len(profile.told) == TOLD
        assert {one.id for one in found} >= {f"1-{number + 2}" for number in range(TOLD)}
        assert len({one.id for one in found}) == len(found)
