"""An upstream that sends what was not requested is found out, and nothing of it is left for the next request."""

from collections.abc import Iterator

import pytest

from clerestory.handlers.backends.journal import JOURNAL
from clerestory.handlers.backends.upstream.bounds import Bounds
from tests.handlers.backends.upstreams import Bench, Log, answer


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


def served_once(bench: Bench) -> bool:
    """Whether a further exact exchange leaves no connection."""
    caller = bench.ask()
    bench.accept().send(answer())
    assert caller.result.status == 200
    return bench.connections() == []


@pytest.mark.parametrize("unrequested", [answer(b"more"), b"x", b"\r\n\r\nrubbish"])
@pytest.mark.parametrize("is_idle", [True, False])
def test_an_upstream_that_sends_unrequested_data_gets_each_connection_once(
    bench: Bench, unrequested: bytes, is_idle: bool
) -> None:
    """Beyond an answer, or while a connection is idle. What else lies on its connections, nobody can know."""
    log = bench.loop.registry[JOURNAL] = Log()
    bench.ask(), bench.ask()
    one, another = bench.accept(), bench.accept()
    another.send(answer())
    one.send(answer() if is_idle else answer() + unrequested)
    if is_idle:
        one.send(unrequested)
    assert bench.connections() == []
    assert served_once(bench)
    assert log.lines == [
        ("warning", "upstream_not_reused", {"upstream": bench.pool.where, "reason": "it sent unrequested data"})
    ]


@pytest.mark.parametrize("harmless", [answer(status=b"408 Request Timeout"), b"\r\n"])
def test_a_refusal_on_an_idle_connection_and_line_ends_end_no_trust(bench: Bench, harmless: bytes) -> None:
    bench.ask()
    far = bench.accept()
    far.send(answer())
    far.send(harmless)
    assert bench.connections() == []
    assert not served_once(bench)


@pytest.mark.parametrize(("most", "is_trusted"), [(2, True), (1, False), (0, True)])
def test_so_often_it_may_and_no_more(most: int, is_trusted: bool) -> None:
    bench = Bench(bounds=Bounds(max_unrequested=most))
    bench.ask()
    bench.accept().send(answer() + b"x")
    assert served_once(bench) is not is_trusted
    bench.close()
