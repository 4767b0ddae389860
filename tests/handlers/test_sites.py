"""Which application answers which request, by host and path, and what it sees."""

from typing import Any

import pytest

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.messages import Request, Response, RouteLimits
from clerestory.handlers.sites import Site, Sites


def named(name: str) -> Any:
    """An application that answers with its name, and with what it sees."""

    def answer(request: Request) -> Response:
        return Response(f"{name} {request.base} {request.path}".encode())

    return answer


class Hosted:
    """An application that is begun with what carries the request."""

    def begin(self, request: Request, carrier: Any) -> Any:
        return carrier, request.base, request.path

    def descriptors(self, limits: Any) -> int:
        return 7


def asked(sites: Sites, target: str, host: bytes = b"", method: str = "GET") -> Any:
    answer = sites.begin(Request(method, target, (), authority=host), "carrier")
    if isinstance(answer, Response) and answer.status == 200:
        assert isinstance(answer.body, bytes)
        return answer.body.decode()
    return answer


SITES = Sites(
    [
        Site(named("root")),
        Site(named("api"), "/api"),
        Site(named("deep"), "/api/v2"),
        Site(named("space"), "/a b"),
        Site(named("host"), host="a.example"),
        Site(named("host api"), "/api", "a.example"),
        Site(named("below"), host="*.example"),
        Site(Hosted(), "/hosted"),
    ]
)


@pytest.mark.parametrize(
    ("host", "target", "said"),
    [
        (b"", "/", "root  /"),
        (b"", "/apis/x", "root  /apis/x"),
        (b"", "/api/", "api /api /"),
        (b"", "/api/x/y?q=1", "api /api /x/y"),
        (b"", "/api//x", "api /api //x"),
        (b"", "/%61pi/x%2Fy", "api /api /x%2Fy"),
        (b"", "/api%2Fx", "root  /api%2Fx"),
        (b"", "/api/v2/", "deep /api/v2 /"),
        (b"", "/api/../x", "api /api /../x"),
        (b"", "/a%20b/c", "space /a%20b /c"),
        (b"", "*", "root  *"),
        (b"a.example", "/x", "host  /x"),
        (b"A.Example.:8000", "/api/x", "host api /api /x"),
        (b"b.example", "/api/x", "below  /api/x"),
        (b"c.b.example", "/", "below  /"),
        (b"example", "/", "root  /"),
        (b"xa.example.org", "/", "root  /"),
        (b"[::1]:80", "/", "root  /"),
    ],
)
def test_the_host_decides_first_and_then_the_longest_prefix(host: bytes, target: str, said: str) -> None:
    assert asked(SITES, target, host) == said


def test_an_application_that_is_hosted_is_begun_with_the_carrier() -> None:
    assert asked(SITES, "/hosted/x") == ("carrier", "/hosted", "/x")
    assert SITES.descriptors({}) == 7
    assert len(SITES.applications) == 8
    with pytest.raises(TypeError):
        SITES(Request("GET", "/", ()))


@pytest.mark.parametrize(("method", "status"), [("GET", 301), ("HEAD", 301), ("POST", 308)])
def test_a_prefix_without_its_slash_is_redirected(method: str, status: int) -> None:
    answer = asked(SITES, "/api?q=1", method=method)
    assert (answer.status, answer.fields) == (status, ((b"location", b"/api/?q=1"),))


def test_without_a_site_there_is_nothing() -> None:
    with pytest.raises(HTTPError) as raised:
        asked(Sites([Site(named("api"), "/api")]), "/x")
    assert raised.value.status == 404


def test_a_site_has_limits_of_its_own() -> None:
    limits = RouteLimits(backend_timeout=3600.0)
    sites = Sites([Site(named("small"), limits=limits, max_body=10)])
    for length, refused in ((10, False), (11, True), (None, False)):
        request = Request("POST", "/", (), content_length=length)
        if refused:
            with pytest.raises(HTTPError, match="at most 10 bytes"):
                sites.begin(request, None)
        else:
            sites.begin(request, None)
            assert (request.limits, request.body_limit) == (limits, 10)
