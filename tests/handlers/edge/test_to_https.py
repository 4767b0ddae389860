"""The redirect from http:// to https://: where it leads, and to whom it does not."""

import pytest

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.messages import Request, Response, text_response
from clerestory.handlers.api.security import Security
from clerestory.handlers.edge.to_https import ToHTTPS, host_of

OURS = {"shop.example", "127.0.0.1", "::1"}


def redirecting(port: int = 8443) -> ToHTTPS:
    return ToHTTPS(lambda _: text_response("served"), OURS.__contains__, lambda: port)


def plain(target: str = "/", authority: bytes = b"shop.example", method: str = "GET") -> Request:
    return Request(method, target, (), authority=authority)


def location(request: Request, port: int = 8443) -> bytes:
    response = redirecting(port).begin(request, None)
    assert isinstance(response, Response)
    assert response.status == 308
    return dict(response.fields)[b"location"]


@pytest.mark.parametrize(
    ("authority", "where"),
    [
        (b"shop.example", b"https://shop.example:8443/a%20b?q=1&r"),
        (b"shop.example:8080", b"https://shop.example:8443/a%20b?q=1&r"),
        (b"SHOP.example.", b"https://shop.example:8443/a%20b?q=1&r"),
        (b"127.0.0.1", b"https://127.0.0.1:8443/a%20b?q=1&r"),
        (b"[::1]:80", b"https://[::1]:8443/a%20b?q=1&r"),
    ],
)
def test_it_leads_to_the_same_host_path_and_query(authority: bytes, where: bytes) -> None:
    assert location(plain("/a%20b?q=1&r", authority)) == where


def test_the_usual_port_is_not_named() -> None:
    assert location(plain("/"), 443) == b"https://shop.example/"


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "OPTIONS"])
def test_each_method_is_kept(method: str) -> None:
    assert location(plain("/form", method=method)) == b"https://shop.example:8443/form"


def test_a_path_of_two_slashes_leads_to_no_other_host() -> None:
    assert location(plain("//evil.example/x")) == b"https://shop.example:8443//evil.example/x"


def test_an_absolute_target_is_taken_apart() -> None:
    assert location(plain("http://shop.example/x?y")) == b"https://shop.example:8443/x?y"


@pytest.mark.parametrize(
    "authority",
    [
        *(b"evil.example", b"shop.example.evil.example", b"evil.example:443", b"xshop.example", b"[::2]", b"10.0.0.1"),
        *(b"shop.example%2eevil.example", b"shop_example", b"[v1.shop.example]"),
    ],
)
def test_a_host_that_is_not_ours_is_misdirected(authority: bytes) -> None:
    with pytest.raises(HTTPError) as caught:
        redirecting().begin(plain("/", authority), None)
    assert caught.value.status in (400, 421)
    assert not caught.value.fields


def test_without_a_host_there_is_nowhere_to_go() -> None:
    with pytest.raises(HTTPError) as caught:
        redirecting().begin(plain("/", b""), None)
    assert caught.value.status == 400


def test_what_comes_over_tls_is_served() -> None:
    request = Request("GET", "/", (), authority=b"evil.example", security=Security("TLSv1.3", "x"))
    assert redirecting().begin(request, None).body == b"served"


def test_an_application_that_is_begun_is_begun() -> None:
    class Hosted:
        def begin(self, request: Request, carrier: object) -> tuple[str, object]:
            return request.path, carrier

        def descriptors(self, limits: object) -> int:
            return 7

    front = ToHTTPS(Hosted(), OURS.__contains__, lambda: 443)
    request = Request("GET", "/x", (), security=Security("TLSv1.3", "x"))
    assert front.begin(request, "carrier") == ("/x", "carrier")
    assert front.descriptors({}) == 7
    assert redirecting().descriptors({}) == 0


@pytest.mark.parametrize(
    ("authority", "host"),
    [(b"A.example:1", "a.example"), (b"[::1]:1", "::1"), (b"", ""), (b"a/b", ""), (b"\xff", ""), (b"a b", "")],
)
def test_the_host_of_an_authority(authority: bytes, host: str) -> None:
    assert host_of(authority) == host
