"""What is received from an upstream: in pieces, too early, too much, too little, or no answer at all."""

from collections.abc import Iterator

import pytest

from handlers.backends.upstream_bounds import Bounds
from handlers.backends.upstream_receiver import MAX_EARLY
from statemachines.upstream import State as S
from tests.handlers.backends.upstreams import Bench, answer, asked, error, fault, from_client, read


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_an_answer_that_comes_in_pieces_is_the_same(bench: Bench, size: int) -> None:
    asker, far = asked(bench)
    raw = answer(b"hello, world", b"A: b")
    for at in range(0, len(raw), size):
        far.send(raw[at : at + size])
    assert read(bench, asker).result == b"hello, world"
    assert bench.states() == [S.IDLE]


def test_a_chunked_answer_is_pooled_and_one_without_framing_is_not(bench: Bench) -> None:
    asker, far = asked(bench)
    far.send(answer(b"5\r\nhello\r\n0\r\n\r\n", b"Transfer-Encoding: chunked", length=False))
    assert asker.result.complete == b"hello"
    assert bench.states() == [S.IDLE]
    asker = bench.ask()
    far.send(answer(b"hello", length=False))
    reading = read(bench, asker)
    assert not reading.done
    far.half_close()
    assert reading.result == b"hello"
    assert bench.states() == []


def test_a_body_is_read_only_as_fast_as_it_is_taken(bench: Bench) -> None:
    asker, far = asked(bench)
    far.socket.setblocking(False)
    sent = far.socket.send(answer(b"x" * 10_000_000))
    bench.settle()
    assert bench.states() == [S.HOLDING_BODY]
    (connection,) = bench.connections()
    assert connection.bytes_in <= 65536
    assert asker.result.complete is None
    while True:
        try:
            sent += far.socket.send(b"x" * 65536)
            bench.settle()
        except BlockingIOError:
            break
    assert connection.bytes_in <= 65536, "what is not wanted stays with the kernel, and with the upstream"
    assert sent < 10_000_000
    asker.result.body._call.pieces.clear()
    reading = bench.run(anext(asker.result.body))
    assert len(reading.result) <= 65536
    assert bench.states() == [S.HOLDING_BODY]


def test_interim_answers_are_passed_over(bench: Bench) -> None:
    asker, far = asked(bench)
    far.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n")
    assert not asker.done
    far.send(answer(b"hello"))
    assert asker.result.complete == b"hello"


def test_interim_answers_without_end_are_garbage(bench: Bench) -> None:
    asker, far = asked(bench)
    far.send(b"HTTP/1.1 102 Processing\r\n\r\n" * Bounds().max_interim)
    assert not asker.done
    far.send(b"HTTP/1.1 102 Processing\r\n\r\n")
    assert fault(asker) == (502, "garbage")


@pytest.mark.parametrize("most", [0, 3])
def test_so_many_interim_answers_may_come_and_no_more(most: int) -> None:
    for hints, status in ((most, 200), (most + 1, 502)):
        bench = Bench(upstream_max_interim=most)
        asker, far = asked(bench)
        far.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n" * hints + answer(b"hello"))
        assert (asker.result.status if status == 200 else fault(asker)[0]) == status
        bench.close()


def test_a_switch_of_protocols_that_nobody_asked_for_is_garbage(bench: Bench) -> None:
    asker, far = asked(bench)
    far.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
    assert fault(asker) == (502, "garbage")


def test_an_early_answer_that_ends_the_matter_ends_the_sending(bench: Bench) -> None:
    asker, far = asked(bench, "POST", body=from_client(), length=10_000_000)
    far.socket.setblocking(False)
    while asker.wants_piece:
        asker.give(b"x" * 65536)
        bench.settle()
    far.send(answer(b"too large", status=b"413 Content Too Large"))
    assert (asker.result.status, asker.result.complete) == (413, b"too large")
    assert bench.states() == []


def test_an_early_answer_is_found_even_behind_the_reset_that_follows_it(bench: Bench) -> None:
    asker, far = asked(bench, "POST", body=from_client(), length=100_000_000)
    while asker.wants_piece:
        asker.give(b"x" * 65536)
        bench.settle()
    far.socket.sendall(answer(b"too large", b"Connection: close", status=b"413 Content Too Large"))
    far.close()  # with unread bytes: a reset
    assert (asker.result.status, asker.result.complete) == (413, b"too large")


def test_an_early_success_waits_for_the_end_of_the_request(bench: Bench) -> None:
    asker, far = asked(bench, "POST", body=from_client())
    far.send(answer(b"fine"))
    assert bench.states() == [S.AWAITING_PIECE]
    asker.give(b"x")
    bench.settle()
    asker.give(b"")
    bench.settle()
    assert (asker.result.complete, bench.states()) == (b"fine", [S.IDLE])


