"""The proxy: a request in, a request out, an answer in, an answer out; rebuilt at each step."""

from collections.abc import Iterator
from typing import Any

import pytest

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.messages import Fields, Request, Response
from clerestory.handlers.backends.pool.bounds import UPSTREAM_BUFFER
from clerestory.handlers.proxy.proxy import KEPT, MAX_KEPT, Proxy
from tests.handlers.backends.upstreams import Bench, Caller, Far, answer

GATHERED = int(UPSTREAM_BUFFER.default)


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


def asked(bench: Bench, request: Request, **how: Any) -> tuple[Caller, Far]:
    caller = bench.run(Proxy(bench.upstream, **how)(request))
    return caller, bench.accept()


def request(method: str = "GET", target: str = "/", fields: Fields = (), **how: Any) -> Request:
    return Request(method, target, fields, authority=b"a.example", peer="127.0.0.1:4711", **how)


def line(far: Far) -> bytes:
    return far.received().partition(b"\r\n")[0]


def response(caller: Caller) -> Response:
    assert caller.error is None, caller.error
    assert isinstance(caller.result, Response)
    return caller.result


def test_a_request_is_rebuilt(bench: Bench) -> None:
    _, far = asked(bench, request("GET", "/a?b=%20", ((b"accept", b"*/*"), (b"connection", b"close"))))
    head, _, body = far.received().partition(b"\r\n\r\n")
    assert head.startswith(b"GET /a?b=%20 HTTP/1.1\r\nhost: a.example\r\naccept: */*\r\nvia: 1.1 clerestory-")
    assert b"connection" not in head
    assert body == b""


@pytest.mark.parametrize(
    ("target", "sent"),
    [("/", b"/"), ("/a?", b"/a?"), ("/a?b?c", b"/a?b?c"), ("//a//b", b"//a//b"), ("http://h", b"/"),
     ("http://h?q", b"/?q"), ("http://h/p?q", b"/p?q"), ("/%2e%2e/%00", b"/%2e%2e/%00")],
)  # fmt: skip
def test_the_target_goes_on_as_it_came_in_origin_form(bench: Bench, target: str, sent: bytes) -> None:
    _, far = asked(bench, request("GET", target))
    assert line(far) == b"GET " + sent + b" HTTP/1.1"


def test_the_target_of_options_may_be_an_asterisk(bench: Bench) -> None:
    _, far = asked(bench, request("OPTIONS", "*"))
    assert line(far) == b"OPTIONS * HTTP/1.1"


def test_a_mount_takes_its_prefix_off(bench: Bench) -> None:
    mounted = request("GET", "/api/a?b")
    mounted.base, mounted.path = "/api", "/a"
    _, far = asked(bench, mounted)
    assert line(far) == b"GET /a?b HTTP/1.1"


def test_a_small_body_is_read_before_the_upstream_is_asked(bench: Bench) -> None:
    caller = bench.run(Proxy(bench.upstream)(request("POST", content_length=5)))
    assert caller.wants_piece
    assert bench.connections() == []
    caller.give(b"hello")
    assert not bench.connections(), "the end of the body is still to come"
    caller.give(b"")
    bench.settle()
    assert bench.accept().received().endswith(b"content-length: 5\r\n\r\nhello")


@pytest.mark.parametrize(("length", "framing"), [(GATHERED + 1, b"content-length: 1048577"), (None, b"chunked")])
def test_a_large_body_or_one_in_chunks_is_streamed(bench: Bench, length: int | None, framing: bytes) -> None:
    bench.pool.minor = 1
    caller, far = asked(bench, request("POST", content_length=length, body_limit=2 * GATHERED))
    assert far.received().endswith(framing + b"\r\n\r\n")
    assert caller.wants_piece
    caller.give(b"hello")
    bench.settle()
    assert b"hello" in far.received()


@pytest.mark.parametrize(
    ("method", "fields", "told"),
    [("GET", (), False), ("DELETE", (), False), ("POST", (), True), ("PUT", (), True),
     ("GET", ((b"content-length", b"0"),), True)],
)  # fmt: skip
def test_the_length_of_no_body_is_told_where_it_matters(bench: Bench, method: str, fields: Fields, told: bool) -> None:
    _, far = asked(bench, request(method, "/", fields))
    assert (b"content-length: 0" in far.received()) is told


