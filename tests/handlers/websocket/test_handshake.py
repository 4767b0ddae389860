"""The opening handshake."""

import pytest
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.utils import accept_key

from clerestory.handlers.websocket.bounds import bounds_of
from clerestory.handlers.websocket.handshake import Handshake
from tests.handlers.asgi.websocket.bench import KEY, asking

PLAIN, COMPRESSING = bounds_of({}), bounds_of({"websocket_compression": 1})
OFFER = (b"sec-websocket-extensions", b"permessage-deflate; client_max_window_bits")


def test_a_handshake_is_answered_as_the_rfc_says() -> None:
    handshake = Handshake(asking(), PLAIN)
    assert handshake.refusal is None
    assert handshake.accept(None) == ((b"sec-websocket-accept", accept_key(KEY.decode()).encode()),)


def test_subprotocols_are_those_of_all_lines_in_their_order() -> None:
    """uvicorn#3019: a client may write the list in several field lines."""
    lines = ((b"sec-websocket-protocol", b"b, a"), (b"sec-websocket-protocol", b"c"))
    handshake = Handshake(asking(*lines), PLAIN)
    assert handshake.offered == ["b", "a", "c"]
    assert (b"sec-websocket-protocol", b"a") in handshake.accept("a")


@pytest.mark.parametrize(
    ("leave_out", "more", "status", "field"),
    [
        (b"sec-websocket-key", (), 400, None),
        (b"sec-websocket-key", ((b"sec-websocket-key", b"short"),), 400, None),
        (b"", ((b"sec-websocket-key", KEY),), 400, None),
        (b"sec-websocket-version", (), 400, (b"sec-websocket-version", b"13")),
        (b"sec-websocket-version", ((b"sec-websocket-version", b"8"),), 426, (b"sec-websocket-version", b"13")),
        (b"", ((b"sec-websocket-protocol", b"a b"),), 400, None),
    ],
)
def test_a_handshake_that_is_not_well_formed_is_refused(
    leave_out: bytes, more: tuple[tuple[bytes, bytes], ...], status: int, field: tuple[bytes, bytes] | None
) -> None:
    refusal = Handshake(asking(*more, leave_out=leave_out), PLAIN).refusal
    assert refusal is not None
    assert refusal.status == status
    assert isinstance(refusal.body, bytes)
    assert b"WebSocket" in refusal.body
    assert field is None or field in refusal.fields


def test_a_handshake_has_no_body() -> None:
    request = asking((b"content-length", b"1"))
    request.body_ended = False
    refusal = Handshake(request, PLAIN).refusal
    assert refusal is not None
    assert refusal.status == 400


def test_messages_are_compressed_only_where_that_was_asked_for() -> None:
    handshake = Handshake(asking(OFFER), PLAIN)
    assert [name for name, _ in handshake.accept(None)] == [b"sec-websocket-accept"]
    assert handshake.open().extensions == []


@pytest.mark.parametrize("offer", [OFFER, (OFFER[0], b"permessage-deflate")])
def test_each_message_is_compressed_by_itself(offer: tuple[bytes, bytes]) -> None:
    """RFC 7692 section 7.1.1: no window is kept between two messages, so an idle WebSocket costs no memory for it."""
    handshake = Handshake(asking(offer), COMPRESSING)
    agreed = dict(handshake.accept(None))[b"sec-websocket-extensions"]
    assert b"server_no_context_takeover; client_no_context_takeover" in agreed
    (extension,) = handshake.open().extensions
    assert isinstance(extension, PerMessageDeflate)
    assert not hasattr(extension, "decoder")
    assert not hasattr(extension, "encoder")
