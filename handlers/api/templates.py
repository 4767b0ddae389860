"""Templates of paths: `/emails/{id:int}`, and the kinds of parameters that a segment is converted by."""

import re
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

NOT_TEXT = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")  # control characters, and bytes that are not UTF-8
_PARAMETER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(?::([A-Za-z_][A-Za-z0-9_]*))?\}")
_INTEGER = re.compile(r"0|[1-9][0-9]{0,18}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def _text(segment: str) -> str | None:
    """A non-empty segment."""
    return segment or None


def _integer(segment: str) -> int | None:
    """ASCII digits without sign or leading zero, below 2**63, which fits into any database's integer."""
    if _INTEGER.fullmatch(segment) and (value := int(segment)) < 1 << 63:
        return value
    return None


def _uuid(segment: str) -> uuid.UUID | None:
    """Eight-four-four-four-twelve hexadecimal digits, the only form in RFC 9562 section 4."""
    return uuid.UUID(segment) if _UUID.fullmatch(segment) else None


CONVERTERS: dict[str, Callable[[str], Any]] = {"str": _text, "int": _integer, "uuid": _uuid, "path": str}
"""The kinds of parameters. A converter returns None if it does not accept the segment: then the template does not
match. `path` takes the rest of the path, slashes included; the others take one segment."""


class Parameter(NamedTuple):
    """One `{name:kind}` of a template."""

    name: str
    kind: str


def parse_template(path: str) -> tuple[str | Parameter, ...]:
    """The segments of `path`, the empty one before its first slash included. Raises ValueError."""
    if not path.startswith("/"):
        raise ValueError(f"route {path!r} does not begin with a slash")
    if any(mark in path for mark in "%?#") or NOT_TEXT.search(path):
        raise ValueError(f"route {path!r}: a template is a decoded path, without % ? # and control characters")
    parts: list[str | Parameter] = []
    for segment in path.split("/"):
        if "{" not in segment and "}" not in segment:
            parts.append(segment)
            continue
        parameter = _PARAMETER.fullmatch(segment)
        if parameter is None:
            raise ValueError(
                f"route {path!r}: {segment!r} is not a parameter; a parameter is a whole segment, {{name:kind}}"
            )
        name, kind = parameter[1], parameter[2] or "str"
        if kind not in CONVERTERS:
            raise ValueError(f"route {path!r}: unknown converter {kind!r}; use one of {', '.join(CONVERTERS)}")
        if any(isinstance(part, Parameter) and part.name == name for part in parts):
            raise ValueError(f"route {path!r} has the parameter {name!r} twice")
        parts.append(Parameter(name, kind))
    if any(isinstance(part, Parameter) and part.kind == "path" for part in parts[:-1]):
        raise ValueError(f"route {path!r}: a path parameter takes the rest of the path, so it must be the last")
    return tuple(parts)