def test_a_body_that_is_too_long_for_us_is_not_begun_upstream(bench: Bench) -> None:
    for length, status in ((GATHERED + 1, 0), (GATHERED + 2, 413)):
        caller = bench.run(Proxy(bench.upstream)(request("POST", content_length=length, body_limit=GATHERED + 1)))
        assert (caller.error.status if isinstance(caller.error, HTTPError) else 0) == status
        assert len(bench.connections()) == 1


def test_an_expectation_goes_on_and_the_body_is_asked_for_when_the_upstream_wants_it(bench: Bench) -> None:
    caller, far = asked(bench, request("POST", content_length=5, expects_continue=True))
    assert b"expect: 100-continue\r\n" in far.received()
    assert not caller.wants_piece
    far.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert caller.wants_piece


def test_an_upstream_that_refuses_the_body_is_heard_before_it_is_asked_for(bench: Bench) -> None:
    caller, far = asked(bench, request("POST", content_length=5, expects_continue=True))
    far.send(answer(b"no", status=b"403 Forbidden"))
    assert (response(caller).status, response(caller).body) == (403, b"no")


# --- answers


def test_an_answer_is_rebuilt(bench: Bench) -> None:
    caller, far = asked(bench, request())
    far.send(answer(b"hello", b"Content-Type: text/plain", b"Keep-Alive: timeout=5", status=b"201 Made here"))
    found = response(caller)
    assert (found.status, found.reason, found.body) == (201, "Made here", b"hello")
    assert found.fields[:-1] == ((b"content-type", b"text/plain"),)
    assert found.fields[-1][1].startswith(b"1.1 clerestory-")


def test_a_reason_that_we_do_not_write_is_left_out(bench: Bench) -> None:
    caller, far = asked(bench, request())
    far.send(answer(status="200 Schön".encode("latin-1")))
    assert response(caller).reason is None


def test_a_long_answer_is_streamed_with_its_length_and_one_in_chunks_without(bench: Bench) -> None:
    caller, far = asked(bench, request())
    far.send(answer(b"hel", b"Content-Length: 5", length=False))
    assert (b"content-length", b"5") in response(caller).fields
    assert not isinstance(response(caller).body, bytes)
    caller, far = bench.run(Proxy(bench.upstream)(request())), bench.accept()
    far.send(answer(b"3\r\nhel\r\n", b"Transfer-Encoding: chunked", length=False))
    assert b"content-length" not in dict(response(caller).fields)


@pytest.mark.parametrize("field", [b"Content-Length: 500", b"Transfer-Encoding: chunked", b"A: b"])
def test_an_answer_to_head_has_a_length_and_no_body(bench: Bench, field: bytes) -> None:
    caller, far = asked(bench, request("HEAD"))
    far.send(answer(b"", field, length=False))
    found = response(caller)
    assert ((b"content-length", b"500") in found.fields) is (field[:7] == b"Content")
    assert found.body == b"" if field[:7] == b"Content" else not isinstance(found.body, bytes)


@pytest.mark.parametrize(("status", "kept"), [(b"304 X", True), (b"204 X", False)])
def test_an_answer_without_a_body_keeps_the_length_of_what_it_stands_for(
    bench: Bench, status: bytes, kept: bool
) -> None:
    caller, far = asked(bench, request())
    far.send(answer(b"", b"Content-Length: " + (b"500" if kept else b"0"), status=status, length=False))
    assert ((b"content-length", b"500") in response(caller).fields) is kept


# --- round and round


def test_a_request_that_comes_round_is_508(bench: Bench) -> None:
    proxy = Proxy(bench.upstream)
    first = bench.run(proxy(request()))
    head = bench.accept().received()
    via = next(one.partition(b": ")[2] for one in head.split(b"\r\n") if one.startswith(b"via"))
    caller = bench.run(proxy(request("GET", "/", ((b"via", via),))))
    assert isinstance(caller.error, HTTPError)
    assert caller.error.status == 508
    assert not first.done


