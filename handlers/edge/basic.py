"""Basic authentication (RFC 7617), by a file of hashed passwords.

- A hash is slow by design, so it is computed in threads of its own, of which there are few, with a bounded queue before
  them: an attacker who guesses takes none from the application, and beyond the queue is told 503.
- What was right is remembered for a while, by a keyed digest: a page of fifty pictures costs one hash. What was wrong
  is not: it has to be paid for each time.
- The file is looked at again when it has changed. A new one that is wrong is told of, and the old one holds.
- The credentials go on to the application, as a server in front would hand them on.
"""

import hashlib
import hmac
import os
import secrets
from base64 import b64decode
from typing import Any

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.messages import Fields, Request
from clerestory.handlers.backends.journal import journal_of
from clerestory.handlers.backends.threads.threads import ThreadPool
from clerestory.handlers.edge.passwords import Passwords, read_passwords

THREADS, BACKLOG = 2, 64
"""Of the threads that hash."""

REMEMBERED, SECONDS = 1024, 300.0
"""Credentials that were right, and for how long."""

LOOK = 1.0
"""Seconds between two looks at the file."""

LONGEST = 1024
"""Bytes of credentials: a hash of more would cost more."""


class Basic:
    """Lets in the users of the file `path`. Raises OSError or ValueError where that is of no use."""

    def __init__(self, path: str, realm: str = "restricted") -> None:
        self._path = path
        self._stamp = _stamp(path)
        self._passwords = read_passwords(path)
        self._challenge: Fields = ((b"www-authenticate", f'Basic realm="{realm}", charset="UTF-8"'.encode("ascii")),)
        self._pool = ThreadPool(THREADS, BACKLOG, label="password thread")
        self._key = secrets.token_bytes(32)
        self._right: dict[bytes, float] = {}
        """Digests of credentials that were right, and until when that holds; the oldest first."""
        self._due = 0.0
        self._refused = ""
        """Why a new file was refused, until that is told."""

    @property
    def remembered(self) -> int:
        """How many credentials are remembered."""
        return len(self._right)

    def knows(self, request: Request, now: float) -> bool:
        """As SlowCheck.knows. Raises HTTPError 401."""
        if now >= self._due:
            self._due = now + LOOK
            self._look()
        given = self._credentials(request)
        digest = self._digest(*given)
        until = self._right.get(digest)
        if until is not None and now >= until:
            del self._right[digest]
            return False
        return until is not None

    async def admit(self, request: Request, loop: Any) -> None:
        """As SlowCheck.admit. Raises HTTPError 401, 503."""
        if self._refused:
            journal_of(loop).warning("passwords_refused", file=self._path, reason=self._refused)
            self._refused = ""
        user, password = self._credentials(request)
        digest, passwords = self._digest(user, password), self._passwords
        if not await self._pool.call(self._check, passwords, digest, user, password):
            raise self._refusal("The user name or the password is wrong.")
        if passwords is self._passwords:
            self._remember(digest, loop.now)

    def _check(self, passwords: Passwords, digest: bytes, user: str, password: str) -> bool:
        """In a thread: others may have asked the same while this one waited for it."""
        return digest in self._right or passwords.check(user, password)

    def _remember(self, digest: bytes, now: float) -> None:
        self._right.pop(digest, None)
        while len(self._right) >= REMEMBERED:
            del self._right[next(iter(self._right))]
        self._right[digest] = now + SECONDS

    def _credentials(self, request: Request) -> tuple[str, str]:
        """User and password (RFC 7617 section 2). Raises HTTPError 401."""
        value = request.get(b"authorization")
        if value is None:
            raise self._refusal("A user name and a password are needed.")
        scheme, _, token = value.partition(b" ")
        try:
            if scheme.lower() != b"basic" or len(token) > LONGEST:
                raise ValueError(scheme)
            text = b64decode(token.strip(b" "), validate=True).decode("utf-8")
        except ValueError:
            raise self._refusal("The credentials are not those of Basic, in UTF-8.") from None
        user, colon, password = text.partition(":")
        if not colon or any(one < " " or one == "\x7f" for one in text):
            raise self._refusal("The credentials are not USER:PASSWORD.")
        return user, password

    def _refusal(self, why: str) -> HTTPError:
        return HTTPError(401, why, self._challenge)

    def _digest(self, user: str, password: str) -> bytes:
        """Kept instead of the credentials themselves: it is of no use to who reads the memory later."""
        return hmac.digest(self._key, f"{user}:{password}".encode(), hashlib.sha256)

    def _look(self) -> None:
        """Read the file again, if it has changed."""
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._passwords = read_passwords(self._path)
        except (OSError, ValueError) as error:
            self._refused = str(error)
        else:
            self._right.clear()


def _stamp(path: str) -> tuple[int, int, int] | None:
    """What shows that the file has changed."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size
