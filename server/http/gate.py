"""The strict gate: the grammar of a request's head, and what its fields mean for the connection.

Neither parser behind it is strict enough by itself, so nothing reaches them that has not passed here. Laws:

- Whatever is not well-formed, or can be understood in two ways, is refused with a status and a reason. Nothing is
  repaired and nothing is guessed: smuggling lives on repairs. The one exception is the target: what browsers leave bare
  in it has one reading, and is percent-encoded before anything else sees it (`normalise_target`).
- Every expression is linear: each unbounded repeat is possessive, so that none goes back over what it has matched.
- `ORIGIN_LINE` and `grammar.field_block` admit the usual head at C speed. What they do not match goes to the scanner
  (scanner.py), which finds the first offence, or that the head is unfinished, or that it is good but unusual.
- Grammar first, meaning second: a line is judged when it has ended, the fields together when the head has.

Deliberately not here: which methods and paths exist. That is the router's business.
"""

import re
from ipaddress import IPv6Address

from clerestory.handlers.wire.grammar import TEXT, TOKEN, is_length

# RFC 3986 section 2: unreserved and reserved, without `#`, which never travels (RFC 9112 section 3.2). Brackets are
# legal URI characters and browsers send them bare in queries (`?id[]=1`), so they pass. `?` begins the query.
_URI_PATH = rb"A-Za-z0-9\-._~:/\[\]@!$&'()*+,;="
_URI = _URI_PATH + rb"?"
# RFC 3986 section 2.1
_PERCENT = rb"%[0-9A-Fa-f]{2}"

TOKEN_RUN = re.compile(b"[" + TOKEN + b"]*+")
TEXT_RUN = re.compile(b"[" + TEXT + b"]*+")
# What clients that follow the WHATWG URL standard leave bare: in a query every visible character but `#`, in a path
# also not `"<>` and the backslash, which that standard encodes, or takes for a slash.
PATH_RUN = re.compile(rb"[\x21\x24-\x3b\x3d\x40-\x5b\x5d-\x7e]*+")
QUERY_RUN = re.compile(rb"[\x21\x22\x24-\x7e]*+")
# The same for --strict-targets: RFC 3986 alone. Group 1 is what must be looked at again when more has come: an
# unfinished percent triplet, a version.
_RUN = b"[%b]*+(?:%b[%b]*+)*+(%%[0-9A-Fa-f]?)?"
URI_PATH_RUN = re.compile(_RUN % (_URI_PATH, _PERCENT, _URI_PATH))
URI_QUERY_RUN = re.compile(_RUN % (_URI, _PERCENT, _URI))
VERSION_RUN = re.compile(rb"((?:H(?:T(?:T(?:P(?:/(?:[0-9](?:\.[0-9]?)?)?)?)?)?)?)?)")

_NOT_IN_URI = re.compile(b"[^%%%b]|%%(?![0-9A-Fa-f]{2})" % _URI)

# The usual request line, up to the version's last digit: with that digit begins what a connection repeats.
ORIGIN_LINE = re.compile(
    b"(?!CONNECT )([" + TOKEN + b"]++) (/[" + _URI + b"]*+(?:" + _PERCENT + b"[" + _URI + b"]*+)*+)"
    rb" HTTP/1\.(?=[01]\r\n)"
).match
_ABSOLUTE = re.compile(rb"https?://([^/?]*+)", re.IGNORECASE).match
# RFC 3986 section 3.2.2, less the comma, which is how two Host fields look when something has joined them, less
# IPvFuture and zones, which nobody sends; RFC 3986 section 3.2.3, less numbers that are no port.
_HOST = re.compile(
    rb"(?:(?:[A-Za-z0-9\-._~!$&'()*+;=]++|" + _PERCENT + rb")++|\[([0-9A-Fa-f:.]{2,45}+)\])(?::([0-9]{0,5}))?"
).fullmatch
JUDGED = (b"host", b"content-length", b"content-type", b"transfer-encoding", b"connection", b"expect")
"""The fields that the gate itself understands. One pass over the block is cheaper than a search for each."""
_NAMED = re.compile(b"\r\n(" + b"|".join(JUDGED) + rb"):([^\r]*+)", re.IGNORECASE).findall
_CODING = re.compile(b"([" + TOKEN + rb"]++)[ \t]*+(;.*)?").fullmatch

_NOT_CHUNKED = "Transfer-Encoding is not exactly one chunked."

CHUNKED = None  # the content_length of a body whose length only its chunks tell
Verdict = tuple[bytes, int | None, bool, bool]