@pytest.mark.parametrize(("given", "sent"), [(b"5", b"max-forwards: 4\r\n"), (b"1", b"max-forwards: 0\r\n")])
def test_max_forwards_counts_down(bench: Bench, given: bytes, sent: bytes) -> None:
    _, far = asked(bench, request("TRACE", "/", ((b"max-forwards", given),)))
    assert sent in far.received()


@pytest.mark.parametrize(("method", "status"), [("OPTIONS", 204), ("TRACE", 405)])
def test_the_last_forward_is_answered_here(bench: Bench, method: str, status: int) -> None:
    caller = bench.run(Proxy(bench.upstream)(request(method, "/", ((b"max-forwards", b"0"),))))
    found = caller.error.status if isinstance(caller.error, HTTPError) else response(caller).status
    assert found == status
    assert bench.connections() == []


def test_max_forwards_means_nothing_elsewhere(bench: Bench) -> None:
    _, far = asked(bench, request("GET", "/", ((b"max-forwards", b"0"),)))
    assert b"max-forwards: 0" in far.received()


# --- what is repeated


def heads(bench: Bench, proxy: Proxy, *requests: Request) -> list[bytes]:
    """What the upstream is asked, for one request after the other on one connection."""
    found: list[bytes] = []
    for one in requests:
        caller = bench.run(proxy(one))
        far = bench.fars[-1] if found else bench.accept()
        found.append(far.received())
        far.send(answer(b"hello"))
        assert response(caller).body == b"hello"
    return found


def test_the_same_fields_again_are_not_found_out_again_and_go_on_the_same(bench: Bench) -> None:
    fields: Fields = ((b"accept", b"*/*"), (b"cookie", b"a=b"))
    proxy = Proxy(bench.upstream)
    first, second = heads(bench, proxy, request("GET", "/1", fields), request("DELETE", "/2", fields))
    assert second == first.replace(b"GET /1", b"DELETE /2")
    assert len(proxy._known) == 1


@pytest.mark.parametrize(("name", "value"), [("peer", "10.0.0.7:1"), ("authority", b"b.example"), ("minor", 0)])
def test_what_is_known_of_one_client_is_never_told_of_another(bench: Bench, name: str, value: object) -> None:
    """Even if two requests had the very same tuple of fields: who asks, for whom, and how, is each request's own."""
    fields: Fields = ((b"accept", b"*/*"),)
    other = request("GET", "/", fields)
    setattr(other, name, value)
    proxy = Proxy(bench.upstream)
    mine, others, mine_again = heads(bench, proxy, request("GET", "/", fields), other, request("GET", "/", fields))
    assert mine == mine_again
    assert mine != others


def test_what_is_known_is_bounded_in_number_and_in_size(bench: Bench) -> None:
    proxy = Proxy(bench.upstream)
    for number in range(KEPT + 1):
        proxy._learn(request("GET", "/", ((b"a", b"%d" % number),)))
        assert len(proxy._known) <= KEPT
    assert len(proxy._known) == 1
    for size, count in ((MAX_KEPT - 1, 2), (MAX_KEPT, 2)):
        proxy._learn(request("GET", "/", ((b"b", b"x" * size),)))
        assert len(proxy._known) == count


def test_an_answer_that_is_met_again_is_handed_on_the_same(bench: Bench) -> None:
    proxy, another = Proxy(bench.upstream), Proxy(bench.upstream)
    data = answer(b"hello", b"Content-Type: text/plain", b"Keep-Alive: timeout=5", b"Connection: X-Own", b"X-Own: 1")
    found: list[Fields] = []
    for one in (proxy, proxy, another):
        caller = bench.run(one(request()))
        far = bench.fars[-1] if found else bench.accept()
        far.send(data)
        found.append(response(caller).fields)
    assert found[0] is found[1]
    assert [name for name, _ in found[0]] == [b"content-type", b"via"]
    assert found[0] != found[2], "each proxy says its own name in Via"
