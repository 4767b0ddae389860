"""HSTS: over TLS, once, and never without."""

from clerestory.handlers.api.messages import Request, Response
from clerestory.handlers.api.security import Security
from clerestory.handlers.edge.hsts import HSTS, NAME

SAID = HSTS(b"max-age=60")


def test_it_is_said_over_tls_once_and_in_the_place_of_the_applications() -> None:
    request = Request("GET", "/", (), security=Security("TLSv1.3", "x"))
    given = Response(b"", 200, ((NAME, b"max-age=1"), (b"a", b"b")))
    assert SAID.apply(request, given).fields == ((b"a", b"b"), (NAME, b"max-age=60"))
    assert given.fields[0] == (NAME, b"max-age=1")


def test_it_is_never_said_without_tls() -> None:
    assert SAID.apply(Request("GET", "/", ()), Response(b"")).fields == ()
