"""A request's body that is gathered before an upstream is asked."""

from collections.abc import Iterator
from typing import Any

import pytest

from clerestory.handlers.api.messages import Request
from clerestory.handlers.backends.upstream.intake import Intake
from clerestory.handlers.backends.upstream.spool import Store
from clerestory.statemachines.upstream import State as S
from tests.handlers.backends.upstreams import Bench, Far, Relaying, answer, fault, pieces_of


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench(2, upstream_buffer=1000)
    yield bench
    bench.close()


def posting(bench: Bench, length: int | None = None, **how: Any) -> Relaying:
    body = Request("POST", "/", (), content_length=length)
    caller = Relaying(bench.loop, bench.upstream.request("POST", body=body, length=length, **how))
    bench.settle()
    return caller


def give(bench: Bench, caller: Relaying, piece: bytes, *, last: bool = False) -> None:
    assert caller.feed is not None
    caller.feed.give(piece, last=last)
    bench.settle()


def far_of(bench: Bench) -> Far:
    far = bench.accept(0 if bench.is_asked_at(0) else 1)
    bench.settle()
    return far


def knows(bench: Bench, minor: int | None) -> None:
    for pool in bench.upstream.site(bench.loop).pools:
        pool.minor = minor


def test_it_ends_once_with_the_body_or_with_its_bound() -> None:
    ended = []
    for pieces, last, whole in (([b"ab", b"c"], True, True), ([b"ab", b"c"], False, False)):
        intake = Intake(Store({}), 3, lambda: ended.append(True))
        for piece in pieces:
            assert intake.is_open
            intake.put(piece, last=last and piece == pieces[-1])
        assert (intake.is_open, intake.is_whole, intake.size) == (False, whole, 3)
    assert ended == [True, True]


def test_a_slow_body_of_known_length_occupies_no_connection(bench: Bench) -> None:
    """A client that sends slowly occupies a buffer, not a connection to the upstream."""
    caller = posting(bench, 1000)
    give(bench, caller, b"x" * 400)
    assert bench.connections() == []
    assert "gathering the request's body: 400 of at most 1000 bytes" in caller.operation.describe()  # type: ignore[union-attr]
    give(bench, caller, b"y" * 600, last=True)
    assert len(bench.connections()) == 1
    far = far_of(bench)
    assert far.received().endswith(b"content-length: 1000\r\n\r\n" + b"x" * 400 + b"y" * 600)
    far.send(answer(b"thanks"))
    assert (caller.result.complete, bench.states()) == (b"thanks", [S.IDLE])


def test_a_longer_body_is_streamed(bench: Bench) -> None:
    posting(bench, 1001)
    assert len(bench.connections()) == 1


def test_a_body_in_chunks_is_sent_with_its_length_unless_the_upstream_is_known_to_speak_1_1(bench: Bench) -> None:
    """RFC 9112 section 6.1: no Transfer-Encoding to a server that is not known to handle HTTP/1.1."""
    for minor in (None, 0):
        knows(bench, minor)
        caller = posting(bench)
        give(bench, caller, b"hel")
        give(bench, caller, b"lo", last=True)
        far = far_of(bench)
        received = far.received()
        assert received.endswith(b"content-length: 5\r\n\r\nhello")
        assert b"transfer-encoding" not in received
        far.send(answer(b"thanks", b"Connection: close"))
        assert caller.result.complete == b"thanks"
    knows(bench, 1)
    caller = posting(bench)
    assert far_of(bench).received().endswith(b"transfer-encoding: chunked\r\n\r\n")


def test_an_expectation_is_the_upstreams_to_answer_unless_it_would_not_understand_the_body(bench: Bench) -> None:
    """RFC 9110 section 10.1.1: what is forwarded is the expectation; a server of HTTP/1.0 knows of none."""
    posting(bench, 5, expects=True)
    assert b"expect: 100-continue" in far_of(bench).received()
    knows(bench, 0)
    caller = posting(bench, expects=True)
    give(bench, caller, b"hello", last=True)
    received = far_of(bench).received()
    assert received.endswith(b"content-length: 5\r\n\r\nhello")
    assert b"expect" not in received


