"""The strict gate for answers: the grammar of a response's head, and what its fields mean for its body.

An upstream is believed no more than a client is. The gate judges; h11, a client's parser, reads out what the gate has
admitted, and must come to the same. Laws:

- What is not well-formed, or can be understood in two ways, is Garbage with a reason: the caller gets 502, and the
  connection is closed. Nothing is repaired, for two programs repair differently, and that is how answers get swapped.
- A head is looked at when it is whole; before that, only whether it can still become one.
- The same limits as for requests: a line, the fields, the whole head.

What an upstream repeats is parsed once: `Reader` keeps the last heads' exact bytes with what they said.
"""

import re

import h11

from clerestory.handlers.api.messages import Fields
from clerestory.handlers.wire.grammar import field_block, field_lines, is_length, members

MAX_HEAD = 32 * 1024
MAX_LINE = 8190
MAX_FIELDS = 100
"""As for requests: what most peers take, and several large cookies still fit."""

KEPT = 64
"""Heads that are kept with what they said: a few for each kind of answer that an upstream gives again and again."""

MAX_KEPT = 2048
"""Bytes of the longest head that is kept."""

UNTIL_CLOSE = -1
CHUNKED = -2
"""What stands for a length that the head does not tell."""

# RFC 9112 section 4. Some servers leave the space out that stands before the reason, where they give none: that can be
# read in one way only. 600 and above are not statuses (RFC 9110 section 15).
_status_line = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*+))?\r\n").match
_PREFIX = b"HTTP/1."
_GET = h11.Request(method="GET", target="/", headers=[("host", "h")])
_UPGRADE = h11.Request(method="GET", target="/", headers=[("host", "h"), ("connection", "upgrade"), ("upgrade", "x")])


class Garbage(Exception):
    """What came from the upstream is no answer that we accept. `reason` is one sentence and safe to print."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Head:
    """The head of an answer, as the gate admitted it.

    `length` is that of a body which the head announces (UNTIL_CLOSE or CHUNKED where it does not tell it); whether
    there is a body depends on the request, too: see `body_length`. `keep_alive` is what the upstream says of the
    connection. `handed_on` is for a proxy: what it made of the head, which it may meet again.
    """

    __slots__ = ("fields", "handed_on", "keep_alive", "length", "minor", "reason", "status")

    def __init__(self, status: int, reason: str, fields: Fields, minor: int, length: int, keep_alive: bool) -> None:
        self.status = status
        self.reason = reason
        self.fields = fields
        self.minor = minor
        self.length = length
        self.keep_alive = keep_alive
        self.handed_on: tuple[object, Fields] | None = None

    def body_length(self, method: str) -> int:
        """How long the body is that follows on the wire, in answer to `method`: RFC 9112 section 6.3, rule 1 first."""
        if method == "HEAD" or self.status in (204, 304) or self.status < 200:
            return 0
        return self.length

    def get(self, name: bytes) -> bytes | None:
        """The value of the field `name` (lower case); several are joined by `, `."""
        values = [value for key, value in self.fields if key == name]
        return b", ".join(values) if values else None


class Reader:
    """Reads the heads of an upstream's answers; one serves all connections to it."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: dict[bytes, Head] = {}

    def read(self, data: bytes) -> tuple[Head, int] | None:
        """The head that `data` begins with and where it ends, or None when it is not whole. Raises Garbage."""
        end = data.find(b"\r\n\r\n") + 4
        if end == 3:
            _could_become_a_head(data)
            return None
        raw = data[:end]
        head = self._kept.get(raw)
        if head is None:
            head = _judge(raw)
            if end <= MAX_KEPT:
                if len(self._kept) >= KEPT:
                    self._kept.clear()
                self._kept[raw] = head
        return head, end


def _could_become_a_head(data: bytes) -> None:
    """Raise Garbage for an unfinished head that is beyond hope already, so that nobody waits for its end."""
    if len(data) >= MAX_HEAD:
        raise Garbage(f"The answer's head is longer than {MAX_HEAD} bytes.")
    if data[:7] != _PREFIX[: len(data)]:
        raise Garbage("The upstream's response is not HTTP/1.1 or HTTP/1.0.")
    if data.count(b"\n") != data.count(b"\r\n"):
        raise Garbage("A bare LF in the answer's head: lines end in CRLF.")


