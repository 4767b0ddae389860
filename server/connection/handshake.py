"""The TLS handshake of a client's connection, and what is told of one that fails.

A handshake waits for one thing at a time, to read or to write, while the state's interest has both. The poller is asked
for the one that TLS asks for: for reading from the beginning, since the client speaks first.
"""

from typing import Any

from clerestory.handlers.wire.tls import TLS, HandshakeError, PlainTextError
from clerestory.handlers.wire.transport import TCP, PeerGoneError, Transport
from clerestory.server.connection.deadlines import TimedEnd
from clerestory.server.connection.service import Service
from clerestory.server.http.gate import Refusal
from clerestory.server.http.reading import HeadReader
from clerestory.statemachines.connection import Trigger as T

PLAIN = "This port speaks HTTPS, and the request came without TLS: ask for it with https://."

CLOSED = "The client closed the connection in the TLS handshake."

PREFACE = b"PRI * HTTP/2.0\r\n"
"""How a client begins that speaks HTTP/2 without having asked (RFC 9113 section 3.4): a request line that the gate
refuses."""

HTTP2 = "h2"
"""What ALPN calls HTTP/2 over TLS (RFC 9113 section 3.2)."""

UNTRUSTED = frozenset(
    {
        "SSLV3_ALERT_BAD_CERTIFICATE",
        "SSLV3_ALERT_CERTIFICATE_EXPIRED",
        "SSLV3_ALERT_CERTIFICATE_REVOKED",
        "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
        "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
        "TLSV1_ALERT_UNKNOWN_CA",
        "TLSV1_BAD_CERTIFICATE_STATUS_RESPONSE",
    }
)
"""The alerts of a client that does not accept our certificate."""

VERSION = frozenset(
    {
        "INAPPROPRIATE_FALLBACK",
        "NO_PROTOCOLS_AVAILABLE",
        "TLSV1_ALERT_PROTOCOL_VERSION",
        "UNKNOWN_PROTOCOL",
        "UNSUPPORTED_PROTOCOL",
        "VERSION_TOO_LOW",
    }
)

GARBAGE = frozenset(
    {"BAD_RECORD_TYPE", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "RECORD_LAYER_FAILURE", "WRONG_VERSION_NUMBER"}
)


def reason_of(error: HandshakeError) -> str:
    """Why a handshake failed, for an operator."""
    name = error.name
    if error.detail:
        return f"The client's certificate is not accepted: {error.detail}."
    if name in UNTRUSTED:
        return "The client does not trust the certificate."
    if name in VERSION:
        return "The client and the server have no version of TLS in common."
    if name == "NO_SHARED_CIPHER":
        return "The client and the server have no cipher suite in common."
    if name == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
        return "The client has shown no certificate, and one is required (--tls-client-ca)."
    if name in GARBAGE:
        return "What the client sent is not TLS."
    return f"The TLS handshake failed: {name.replace('_', ' ').lower() or 'for no reason that is told'}."


class ShakingEnd(TimedEnd):
    """A connection that may begin with a handshake, and with another protocol. `refusal` is what was wrong
    with what came; `is_handed_on` says that the descriptor is another machine's by now."""

    __slots__ = ("_asked", "is_handed_on", "reader", "refusal")

    def __init__(self, service: Service, transport: Transport, descriptor: int, peer: str) -> None:
        super().__init__(service, transport, descriptor, peer)
        self.reader = HeadReader(service.limits, service.codec, peer)
        self.refusal: Refusal | None = None
        self.is_handed_on = False
        self._asked = 0
        """What the poller is asked for in the handshake."""

    def counts(self) -> tuple[Any, ...]:
        """As Machine.counts."""
        return (self.number, self.peer, self.accepted_at, self.bytes_in, self.bytes_out, self.requests)

    def begins_http2(self, data: bytes) -> bool:
        """Whether what came first, and is no request of HTTP/1.1, is how HTTP/2 begins, where it may without TLS."""
        begins = data.startswith(PREFACE) and not self.requests and self.reader.security is None
        if begins and self.service.h2c:
            self.input = data
            return True
        return False

    def hand_on(self) -> None:
        """HTTP/2 was chosen: the machine that speaks it goes on with the descriptor, and with what has been read."""
        self.service.http2.adopt(self)
        self.is_handed_on = True

    def begin_handshake(self) -> T | None:
        """The client speaks first: what the state before waited for is right."""
        self._asked, self.registered = self.registered, self.node.mask
        return None

    def shake_hands(self, ready: int) -> T | None:  # noqa: ARG002
        """Do one step of the handshake, and have the poller wait for what the next one takes."""
        fact = self._shake_hands()
        if fact is not None:
            self.registered = self._asked  # the states that follow are to know what the poller knows
        return fact

    def _shake_hands(self) -> T | None:
        transport = self.transport
        assert isinstance(transport, TLS)
        try:
            wanted = transport.shake_hands()
        except PlainTextError:
            self.transport = TCP(transport.plain())
            self.refusal = Refusal(400, PLAIN)
            return T.PLAIN_HTTP_RECEIVED
        except HandshakeError as error:
            self.refusal = Refusal(400, reason_of(error))
            return T.HANDSHAKE_FAILED
        except EOFError:
            self.refusal = Refusal(400, CLOSED)
            return T.PEER_CLOSED
        except PeerGoneError:
            self.refusal = Refusal(400, CLOSED)
            return T.PEER_RESET
        if not wanted:
            if self.service.http2 is not None and transport.protocol == HTTP2:
                self.reader.security = transport.security
                return T.HTTP2_CHOSEN
            return T.HANDSHAKE_ENDED
        if not wanted & self._asked:
            self._asked = wanted
            self.service.loop.set_interest(self, wanted)
        return None

    def has_sent_nothing(self) -> bool:
        """Whether the handshake has not begun."""
        transport = self.transport
        return isinstance(transport, TLS) and not transport.has_begun

    def protection(self) -> str:
        """What TLS has negotiated, for an operator: version, cipher suite, the name that was asked for, the client's
        own; empty without TLS."""
        security = self.reader.security
        if security is None:
            return ""
        parts = [security.version, security.cipher]
        parts += [f"for {security.name}"] if security.name else []
        parts += [f"client {security.subject}"] if security.subject else []
        return ", ".join(parts)

    def end_handshake(self) -> T | None:
        """What is read and written from here on is HTTP. In a drain its first request is waited for as a last one."""
        transport = self.transport
        assert isinstance(transport, TLS)
        self.reader.security = transport.security
        if self.service.draining:
            self.service.await_last_request(self)
        return None
