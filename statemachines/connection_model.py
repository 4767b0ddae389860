"""What the shell of a client connection does for its machine (statemachines.connection): the methods that the table
names, and the triggers that each of them returns."""

from typing import Protocol

from clerestory.statemachines.contract import Name


class Model(Protocol):
    """What the shell of a connection does. Guards ask; actions do one step and return the next trigger."""

    def read_head(self, ready: int) -> Name | None:
        """Read once; HEAD_STARTED (the first time), HEAD_RECEIVED, HEAD_REFUSED, HTTP2_CHOSEN, PEER_CLOSED or
        PEER_RESET."""

    def shake_hands(self, ready: int) -> Name | None:
        """Do one step of TLS's handshake; HANDSHAKE_ENDED, HTTP2_CHOSEN, HANDSHAKE_FAILED, PLAIN_HTTP_RECEIVED,
        PEER_CLOSED or PEER_RESET."""

    def read_body(self, ready: int) -> Name | None:
        """Read once; BODY_RECEIVED, BODY_REFUSED or PEER_RESET."""

    def notice_hang_up(self, ready: int) -> Name | None:
        """PEER_RESET when the connection is gone, PEER_CLOSED when the client has shut its side. Nothing is read."""

    def write(self, ready: int) -> Name | None:
        """Write what the socket takes, up to a bound; OUTPUT_FLUSHED, RESPONSE_BROKEN or PEER_RESET, or None to
        wait for the socket; BODY_REQUESTED where that takes no more, and the request's body can be read meanwhile."""

    def send_and_read(self, ready: int) -> Name | None:
        """Write, or read once: OUTPUT_FLUSHED, BODY_RECEIVED, BODY_REFUSED, RESPONSE_BROKEN or PEER_RESET."""

    def pass_on(self, ready: int) -> Name | None:
        """Pass bytes on, a bounded read and a write; TUNNEL_ENDED or PEER_RESET."""

    def discard(self, ready: int) -> Name | None:
        """Read once and forget; PEER_CLOSED, PEER_RESET or LINGER_EXHAUSTED."""

    def has_sent_nothing(self) -> bool:
        """Whether the client has not sent a byte."""

    def has_more_output(self) -> bool:
        """Whether the response has further pieces to be produced."""

    def may_keep_alive(self) -> bool:
        """Whether the next request may come on this connection."""

    def awaits_body(self) -> bool:
        """Whether what was sent was no response yet, but 100 (Continue)."""

    def is_worth_answering(self) -> bool:
        """Whether a client that has shut its side may still want the answer."""

    def has_switched(self) -> bool:
        """Whether the response was a 101, behind which there is a tunnel."""

    def peer_ended_first(self) -> bool:
        """Whether of the tunnel's two ends it was the peer that sent its last before the other did."""

    def is_hosted(self) -> bool:
        """Whether the tunnel's other end is an application in this process, as a WebSocket's is."""

    def peer_is_done(self) -> bool:
        """Whether the peer has said that this was its last request, and sent all of it: we may close at once."""

    def has_begun_response(self) -> bool:
        """Whether a byte of the response has been handed to the socket."""

    def body_is_taken(self) -> bool:
        """Whether there is something that takes the request's body while the response is sent. A response that ends
        the connection has nothing of the kind, and then nothing wants the body."""

    def begin_handshake(self) -> Name | None:
        """Wait for the client's first message."""

    def end_handshake(self) -> Name | None:
        """Note what has been negotiated; what is read and written from here on is HTTP."""

    def call_handler(self) -> Name | None:
        """Give the request to the application; OUTPUT_READY, BODY_REQUESTED, or None to wait for an operation."""

    def resume_handler(self) -> Name | None:
        """Go on with the handler, or with the body that it produces, after its operation ended; DEADLINE_PASSED when it
        has used up its time."""

    def give_body(self) -> Name | None:
        """Go on with the handler, with the piece of body that came."""

    def give_aside(self) -> Name | None:
        """Give what takes the request's body the piece that came; BODY_REQUESTED where there is a use for another."""

    def take_body(self) -> Name | None:
        """Take the body's next piece from what was received; BODY_RECEIVED or BODY_REFUSED, else say 100 and wait,
        PEER_RESET, or CONTINUE_HELD_UP."""

    def await_body(self) -> Name | None:
        """The rest of a 100 has been sent: wait for the body, or BACKEND_ANSWERED where the operation that it is for
        has ended meanwhile."""

    def take_aside(self) -> Name | None:
        """As take_body, while the response is sent: BODY_RECEIVED or BODY_REFUSED, else wait for either."""

    def queue_output(self) -> Name | None:
        """Let the response's beginning go out at the turn's end, with those of others; the rest of one at once: as
        write."""

    def produce_output(self) -> Name | None:
        """Get the response's next piece; OUTPUT_READY, BODY_REQUESTED, RESPONSE_BROKEN, BACKEND_FAILED,
        DEADLINE_PASSED, or None to wait."""

    def refuse(self) -> Name | None:
        """Give up the handler and answer with the refusal's status and reason; as write."""

    def refuse_late(self) -> Name | None:
        """Give up the handler and answer 408 or 504; as write."""

    def renew(self) -> Name | None:
        """The exchange is complete: log it and forget it; the loop revisits when bytes of the next have come."""

    def begin_tunnel(self) -> Name | None:
        """Join the tunnel, and pass on what has come already; as pass_on, or TUNNEL_BROKEN."""

    def half_close(self) -> Name | None:
        """Shut down our sending side."""

    def cut(self) -> Name | None:
        """Make the close a reset, so that the client cannot take it for a clean end."""
