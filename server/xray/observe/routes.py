"""Names for routes that nobody names: a path with its numbers and ids folded.

/orders/4711/items/3                          -> /orders/{n}/items/{n}
/users/0190f2c4-6f3a-7b1e-9d2f-3c5a7e9b1d20   -> /users/{id}
/static/app.3f9a1c2b.js                       -> /static/app.{id}.js
"""

import re

OTHER = "(other routes)"
"""The rest: all routes that are not told apart."""

LONGEST = 120
"""Characters of a name: a client chooses its path."""

KEPT = 4096
"""Paths of which the name is remembered."""

_NUMBER = re.compile(r"(?<![0-9A-Za-z])[0-9]+(?![0-9A-Za-z])")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_TOKEN = re.compile(r"(?<![0-9A-Za-z])(?=[0-9A-Za-z_-]*[0-9])(?:[0-9a-fA-F]{8,}|[0-9A-Za-z_-]{20,})(?![0-9A-Za-z])")


class Names:
    """Names by path; bounded."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def folded(self, path: str) -> str:
        """The name of a path."""
        name = self._names.get(path)
        if name is None:
            if len(self._names) >= KEPT:
                self._names.clear()
            name = self._names[path] = fold(path)
        return name


def fold(path: str) -> str:
    """`path` with numbers as {n}, and what looks like an id as {id}."""
    text = _TOKEN.sub("{id}", _UUID.sub("{id}", path[: 4 * LONGEST]))
    text = _NUMBER.sub("{n}", text)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
