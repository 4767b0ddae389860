"""The scanner: where an unfinished head or trailer section has got to, and the first offence in a bad one.

It reads what the gate's two expressions did not match. It is itself a small table-driven machine over bytes: in each
stage a run of certain bytes may pass, and one byte ends the stage. Laws:

- The first offending byte decides, whatever follows and however the bytes were cut on their way. So a head has the
  same verdict whole and byte by byte, and nothing waits for an end that cannot come any more.
- No byte is looked at twice (but the few of a percent triplet or a version): a head that trickles in costs no more
  than one that comes whole.
- A limit's offence is the first byte beyond it. What a proxy adds to a request at our limits is not held against the
  limits on its fields, so that two of ours may stand in a row: a space behind each colon, up to ADDED_FIELDS fields
  that tell the request's way, up to ADDED_BYTES in all. So the offence of a field too many is its colon, and that of a
  head that is longer by less than that its end.
- What it admits in a target may still have to be percent-encoded: that is the reader's to do (gate.normalise_target).
"""

import re

from clerestory.server.config import Limits
from clerestory.server.http.gate import (
    PATH_RUN,
    QUERY_RUN,
    TEXT_RUN,
    TOKEN_RUN,
    URI_PATH_RUN,
    URI_QUERY_RUN,
    VERSION_RUN,
    Refusal,
    judge_line,
)

START, METHOD, TARGET, QUERY, VERSION, LINE_END, FIELD, NAME, VALUE, FIELD_END, EMPTY_END, LAST_END, DONE = range(13)

MAX_EMPTY_LINES = 4
"""Empty lines that are ignored before a request line. RFC 9112 section 2.2 asks for at least one; clients that end a
body with a line end too many, or two, are known."""

ADDED_FIELDS = 8
"""Fields of a head that tell its way which are not counted. Ours adds five."""

ADDED_BYTES = 1024
"""Bytes of a head that are not counted: of such fields, and of spaces behind colons."""

_ADDED = re.compile(rb"\r\n(?:(?:via|forwarded|x-forwarded-[^:\r]*|x-request-id):[^\r]*|[^:\r]+:( ))", re.IGNORECASE)
"""What of a block a proxy may have added: a line that tells the way, or the space in another one."""

_HTAB, _LF, _CR, _TLS, _SP, _COLON, _QUESTION, _DEL = b"\t\n\r\x16 :?\x7f"
_NOTHING = re.compile(b"")

# stage: what may run in it, how much of that at least, the byte that ends it, the stage that follows, its name
_Row = tuple[re.Pattern[bytes], int, int, int, str]
_STAGES: dict[int, _Row] = {
    METHOD: (TOKEN_RUN, 1, _SP, TARGET, "the method"),
    TARGET: (PATH_RUN, 1, _SP, VERSION, "the request target"),
    QUERY: (QUERY_RUN, 0, _SP, VERSION, "the request target"),
    VERSION: (VERSION_RUN, 8, _CR, LINE_END, "the version"),
    LINE_END: (_NOTHING, 0, _LF, FIELD, "the request line"),
    NAME: (TOKEN_RUN, 1, _COLON, VALUE, "a field name"),
    VALUE: (TEXT_RUN, 0, _CR, FIELD_END, "a field value"),
    FIELD_END: (_NOTHING, 0, _LF, FIELD, "a field line"),
    EMPTY_END: (_NOTHING, 0, _LF, START, "the empty line before a request"),
    LAST_END: (_NOTHING, 0, _LF, DONE, "the line that ends the fields"),
}
_STRICT: dict[int, _Row] = {
    **_STAGES,
    TARGET: (URI_PATH_RUN, *_STAGES[TARGET][1:]),
    QUERY: (URI_QUERY_RUN, *_STAGES[QUERY][1:]),
}
_RUNS = frozenset({METHOD, TARGET, QUERY, VERSION, NAME, VALUE})


