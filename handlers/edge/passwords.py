"""A file of users and hashed passwords, as htpasswd makes it, and the check of one.

    frances:$2y$10$...                            bcrypt (htpasswd -B), with the library of that name
    frances:$scrypt$ln=15,r=8,p=1$SALT$HASH       scrypt, which Python has

`python3 -m clerestory.handlers.edge.passwords USER` asks for a password, and prints such a line. Other hashes are
refused when the file is read: they can be tried out by the billion. A check takes about as long for a user that there
is not.
"""

import getpass
import hashlib
import hmac
import os
import re
import sys
from base64 import b64decode, b64encode
from importlib import import_module
from importlib.util import find_spec
from typing import Any

LN, R, P = 15, 8, 1
"""The cost of what is made here: 32 MiB and some 60 ms (OWASP's cheat sheet on password storage)."""

MAX_MEMORY = 128 * 1024 * 1024
"""Bytes that a check may take."""

MOST_USERS, LONGEST_FILE = 10_000, 4 * 1024 * 1024

_BCRYPT = re.compile(r"\$2[aby]\$(0[4-9]|1[0-6])\$[./A-Za-z0-9]{53}", re.ASCII)
_SCRYPT = re.compile(r"\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)", re.ASCII)


class Passwords:
    """The users of one file, each with a hash."""

    def __init__(self, hashes: dict[str, str]) -> None:
        self._hashes = hashes
        self._decoy = next(iter(hashes.values()))

    def __len__(self) -> int:
        return len(self._hashes)

    def check(self, user: str, password: str) -> bool:
        """Whether that is the user's password. Takes tens of milliseconds, by design."""
        known = self._hashes.get(user)
        return matches(known or self._decoy, password) and known is not None


def read_passwords(path: str) -> Passwords:
    """The users of the file `path`. Raises OSError, and ValueError for a line that is none."""
    with open(path, "rb") as file:
        content = file.read(LONGEST_FILE + 1)
    if len(content) > LONGEST_FILE:
        raise ValueError(f"it is longer than {LONGEST_FILE} bytes")
    hashes: dict[str, str] = {}
    for number, line in enumerate(content.decode("utf-8").splitlines(), 1):
        text = line.strip()
        if text and not text.startswith("#"):
            user, _, hashed = text.partition(":")
            _refuse_weak(number, user, hashed)
            hashes[user] = hashed
    if not hashes:
        raise ValueError("there is no user in it")
    if len(hashes) > MOST_USERS:
        raise ValueError(f"it has more than {MOST_USERS} users")
    return Passwords(hashes)


def _refuse_weak(number: int, user: str, hashed: str) -> None:
    """Raise ValueError for what is no user with a hash that holds. The hash itself is not repeated."""
    if not user or not hashed:
        raise ValueError(f"line {number} is not USER:HASH")
    if _BCRYPT.fullmatch(hashed):
        if find_spec("bcrypt") is None:
            raise ValueError(f"line {number} is hashed with bcrypt, which is not installed: pip install bcrypt")
    elif (found := _SCRYPT.fullmatch(hashed)) is not None:
        if int(found[1]) < 10 or 128 * int(found[2]) << int(found[1]) > MAX_MEMORY // 2 or not 1 <= int(found[3]) <= 16:
            raise ValueError(f"line {number}: scrypt takes ln from 10, at most 64 MiB of memory, and p from 1 to 16")
    else:
        raise ValueError(f"line {number} is not hashed with bcrypt or scrypt: make it with htpasswd -B")


def matches(hashed: str, password: str) -> bool:
    """Whether `hashed` is the hash of `password`, compared in constant time."""
    given = password.encode("utf-8")
    found = _SCRYPT.fullmatch(hashed)
    if found is not None:
        salt, expected = _unpadded(found[4]), _unpadded(found[5])
        made = _scrypt(given, salt, int(found[1]), int(found[2]), int(found[3]), len(expected))
        return hmac.compare_digest(made, expected)
    library: Any = import_module("bcrypt")
    try:
        return bool(library.checkpw(given, hashed.encode("ascii")))
    except ValueError:  # more than 72 bytes, or NUL: bcrypt would look at a part only
        return False


def make(password: str) -> str:
    """A hash of `password`, with scrypt."""
    salt = os.urandom(16)
    hashed = _scrypt(password.encode("utf-8"), salt, LN, R, P, 32)
    text = [b64encode(part).rstrip(b"=").decode("ascii") for part in (salt, hashed)]
    return f"$scrypt$ln={LN},r={R},p={P}${text[0]}${text[1]}"


def _scrypt(password: bytes, salt: bytes, ln: int, r: int, p: int, size: int) -> bytes:
    return hashlib.scrypt(password, salt=salt, n=1 << ln, r=r, p=p, maxmem=MAX_MEMORY, dklen=size)


def _unpadded(text: str) -> bytes:
    return b64decode(text + "=" * (-len(text) % 4))


if __name__ == "__main__":
    if len(sys.argv) != 2 or ":" in sys.argv[1]:
        sys.exit("usage: python3 -m clerestory.handlers.edge.passwords USER")
    sys.stdout.write(f"{sys.argv[1]}:{make(getpass.getpass())}\n")
