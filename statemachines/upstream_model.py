"""What the shell of a connection to an upstream does for its machine (statemachines.upstream): the methods that the
table names, and the triggers that each of them returns."""

from typing import Protocol

from clerestory.statemachines.contract import Name


class Model(Protocol):
    """What the shell of an upstream's connection does. An action that tells the caller does so as its last step."""

    def finish_connect(self, ready: int) -> Name | None:
        """CONNECTED or CONNECT_FAILED, by what the kernel says of the attempt."""

    def shake_hands(self, ready: int) -> Name | None:
        """Read once and answer; HANDSHAKE_ENDED, HANDSHAKE_FAILED, UPSTREAM_CLOSED or UPSTREAM_RESET."""

    def write(self, ready: int) -> Name | None:
        """Look for an early answer, as read_early; then write what the socket takes, as send_request. Before the first
        byte look whether the connection is quiet: CONNECTION_STALE or ANSWER_REFUSED."""

    def read_early(self, ready: int) -> Name | None:
        """Read once, while the request has not ended; HEAD_RECEIVED, ANSWER_ENDED, ANSWER_REFUSED, UPSTREAM_CLOSED or
        UPSTREAM_RESET."""

    def exchange(self, ready: int) -> Name | None:
        """Read once, as read_body, where there is room; write what the socket takes: OUTPUT_FLUSHED or
        SENDING_FAILED."""

    def notice_hang_up(self, ready: int) -> Name | None:
        """UPSTREAM_RESET when the connection is gone. Nothing is read."""

    def read_continue(self, ready: int) -> Name | None:
        """Read once; CONTINUE_RECEIVED, or as read_head."""

    def read_head(self, ready: int) -> Name | None:
        """Read once; HEAD_RECEIVED, UPGRADED, ANSWER_ENDED, ANSWER_REFUSED, UPSTREAM_CLOSED or UPSTREAM_RESET."""

    def read_body(self, ready: int) -> Name | None:
        """Read once; PIECE_RECEIVED, ANSWER_ENDED, ANSWER_REFUSED, UPSTREAM_CLOSED or UPSTREAM_RESET."""

    def pass_on(self, ready: int) -> Name | None:
        """Pass bytes on, a bounded read and a write; TUNNEL_ENDED or UPSTREAM_RESET."""

    def notice_end(self, ready: int) -> Name | None:
        """While idle; UPSTREAM_CLOSED, UPSTREAM_RESET or UNEXPECTED_BYTES_RECEIVED."""

    def is_secret(self) -> bool:
        """Whether TLS is spoken with this upstream."""

    def may_be_pooled(self) -> bool:
        """Whether the exchange was complete and exact, and the upstream keeps the connection."""

    def caller_ended_first(self) -> bool:
        """Whether of the tunnel's two ends it was the other that sent its last first."""

    def awaits_continue(self) -> bool:
        """Whether the request's head asks the upstream for 100 before its body is sent, and none has come yet."""

    def has_more_request(self) -> bool:
        """Whether the request's body has further pieces."""

    def goes_on_sending(self) -> bool:
        """Whether the answer that has begun leaves a reason to send the rest of the request."""

    def is_full(self) -> bool:
        """Whether there is no room for more of the answer's body."""

    def begin_handshake(self) -> Name | None:
        """Send TLS's first message; as shake_hands."""

    def send_request(self) -> Name | None:
        """Begin the exchange. The request goes out at the turn's end, with what others send."""

    def hand_back(self) -> Name | None:
        """Give the request, of which nothing was sent, back to the pool: another connection takes it."""

    def send_piece(self) -> Name | None:
        """Write the piece that was handed over; as send_request."""

    def ask_for_piece(self) -> Name | None:
        """Tell the caller that the next piece of the request's body can be sent."""

    def look_at_input(self) -> Name | None:
        """The request is sent; look at what came of its answer meanwhile, as read_head."""

    def send_beside(self) -> Name | None:
        """Write the piece that was handed over while the answer comes; OUTPUT_FLUSHED or SENDING_FAILED."""

    def ask_beside(self) -> Name | None:
        """As ask_for_piece, while the answer comes."""

    def make_room(self) -> Name | None:
        """While both go on: ask the poller for what there is a use for."""

    def read_on(self) -> Name | None:
        """The request is over, in whatever way: from here on the answer alone is waited for."""

    def deliver_head(self) -> Name | None:
        """Tell the caller that the answer has begun."""

    def deliver_early(self) -> Name | None:
        """The same, and both go on."""

    def stop_sending(self) -> Name | None:
        """The same, and that no more of the request is wanted."""

    def deliver_tunnel(self) -> Name | None:
        """Tell the caller that there is a tunnel, and give the slot in the pool back."""

    def deliver_piece(self) -> Name | None:
        """Tell the caller that a piece has come."""

    def deliver_beside(self) -> Name | None:
        """The same, while the request goes on."""

    def deliver_end(self) -> Name | None:
        """Tell the caller that the answer is complete; the connection is not used again."""

    def return_to_pool(self) -> Name | None:
        """The same, and take the next request: REQUEST_GIVEN when one waits for a connection."""

    def cut(self) -> Name | None:
        """Make the close a reset."""

    def break_tunnel(self) -> Name | None:
        """Break the other end off, too."""

    def give_up(self) -> Name | None:
        """Tell the caller why there will be no answer, or no more of it; cut the connection."""