class Refusal(Exception):
    """The peer's bytes are no request we serve. `reason` is one sentence and safe to print."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason


class Disagreement(Refusal):
    """A parser could not read what the gate had admitted: a fault of the gate, kept harmless by refusing."""

    def __init__(self, parser: str) -> None:
        super().__init__(400, f"The parser {parser} cannot read this message.")


def judge_line(line: bytes) -> tuple[bytes, int]:
    """Judge a grammatical request line: the authority its target names (else b"") and the minor version.

    Raises Refusal: 505 for another major version, 501 for CONNECT, 400 for a target of another form.
    """
    method, target, version = line.split(b" ")
    # RFC 9110 section 15.6.6. Another major version may frame its messages otherwise.
    if version[:7] != b"HTTP/1.":
        raise Refusal(505, "The major version is not HTTP/1.")
    # RFC 9110 section 6.2: a higher minor version is processed as the highest that we speak.
    minor = int(version != b"HTTP/1.0")
    # RFC 9110 section 9.3.6
    if method == b"CONNECT":
        raise Refusal(501, "CONNECT is not supported.")
    # RFC 9112 section 3.2.1: origin-form
    if target.startswith(b"/"):
        return b"", minor
    # RFC 9112 section 3.2.4: asterisk-form
    if target == b"*":
        if method == b"OPTIONS":
            return b"", minor
        raise Refusal(400, "The target * is allowed only with OPTIONS.")
    # RFC 9112 section 3.2.2: absolute-form. RFC 9110 section 4.2.4: user information is an attack until proven not.
    match = _ABSOLUTE(target)
    if match is None:
        raise Refusal(400, "The target is neither a path nor an http or https URI.")
    return _judge_host(match[1], "The authority of the target"), minor


def normalise_target(target: bytes) -> bytes:
    """`target`, which has passed the scanner, with everything percent-encoded that RFC 3986 does not allow bare.

    A `%` without two hexadecimal digits stands for itself, so it becomes `%25`: then every reader decodes it alike. A
    Host that has been judged holds nothing of this kind, so an authority stays what it is.
    """
    return _NOT_IN_URI.sub(_encode_byte, target)


def _encode_byte(found: re.Match[bytes]) -> bytes:
    return b"%%%02X" % found[0][0]


def judge_fields(block: bytes, minor: int, known: bytes = b"") -> Verdict:
    """Judge a grammatical field block, given with the CRLF before it: what it says about host, body and connection.

    Returns the Host field's value (b"" without one), the content length (CHUNKED where chunks tell), whether the
    connection may persist, and whether the client waits for 100 (Continue). `known` is a Host that has been judged
    before. Raises Refusal.
    """
    found: dict[bytes, bytes] = {}
    for spelt, value in _NAMED(block):
        name = spelt.lower()
        if name in found:
            value = _repeat(name, found[name], value)
        # RFC 9110 section 5.5. A tab at a coding is a known smuggling shape, and llhttp takes it for another coding.
        found[name] = value.strip(b" ") if name == b"transfer-encoding" else value.strip(b" \t")
    # RFC 9112 section 3.2: every HTTP/1.1 request has a Host. An empty one says that the target URI has no authority:
    # as with an HTTP/1.0 request without one, the default applies (section 3.3).
    host = found.get(b"host")
    if host is not None:
        if host and host != known:
            _judge_host(host, "The Host field")
    elif minor:
        raise Refusal(400, "An HTTP/1.1 request needs a Host field.")
    # RFC 9112 section 6.3
    length: int | None = 0
    coding, digits = found.get(b"transfer-encoding"), found.get(b"content-length")
    if coding is not None:
        _judge_coding(coding, digits is not None, minor)
        length = CHUNKED
    elif digits is not None:
        # Rules 4 to 6: digits, and no more of them than fit in 64 bits.
        if is_length(digits) is None:
            raise Refusal(400, "Content-Length is not 1 to 19 decimal digits.")
        length = int(digits)
    # RFC 9110 section 10.1.1: ignored in HTTP/1.0. Without a body there is nothing to wait for.
    expect = found.get(b"expect")
    if expect is not None and minor and expect.lower() != b"100-continue":
        raise Refusal(417, "The only supported expectation is 100-continue.")
    expects = expect is not None and minor == 1 and length != 0
    # RFC 9112 section 9.3
    keep_alive = minor == 1
    connection = found.get(b"connection")
    if connection is not None:
        options = [option.strip(b" \t") for option in connection.lower().split(b",")]
        keep_alive = b"close" not in options and (minor == 1 or b"keep-alive" in options)
    return host or b"", length, keep_alive, expects


def _repeat(name: bytes, one: bytes, another: bytes) -> bytes:
    """One value for two fields of a name where that is allowed (RFC 9110 section 5.3), else a Refusal.

    Programs differ on which of two singletons counts, and so what one checks is not what another uses.
    """
    if name in (b"connection", b"expect"):
        return one + b"," + another
    raise Refusal(400, f"The {name.decode().title()} field is repeated.")


def _judge_host(value: bytes, whose: str) -> bytes:
    """`value` itself, which must be `uri-host [ ":" port ]` (RFC 9110 section 7.2) and name a host."""
    match = _HOST(value)
    if match is not None:
        address, port = match.groups()
        if port and int(port) > 65535:
            raise Refusal(400, f"{whose} has a port above 65535.")
        if address is None or _is_ipv6(address):
            return value
    if not value:
        raise Refusal(400, f"{whose} is empty.")
    if b"@" in value:
        raise Refusal(400, f"{whose} holds user information.")
    raise Refusal(400, f"{whose} is not a host with an optional port.")


def _is_ipv6(text: bytes) -> bool:
    try:
        IPv6Address(text.decode("ascii"))
    except ValueError:
        return False
    return True


def _judge_coding(value: bytes, with_length: bool, minor: int) -> None:
    """Refuse a Transfer-Encoding that is not exactly one `chunked` (RFC 9112 sections 6.1, 6.3 and 7).

    Section 6.3: where chunked is not the last coding, nobody can tell the body's length: 400. Section 6.1: a coding
    before it that we do not know: 501. Never a fall-back to Content-Length: that is gunicorn's CVE-2024-1135.
    """
    if not minor:
        raise Refusal(400, "Transfer-Encoding has no meaning in HTTP/1.0.")
    if with_length:
        raise Refusal(400, "Transfer-Encoding and Content-Length exclude each other.")
    value = value.lower()
    if value == b"chunked":
        return
    *before, last = value.split(b",")
    codings = [_CODING(member.strip(b" \t")) for member in before]
    if not before or last.lstrip(b" ") != b"chunked" or None in codings:
        raise Refusal(400, _NOT_CHUNKED)
    # Section 7.1: chunked is applied once.
    if any(coding is not None and coding[1] == b"chunked" for coding in codings):
        raise Refusal(400, _NOT_CHUNKED)
    raise Refusal(501, "The only supported transfer coding is chunked.")
