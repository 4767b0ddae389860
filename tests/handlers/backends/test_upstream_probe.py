"""Probes: an upstream that is ill is found out by us, and one that is well again is back before anybody asks."""

from collections.abc import Iterator

import pytest

from handlers.backends.upstream import Probing, Upstream
from handlers.backends.upstream_health import FAILURES, PROBES
from handlers.backends.upstream_probe import Prober
from tests.handlers.backends.upstreams import Bench, Far, answer


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


def probe(bench: Bench) -> Far:
    """Begin to probe; the upstream's end of the first."""
    Prober(bench.pool, b"h", Probing("/up"), dice=lambda: 0.5).begin()
    bench.pass_time(0)
    return bench.accept()


def test_a_probe_is_a_request_like_any_other(bench: Bench) -> None:
    far = probe(bench)
    assert far.received() == b"GET /up HTTP/1.1\r\nhost: h\r\nuser-agent: clerestory-probe\r\n\r\n"
    for status in (b"200 OK", b"404 Not Found", b"302 Found"):
        bench.pool.health.failures = FAILURES
        far.send(answer(status=status))
        assert bench.pool.health.failures == 0, status
        bench.pass_time(5)
        assert far.received().startswith(b"GET /up"), "the same connection, from the pool"


def test_an_upstream_that_answers_with_an_error_is_out_until_a_probe_succeeds(bench: Bench) -> None:
    far = probe(bench)
    for _ in range(PROBES):
        assert bench.pool.health.is_up
        far.send(answer(status=b"503 X"))
        bench.pass_time(5)
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
    bench.pass_time(3)
    assert bench.is_asked()


def test_an_upstream_that_refuses_is_taken_out_without_a_client(bench: Bench) -> None:
    bench.listeners[0].close()
    Prober(bench.pool, b"h", Probing("/up"), dice=lambda: 0.5).begin()
    bench.pass_time(0)
    for _ in range(PROBES):
        bench.pass_time(5)
    assert not bench.pool.health.is_up


def test_an_answer_that_goes_on_and_on_is_not_waited_for(bench: Bench) -> None:
    far = probe(bench)
    far.received()
    far.send(answer(b"5\r\nhello\r\n", b"Transfer-Encoding: chunked", length=False))
    assert bench.pool.health.is_up
    assert bench.connections() == []


def test_probes_begin_with_the_first_request_and_end_with_the_pool(bench: Bench) -> None:
    upstream = Upstream(bench.urls[0], probing=Probing("/up"))
    asker = bench.run(upstream.request("GET"))
    bench.pass_time(0)
    heads = [bench.accept().received().split(b" ")[1] for _ in range(2)]
    assert heads == [b"/", b"/up"]
    upstream.close()
    for far in bench.fars:
        far.send(answer())
    assert asker.done
    bench.pass_time(10)
    assert not bench.is_asked()
