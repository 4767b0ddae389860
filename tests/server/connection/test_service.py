"""What the connections of a loop share: counts that are derived, and how many there may be."""

import resource
from typing import Any

import pytest

from clerestory.handlers.api.messages import Application
from clerestory.handlers.backends.upstream.upstream import Bounds, Upstream
from clerestory.handlers.proxy.proxy import Proxy
from clerestory.server.config import Limits
from clerestory.server.connection.service import RESERVE
from clerestory.server.loop.poller import open_poller
from clerestory.statemachines.connection import State as S
from clerestory.statemachines.connection import Trigger as T
from tests.server.support import GET, Bench, bench_of, hello

pytestmark = pytest.mark.usefixtures("every_descriptor_back")


def with_descriptors(
    monkeypatch: pytest.MonkeyPatch, soft: int, poller: str = "poll", application: Application = hello
) -> int:
    """How many connections there may be where a process may have `soft` descriptors."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, soft))
    bench = Bench(application, poller=poller)
    bench.close()
    return bench.service.max_connections


@pytest.mark.parametrize("bound", [1, 2, 5])
def test_there_is_room_for_as_many_as_there_may_be(bound: int) -> None:
    with bench_of(hello, max_connections=bound) as bench:
        clients = []
        for _ in range(bound):
            assert bench.service.has_room()
            clients.append(bench.connect())
        assert not bench.service.has_room()
        clients[0].half_close()
        assert bench.service.has_room()
        bench.connect()
        assert not bench.service.has_room()


def test_every_way_in_which_a_connection_may_end_makes_room() -> None:
    with bench_of(hello, max_connections=1) as bench:
        for end in (T.CLOSE_ORDERED, T.DRAIN_STARTED, T.ROOM_WANTED, T.PEER_RESET, T.PEER_CLOSED):
            client = bench.connect()
            client.send(GET)
            bench.loop.fire(client.connection, end)
            client.half_close()
            bench.settle()
            assert client.connection.state is S.CLOSED
            assert bench.service.has_room()


def test_the_bound_is_the_descriptor_limit_less_a_reserve_unless_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    assert with_descriptors(monkeypatch, 5000) == 5000 - RESERVE


def test_the_bound_is_not_above_what_the_poller_can_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    assert with_descriptors(monkeypatch, 5000, "select") == 1024 - RESERVE


def test_what_the_application_takes_is_kept_for_it_up_to_half(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each client's connection may have one to an upstream: at the bound a proxy still has descriptors for these."""
    upstream = Upstream("http://127.0.0.1:1", "http://127.0.0.1:2", bounds=Bounds(64, max_tunnels=100, max_streams=36))
    proxy = Proxy(upstream)
    assert proxy.descriptors({}) == 400
    assert with_descriptors(monkeypatch, 5000, application=proxy) == 5000 - RESERVE - 400
    assert with_descriptors(monkeypatch, 532, application=proxy) == (532 - RESERVE) // 2
    assert Upstream("http://127.0.0.1:1").descriptors({"upstream_max_streams": 0}) == 64 + 1024


@pytest.mark.parametrize("soft", [1, RESERVE, RESERVE + 1])
def test_a_tiny_descriptor_limit_leaves_room_for_one(monkeypatch: pytest.MonkeyPatch, soft: int) -> None:
    assert with_descriptors(monkeypatch, soft) == 1


@pytest.mark.parametrize("poller", ["poll", "select"])
def test_no_descriptor_limit_is_no_bound_below_one(monkeypatch: pytest.MonkeyPatch, poller: str) -> None:
    assert with_descriptors(monkeypatch, resource.RLIM_INFINITY, poller) >= 1024 - RESERVE


def test_the_paces_are_those_of_the_limits() -> None:
    limits: dict[str, Any] = {
        "body_timeout": 1.0,
        "body_min_rate": 2,
        "body_grace": 3.0,
        "send_timeout": 4.0,
        "send_min_rate": 5,
        "send_grace": 6.0,
    }
    with bench_of(hello, **limits) as bench:
        paces = dict(zip([node.state for node in bench.service.engine.nodes], bench.service.paces, strict=True))
        assert paces.pop(S.READING_BODY) == (1.0, 2, 3.0)
        assert paces.pop(S.SENDING_RESPONSE) == (4.0, 5, 6.0)
        assert set(paces.values()) == {(0.0, 0, 0.0)}


def test_the_deadlines_of_the_states_are_those_of_the_limits() -> None:
    limits = Limits(keep_alive_timeout=7.0, head_timeout=8.0, backend_timeout=9.0, linger_timeout=10.0)
    bench = Bench(hello, keep_alive_timeout=7.0, head_timeout=8.0, backend_timeout=9.0, linger_timeout=10.0)
    assert bench.service.limits == limits
    patience = {node.state: node.limit for node in bench.service.engine.nodes}
    assert [patience[s] for s in (S.AWAITING_REQUEST, S.READING_HEAD, S.QUERYING_BACKEND, S.LINGERING)] == [7, 8, 9, 10]
    bench.close()


def test_the_poller_in_use_says_what_it_can_hold() -> None:
    poller = open_poller("select")
    assert poller.capacity == 1024
    poller.close()
