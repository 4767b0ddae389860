"""What is received from an upstream: in pieces, too early, too much, too little, or no answer at all."""

from collections.abc import Iterator
from typing import Any

import pytest

from clerestory.handlers.api.messages import Fields, Request
from clerestory.handlers.backends.upstream.bounds import Bounds
from clerestory.handlers.backends.upstream.receiver import READ_SIZE
from clerestory.handlers.backends.upstream.spool import Store
from clerestory.statemachines.contract import Interest
from clerestory.statemachines.upstream import State as S
from tests.handlers.backends.upstreams import Bench, Relaying, answer, asked, error, fault, from_client, read


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_an_answer_that_comes_in_pieces_is_the_same(bench: Bench, size: int) -> None:
    caller, far = asked(bench)
    raw = answer(b"hello, world", b"A: b")
    for at in range(0, len(raw), size):
        far.send(raw[at : at + size])
    assert read(bench, caller).result == b"hello, world"
    assert bench.states() == [S.IDLE]


def test_a_chunked_answer_is_pooled_and_one_without_framing_is_not(bench: Bench) -> None:
    caller, far = asked(bench)
    far.send(answer(b"5\r\nhello\r\n0\r\n\r\n", b"Transfer-Encoding: chunked", length=False))
    assert caller.result.complete == b"hello"
    assert bench.states() == [S.IDLE]
    caller = bench.ask()
    far.send(answer(b"hello", length=False))
    reading = read(bench, caller)
    assert not reading.done
    far.half_close()
    assert reading.result == b"hello"
    assert bench.states() == []


def test_a_body_is_read_only_while_there_is_room_for_it() -> None:
    bench = Bench(upstream_buffer=0, upstream_file=0)
    caller, far = asked(bench)
    far.socket.setblocking(False)
    sent = far.socket.send(answer(b"x" * 10_000_000))
    bench.settle()
    assert bench.states() == [S.HOLDING_BODY]
    (connection,) = bench.connections()
    assert connection.bytes_in <= 65536
    assert caller.result.complete is None
    while True:
        try:
            sent += far.socket.send(b"x" * 65536)
            bench.settle()
        except BlockingIOError:
            break
    assert connection.bytes_in <= 65536, "what is not wanted stays with the kernel, and with the upstream"
    assert sent < 10_000_000
    reading = bench.run(anext(caller.result.body))
    assert len(reading.result) <= 65536
    assert bench.states() == [S.HOLDING_BODY]
    bench.close()


@pytest.mark.parametrize("limits", [{}, {"upstream_buffer": 0}, {"upstream_buffers": 0}])
def test_an_answer_that_nobody_takes_is_buffered_and_its_connection_is_given_back(limits: dict[str, Any]) -> None:
    """A slow reader occupies a buffer, in memory or in a file, and no connection to the upstream."""
    bench = Bench(**limits)
    caller, far = asked(bench)
    body = bytes(range(256)) * 8192
    far.send(answer(body))
    assert bench.states() == [S.IDLE]
    store = Store.of(bench.loop)
    assert store.memory <= store.most_in_memory + READ_SIZE
    assert store.memory + store.files > len(body) - 2 * READ_SIZE
    assert read(bench, caller).result == body
    assert (store.memory, store.files) == (0, 0)
    bench.close()


def test_what_is_buffered_of_an_answer_is_forgotten_when_its_reader_leaves(bench: Bench) -> None:
    caller, far = asked(bench)
    far.send(answer(bytes(2_000_000)))
    store = Store.of(bench.loop)
    assert store.files > 0
    bench.run(caller.result.body.aclose())
    assert (store.memory, store.files) == (0, 0)


def test_interim_answers_are_passed_over(bench: Bench) -> None:
    caller, far = asked(bench)
    far.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n")
    assert not caller.done
    far.send(answer(b"hello"))
    assert caller.result.complete == b"hello"


