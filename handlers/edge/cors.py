"""Cross-origin requests: which pages of other origins may read what is served here (the Fetch standard, section 3.3).

- A preflight (OPTIONS with Origin and Access-Control-Request-Method) is answered here, with 204; of another origin with
  403. It has no credentials, so it comes before any check of them.
- What an application says itself of cross-origin requests is replaced: two answers are none for a browser.
- `Vary: Origin` stands on every response that differs by it, for requests without an Origin, too.
- Credentials are never allowed to `*`: any page could then read what its visitor may.
"""

import re
from collections.abc import Iterable

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.messages import Field, Fields, Request, Response
from clerestory.handlers.edge.compression import with_vary
from clerestory.handlers.edge.edge import with_fields

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
FIELDS = ("Authorization", "Content-Type")
MAX_AGE = 600
"""Seconds for which a browser keeps the answer to a preflight: a change of the configuration shows soon."""

_OURS = b"access-control-"


class CORS:
    """Lets pages of `origins` read responses: `*`, `https://app.example`, or `https://*.app.example` for every name
    below. `fields` are those that their requests may have, `exposed` those of responses that they may read."""

    def __init__(
        self,
        origins: Iterable[str],
        *,
        credentials: bool = False,
        methods: Iterable[str] = METHODS,
        fields: Iterable[str] = FIELDS,
        exposed: Iterable[str] = (),
        max_age: int = MAX_AGE,
    ) -> None:
        named = [origin.lower() for origin in origins]
        self._any = "*" in named
        if self._any and credentials:
            raise ValueError("credentials are never allowed to every origin")
        self._origins = frozenset(origin.encode("ascii") for origin in named if "*" not in origin)
        patterns = [re.escape(origin).replace(r"\*", "[a-z0-9.-]+") for origin in named if "*" in origin]
        self._matches = re.compile("|".join(patterns).encode("ascii")).fullmatch if patterns else None
        self._allowing: Fields = ((b"access-control-allow-credentials", b"true"),) if credentials else ()
        told = ", ".join(exposed).encode("ascii")
        self._exposing: Fields = ((b"access-control-expose-headers", told),) if told else ()
        self._preflight: Fields = (
            (b"access-control-allow-methods", ", ".join(methods).encode("ascii")),
            (b"access-control-allow-headers", ", ".join(fields).encode("ascii")),
            (b"access-control-max-age", b"%d" % max_age),
        )

    def allows(self, origin: bytes) -> bool:
        """Whether pages of `origin` may read."""
        if self._any:
            return True
        origin = origin.lower()
        return origin in self._origins or (self._matches is not None and self._matches(origin) is not None)

    def admit(self, request: Request, now: float) -> Response | None:  # noqa: ARG002
        """As Check.admit: answer a preflight. Raises HTTPError 403."""
        if request.method != "OPTIONS":
            return None
        origin = request.get(b"origin")
        if origin is None or request.get(b"access-control-request-method") is None:
            return None
        if not self.allows(origin):
            raise HTTPError(403, "Pages of this origin may not read what is served here.")
        return Response(status=204, fields=self._preflight)

    def apply(self, request: Request, response: Response) -> Response:
        """As Dresser.apply."""
        if response.status == 101:
            return response
        ours = self._preflight if response.fields is self._preflight else ()
        kept: list[Field] = [field for field in response.fields if not field[0].lower().startswith(_OURS)]
        if not self._any:
            kept = with_vary(kept, b"origin")
        origin = request.get(b"origin")
        if origin is not None and self.allows(origin):
            allowed = b"*" if self._any else origin
            kept += [
                (b"access-control-allow-origin", allowed),
                *self._allowing,
                *(ours or self._exposing),
            ]
        return with_fields(response, tuple(kept))
