"""A request's id: made, taken over from those who are trusted, and told to clients."""

import json

import pytest

from clerestory.handlers.api.messages import Request, Response, text_response
from clerestory.handlers.proxy.forwarding import parse_networks
from clerestory.server.connection.names import KEPT, LONGEST, RequestNames
from tests.server.support import GET, Bench, bench_of

NEAR = parse_networks(["127.0.0.0/8", "::1"])


def request(given: bytes | None = b"abc", peer: str = "127.0.0.1:4711") -> Request:
    fields = ((b"host", b"a"),) if given is None else ((b"host", b"a"), (b"x-request-id", given))
    return Request("GET", "/", fields, peer=peer)


def test_an_id_has_the_run_the_connection_and_the_requests_place_on_it() -> None:
    assert RequestNames("9f1c02ab").name(17, 3, request(None)) == "9f1c02ab-17-3"
    assert RequestNames().name(17, 3, None) == "17-3"


@pytest.mark.parametrize("peer", ["127.0.0.1:4711", "[::1]:4711", "unix"])
def test_a_trusted_peers_id_is_taken_over(peer: str) -> None:
    assert RequestNames("run", NEAR).name(1, 1, request(b"abc", peer)) == "abc"


@pytest.mark.parametrize("peer", ["192.0.2.1:4711", "[2001:db8::1]:80"])
def test_nobody_elses_is(peer: str) -> None:
    assert RequestNames("run", NEAR).name(1, 1, request(b"abc", peer)) == "run-1-1"
    assert RequestNames("run").name(1, 1, request(b"abc", "127.0.0.1:1")) == "run-1-1"


@pytest.mark.parametrize(
    "given",
    [
        b"7b5c7f7e-8a2f-4c2b-9f7e-0d5a1c1f4b11",
        b"Root=1-67891233-abcdef012345678912345678;Self=1-2-3",
        b"QUJDRA==/+",
        b"a" * LONGEST,
    ],
)
def test_what_ids_look_like_is_taken_over(given: bytes) -> None:
    assert RequestNames("run", NEAR).name(1, 1, request(given)) == given.decode()


@pytest.mark.parametrize(
    "given", [b"", b"a" * (LONGEST + 1), b"a b", b'a"b', b"<a>", b"a\\b", b"a,b", b"\xe9", b"a\tb"]
)
def test_what_is_no_id_is_not(given: bytes) -> None:
    assert RequestNames("run", NEAR).name(1, 1, request(given)) == "run-1-1"


def test_two_ids_are_none() -> None:
    both = Request("GET", "/", ((b"x-request-id", b"a"), (b"x-request-id", b"b")), peer="127.0.0.1:1")
    assert RequestNames("run", NEAR).name(1, 1, both) == "run-1-1"


def test_a_bounded_number_of_peers_is_remembered() -> None:
    names = RequestNames("run", NEAR)
    for number in range(KEPT + 1):
        names.name(1, 1, request(b"abc", f"10.0.{number >> 8}.{number & 255}:1"))
        assert len(names._known) <= KEPT
    assert len(names._known) == 1


def answered(bench: Bench, data: bytes = GET) -> bytes:
    return bench.connect().send(data).sent


def hello(request: Request) -> Response:
    return text_response(request.id)


def refused(_: Request) -> Response:
    return text_response("no\n", 404)


def named_by_itself(_: Request) -> Response:
    return Response(b"", 503, ((b"x-request-id", b"its-own"),))


def test_a_handler_knows_its_requests_id() -> None:
    with bench_of(hello) as bench:
        bench.service.names = RequestNames("run")
        assert answered(bench).endswith(b"run-1-1")
        assert b"x-request-id" not in answered(bench)


def test_every_answer_says_it_where_that_is_wanted() -> None:
    with bench_of(hello) as bench:
        bench.service.names = RequestNames("run", always=True)
        assert b"\r\nx-request-id: run-1-1\r\n" in answered(bench)


def test_an_applications_own_error_says_it_in_its_head() -> None:
    with bench_of(refused) as bench:
        bench.service.names = RequestNames("run")
        for _ in range(3):  # the head's other lines are kept from the second time on
            assert answered(bench).count(b"\r\nx-request-id: run-") == 1
        assert answered(bench).endswith(b"\r\n\r\nno\n")


def test_what_an_application_calls_it_stands() -> None:
    with bench_of(named_by_itself) as bench:
        bench.service.names = RequestNames("run")
        sent = answered(bench)
        assert sent.count(b"x-request-id") == 1
        assert b"x-request-id: its-own\r\n" in sent


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", b"nonsense\r\n\r\n"])
def test_a_refusal_says_it_though_there_is_no_request(data: bytes) -> None:
    with bench_of(hello) as bench:
        bench.service.names = RequestNames("run")
        sent = answered(bench, data)
        assert b"\r\nx-request-id: run-1-1\r\n" in sent
        assert sent.endswith(b"\nRequest run-1-1\n")


def failing(_: Request) -> Response:
    raise ValueError("secret")


@pytest.mark.parametrize("accept", [b"", b"Accept: application/json\r\n"])
def test_an_error_says_it_in_its_body_and_head_as_the_log_does(accept: bytes) -> None:
    with bench_of(failing) as bench:
        bench.service.names = RequestNames("run")
        whole = bench.connect().send(b"GET / HTTP/1.1\r\nHost: a\r\n%b\r\n" % accept)
        head, _, body = whole.sent.partition(b"\r\n\r\n")
        assert b"\r\nx-request-id: run-1-1" in head
        if accept:
            told = {"status": 500, "error": "Internal Server Error", "detail": "", "request_id": "run-1-1"}
            assert json.loads(body) == told
        else:
            assert body == b"500 Internal Server Error\nRequest run-1-1\n"
        assert whole.logged[-1] == "run-1-1 GET / 500"