def test_interim_answers_without_end_are_garbage(bench: Bench) -> None:
    caller, far = asked(bench)
    far.send(b"HTTP/1.1 102 Processing\r\n\r\n" * Bounds().max_interim)
    assert not caller.done
    far.send(b"HTTP/1.1 102 Processing\r\n\r\n")
    assert fault(caller) == (502, "garbage")


@pytest.mark.parametrize("most", [0, 3])
def test_so_many_interim_answers_may_come_and_no_more(most: int) -> None:
    for hints, status in ((most, 200), (most + 1, 502)):
        bench = Bench(upstream_max_interim=most)
        caller, far = asked(bench)
        far.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n" * hints + answer(b"hello"))
        assert (caller.result.status if status == 200 else fault(caller)[0]) == status
        bench.close()


def test_a_switch_of_protocols_that_nobody_asked_for_is_garbage(bench: Bench) -> None:
    caller, far = asked(bench)
    far.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
    assert fault(caller) == (502, "garbage")


def test_an_early_answer_that_ends_the_matter_ends_the_sending(bench: Bench) -> None:
    caller, far = asked(bench, "POST", body=from_client(), length=10_000_000)
    far.socket.setblocking(False)
    while caller.wants_piece:
        caller.give(b"x" * 65536)
        bench.settle()
    far.send(answer(b"too large", status=b"413 Content Too Large"))
    assert (caller.result.status, caller.result.complete) == (413, b"too large")
    assert bench.states() == []


def test_an_early_answer_is_found_even_behind_the_reset_that_follows_it(bench: Bench) -> None:
    caller, far = asked(bench, "POST", body=from_client(), length=100_000_000)
    while caller.wants_piece:
        caller.give(b"x" * 65536)
        bench.settle()
    far.socket.sendall(answer(b"too large", b"Connection: close", status=b"413 Content Too Large"))
    far.close()  # with unread bytes: a reset
    assert (caller.result.status, caller.result.complete) == (413, b"too large")


def test_an_answer_that_is_whole_before_its_request_ends_the_exchange(bench: Bench) -> None:
    """An answer is handed on as soon as it is there; the connection on which its request was not sent to its end is
    not used again."""
    caller, far = asked(bench, "POST", body=from_client())
    far.send(answer(b"fine"))
    assert bench.states() == []
    caller.give(b"x")
    assert caller.result.complete == b"fine"


def test_an_upstream_may_answer_faster_than_it_reads(bench: Bench) -> None:
    """How much of an answer comes before its request has ended is the upstream's to say."""
    caller, far = asked(bench, "POST", body=from_client())
    while caller.wants_piece:
        caller.give(b"x" * 65536)
        bench.settle()
    whole = b"y" * 1_000_000
    far.send(answer(whole[:900_000], b"Content-Length: 1000000", length=False))
    assert (caller.result.status, bench.states()) == (200, [S.EXCHANGING])
    reading = bench.run(caller.result.read())
    far.send(whole[900_000:])
    assert reading.result == whole
    assert bench.states() == []


def test_an_answer_begins_while_its_request_waits_for_its_next_piece_and_both_go_on(bench: Bench) -> None:
    """Neither the request nor its answer waits for the end of the other."""
    bench.pool.minor = 1
    caller = Relaying(bench.loop, bench.upstream.request("POST", body=Request("POST", "/", (), content_length=None)))
    bench.settle()
    far = bench.accept()
    bench.settle()
    assert caller.feed is not None
    assert caller.feed.wants
    far.received()
    far.send(answer(b"1\r\na\r\n", b"Transfer-Encoding: chunked", length=False))
    assert (caller.result.status, bench.states()) == (200, [S.EXCHANGING])
    body = caller.result.body
    assert bench.run(anext(body)).result == b"a"
    caller.feed.give(b"one", last=False)
    assert caller.feed.wants
    assert far.received() == b"3\r\none\r\n"
    reading = bench.run(anext(body))
    far.send(b"1\r\nb\r\n")
    assert reading.result == b"b"
    caller.feed.give(b"two", last=True)
    assert (far.received(), bench.states()) == (b"3\r\ntwo\r\n0\r\n\r\n", [S.READING_BODY])
    reading = bench.run(anext(body))
    far.send(b"0\r\n\r\n")
    assert (reading.done, bench.states()) == (True, [S.IDLE])


