"""Probes: an upstream that is ill is found out by us, and one that is well again is back before anybody asks."""

import errno
import socket
from collections.abc import Iterator

import pytest

from clerestory.handlers.backends.pool.resolver import Resolver
from clerestory.handlers.backends.upstream.health import FAILURES, PROBES
from clerestory.handlers.backends.upstream.probe import Prober
from clerestory.handlers.backends.upstream.upstream import Bounds, Probing, Upstream
from clerestory.statemachines.probe import State as S
from tests.handlers.backends.upstreams import Bench, Far, answer, fault

NEXT = 5 * 1.125
"""Seconds until the next probe, with these dice."""


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench(bounds=Bounds(max_connections=1))
    yield bench
    bench.close()


def prober(bench: Bench) -> Prober:
    """Begin to probe."""
    found = Prober(bench.pool, b"h", Probing("/up"), dice=lambda: 0.5)
    found.begin()
    bench.settle()
    return found


def probe(bench: Bench) -> Far:
    """Begin to probe; the upstream's end of the first."""
    prober(bench)
    return bench.accept()


def test_a_probe_asks_on_a_connection_of_its_own(bench: Bench) -> None:
    """It takes no slot, and its connection is not kept."""
    far = probe(bench)
    for status in (b"200 OK", b"404 Not Found", b"302 Found"):
        head = b"GET /up HTTP/1.1\r\nhost: h\r\nuser-agent: clerestory-probe\r\nconnection: close\r\n\r\n"
        assert far.received() == head
        assert bench.pool.load == 0
        bench.pool.health.failures = FAILURES
        far.send(answer(status=status))
        assert bench.pool.health.failures == 0, status
        assert bench.connections() == []
        bench.pass_time(NEXT)
        far = bench.accept()
        bench.settle()


def test_a_pool_that_is_full_does_not_make_a_healthy_upstream_look_ill(bench: Bench) -> None:
    """A probe does not wait for the requests whose connections it would have to have."""
    bench.ask()
    bench.accept()
    waiting = bench.ask()
    prober(bench)
    for _ in range(PROBES + 1):
        bench.accept().send(answer())
        assert bench.pool.health.missed == 0
        bench.pass_time(NEXT)
    assert bench.pool.health.is_up
    assert not waiting.done or fault(waiting) == (503, "busy")


def test_a_probe_that_could_not_ask_says_nothing_of_the_upstream(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise OSError(errno.EMFILE, "no")

    with monkeypatch.context() as patch:
        patch.setattr(socket, "socket", fails)
        found = prober(bench)
        for _ in range(PROBES + 1):
            bench.pass_time(NEXT)
    assert (found.node.state, bench.pool.health.missed) == (S.RESTING, 0)
    bench.pass_time(NEXT)
    bench.accept().send(answer())


def test_a_probe_does_not_wait_for_a_name_and_says_nothing_meanwhile(bench: Bench) -> None:
    address = socket.AF_INET, bench.listeners[0].getsockname()
    bench.pool.resolver = Resolver("a.example", 80, bench.loop, look_up=lambda host, port: [address])
    found = prober(bench)
    bench.turn_until(bench.pool.resolver.known)
    assert (found.node.state, bench.pool.health.missed) == (S.RESTING, 0)
    bench.pass_time(NEXT)
    assert bench.accept().send(answer()).received().startswith(b"GET /up")


def test_a_fault_of_ours_ends_one_probe_and_not_the_probing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    with monkeypatch.context() as patch:
        patch.setattr(bench.pool, "probe", fails)
        found = prober(bench)
    assert [str(crash) for crash in bench.crashes] == ["a fault of ours"]
    bench.crashes.clear()
    assert (found.node.state, bench.pool.health.missed) == (S.RESTING, 0)
    bench.pass_time(NEXT)
    assert bench.is_asked()


def test_an_upstream_that_answers_with_an_error_is_out_until_a_probe_succeeds(bench: Bench) -> None:
    far = probe(bench)
    for _ in range(PROBES):
        assert bench.pool.health.is_up
        far.send(answer(status=b"503 X"))
        bench.pass_time(NEXT)
        far = bench.accept()
    assert not bench.pool.health.is_up
    bench.pool.health.succeeded()
    assert not bench.pool.health.is_up, "it has asked to be left alone, though it still answers"
    far.send(answer(status=b"200 OK"))
    assert bench.pool.health.is_up


def test_an_upstream_that_is_silent_is_given_up_soon_and_asked_again(bench: Bench) -> None:
    far = probe(bench)
    far.received()
    bench.pass_time(1.9)
    assert bench.pool.health.missed == 0
    bench.pass_time(0.1)
    assert bench.pool.health.missed == 1
    assert far.received() == b"RESET"
    bench.pass_time(NEXT)
    assert bench.is_asked()


def test_an_upstream_that_refuses_is_taken_out_without_a_client(bench: Bench) -> None:
    bench.listeners[0].close()
    prober(bench)
    for _ in range(PROBES):
        bench.pass_time(NEXT)
    assert not bench.pool.health.is_up


def test_an_answer_that_goes_on_and_on_is_not_waited_for(bench: Bench) -> None:
    far = probe(bench)
    far.received()
    far.send(answer(b"5\r\nhello\r\n", b"Transfer-Encoding: chunked", length=False))
    assert bench.pool.health.is_up
    assert bench.connections() == []


def test_what_a_probe_waits_for_can_be_read(bench: Bench) -> None:
    found = prober(bench)
    assert found.describe().startswith(f"probe#{-found.descriptor} ASKING 0.0 s of 2 s for {bench.pool.where}/up <- ")
    assert found.facts() == (-found.descriptor, bench.pool.where, found.born)
    bench.accept().send(answer())
    assert found.describe() == f"probe#{-found.descriptor} RESTING 0.0 s of 5 s for {bench.pool.where}/up"


def test_probes_begin_with_the_first_request_and_end_with_the_pool(bench: Bench) -> None:
    upstream = Upstream(bench.urls[0], probing=Probing("/up"))
    caller = bench.run(upstream.request("GET"))
    heads = [bench.accept().received().split(b" ")[1] for _ in range(2)]
    assert heads == [b"/", b"/up"]
    upstream.close()
    bench.settle()
    assert bench.fars[1].received() == b"RESET", "the probe that is under way is given up"
    bench.fars[0].send(answer())
    assert caller.done
    bench.pass_time(10)
    assert not bench.is_asked()
