"""Paths that have moved: `/old=/new`, `/blog/*=https://blog.example/*`, with a status behind a comma: `/a=/b,302`.

- Paths are compared segment by segment, percent-decoded: an encoded slash is no separator. A final `*` stands for the
  rest, which goes into the `*` of the new place.
- The rest never begins with a slash: `/x/*=/*` would else lead `/x//evil.example` to another host.
- The query goes on. A new path is one of the same site; a mount's prefix is put in front of it.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from clerestory.handlers.api.messages import Request, Response

PERMANENT = 308
"""Unlike 301 it lets no client turn a POST into a GET (RFC 9110 section 15.4.9)."""

_RULE = re.compile(
    r"(/[\x21-\x7e]*?)=((?:https?://[A-Za-z0-9._:\[\]-]+(?:/[\x21-\x7e]*?)?|/(?![/\\])[\x21-\x7e]*?|/))(?:,(30[12378]))?",
    re.ASCII,
)


class Redirect(NamedTuple):
    """From a path, by its decoded `segments`, to a place. Where it `is_prefix`, what follows in the path follows in the
    place."""

    segments: list[bytes]
    place: str
    status: int
    is_prefix: bool


def parse_redirect(text: str) -> Redirect:
    """The rule that `text` is. Raises ValueError."""
    found = _RULE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not PATH=PLACE: write /old=/new, or '/blog/*=https://blog.example/*,302'")
    if re.search(r",[0-9]+$", found[2]):
        raise ValueError(f"{text!r}: the status of a redirect is 301, 302, 303, 307 or 308")
    path, place, status = found[1], found[2], int(found[3] or PERMANENT)
    is_prefix = path.endswith("/*")
    if "*" in path.removesuffix("*") or "*" in place.removesuffix("*") or (path.endswith("*") and not is_prefix):
        raise ValueError(f"{text!r}: a * stands alone behind the last slash of a path, as in /blog/*")
    if place.endswith("*") and not (is_prefix and place.endswith("/*")):
        raise ValueError(f"{text!r}: a * of the new place stands behind its last slash, for that of the old path")
    return Redirect(_segments(path.removesuffix("/*") if is_prefix else path), place, status, is_prefix)


def _segments(path: str) -> list[bytes]:
    """What stands between the slashes, decoded."""
    return [unquote_to_bytes(one) for one in path.split("/")]


class Redirects:
    """Answers the paths of `rules`; the first that matches holds."""

    def __init__(self, rules: Iterable[Redirect]) -> None:
        self._rules = tuple(rules)

    def admit(self, request: Request, now: float) -> Response | None:  # noqa: ARG002
        """As Check.admit."""
        segments = _segments(request.path)
        for rule in self._rules:
            own = len(rule.segments)
            if segments[:own] == rule.segments and (len(segments) > own if rule.is_prefix else len(segments) == own):
                return Response(status=rule.status, fields=((b"location", self._location(rule, request)),))
        return None

    @staticmethod
    def _location(rule: Redirect, request: Request) -> bytes:
        place = rule.place
        if place.endswith("/*"):
            # The rest as the client wrote it: as many segments on as the rule has.
            rest = "/".join(request.path.split("/")[len(rule.segments) :])
            place = place.removesuffix("*") + rest.lstrip("/")
        if place.startswith("/"):
            place = request.base + place
        if request.query:
            place += ("&" if "?" in place else "?") + request.query
        return place.encode("ascii", "replace")
