"""What is looked at when the first byte of a request is sent, and when the first of its answer comes."""

from collections.abc import Iterator

import pytest

from clerestory.handlers.backends.upstream import sender
from tests.handlers.backends.upstreams import Bench, answer, error, fault

POISON = answer(b"poison")


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


@pytest.mark.parametrize(("method", "again"), [("GET", True), ("PUT", True), ("POST", False)])
def test_what_comes_before_the_upstream_has_acknowledged_the_request_is_no_answer_to_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, method: str, again: bool
) -> None:
    """An idempotent request is sent again, another one is refused."""
    bench.ask()
    far = bench.accept()
    far.send(answer(b"mine"))
    caller = bench.ask(method, body=b"body")
    assert b"%s / " % method.encode() in far.received()
    far.socket.send(POISON)
    with monkeypatch.context() as over_a_longer_way:  # the loopback acknowledges at once
        over_a_longer_way.setattr(sender, "is_unheard", lambda descriptor, sent: sent > 0)
        bench.settle()
    assert far.received().endswith(b"RESET")
    if again:
        bench.accept().send(answer(b"mine again"))
        assert caller.result.complete == b"mine again"
    else:
        assert fault(caller) == (502, "unasked")
        assert error(caller).stale, "no work of the upstream's was lost: it costs no budget"
        assert not bench.is_asked()


def test_what_comes_when_the_upstream_has_the_request_is_its_answer(bench: Bench) -> None:
    """However fast it is, and however often."""
    bench.ask()
    far = bench.accept()
    far.send(answer(b"0"))
    for number in range(1, 500):
        caller = bench.ask("POST", body=b"body")
        far.send(answer(b"%d" % number))
        assert caller.result.complete == b"%d" % number
    assert len(bench.connections()) == 1


def test_on_a_new_connection_nothing_can_be_left_over(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """An upstream that is full may say so at once: its 503 is handed on, whenever it came."""
    caller = bench.ask("POST", body=b"body")
    far = bench.accept()
    far.socket.send(answer(b"full", status=b"503 Service Unavailable"))
    monkeypatch.setattr(sender, "is_unheard", lambda descriptor, sent: sent > 0)
    bench.settle()
    assert caller.result.status == 503
