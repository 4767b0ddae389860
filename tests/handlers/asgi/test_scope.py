"""Scopes: paths, addresses, and whom a trusted proxy speaks for."""

from typing import Any

import pytest

from clerestory.handlers.api.messages import Request
from clerestory.handlers.api.security import Security
from clerestory.handlers.asgi.scope import Scopes, address, tls_of
from clerestory.handlers.proxy.forwarding import parse_networks

PEER = ("10.0.0.1", 4711)


def scope(target: str = "/", *fields: tuple[bytes, bytes], trusted: str = "", **how: Any) -> dict[str, Any]:
    scopes = Scopes(trusted=parse_networks(trusted.split()), **how)
    return scopes.make(Request("GET", target, fields), PEER, ("10.0.0.2", 80))


@pytest.mark.parametrize(
    ("target", "path", "raw", "query"),
    [
        ("/a/b?c=d?e", "/a/b", b"/a/b", b"c=d?e"),
        ("/a%2Fb%3F", "/a/b?", b"/a%2Fb%3F", b""),
        ("/%E2%82%AC", "/\u20ac", b"/%E2%82%AC", b""),
        ("/%ff%FE", "/\udcff\udcfe", b"/%ff%FE", b""),
        ("http://host/x?y", "/x", b"/x", b"y"),
    ],
)
def test_a_path_is_decoded_and_kept_as_it_came(target: str, path: str, raw: bytes, query: bytes) -> None:
    found = scope(target)
    assert (found["path"], found["raw_path"], found["query_string"]) == (path, raw, query)
    below = scope(target, root_path="/r\u00e4/")
    assert (below["path"], below["root_path"]) == ("/r\u00e4" + path, "/r\u00e4")
    assert below["raw_path"] == "/r\u00e4".encode() + raw


@pytest.mark.parametrize(
    ("name", "found"),
    [("127.0.0.1:80", ("127.0.0.1", 80)), ("[::1]:80", ("::1", 80)), ("unix", None), ("", None)],
)
def test_an_address_is_a_pair(name: str, found: Any) -> None:
    assert address(name) == found


def test_state_is_a_copy_and_is_there_where_a_lifespan_is() -> None:
    scopes = Scopes()
    assert "state" not in scopes.make(Request("GET", "/", ()), None, None)
    kept: dict[str, Any] = {"list": []}
    scopes.shared = kept
    one, other = (scopes.make(Request("GET", "/", ()), None, None)["state"] for _ in range(2))
    one["mine"] = 1
    assert (other, kept) == ({"list": []}, {"list": []})
    assert one["list"] is kept["list"]


@pytest.mark.parametrize(
    ("minor", "fields", "offered"),
    [
        (0, (), set()),
        (0, ((b"te", b"trailers"),), set()),
        (1, (), {"early_hint"}),
        (1, ((b"te", b"trailers"),), {"early_hint", "trailers"}),
    ],
)
def test_what_the_client_does_not_take_is_not_offered(minor: int, fields: Any, offered: set[str]) -> None:
    found = Scopes().make(Request("GET", "/", fields, minor=minor), PEER, None)["extensions"]
    assert set(found) == {f"http.response.{name}" for name in offered | {"pathsend", "zerocopysend"}}


def test_what_one_request_changes_another_does_not_see() -> None:
    scopes = Scopes()
    one, other = (scopes.make(Request("GET", "/", ()), PEER, None) for _ in range(2))
    for name in ("asgi", "extensions", "headers"):
        assert one[name] == other[name]
        assert one[name] is not other[name]


