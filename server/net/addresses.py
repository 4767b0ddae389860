"""Where to listen, as it is written. A name or an address and a port, or a socket that needs neither:

    127.0.0.1:8000  [::1]:8000  localhost:8000    port 0 takes a free one
    8000                                          that port, on the usual host
    *:8000                                        every address: one socket for IPv4, one for IPv6
    [::]:8000                                     one socket for IPv6 and IPv4; `[::]:8000,v6only` for IPv6 alone
    unix:/run/app.sock                            a Unix socket; `,mode=660` and `,owner=USER:GROUP` may follow
    fd:3                                          a socket that was inherited, and listens already
    systemd                                       those that systemd has handed over (LISTEN_FDS)

Nothing is opened here: server.net.sockets does that.
"""

import os
import re
from dataclasses import dataclass

EVERYWHERE = "*"
"""The host that stands for every address of both families."""

SYSTEMD = "systemd"

LONGEST_PATH = 107
"""Bytes of a Unix socket's path: sun_path has 108, and ends with a zero byte (unix(7))."""

_TCP = re.compile(r"(?:\[([0-9A-Fa-f:.]+(?:%[\w.-]+)?)\]|([^\[\]:\s/,]*)):([0-9]{1,5})", re.ASCII)
_PORT = re.compile(r"[0-9]{1,5}", re.ASCII)
_EXTRA = re.compile(r"(.*),([a-z0-9]+)(?:=([^,]*))?", re.ASCII | re.DOTALL)
_OWNER = re.compile(r"[\w.$-]*(:[\w.$-]+)?", re.ASCII)

SHAPES = "HOST:PORT, [::1]:PORT, PORT, *:PORT, unix:PATH or fd:N"


class AddressError(Exception):
    """It is no such address; the message is one line that says what may be written."""


@dataclass(frozen=True, slots=True)
class Address:
    """A `host` and `port`; or the `path` of a Unix socket, with the `mode` and `owner` that its file is to have; or an
    inherited `descriptor`; or those of `systemd`. `v6only` keeps IPv4 away from an IPv6 socket."""

    host: str = ""
    port: int = 0
    path: str = ""
    descriptor: int | None = None
    mode: int | None = None
    owner: str = ""
    v6only: bool = False
    systemd: bool = False

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        if self.systemd:
            return SYSTEMD
        if self.descriptor is not None:
            return f"fd:{self.descriptor}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse(text: str, host: str = "127.0.0.1") -> Address:
    """The address that `text` is; a port alone is one on `host`. Raises AddressError."""
    place, extras = _split(text)
    if place.startswith("unix:"):
        return _unix(text, place.removeprefix("unix:"), extras)
    if place.startswith("fd:"):
        number = place.removeprefix("fd:")
        if extras or not re.fullmatch(r"[0-9]{1,7}", number, re.ASCII):
            raise AddressError(f"{text!r}: write fd: and the number of a descriptor, such as fd:3")
        return Address(descriptor=int(number))
    if text == SYSTEMD:
        return Address(systemd=True)
    if _PORT.fullmatch(place):
        place = f"[{host}]:{place}" if ":" in host else f"{host}:{place}"
    found = _TCP.fullmatch(place)
    if found is None:
        hint = f"; did you mean unix:{text}?" if text.startswith(("/", "./")) else ""
        raise AddressError(f"{text!r} is not an address: write {SHAPES}{hint}")
    if int(found[3]) > 65535:
        raise AddressError(f"{text!r}: a port is a number from 0 (a free one) to 65535")
    name = found[1] or found[2] or EVERYWHERE
    v6only = extras.pop("v6only", None)
    if v6only is not None and (":" not in name or v6only != ""):
        raise AddressError(f"{text!r}: ,v6only stands alone, behind an IPv6 address such as [::]:8000")
    _no_more(text, extras, "v6only")
    return Address(name, int(found[3]), v6only=v6only is not None)


def _split(text: str) -> tuple[str, dict[str, str]]:
    """The address, and what follows it with commas."""
    extras: dict[str, str] = {}
    place = text
    while (found := _EXTRA.fullmatch(place)) is not None:
        if found[2] in extras:
            raise AddressError(f"{text!r}: {found[2]} is given twice")
        place, extras[found[2]] = found[1], found[3] or ""
    return place, extras


def _unix(text: str, path: str, extras: dict[str, str]) -> Address:
    if not path or "\0" in path or len(os.fsencode(path)) > LONGEST_PATH:
        raise AddressError(f"{text!r}: write unix: and a path of at most {LONGEST_PATH} bytes")
    mode, owner = extras.pop("mode", None), extras.pop("owner", None)
    if mode is not None and not re.fullmatch(r"0?[0-7]{3}", mode, re.ASCII):
        raise AddressError(f"{text!r}: a mode is three octal digits, such as mode=660")
    if owner is not None and (not owner or not _OWNER.fullmatch(owner)):
        raise AddressError(f"{text!r}: an owner is USER, USER:GROUP or :GROUP")
    _no_more(text, extras, "mode and owner")
    return Address(path=path, mode=int(mode, 8) if mode is not None else None, owner=owner or "")


def _no_more(text: str, extras: dict[str, str], known: str) -> None:
    if extras:
        raise AddressError(f"{text!r}: ,{next(iter(extras))} is not known here: what may follow is {known}")
