"""Asking an upstream: what a handler writes, when a request is sent again, and who is chosen among several."""

from collections.abc import Iterator

import pytest

from handlers.backends.upstream import ATTEMPTS, BUDGET, Upstream, parse_origin
from handlers.backends.upstream_health import FAILURES
from tests.handlers.backends.upstreams import Bench, answer, fault, from_client, pieces_of


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


@pytest.fixture
def three() -> Iterator[Bench]:
    bench = Bench(3)
    yield bench
    bench.close()


# --- origins


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://127.0.0.1:9000", ("127.0.0.1", 9000, False)),
        ("http://a.example", ("a.example", 80, False)),
        ("http://a.example/", ("a.example", 80, False)),
        ("http://[::1]:81", ("::1", 81, False)),
        ("HTTP://a_b", ("a_b", 80, False)),
        ("https://a.example", ("a.example", 443, True)),
        ("HTTPS://[::1]:8443/", ("::1", 8443, True)),
    ],
)
def test_an_origin_is_a_host_and_a_port_and_whether_tls_is_spoken(url: str, origin: tuple[str, int, bool]) -> None:
    assert parse_origin(url) == origin


@pytest.mark.parametrize(
    "url",
    ["https://a/path", "a:80", "http://", "http://a/path", "http://a?q", "http://a#f", "http://u@a", "http://a:99999",
     "http://a:x", "http://a b", "http://\u00e9", "http://a\r\nb", "ftp://a", ""],
)  # fmt: skip
def test_what_is_no_origin_is_said(url: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - which of them is not the point
        Upstream(url)


def test_an_upstream_has_an_origin() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Upstream()


# --- what a handler writes


def test_a_body_of_bytes_is_sent_with_its_length(bench: Bench) -> None:
    bench.ask("POST", "/", body=b"hello")
    assert bench.accept().received().endswith(b"content-length: 5\r\n\r\nhello")


@pytest.mark.parametrize(("how", "line"), [({}, b""), ({"length": 0}, b"content-length: 0\r\n")])
def test_a_body_that_is_not_there_has_a_length_where_that_is_said(
    bench: Bench, how: dict[str, int], line: bytes
) -> None:
    bench.ask("POST", "/", **how)
    head = bench.accept().received()
    assert (b"content-length" in head) is bool(line)
    assert line in head


def test_a_body_is_read_piece_by_piece_or_whole(bench: Bench) -> None:
    async def whole() -> bytes:
        answer = await bench.upstream.request("GET")
        return await answer.read()

    asker = bench.run(whole())
    far = bench.accept().send(answer(b"2\r\nhe\r\n", b"Transfer-Encoding: chunked", length=False))
    far.send(b"3\r\nllo\r\n").send(b"0\r\n\r\n")
    assert asker.result == b"hello"


def test_a_request_that_is_not_well_formed_is_the_handlers_fault_and_connects_to_nobody(bench: Bench) -> None:
    asker = bench.ask("GET", "/\r\nx: y")
    assert isinstance(asker.error, ValueError)
    assert bench.connections() == []


# --- sending again


def test_a_connection_that_dies_as_it_is_reused_is_no_fault_when_the_request_may_be_repeated(bench: Bench) -> None:
    bench.ask()
    far = bench.accept()
    far.send(answer())
    asker = bench.ask("PUT", body=b"hello")
    far.reset()
    bench.accept().send(answer(b"put"))
    assert asker.result.complete == b"put"


def test_a_request_that_may_not_be_repeated_is_not_when_it_may_have_been_done(bench: Bench) -> None:
    bench.ask()
    far = bench.accept()
    far.send(answer())
    asker = bench.ask("POST", body=b"hello")
    assert far.received().endswith(b"hello")
    far.reset()
    assert fault(asker) == (502, "reset")
    assert not bench.is_asked()


@pytest.mark.parametrize("how", [answer(b"x")[:20], b"garbage"])
def test_a_request_that_was_answered_ever_so_little_is_not_repeated(bench: Bench, how: bytes) -> None:
    asker = bench.ask()
    far = bench.accept()
    far.received()
    far.send(how)
    far.close()
    assert asker.done
    assert fault(asker)[0] == 502
    assert not bench.is_asked()


def test_a_request_whose_body_has_been_taken_is_not_repeated(bench: Bench) -> None:
    asker = bench.ask("PUT", body=from_client())
    far = bench.accept()
    asker.give(b"hello")
    bench.settle()
    far.reset()
    asker.give(b"more")
    assert fault(asker) == (502, "reset")
    assert not bench.is_asked()


def test_a_request_is_sent_a_few_times_at_most(bench: Bench) -> None:
    asker = bench.ask()
    for _ in range(ATTEMPTS):
        assert not asker.done
        bench.accept().reset()
    assert fault(asker) == (502, "reset")
    assert not bench.is_asked()


def test_an_upstream_that_is_ill_is_not_asked_twice_by_everybody(bench: Bench) -> None:
    sent = 0
    for _ in range(30):
        asker = bench.ask()
        while not asker.done:
            bench.accept().reset()
            sent += 1
    assert sent <= 30 + BUDGET + 30 * 0.2 + 1


def test_a_deadline_is_no_reason_to_ask_again(bench: Bench) -> None:
    asker = bench.ask()
    bench.accept()
    bench.pass_time(25)
    assert fault(asker) == (504, "response timeout")
    assert not bench.is_asked()


# --- several


def test_the_one_with_the_fewest_calls_is_asked_and_equal_ones_take_turns(three: Bench) -> None:
    for _ in range(6):
        three.ask()
    assert [pool.load for pool in three.upstream.site(three.loop).pools] == [2, 2, 2]
    three.accept(1).send(answer())
    three.accept(1).send(answer())
    three.ask()
    assert [pool.load for pool in three.upstream.site(three.loop).pools] == [2, 1, 2]


def test_one_that_refuses_is_stepped_over_and_then_left_in_peace(three: Bench) -> None:
    three.listeners[1].close()
    for _ in range(12):
        asker = three.ask("POST", body=b"not sent to the one that refuses")
        for origin in (0, 2):
            if three.is_asked(origin):
                break
        for far in three.fars:
            if b"POST" in far.received():
                far.send(answer(b"hello"))
        assert asker.result.complete == b"hello"
    health = three.upstream.site(three.loop).pools[1].health
    assert health.failures >= FAILURES
    assert not health.is_up


def test_when_all_are_down_they_are_asked_all_the_same(three: Bench) -> None:
    for pool in three.upstream.site(three.loop).pools:
        for _ in range(FAILURES):
            pool.health.failed()
    asker = three.ask()
    (origin,) = [one for one in range(3) if three.is_asked(one)]
    three.fars[-1].send(answer())
    assert asker.result.status == 200
    assert three.upstream.site(three.loop).pools[origin].health.is_up, "who answers is back"


def test_all_refuse_and_the_last_fault_is_told(three: Bench) -> None:
    for listener in three.listeners:
        listener.close()
    assert fault(three.ask()) == (502, "refused")


def test_a_streamed_body_goes_elsewhere_as_long_as_none_of_it_was_taken(three: Bench) -> None:
    three.listeners[0].close()
    three.listeners[1].close()
    for _ in range(3):
        asker = three.ask("POST", body=pieces_of(b"hello"))
        three.is_asked(2)
        far = three.fars[0]
        assert far.received().endswith(b"5\r\nhello\r\n0\r\n\r\n")
        far.send(answer())
        assert asker.result.status == 200
