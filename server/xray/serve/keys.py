"""Who may look: the token, the keys of links, and the sessions that keys open.

- The *token* is the process's own. It stands in the runtime file, which only this user can read; `ps`, `top` and the
  other commands find it there. It opens everything.
- A *key* is part of a link to the page, after its `#`: a browser sends that part to nobody. It works once, and for
  LASTS seconds: a link that is found later, in a terminal's history or a log, opens nothing.
- A *session* is what the page gets for a key. It keeps it in the browser's storage for this origin, port included, and
  sends it as a field. A cookie would go to every port of this machine, so to other users' servers as well.

Sessions are kept as digests, in memory: they end with the process.
"""

import hmac
import secrets
from collections.abc import Callable
from hashlib import sha256

LASTS = 3600.0
"""Seconds that a key works: long enough to find the link again, short enough that old logs hold none that works."""

KEYS = 16
"""Keys that work at a time; a further one replaces the oldest. More than people ask for within an hour."""

SESSIONS = 64
"""Sessions at a time; a further one replaces the oldest. A few people, each with a few browsers."""


class Keys:
    """The token, and what it has led to. `clock` tells seconds."""

    def __init__(self, token: str, clock: Callable[[], float]) -> None:
        self.token = token or secrets.token_urlsafe(24)
        self._clock = clock
        self._keys: dict[bytes, float] = {}
        self._sessions: dict[bytes, None] = {}

    def new_key(self) -> str:
        """A key that opens one session."""
        key = secrets.token_urlsafe(18)
        self._keys[_digest(key.encode())] = self._clock() + LASTS
        _bound(self._keys, KEYS)
        return key

    def open_session(self, secret: bytes) -> str | None:
        """A session for a key, which is used up by it, or for the token; None for anything else."""
        if not self.is_token(secret):
            until = self._keys.pop(_digest(secret), None)
            if until is None or until <= self._clock():
                return None
        session = secrets.token_urlsafe(24)
        self._sessions[_digest(session.encode())] = None
        _bound(self._sessions, SESSIONS)
        return session

    def is_token(self, secret: bytes) -> bool:
        """Whether it is the token."""
        return hmac.compare_digest(secret, self.token.encode())

    def opens(self, secret: bytes) -> bool:
        """Whether it is the token, or a session's secret."""
        return self.is_token(secret) or _digest(secret) in self._sessions


def _digest(secret: bytes) -> bytes:
    """What is compared and kept: how long a comparison of digests takes tells nothing of the secret."""
    return sha256(secret).digest()


def _bound(kept: dict[bytes, float] | dict[bytes, None], most: int) -> None:
    while len(kept) > most:
        del kept[next(iter(kept))]