@pytest.mark.parametrize(
    ("fields", "client", "scheme", "host"),
    [
        ([(b"x-forwarded-for", b"1.1.1.1, 10.0.0.7")], ("1.1.1.1", 0), "http", None),
        ([(b"x-forwarded-for", b"2.2.2.2"), (b"x-forwarded-for", b"1.1.1.1, 10.0.0.7")], ("1.1.1.1", 0), "http", None),
        ([(b"x-forwarded-for", b"10.0.0.8, 10.0.0.7")], ("10.0.0.8", 0), "http", None),
        ([(b"x-forwarded-for", b"1.1.1.1:99")], ("1.1.1.1", 99), "http", None),
        ([(b"x-forwarded-for", b"unknown")], PEER, "http", None),
        ([(b"x-forwarded-for", b"1.1.1.1, <script>")], PEER, "http", None),
        ([(b"x-forwarded-proto", b"https")], PEER, "https", None),
        ([(b"x-forwarded-proto", b"javascript")], PEER, "http", None),
        ([(b"x-forwarded-host", b"a.test, b.test")], PEER, "http", b"b.test"),
        ([(b"forwarded", b"for=1.1.1.1;proto=https, for=10.0.0.7")], ("1.1.1.1", 0), "http", None),
        ([(b"forwarded", b'For="[2001:db8::1]:7";Proto=HTTPS;host=a.test')], ("2001:db8::1", 7), "https", b"a.test"),
        ([(b"forwarded", b"for=_hidden"), (b"x-forwarded-for", b"6.6.6.6")], PEER, "http", None),
    ],
)
def test_a_trusted_peer_says_who_the_client_is(fields: Any, client: Any, scheme: str, host: bytes | None) -> None:
    found = scope("/", (b"host", b"own"), *fields, trusted="10.0.0.0/8")
    assert (found["client"], found["scheme"]) == (client, scheme)
    assert dict(found["headers"])[b"host"] == (host or b"own")


def test_a_peer_that_is_not_trusted_says_nothing() -> None:
    said = [(b"x-forwarded-for", b"1.1.1.1"), (b"x-forwarded-proto", b"https"), (b"forwarded", b"for=1.1.1.1")]
    for trusted in ("", "192.0.2.0/24"):
        found = scope("/", *said, trusted=trusted)
        assert (found["client"], found["scheme"]) == (PEER, "http")


def test_a_unix_socket_has_no_address_and_is_trusted_where_anybody_is() -> None:
    scopes = Scopes(trusted=parse_networks(["127.0.0.1"]))
    request = Request("GET", "/", ((b"x-forwarded-for", b"1.1.1.1"),))
    assert scopes.make(request, None, ("/run/s.sock", None))["client"] == ("1.1.1.1", 0)
    assert Scopes().make(request, None, ("/run/s.sock", None))["client"] is None


def test_over_tls_the_scheme_and_the_extension_say_so() -> None:
    security = Security("TLSv1.3", "TLS_AES_256_GCM_SHA384", "a.example", "our PEM", b"der", "CN=alice")
    found = Scopes().make(Request("GET", "/", (), security=security), PEER, None)
    assert found["scheme"] == "https"
    assert found["extensions"]["tls"] == {
        "server_cert": "our PEM",
        "client_cert_chain": ["-----BEGIN CERTIFICATE-----\nZGVy\n-----END CERTIFICATE-----\n"],
        "client_cert_name": "CN=alice",
        "client_cert_error": None,
        "tls_version": 0x0304,
        "cipher_suite": 0x1302,
    }
    anonymous = tls_of(Security("TLSv1.2", "ECDHE-RSA-AES256-GCM-SHA384"))
    assert (anonymous["client_cert_chain"], anonymous["client_cert_name"]) == ([], None)
    assert (anonymous["tls_version"], anonymous["cipher_suite"]) == (0x0303, 0xC030)
    assert "tls" not in scope()["extensions"]


def test_a_websocket_over_tls_is_wss_and_has_the_extension() -> None:
    scopes = Scopes()
    security = Security("TLSv1.3", "TLS_AES_256_GCM_SHA384", "a.example", "our PEM", None, "")
    scope = scopes.make(Request("GET", "/", ((b"te", b"trailers"),), security=security), PEER, None)
    tls = scope["extensions"]["tls"]
    scopes.make_websocket(scope, [])
    assert (scope["type"], scope["scheme"]) == ("websocket", "wss")
    assert scope["extensions"] == {"websocket.http.response": {}, "tls": tls}
    plain = scopes.make(Request("GET", "/", ()), PEER, None)
    scopes.make_websocket(plain, [])
    assert (plain["scheme"], "tls" in plain["extensions"]) == ("ws", False)