def _judge(raw: bytes) -> Head:
    """The head that `raw` is, whole. Raises Garbage."""
    if len(raw) > MAX_HEAD:
        raise Garbage(f"The answer's head is longer than {MAX_HEAD} bytes.")
    line = _status_line(raw)
    if line is None:
        raise Garbage("The answer's status line is malformed, or of a version other than 1.0 and 1.1.")
    begin = line.end()
    block = field_block(raw, begin)
    if block is None or block.end() != len(raw):
        raise Garbage("A field line of the answer is malformed.")
    lines = raw.split(b"\r\n")
    if len(lines) - 3 > MAX_FIELDS:
        raise Garbage(f"The answer has more than {MAX_FIELDS} fields.")
    if max(map(len, lines)) > MAX_LINE:
        raise Garbage(f"A line of the answer's head is longer than {MAX_LINE} bytes.")
    fields = tuple((name.lower(), value.rstrip(b" \t")) for name, value in field_lines(raw, begin))
    status, minor = int(line[2]), line[1][0] - 48
    length, keep_alive = _judge_fields(fields, minor)
    _compare(raw, status, fields)
    if length != UNTIL_CLOSE and (status == 204 or status < 200):
        fields, keep_alive = _without_framing(status, fields, length, keep_alive)
        length = UNTIL_CLOSE
    return Head(status, (line[3] or b"").decode("latin-1"), fields, minor, length, keep_alive)


def _compare(raw: bytes, status: int, fields: Fields) -> None:
    """Raise Garbage unless h11 reads the same status and fields out of it: one parser's blind spot is not another's."""
    parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD + 1)
    parser.send(_UPGRADE if status == 101 else _GET)
    try:
        parser.receive_data(raw)
        event = parser.next_event()
    except h11.RemoteProtocolError as error:
        raise Garbage("The parser h11 cannot read this answer.") from error
    if not isinstance(event, h11.Response | h11.InformationalResponse) or event.status_code != status:
        raise Garbage("The parser h11 reads another answer.")
    if [(name, value) for name, value in event.headers if name != b"transfer-encoding"] != [
        (name, value) for name, value in fields if name != b"transfer-encoding"
    ]:
        raise Garbage("The parser h11 reads other fields of this answer.")


def _judge_fields(fields: Fields, minor: int) -> tuple[int, bool]:
    """The length of the body, and whether the upstream keeps the connection (RFC 9112 sections 6.3 and 9.3)."""
    lengths = [value for name, value in fields if name == b"content-length"]
    codings = [value for name, value in fields if name == b"transfer-encoding"]
    length = UNTIL_CLOSE
    if codings:
        # Rules 3 and 4, and RFC 9112 section 6.1: never a fall-back to another framing.
        if minor == 0:
            raise Garbage("Transfer-Encoding has no meaning in an HTTP/1.0 response.")
        if lengths:
            raise Garbage("The answer's Transfer-Encoding and Content-Length exclude each other.")
        if [coding.lower() for coding in codings] != [b"chunked"]:
            raise Garbage("The answer's Transfer-Encoding is not exactly one chunked.")
        length = CHUNKED
    elif lengths:
        # Rule 5: not even twice the same.
        if len(lengths) > 1:
            raise Garbage("The answer's Content-Length is repeated.")
        if is_length(lengths[0]) is None:
            raise Garbage("The answer's Content-Length is not 1 to 19 decimal digits.")
        length = int(lengths[0])
    options = [option for name, value in fields if name == b"connection" for option in members(value)]
    # A connection of HTTP/1.0 is used once: what "keep-alive" means there is told differently by everybody.
    return length, minor == 1 and b"close" not in options


def _without_framing(status: int, fields: Fields, length: int, keep_alive: bool) -> tuple[Fields, bool]:
    """A 204 or an interim answer ends with its head "regardless of the header fields" (RFC 9112 section 6.3, rule 1):
    those that frame a body are dropped. Where they announce one, the upstream may send it all the same: the connection
    is not used again. Behind a 101 another protocol begins, in which they mean nothing."""
    rest = tuple(field for field in fields if field[0] not in (b"content-length", b"transfer-encoding"))
    return rest, keep_alive and (not length or status == 101)
