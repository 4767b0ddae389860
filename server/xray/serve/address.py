"""Where the x-ray is served: `127.0.0.1:8001`, `[::1]:0`, `unix:/run/clerestory.sock`.

A TCP address beyond loopback has to be asked for, and is answered only with the token. A Unix socket has the mode
0600: who may open it is the file system's business.
"""

import ipaddress
import os
import re
import socket
from dataclasses import dataclass

from clerestory.server.net.sockets import listen, peer_name, remove_stale

USUAL = "127.0.0.1:8001"

_TCP = re.compile(r"(?:\[([0-9A-Fa-f:.%a-z]+)\]|([^\[\]:\s/]+)):([0-9]{1,5})", re.ASCII)


class AddressError(Exception):
    """The address cannot be used; the message is one line that says why and what to do."""


@dataclass(frozen=True, slots=True)
class Address:
    """A TCP address, or the `path` of a Unix socket."""

    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse(text: str) -> Address:
    """The address that `text` is. Raises AddressError."""
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if not path or "\0" in path or len(os.fsencode(path)) > 100:  # sun_path has 108 bytes, fewer on some systems
            raise AddressError(f"{text!r}: write unix: and a path of at most 100 bytes")
        return Address(path=path)
    match = _TCP.fullmatch(text)
    if match is None or int(match[3]) > 65535:
        raise AddressError(f"{text!r} is not an address: write HOST:PORT, such as {USUAL}, or unix:PATH")
    return Address(match[1] or match[2], int(match[3]))


def bind(address: Address) -> socket.socket:
    """A socket that listens there. Raises AddressError."""
    try:
        return _bind_file(address.path) if address.path else listen(address.host, address.port)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise AddressError(f"{address}: {reason}: choose another --xray address (port 0: a free one)") from error


def bind_usual() -> tuple[socket.socket, bool]:
    """A socket on the usual address, or on a free port where that is taken; whether it was the usual one."""
    address = parse(USUAL)
    try:
        return listen(address.host, address.port), True
    except OSError:
        return bind(Address(address.host, 0)), False


def url_of(listening: socket.socket) -> str:
    """What to tell people: `http://127.0.0.1:8001/` or `unix:/run/clerestory.sock`."""
    name = peer_name(listening.getsockname())
    # Absolute: who reads it in the runtime file stands somewhere else.
    return f"unix:{os.path.abspath(name)}" if listening.family == socket.AF_UNIX else f"http://{name}/"


def is_local(listening: socket.socket) -> bool:
    """Whether only this machine can reach it."""
    if listening.family == socket.AF_UNIX:
        return True
    return ipaddress.ip_address(listening.getsockname()[0].partition("%")[0]).is_loopback


def _bind_file(path: str) -> socket.socket:
    """Bind a Unix socket of mode 0600, in the place of one that nobody answers any more."""
    _remove_stale(path)
    listening = socket.socket(socket.AF_UNIX)
    # The mode has to be there from the beginning: between bind(2) and chmod(2) another user could connect.
    before = os.umask(0o177)
    try:
        listening.bind(path)
        listening.listen(16)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    finally:
        os.umask(before)
    return listening


def _remove_stale(path: str) -> None:
    try:
        remove_stale(path)
    except FileExistsError as error:
        raise AddressError(f"unix:{path}: {error.strerror}: choose another path") from error
