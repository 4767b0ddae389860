"""The opening of a WebSocket through the proxy: the key of RFC 6455, and by which fields one is asked for."""

from base64 import b64decode

import pytest

from clerestory.handlers.api.messages import Request
from clerestory.handlers.proxy.websocket import accept_of, asks_by_upgrade, new_key, with_key, without


def test_the_key_of_the_rfc_has_its_answer() -> None:
    assert accept_of(b"dGhlIHNhbXBsZSBub25jZQ==") == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_each_key_is_16_bytes_and_another() -> None:
    assert len(b64decode(new_key(), validate=True)) == 16
    assert new_key() != new_key()


def test_a_client_s_own_key_is_no_key() -> None:
    fields = ((b"sec-websocket-key", b"mine"), (b"origin", b"a"), (b"sec-websocket-key", b"again"))
    assert with_key(fields, b"ours") == ((b"origin", b"a"), (b"sec-websocket-key", b"ours"))
    assert without(fields, b"origin") == (fields[0], fields[2])


@pytest.mark.parametrize(
    ("minor", "upgrade", "connection", "asks"),
    [
        (1, b"WebSocket", b"keep-alive, Upgrade", True),
        (1, b"websocket", b"close", False),
        (1, b"h2c", b"upgrade", False),
        (0, b"websocket", b"upgrade", False),
    ],
)
def test_upgrade_is_asked_by_two_fields_of_http_1_1(minor: int, upgrade: bytes, connection: bytes, asks: bool) -> None:
    fields = ((b"upgrade", upgrade), (b"connection", connection))
    assert asks_by_upgrade(Request("GET", "/", fields, minor=minor)) is asks
