"""The environ of a request. More of it is in tests/e2e/hosting/test_wsgi_rules.py."""

from typing import Any

import pytest

from clerestory.handlers.api.messages import Request
from clerestory.handlers.api.security import Security
from clerestory.handlers.proxy.forwarding import parse_networks
from clerestory.handlers.wsgi.environ import Environs


def make(
    *fields: tuple[bytes, bytes], target: str = "/", peer: str = "192.0.2.1:80", here: Any = ("h", 1), **how: Any
) -> Any:
    return Environs(**how).make(Request("GET", target, fields), peer, here, None, None)


def test_a_unix_socket_has_no_peer_and_still_a_server() -> None:
    environ = make(peer="unix", here="/run/shop.sock")
    assert (environ["REMOTE_ADDR"], environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("", "localhost", "80")
    assert "REMOTE_PORT" not in environ


@pytest.mark.parametrize(("target", "path"), [("*", ""), ("/", "/"), ("http://h/a%00?b", "/a\0"), ("/%ff", "/\xff")])
def test_a_path_is_decoded(target: str, path: str) -> None:
    assert (make(target=target)["PATH_INFO"], make(target=target)["RAW_URI"]) == (path, target)


def test_only_a_trusted_peer_says_who_the_client_is() -> None:
    said = ((b"x-forwarded-for", b"203.0.113.5"), (b"x-forwarded-proto", b"https"), (b"x-forwarded-host", b"shop"))
    plain = make(*said)
    assert (plain["REMOTE_ADDR"], plain["wsgi.url_scheme"]) == ("192.0.2.1", "http")
    trusted = make(*said, trusted=parse_networks(["192.0.2.0/24"]))
    assert (trusted["REMOTE_ADDR"], trusted["wsgi.url_scheme"], trusted["HTTP_HOST"]) == (
        "203.0.113.5",
        "https",
        "shop",
    )


def test_names_that_differ_in_a_mark_only_are_not_mixed_up() -> None:
    environ = make((b"x_y", b"1"), (b"x-y", b"2"), (b"proxy", b"3"), (b"content_length", b"9"))
    assert {key: value for key, value in environ.items() if key.startswith(("HTTP_", "CONTENT"))} == {"HTTP_X_Y": "2"}


def test_over_tls_the_scheme_is_https_and_a_clients_certificate_is_told() -> None:
    security = Security("TLSv1.3", "TLS_AES_256_GCM_SHA384", "", "", b"der", "CN=alice")
    request = Request("GET", "/", ((b"ssl-client-s-dn", b"CN=eve"), (b"https", b"off")), security=security)
    environ = Environs().make(request, "unix", None, None, None)
    assert (environ["wsgi.url_scheme"], environ["HTTPS"]) == ("https", "on")
    assert (environ["SSL_CLIENT_S_DN"], environ["HTTP_SSL_CLIENT_S_DN"]) == ("CN=alice", "CN=eve")
    assert environ["SSL_CLIENT_CERT"].startswith("-----BEGIN CERTIFICATE-----")
    plain = Environs().make(Request("GET", "/", ()), "unix", None, None, None)
    assert "HTTPS" not in plain
    assert "SSL_CLIENT_CERT" not in plain