def test_in_an_exchange_the_poller_is_asked_only_for_what_there_is_a_use_for() -> None:
    """A socket is writable nearly always: to wait for that with nothing to write is to spin."""
    bench = Bench(upstream_buffer=0, upstream_file=0)
    bench.pool.minor = 1
    caller = Relaying(bench.loop, bench.upstream.request("POST", body=Request("POST", "/", (), content_length=None)))
    bench.settle()
    far = bench.accept()
    bench.settle()
    far.received()
    far.send(answer(b"1\r\na\r\n", b"Transfer-Encoding: chunked", length=False))

    def interest_set() -> int:
        (connection,) = bench.connections()
        assert connection.state is S.EXCHANGING
        return connection.interest_set

    assert interest_set() == 0
    body = caller.result.body
    assert bench.run(anext(body)).result == b"a"
    assert interest_set() == Interest.READABLE
    feed = caller.feed
    assert feed is not None

    def wants() -> bool:
        return feed.wants

    while wants():
        feed.give(b"x" * 65536, last=False)
        bench.settle()
    assert interest_set() == Interest.READABLE | Interest.WRITABLE
    while not wants():
        far.received()
        bench.settle()
    far.send(b"1\r\nb\r\n")
    assert interest_set() == 0
    feed.give(b"", last=True)
    far.received()
    assert bench.states() == [S.READING_BODY]
    reading = bench.run(caller.result.read())
    far.send(b"0\r\n\r\n")
    assert (reading.result, bench.states()) == (b"b", [S.IDLE])
    bench.close()


def test_an_exchange_in_which_nothing_moves_is_given_up_in_time() -> None:
    bench = Bench(upstream_exchange_timeout=3.0)
    bench.pool.minor = 1
    caller = Relaying(bench.loop, bench.upstream.request("POST", body=Request("POST", "/", (), content_length=None)))
    bench.settle()
    far = bench.accept()
    bench.settle()
    far.send(answer(b"1\r\na\r\n", b"Transfer-Encoding: chunked", length=False))
    bench.pass_time(2.99)
    assert bench.states() == [S.EXCHANGING]
    bench.pass_time(0.01)
    assert bench.states() == []
    assert fault(read(bench, caller)) == (504, "exchange timeout")
    bench.close()


def test_an_upstream_that_trickles_its_head_has_no_more_time_than_a_silent_one(bench: Bench) -> None:
    caller, far = asked(bench)
    for byte in answer(b"hello")[:24]:
        far.send(bytes([byte]))
        bench.pass_time(1)
    assert not caller.done
    bench.pass_time(1)
    assert fault(caller) == (504, "response timeout")


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\nContent-"])
def test_an_upstream_that_dies_before_its_head_is_whole_is_502(bench: Bench, sent: bytes) -> None:
    caller, far = asked(bench, "POST")
    far.received()
    far.send(sent)
    far.close()
    assert fault(caller) == (502, "closed")
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
    caller, far = asked(bench)
    far.received()
    far.send(answer(b"5\r\nhello", *framing, length=False))
    reading = read(bench, caller)
    assert not reading.done
    getattr(far, how)()
    assert error(reading).status == 502
    assert bench.states() == []


def test_a_reset_is_no_end_of_a_body_without_framing(bench: Bench) -> None:
    caller, far = asked(bench)
    far.received()
    far.send(answer(b"hello", length=False))
    reading = read(bench, caller)
    far.reset()
    assert fault(reading) == (502, "reset")


@pytest.mark.parametrize(
    "garbage",
    [b"SSH-2.0-OpenSSH_9.6\r\n", b"<html>", b"HTTP/1.1 200 OK\nA: b\n\n", b"\x00", b"HTTP/0.9 200 OK\r\n\r\n"],
)
def test_garbage_is_502(bench: Bench, garbage: bytes) -> None:
    caller, far = asked(bench)
    far.send(garbage)
    assert fault(caller) == (502, "garbage")
    assert bench.states() == []


