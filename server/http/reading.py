"""The reading side of a connection: bytes in, requests and bodies out, or a Refusal.

The gate judges, the codec reads, and here the two are put together. Laws:

- Nothing reaches a codec before the gate has admitted it, and never a byte beyond the head. A codec reads a target that
  is a URI by RFC 3986, and the version 1.0 or 1.1: what the gate admits beyond that is rewritten first, so that neither
  parser has to be told to be lenient.
- The same bytes get the same verdict, however they were cut on their way.
- What a connection repeats is parsed once: clients send the same field block again and again, and only the target
  changes. The last block's exact bytes, with the version's last digit in front, are kept with what they meant; the
  same bytes again cost a comparison. Of a block in which only lines differ that mean nothing to the connection, such as
  a request's id, only these are parsed. Only blocks of requests without a body are kept, whose meaning depends on
  nothing else, and only short ones, since an idle connection holds its block.
- After a Refusal neither reader is asked again: the connection answers and ends.
"""

import re

from clerestory.handlers.api.messages import Fields, Request
from clerestory.handlers.api.security import Security
from clerestory.handlers.wire.grammar import field_block
from clerestory.server.config import Limits
from clerestory.server.http import Codec
from clerestory.server.http.framing import ChunkedBody
from clerestory.server.http.gate import CHUNKED, JUDGED, ORIGIN_LINE, Refusal, judge_fields, normalise_target
from clerestory.server.http.scanner import Scanner

MAX_REPEATED = 4096  # a browser's block with a few cookies is about 1 KiB

# The usual methods' strings, so that a request on the usual path makes none.
_METHODS = {
    name.encode(): name for name in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "QUERY")
}


class HeadReader:
    """Reads the heads of one connection's requests, one after the other.

    `consumed` is how many bytes the last head took, ignored empty lines before it included.
    """

    __slots__ = (
        "_authority",
        "_codec",
        "_fields",
        "_host",
        "_keep_alive",
        "_limits",
        "_peer",
        "_repeated",
        "_room",
        "_scanner",
        "consumed",
        "security",
    )

    def __init__(self, limits: Limits, codec: Codec, peer: str = "") -> None:
        self._limits = limits
        self._codec = codec
        self._peer = peer
        self.security: Security | None = None
        """What TLS has negotiated, where it is spoken."""
        self._scanner: Scanner | None = None
        self._repeated = b""
        self._room = -1  # how long a request line may be with the block that is kept; none is kept
        self._fields: Fields = ()
        self._authority = self._host = b""
        self._keep_alive = True
        self.consumed = 0

    def read(self, data: bytes) -> Request | None:
        """The request whose head `data` begins with, or None when that is not whole: call again with the longer data.

        `data` is everything received and not yet consumed. Raises Refusal as soon as it cannot become a good head.
        """
        if self._scanner is not None:
            return self._scan(data, self._scanner)
        match = ORIGIN_LINE(data)
        if match is None:
            return self._scan(data, Scanner(self._limits))
        at = match.end()
        rest = data[at:]
        if at > self._room or (rest != self._repeated and not rest.startswith(self._repeated)):
            return self._read_usual(data, match)
        return self._repeat(data, match)

    def _repeat(self, data: bytes, line: re.Match[bytes]) -> Request:
        """The request of a known block behind the request line `line`."""
        at = line.end()
        self.consumed = at + len(self._repeated)
        method, target = line.groups()
        return Request(
            _METHODS.get(method) or method.decode("ascii"),
            target.decode("ascii"),
            self._fields,
            data[at] - 48,
            self._authority,
            0,
            self._keep_alive,
            False,  # nothing is expected where there is no body
            self._limits.max_body,
            self._peer,
            self.security,
        )

    def _read_usual(self, data: bytes, line: re.Match[bytes]) -> Request | None:
        """Read a head whose request line is of the usual form; that ends at its version's last digit."""
        limits = self._limits
        at = line.end()
        begin = at + 3
        match = field_block(data, begin)
        if (
            match is None
            or at >= limits.max_request_line
            or match.end() > limits.max_head
            or not _within(limits, data, begin, match.end())
        ):
            return self._scan(data, Scanner(limits))
        end = match.end()
        if self._fields and len(b"\r\n") < end - begin < MAX_REPEATED and self._vary(data, at, end):
            return self._repeat(data, line)
        return self._finish(data, 0, begin, end, b"", data[at] - 48)

    def _vary(self, data: bytes, at: int, end: int) -> bool:
        """Whether the grammatical block from `at` to `end` is the known one but for lines that mean nothing to the
        connection. These are read, and it is kept in the other's place."""
        known = self._repeated
        before, lines = known[3:-4].split(b"\r\n"), data[at + 3 : end - 4].split(b"\r\n")
        fields = self._fields
        if data[at] != known[0] or len(lines) != len(fields):
            return False
        places = []
        for place, line in enumerate(lines):
            if line != before[place]:
                name = fields[place][0]
                size = len(name) + 1
                if line[:size] != before[place][:size] or name in JUDGED:
                    return False
                places.append(place)
        changed = b"\r\n".join([lines[place] for place in places])
        _, _, read = self._codec.read_head(b"GET / HTTP/1.0\r\n%b\r\n\r\n" % changed)
        assert len(read) == len(places), "a parser hands back the fields it is given"
        merged = list(fields)
        for number, place in enumerate(places):
            merged[place] = read[number]
        self._keep(data[at:end], tuple(merged))
        return True

    def _keep(self, block: bytes, fields: Fields) -> None:
        self._repeated = block
        self._room = min(self._limits.max_request_line - 1, self._limits.max_head - len(block))
        self._fields = fields

    def _scan(self, data: bytes, scanner: Scanner) -> Request | None:
        """Read an unusual or unfinished head, or find its offence."""
        end = scanner.scan(data)
        if end < 0:
            self._scanner = scanner
            return None
        self._scanner = None
        begin = scanner.line_end
        line = data[scanner.start : begin]
        method, target, _ = line.split(b" ")
        usual = b"%b %b HTTP/1.%d\r\n" % (method, normalise_target(target), scanner.minor)
        match = ORIGIN_LINE(usual)
        if match is not None and usual[-3:] + data[begin:end] == self._repeated:
            request = self._repeat(usual, match)
            self.consumed = end
            return request
        if usual == line:
            return self._finish(data, scanner.start, begin, end, scanner.authority, scanner.minor)
        request = self._finish(
            usual + data[begin:end], 0, len(usual), len(usual) + end - begin, scanner.authority, scanner.minor
        )
        self.consumed = end
        return request

    def _finish(self, data: bytes, start: int, begin: int, end: int, authority: bytes, minor: int) -> Request:
        """Make the request of the grammatical head from `start` to `end`, whose fields begin at `begin`."""
        host, length, keep_alive, expects = judge_fields(data[begin - 2 : end], minor, self._host)
        self._host = host
        method, target, fields = self._codec.read_head(data[start:end])
        self.consumed = end
        if length is CHUNKED:
            # RFC 9112 section 7: codings are case-insensitive. h11 has lower-cased this one; so do we for all.
            fields = tuple((name, b"chunked" if name == b"transfer-encoding" else value) for name, value in fields)
        if length == 0 and end - begin < MAX_REPEATED:
            self._keep(data[begin - 3 : end], fields)
            self._authority = host
            self._keep_alive = keep_alive
        return Request(
            method,
            target,
            fields,
            minor=minor,
            # RFC 9112 section 3.2.2: an absolute-form target's authority replaces Host.
            authority=authority or host,
            content_length=length,
            keep_alive=keep_alive,
            expects_continue=expects,
            body_limit=self._limits.max_body,
            peer=self._peer,
            security=self.security,
        )


