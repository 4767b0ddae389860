"""The grammar of HTTP that requests and responses share, as linear regular expressions.

Every unbounded repeat is possessive, so that none backtracks. All readers and writers of messages use these: the
validation of requests and of responses, and the writers of both.
"""

import re

# RFC 9110 section 5.6.2, written as the inside of a character class.
TOKEN = rb"!#$%&'*+\-.^_`|~0-9A-Za-z"
# RFC 9110 section 5.5: VCHAR, SP, HTAB and obs-text. No other control byte, so no CR, LF, NUL or DEL.
TEXT = rb"\t\x20-\x7e\x80-\xff"

is_token = re.compile(b"[" + TOKEN + b"]++").fullmatch
"""Whether bytes are a field name, or a method."""

is_value = re.compile(rb"(?:[\x21-\x7e\x80-\xff]++(?:[\t ]++[\x21-\x7e\x80-\xff]++)*+)?+").fullmatch
"""Whether bytes are a field value, without white space at its ends."""

is_length = re.compile(rb"[0-9]{1,19}").fullmatch
"""Whether bytes are a Content-Length: ASCII digits, as many as fit in 64 bits."""

# RFC 9112 section 5: no white space before the colon, no folded line, every line ended by CRLF.
field_block = re.compile(b"(?:[" + TOKEN + b"]++:[" + TEXT + b"]*+\r\n)*+\r\n").match
"""A whole field block with the empty line that ends it."""

field_lines = re.compile(b"([" + TOKEN + b"]++):[\t ]*+([" + TEXT + b"]*+)\r\n").findall
"""The names and values of a block that `field_block` has matched; white space may follow a value."""

# RFC 9112 section 7.1.1 and RFC 9110 sections 5.6.3 and 5.6.4, for a chunk line. White space is allowed on both
# sides of `;` and `=`, and nowhere else: not before the line's end, nor between a size and the line's end.
_BWS = rb"[\t ]*+"
_NAME = _BWS + b";" + _BWS + b"[" + TOKEN + b"]++"
_EQUALS = _BWS + b"=" + _BWS
_QUOTED = rb"\"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]++|\\[" + TEXT + b"])*+"
_VALUE = b"(?:[" + TOKEN + b"]++|" + _QUOTED + b'")'
_EXTENSIONS = b"(?:" + _NAME + b"(?:(?!" + _EQUALS + b")|" + _EQUALS + _VALUE + b"))*+"

is_extensions = re.compile(_EXTENSIONS).fullmatch
"""Whether what follows a chunk's size is a list of chunk extensions."""

_BEGUN_VALUE = b"(?:" + _QUOTED + rb"\\?+)?+"
_BEGUN = _BWS + b"(?:;" + _BWS + b"(?:[" + TOKEN + b"]++" + _EQUALS + _BEGUN_VALUE + b")?+)?+"
begins_extensions = re.compile(_EXTENSIONS + _BEGUN).fullmatch
"""Whether it can still become one with more bytes."""


def members(value: bytes) -> list[bytes]:
    """The members of a comma-separated list, lower case and without empty ones (RFC 9110 section 5.6.1)."""
    return [member for part in value.lower().split(b",") if (member := part.strip(b" \t"))]