def test_an_answer_tells_which_version_the_upstream_speaks(bench: Bench) -> None:
    caller = bench.ask()
    far = far_of(bench)
    far.send(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert caller.result.status == 200
    assert sorted(str(pool.minor) for pool in bench.upstream.site(bench.loop).pools) == ["0", "None"]


def test_a_body_in_chunks_that_is_too_long_to_be_gathered_is_refused_for_an_upstream_of_1_0(bench: Bench) -> None:
    knows(bench, 0)
    caller = posting(bench)
    give(bench, caller, b"x" * 1000)
    assert fault(caller) == (411, "HTTP/1.0")
    assert bench.connections() == []


def test_a_body_in_chunks_that_is_too_long_to_be_gathered_is_streamed_from_there(bench: Bench) -> None:
    caller = posting(bench)
    give(bench, caller, b"x" * 1000)
    far = far_of(bench)
    assert far.received().endswith(b"transfer-encoding: chunked\r\n\r\n3e8\r\n" + b"x" * 1000 + b"\r\n")
    give(bench, caller, b"y", last=True)
    assert far.received() == b"1\r\ny\r\n0\r\n\r\n"


def test_what_a_handler_produces_in_chunks_is_gathered_for_an_upstream_of_1_0_alone(bench: Bench) -> None:
    for minor, framing in ((0, b"content-length: 5"), (None, b"transfer-encoding: chunked")):
        knows(bench, minor)
        caller = bench.ask("POST", body=pieces_of(b"hel", b"lo"))
        far = far_of(bench)
        assert framing + b"\r\n" in far.received()
        far.send(answer(b"thanks", b"Connection: close"))
        assert caller.result.complete == b"thanks"


def test_what_was_gathered_goes_to_another_origin_when_the_first_refuses(bench: Bench) -> None:
    caller = posting(bench, 5)
    for listener in bench.listeners[:1]:
        listener.close()
    give(bench, caller, b"hello", last=True)
    far = bench.accept(1)
    bench.settle()
    assert far.received().endswith(b"\r\n\r\nhello")
    bench.listeners[:1] = []


def test_what_is_too_long_for_memory_is_gathered_in_a_file_and_sent_from_there() -> None:
    bench = Bench(upstream_buffer=1000, upstream_buffers=100)
    caller = posting(bench, 1000)
    give(bench, caller, b"x" * 100)
    give(bench, caller, b"y" * 500)
    store = Store.of(bench.loop)
    assert (store.memory, store.files, bench.connections()) == (100, 500, [])
    give(bench, caller, b"z" * 400, last=True)
    far = bench.accept()
    bench.settle()
    head, _, body = far.received().partition(b"\r\n\r\n")
    assert head.endswith(b"content-length: 1000")
    assert body == b"x" * 100 + b"y" * 500 + b"z" * 400
    assert (store.memory, store.files, bench.states()) == (0, 0, [S.AWAITING_RESPONSE])
    bench.close()


def test_streamed_requests_take_half_of_the_connections_and_the_others_are_gathered() -> None:
    """However many clients send long bodies slowly, the others find a connection."""
    bench = Bench(upstream_max_connections=4, upstream_buffer=1000)
    callers = [posting(bench, 10_000) for _ in range(5)]
    assert len(bench.connections()) == 2
    give(bench, callers[2], b"x" * 6000)
    assert len(bench.connections()) == 2
    give(bench, callers[2], b"y" * 4000, last=True)
    assert len(bench.connections()) == 3
    assert Store.of(bench.loop).memory >= 0
    for caller in callers:
        caller.leave()
    bench.settle()
    store = Store.of(bench.loop)
    assert (bench.connections(), store.memory, store.files) == ([], 0, 0)
    bench.close()


def test_a_client_that_leaves_while_its_body_is_gathered_leaves_nothing(bench: Bench) -> None:
    caller = posting(bench, 1000)
    give(bench, caller, b"x" * 400)
    caller.leave()
    assert (Store.of(bench.loop).memory, bench.connections()) == (0, [])