class Scanner:
    """One head, or, begun in the stage FIELD, one trailer section.

    When it is DONE, of a head: `start` is where its request line begins, `line_end` where its fields do, and
    `authority` and `minor` are what judge_line found.
    """

    __slots__ = (
        "_at",
        "_empty",
        "_fields",
        "_limits",
        "_line",
        "_mark",
        "_most",
        "_stage",
        "_stages",
        "_trailers",
        "authority",
        "line_end",
        "minor",
        "start",
    )

    def __init__(self, limits: Limits, stage: int = START) -> None:
        self._limits = limits
        self._stages = _STRICT if limits.strict_targets else _STAGES
        self._stage = stage
        self._trailers = stage == FIELD
        self._most = limits.max_head + (0 if self._trailers else ADDED_BYTES)
        self._at = 0  # the first byte not yet passed
        self._line = 0  # where its line begins
        self._mark = 0  # where its stage does
        self._fields = 0
        self._empty = 0
        self.start = 0
        self.line_end = 0
        self.authority = b""
        self.minor = 0

    def scan(self, data: bytes | bytearray) -> int:
        """Go on in `data`, which is the same as before and more. Where the section ends, or -1 if not yet in there.

        Raises Refusal at the first byte that cannot belong to a good one.
        """
        size = len(data)
        while self._at < size:
            stage = self._stage
            if self._at - self.start >= self._most:
                raise self._beyond_head()
            if stage in (START, FIELD):
                self._begin_line(data[self._at])
                continue
            run, least, ending, following, _ = self._stages[stage]
            stop, again = self._pass(run, data, size) if stage in _RUNS else (self._at, self._at)
            if stop == size:
                self._at = again
                return -1
            byte = data[stop]
            cut = stage in (TARGET, QUERY) and again < stop
            if stage == TARGET and byte == _QUESTION and not cut:
                self._at = self._mark = stop + 1
                self._stage = QUERY
                continue
            if byte != ending or cut or stop - self._mark < least:
                raise Refusal(400, _offence(stage, byte, cut))
            self._at = self._mark = stop + 1
            self._stage = following
            if stage == LINE_END:
                self.line_end = self._at
                self.authority, self.minor = judge_line(bytes(data[self.start : self._at - 2]))
            elif stage == EMPTY_END:
                self.start = self._at
            elif stage == NAME:
                if self._fields > self._limits.max_fields:
                    self._count(data)
            elif stage == LAST_END:
                self._weigh(data)
                return self._at
        return -1

    def _pass(self, run: re.Pattern[bytes], data: bytes | bytearray, size: int) -> tuple[int, int]:
        """Let `run` pass, within the limits: where it stops, and from where to look again if nothing follows yet.

        Raises Refusal for the first byte beyond a limit.
        """
        in_fields = self._stage >= FIELD
        longest = self._line + (self._limits.max_field_line if in_fields else self._limits.max_request_line)
        if self._stage == VALUE and not self._trailers and data[self._mark] == _SP:
            longest += 1
        whole = self.start + self._most
        match = run.match(data, self._at, min(size, longest, whole))
        assert match is not None  # every run may be empty
        stop = match.end()
        if stop < size and stop == whole:
            raise self._beyond_head()
        if stop < size and stop == longest and data[stop] != _CR:
            if in_fields:
                raise self._beyond(f"A field line is longer than {self._limits.max_field_line} bytes.")
            if self._stage == METHOD:
                # RFC 9112 section 3: a method longer than any that is implemented.
                raise Refusal(501, f"The method is longer than {self._limits.max_request_line} bytes.")
            raise Refusal(414, f"The request line is longer than {self._limits.max_request_line} bytes.")
        return stop, match.start(1) if match.lastindex else stop

    def _begin_line(self, byte: int) -> None:
        """Choose the stage that a line beginning with `byte` opens."""
        self._line = self._mark = self._at
        if self._stage == START:
            # RFC 9112 section 2.2: at least one empty line is ignored. (A bare LF is none.)
            if byte == _CR:
                self._empty += 1
                if self._empty > MAX_EMPTY_LINES:
                    raise Refusal(400, f"More than {MAX_EMPTY_LINES} empty lines before the request line.")
                self._at += 1
                self._stage = EMPTY_END
                return
            if byte == _TLS:
                raise Refusal(400, "This is a TLS handshake on a port that speaks plain HTTP.")
            self._stage = METHOD
            return
        if byte == _CR:
            self._at += 1
            self._stage = LAST_END
            return
        # RFC 9112 section 5.2
        if byte in (_SP, _HTAB):
            raise Refusal(400, "A line begins with white space: folded field lines are not accepted.")
        self._fields += 1
        if self._fields > self._limits.max_fields + (0 if self._trailers else ADDED_FIELDS):
            raise self._too_many()
        self._stage = NAME

    def _count(self, data: bytes | bytearray) -> None:
        """A field too many has been named: leave those out that tell the request's way."""
        added = sum(match[1] is None for match in _ADDED.finditer(data, self.line_end - 2, self._at))
        if self._fields - added > self._limits.max_fields:
            raise self._too_many()

    def _weigh(self, data: bytes | bytearray) -> None:
        """The section is whole: where it is too long, leave out what a proxy may have added to it."""
        beyond = self._at - self.start - self._limits.max_head
        if beyond > 0:
            added = _ADDED.finditer(data, self.line_end - 2, self._at)
            if beyond > sum(len(match[1] or match[0]) for match in added):
                raise self._beyond_head()

    def _too_many(self) -> Refusal:
        return self._beyond(f"There are more than {self._limits.max_fields} fields.")

    def _beyond_head(self) -> Refusal:
        what = "trailer section" if self._trailers else "head"
        return self._beyond(f"The {what} is longer than {self._limits.max_head} bytes.")

    def _beyond(self, reason: str) -> Refusal:
        """RFC 6585 section 5 has a status for a head's fields; a trailer's are part of a body."""
        return Refusal(400 if self._trailers else 431, reason)


def _offence(stage: int, byte: int, cut: bool) -> str:
    """What is wrong with `byte` where a stage stopped; `cut` in the middle of a percent triplet."""
    where = _STAGES[stage][4]
    # RFC 9112 section 2.2: we do not take up the offer to accept a bare LF.
    if byte == _LF:
        return f"A bare LF in {where}: lines end in CRLF."
    if stage not in _RUNS:
        return f"A bare CR in {where}: lines end in CRLF."
    if byte == _CR:
        return {
            METHOD: "The request line has no target.",
            TARGET: "The request line has no version.",
            QUERY: "The request line has no version.",
            VERSION: "The version is not HTTP/digit.digit.",
            NAME: "A field line has no colon.",
        }[stage]
    if byte in (_SP, _HTAB) and stage == NAME:
        return "White space in a field name, or before its colon."
    if byte < _SP or byte == _DEL:
        return f"Control byte 0x{byte:02x} in {where}."
    if stage == VERSION:
        return "What follows the target is not HTTP/digit.digit."
    if cut:
        return "A percent sign in the request target is not followed by two hexadecimal digits."
    if byte == _SP:
        return f"White space where {where} should begin."
    if byte == _COLON and stage == NAME:
        return "A field line has no name."
    return f"Byte 0x{byte:02x} is not allowed in {where}."