def test_garbage_among_the_chunks_breaks_the_answer_off(bench: Bench) -> None:
    caller, far = asked(bench)
    far.send(answer(b"5\r\nhello\r\n", b"Transfer-Encoding: chunked", length=False))
    reading = read(bench, caller)
    far.send(b"5\nhello\n")
    assert fault(reading) == (502, "garbage")


def test_bytes_beyond_the_answer_are_nobodys_and_the_connection_is_not_used_again(bench: Bench) -> None:
    caller, far = asked(bench)
    far.send(answer(b"mine") + answer(b"somebody else's"))
    assert caller.result.complete == b"mine"
    assert bench.states() == []
    caller, far = asked(bench)
    far.send(answer(b"mine too"))
    assert caller.result.complete == b"mine too"


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_an_answer_with_a_body_where_there_is_none_is_not_taken_for_the_next(bench: Bench, method: str) -> None:
    caller, far = asked(bench, method)
    status = b"200 OK" if method == "HEAD" else b"304 Not Modified"
    far.send(answer(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison", status=status))
    assert caller.result.complete == b""
    assert bench.states() == []


def test_what_comes_on_an_idle_connection_closes_it(bench: Bench) -> None:
    caller, far = asked(bench)
    far.send(answer(b"mine"))
    assert bench.states() == [S.IDLE]
    far.send(answer(b"poison"))
    assert bench.states() == []
    again, far = asked(bench)
    far.send(answer(b"mine"))
    assert again.result.complete == b"mine"
    assert caller.result.complete == b"mine"


def test_an_early_answer_is_found_behind_a_reset_even_while_the_client_is_slow(bench: Bench) -> None:
    caller, far = asked(bench, "POST", body=from_client())
    far.send(answer(b"9\r\ntoo large\r\n0\r\n\r\n", b"Transfer-Encoding: chunked", status=b"413 X", length=False))
    far.close()  # with an unread head: a reset
    assert bench.states() == []
    caller.give(b"x")
    assert (caller.result.status, caller.result.complete) == (413, b"too large")


def test_an_early_answer_is_seen_before_the_next_piece_is_sent(bench: Bench) -> None:
    caller, far = asked(bench, "POST", body=from_client())
    far.received()
    far.send(answer(b"too large", status=b"413 X"))
    assert bench.states() == []
    caller.give(b"x")
    bench.settle()
    assert caller.result.status == 413
    assert far.received() == b"END"


def test_a_204_that_announces_a_body_succeeds_and_its_connection_is_not_used_again(bench: Bench) -> None:
    caller, far = asked(bench, "DELETE")
    far.send(b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n")
    assert (caller.result.status, caller.result.complete, caller.result.get(b"content-length")) == (204, b"", None)
    assert bench.states() == []


def test_an_interim_answer_that_announces_a_body_leaves_its_connection_in_doubt(bench: Bench) -> None:
    caller, far = asked(bench)
    far.send(b"HTTP/1.1 103 X\r\nContent-Length: 2\r\n\r\n" + answer(b"hello"))
    assert (caller.result.complete, bench.states()) == (b"hello", [])


def test_interim_answers_are_handed_on_to_whoever_can_pass_them_on(bench: Bench) -> None:
    """RFC 9110 section 15.2: a proxy forwards interim responses, except a 100 that it has asked for itself."""

    def shout(fields: Fields, minor: int) -> Fields:
        return (*fields, (b"via", b"1.%d x" % minor))

    caller = Relaying(bench.loop, bench.upstream.request("GET", interim=shout))
    bench.settle()
    far = bench.accept()
    far.send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
    assert caller.interims == [(103, "Early Hints", ((b"link", b"</a>"), (b"via", b"1.1 x")))]
    far.send(answer(b"hello"))
    assert caller.result.complete == b"hello"