def test_an_upstream_that_answers_faster_than_it_reads_is_out_of_step(bench: Bench) -> None:
    asker, far = asked(bench, "POST", body=from_client())
    while asker.wants_piece:
        asker.give(b"x" * 65536)
        bench.settle()
    far.send(answer(b"y" * (2 * MAX_EARLY)))
    assert error(asker).detail == "The upstream answers faster than it takes the request."
    assert bench.states() == []


def test_an_upstream_that_trickles_its_head_has_no_more_time_than_a_silent_one(bench: Bench) -> None:
    asker, far = asked(bench)
    for byte in answer(b"hello")[:24]:
        far.send(bytes([byte]))
        bench.pass_time(1)
    assert not asker.done
    bench.pass_time(1)
    assert fault(asker) == (504, "response timeout")


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\nContent-"])
def test_an_upstream_that_dies_before_its_head_is_whole_is_502(bench: Bench, sent: bytes) -> None:
    asker, far = asked(bench, "POST")
    far.received()
    far.send(sent)
    far.close()
    assert fault(asker) == (502, "closed")
    assert bench.states() == []


MID_BODY: list[tuple[bytes, ...]] = [
    (b"Content-Length: 10",),
    (b"Transfer-Encoding: chunked",),
]


@pytest.mark.parametrize("framing", MID_BODY)
@pytest.mark.parametrize("how", ["close", "reset", "half_close"])
def test_an_upstream_that_dies_mid_body_breaks_the_answer_off(
    bench: Bench, framing: tuple[bytes, ...], how: str
) -> None:
    asker, far = asked(bench)
    far.received()
    far.send(answer(b"5\r\nhello", *framing, length=False))
    reading = read(bench, asker)
    assert not reading.done
    getattr(far, how)()
    assert error(reading).status == 502
    assert bench.states() == []


def test_a_reset_is_no_end_of_a_body_without_framing(bench: Bench) -> None:
    asker, far = asked(bench)
    far.received()
    far.send(answer(b"hello", length=False))
    reading = read(bench, asker)
    far.reset()
    assert fault(reading) == (502, "reset")


@pytest.mark.parametrize(
    "garbage",
    [b"SSH-2.0-OpenSSH_9.6\r\n", b"<html>", b"HTTP/1.1 200 OK\nA: b\n\n", b"\x00", b"HTTP/0.9 200 OK\r\n\r\n"],
)
def test_garbage_is_502(bench: Bench, garbage: bytes) -> None:
    asker, far = asked(bench)
    far.send(garbage)
    assert fault(asker) == (502, "garbage")
    assert bench.states() == []


def test_garbage_among_the_chunks_breaks_the_answer_off(bench: Bench) -> None:
    asker, far = asked(bench)
    far.send(answer(b"5\r\nhello\r\n", b"Transfer-Encoding: chunked", length=False))
    reading = read(bench, asker)
    far.send(b"5\nhello\n")
    assert fault(reading) == (502, "garbage")


def test_bytes_beyond_the_answer_are_nobodys_and_the_connection_is_not_used_again(bench: Bench) -> None:
    asker, far = asked(bench)
    far.send(answer(b"mine") + answer(b"somebody else's"))
    assert asker.result.complete == b"mine"
    assert bench.states() == []
    asker, far = asked(bench)
    far.send(answer(b"mine too"))
    assert asker.result.complete == b"mine too"


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_an_answer_with_a_body_where_there_is_none_is_not_taken_for_the_next(bench: Bench, method: str) -> None:
    asker, far = asked(bench, method)
    status = b"200 OK" if method == "HEAD" else b"304 Not Modified"
    far.send(answer(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison", status=status))
    assert asker.result.complete == b""
    assert bench.states() == []


def test_what_comes_on_an_idle_connection_closes_it(bench: Bench) -> None:
    asker, far = asked(bench)
    far.send(answer(b"mine"))
    assert bench.states() == [S.IDLE]
    far.send(answer(b"poison"))
    assert bench.states() == []
    again, far = asked(bench)
    far.send(answer(b"mine"))
    assert again.result.complete == b"mine"
    assert asker.result.complete == b"mine"


def test_an_early_answer_is_found_behind_a_reset_even_while_the_client_is_slow(bench: Bench) -> None:
    asker, far = asked(bench, "POST", body=from_client())
    far.send(answer(b"9\r\ntoo large\r\n0\r\n\r\n", b"Transfer-Encoding: chunked", status=b"413 X", length=False))
    far.close()  # with an unread head: a reset
    assert bench.states() == []
    asker.give(b"x")
    assert (asker.result.status, asker.result.complete) == (413, b"too large")


def test_an_early_answer_is_seen_before_the_next_piece_is_sent(bench: Bench) -> None:
    asker, far = asked(bench, "POST", body=from_client())
    far.received()
    far.send(answer(b"too large", status=b"413 X"))
    assert bench.states() == [S.AWAITING_PIECE]
    asker.give(b"x")
    bench.settle()
    assert asker.result.status == 413
    assert far.received() == b"END"
