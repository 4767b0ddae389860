"""What may be shown of a message to anybody: all but what may carry a secret. Pure.

Credentials stand in fields, in queries and fragments, before the @ of an authority, and in bodies. A field's value is
shown only where its name is known to be harmless. Who asks for secrets sees them; everybody else sees that they were
there. What does not have the form of a message is hidden too: nobody can say what a line is in which a field's name
cannot be read.
"""

import re
from typing import Any

from clerestory.statemachines.contract import EXCERPT

SECRET = re.compile(
    r"assertion|auth|bearer|cookie|credential|csrf|xsrf|jwt|key|otp|pass|secret|session|sid|signature|token",
    re.IGNORECASE,
)
"""What a field's name has in it that may carry credentials: Authorization, X-Api-Key, Set-Cookie. They are hidden even
where the rest of the name is one that we know: Sec-WebSocket-Key."""

HARMLESS = re.compile(
    r"accept(-.+)?|access-control-.+|age|allow|alt-svc|cache-control|connection|content-.+|cross-origin-.+|date|dnt|etag"
    r"|expect|expires|forwarded|from|host|if-.+|keep-alive|last-modified|link|location|max-forwards|nel|origin|pragma"
    r"|priority|range|referer|referrer-policy|refresh|report-to|reporting-endpoints|retry-after|save-data"
    r"|sec-(ch|fetch|gpc|purpose|websocket)(-.+)?|server(-timing)?|strict-transport-security|te|trailer|traceparent"
    r"|tracestate|transfer-encoding|upgrade(-insecure-requests)?|user-agent|vary|via|warning"
    r"|x-(content-type-options|correlation-id|forwarded-(for|host|port|prefix|proto|server)|frame-options|powered-by"
    r"|real-ip|request-id|requested-with|trace-id|xss-protection)",
    re.IGNORECASE,
)
"""The names whose values are shown: those that HTTP and browsers define and that name no person, and a few that
everybody uses for finding a request again. Of any other name nobody can say what it carries: X-Pin, X-Access,
X-Goog-Iap-..., the next product's own."""

REDACTED = "(redacted)"

_NAME = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "QUERY", "CONNECT")
_TARGET = r"(?:/|\*|https?://)[^ ]*|[a-z0-9.-]+:[0-9]*"
_START_LINE = re.compile(rf"[A-Z]+ (?:{_TARGET}) HTTP/[0-9]\.[0-9]|HTTP/[0-9.]+ [0-9]{{3}}(?: .*)?")
_BEGUN_LINE = re.compile(rf"[A-Z]+ (?:(?:{_TARGET})(?: H?T?T?P?/?[0-9.]*)?)?")
"""What may become a request line."""
_FIELD_LINE = re.compile(rf"({_NAME}):[ \t]*(.*)")
_QUERY = re.compile(r"([?#])[^ ]*")
_USERINFO = re.compile(r"//[^/@ ]*@")
_BEGUN_AUTHORITY = re.compile(r"//[^/@ ]*$")
_END_OF_LINE = re.compile(r"\r\n|\n|\r")
_END_OF_HEAD = re.compile(r"\r?\n\r?\n")
_ESCAPES = {number: f"\\x{number:02x}" for number in (*range(32), *range(127, 256))} | {ord("\\"): "\\\\"}


def is_secret(name: str) -> bool:
    """Whether the value of a field of that name is hidden: all are but those that are known to be harmless."""
    return SECRET.search(name) is not None or HARMLESS.fullmatch(name) is None


def hidden(text: str) -> str:
    """A request line or a field's value with what may carry a secret hidden: `GET /search?...`."""
    line, mark, _ = text.partition("?")
    before, fragment, _ = line.partition("#")
    if fragment:
        line, mark = before, fragment
    line = _USERINFO.sub(f"//{REDACTED}@", line)
    return f"{line}{mark}..." if mark else line


def fields_of(request: Any, *, secrets: bool) -> list[tuple[str, str]]:
    """A request's fields. Unless `secrets` are asked for, credentials are redacted, and queries hidden: a Referer has
    one, and so have the original URLs that proxies hand on."""
    if request is None:
        return []
    found = []
    for name, value in request.fields:
        text, shown = value.decode("utf-8", "replace"), name.decode("ascii", "replace")
        if not secrets:
            text = REDACTED if is_secret(shown) else hidden(text)
        found.append((shown, text))
    return found


def message_lines(data: bytes, *, secrets: bool = False) -> list[str]:
    r"""The beginning of a message (contract.EXCERPT), a line each, in printable ASCII: any other byte is `\xNN`."""
    text = data.decode("latin-1").lstrip("\r\n")
    lines = _END_OF_LINE.split(text.rstrip("\r\n")) if secrets else _redacted(text)
    more = ["..."] if len(data) >= EXCERPT else []
    return [line.translate(_ESCAPES) for line in lines if line or secrets] + more if text else []


def _redacted(text: str) -> list[str]:
    end = _END_OF_HEAD.search(text)
    head, body = (text[: end.start() + 1], text[end.end() :]) if end is not None else (text, "")
    first, *rest = _END_OF_LINE.split(head)
    lines = [_start_line(first, begun=not rest)]
    lines += [_field_line(line, begun=place == len(rest)) for place, line in enumerate(rest, 1) if line]
    return [*lines, f"({len(body)} bytes of what follows the head)"] if body else lines


def _start_line(line: str, *, begun: bool) -> str:
    """`begun`: its end has not come."""
    if line.startswith("\x16\x03"):
        return f"({len(line)} bytes of a TLS handshake)"
    if not _START_LINE.fullmatch(line) and not (begun and _is_begun(line)):
        return f"({len(line)} bytes that are no request line)"
    line = _USERINFO.sub(f"//{REDACTED}@", _QUERY.sub(r"\1...", line))
    return _BEGUN_AUTHORITY.sub("//...", line) if begun else line


def _is_begun(line: str) -> bool:
    return any(method.startswith(line) for method in _METHODS) or _BEGUN_LINE.fullmatch(line) is not None


def _field_line(line: str, *, begun: bool) -> str:
    match = _FIELD_LINE.fullmatch(line)
    if match is None:
        return f"({len(line)} bytes that are no field line)"
    name, value = match.groups()
    shown = REDACTED if is_secret(name) else hidden(value)
    return f"{name}: {_BEGUN_AUTHORITY.sub('//...', shown) if begun else shown}"
