"""Cross-origin requests: preflights, the fields of responses, and what caches are told."""

from typing import Any

import pytest

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.messages import Fields, Request, Response
from clerestory.handlers.edge.cors import CORS
from clerestory.handlers.edge.edge import Edge, Guarded

APP = "https://app.example"
ALLOWED, SENT = b"access-control-allow-origin", (b"origin", APP.encode())


def answer(cors: CORS, *fields: tuple[bytes, bytes], method: str = "GET", given: Fields = ()) -> dict[bytes, bytes]:
    """The fields of the response to a request, or to its preflight, as an exchange would send it."""
    request = Request(method, "/", fields)
    response = cors.admit(request, 0.0) or Response(b"", 200, given)
    made = cors.apply(request, response)
    names = [name for name, _ in made.fields]
    assert len(names) == len(set(names)) or names.count(b"vary") > 1
    return dict(made.fields) | {b":status": b"%d" % made.status}


def test_a_page_of_the_origin_may_read_and_another_may_not() -> None:
    cors = CORS([APP])
    assert answer(cors, SENT) == {ALLOWED: APP.encode(), b"vary": b"origin", b":status": b"200"}
    for other in (b"https://app.example.evil.example", b"http://app.example", b"https://app.example:444", b"null"):
        assert answer(cors, (b"origin", other)) == {b"vary": b"origin", b":status": b"200"}


def test_who_says_no_origin_is_told_nothing_but_caches_are() -> None:
    assert answer(CORS([APP])) == {b"vary": b"origin", b":status": b"200"}


def test_vary_keeps_what_it_listed() -> None:
    request = Request("GET", "/", (SENT,))
    made = CORS([APP]).apply(request, Response(b"", 200, ((b"vary", b"accept-encoding"),)))
    assert [value for name, value in made.fields if name == b"vary"] == [b"accept-encoding", b"origin"]


def test_every_origin_is_a_star_and_no_cache_need_tell_them_apart() -> None:
    assert answer(CORS(["*"]), SENT) == {ALLOWED: b"*", b":status": b"200"}


def test_credentials_are_allowed_to_those_that_are_named_and_never_to_all() -> None:
    told = answer(CORS([APP], credentials=True), SENT)
    assert (told[ALLOWED], told[b"access-control-allow-credentials"]) == (APP.encode(), b"true")
    with pytest.raises(ValueError, match="never"):
        CORS([APP, "*"], credentials=True)


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (b"https://a.app.example", True),
        (b"https://a.b.app.example", True),
        (b"HTTPS://A.app.example", True),
        (b"https://app.example", False),
        (b"https://xapp.example", False),
        (b"https://a.app.example:8443", False),
        (b"https://evil.example/.app.example", False),
        (b"https://evil.example#.app.example", False),
    ],
)
def test_a_pattern_is_for_the_names_below(origin: bytes, allowed: bool) -> None:
    assert CORS(["https://*.app.example"]).allows(origin) is allowed


PREFLIGHT = (SENT, (b"access-control-request-method", b"PUT"), (b"access-control-request-headers", b"x-id"))


def test_a_preflight_is_answered_here() -> None:
    cors = CORS([APP], methods=("GET", "PUT"), fields=("X-Id",), exposed=("X-Count",), max_age=5, credentials=True)
    assert answer(cors, *PREFLIGHT, method="OPTIONS") == {
        b":status": b"204",
        ALLOWED: APP.encode(),
        b"vary": b"origin",
        b"access-control-allow-credentials": b"true",
        b"access-control-allow-methods": b"GET, PUT",
        b"access-control-allow-headers": b"X-Id",
        b"access-control-max-age": b"5",
    }
    assert answer(cors, SENT)[b"access-control-expose-headers"] == b"X-Count"


def test_a_preflight_of_another_origin_is_refused() -> None:
    with pytest.raises(HTTPError) as caught:
        CORS([APP]).admit(Request("OPTIONS", "/", ((b"origin", b"https://b.example"), *PREFLIGHT[1:])), 0.0)
    assert caught.value.status == 403


@pytest.mark.parametrize("fields", [(), (SENT,), PREFLIGHT[1:]])
def test_an_options_that_is_no_preflight_is_the_applications(fields: Any) -> None:
    assert CORS([APP]).admit(Request("OPTIONS", "/", fields), 0.0) is None


def test_what_the_application_says_is_replaced() -> None:
    given = ((b"Access-Control-Allow-Origin", b"*"), (b"access-control-allow-credentials", b"true"), (b"a", b"b"))
    assert answer(CORS([APP]), SENT, given=given) == {
        ALLOWED: APP.encode(), b"vary": b"origin", b"a": b"b", b":status": b"200"
    }  # fmt: skip
    assert answer(CORS([APP]), given=given) == {b"vary": b"origin", b"a": b"b", b":status": b"200"}


def test_an_upgrade_is_left_alone() -> None:
    response = Response(b"", 101)
    assert CORS([APP]).apply(Request("GET", "/", (SENT,)), response) is response


def test_a_preflight_needs_no_password() -> None:
    """It is checked before."""

    class Gate:
        def knows(self, request: Request, now: float) -> bool:
            raise HTTPError(401)

        async def admit(self, request: Request, loop: object) -> None: ...

    class Carrier:
        class loop:  # noqa: N801
            now = 0.0

    cors = CORS([APP])
    guarded = Guarded(lambda _: Response(b""), Edge([cors], [cors], Gate()))
    assert guarded.begin(Request("OPTIONS", "/", PREFLIGHT), Carrier).status == 204
    with pytest.raises(HTTPError):
        guarded.begin(Request("GET", "/", ()), Carrier)