def _within(limits: Limits, data: bytes, begin: int, end: int) -> bool:
    """Whether a grammatical field block keeps to the limits on its lines and their number."""
    if data.count(b"\r\n", begin, end) - 1 > limits.max_fields:
        return False
    if end - begin <= limits.max_field_line:
        return True
    return max(map(len, data[begin:end].split(b"\r\n"))) <= limits.max_field_line


class BodyReader:
    """Reads one request's body. `ended` says that its last byte has been fed.

    No codec is asked: where the bytes of a body stand is what the gate has found out already.
    """

    __slots__ = ("_chunked", "_left", "_read", "_request", "ended")

    def __init__(self, request: Request, limits: Limits) -> None:
        self._request = request
        self._left = request.content_length or 0
        self._read = 0
        self._chunked = ChunkedBody(limits) if request.chunked else None
        self.ended = request.content_length == 0

    def feed(self, data: bytes) -> tuple[bytes, int]:
        """Body bytes, and how many bytes of `data` were consumed: all, unless the message ended before.

        Raises Refusal: 413 when the body is, or announces itself, longer than the request's `body_limit` of this
        moment (an empty `data` asks just that), 400 for bad framing.
        """
        limit = self._request.body_limit
        if self._read + self._left > limit:
            raise Refusal(413, f"The body is longer than {limit} bytes.")
        if self.ended:
            return b"", 0
        if self._chunked is not None:
            piece, taken = self._chunked.decode(data, limit)
            self._read = self._chunked.size
            self.ended = self._chunked.ended
            return piece, taken
        piece = data[: self._left]
        self._read += len(piece)
        self._left -= len(piece)
        self.ended = not self._left
        return piece, len(piece)
