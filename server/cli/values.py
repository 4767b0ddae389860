"""What the value of an option may be. A value that is wrong is a ValueError: one line that says what may be written."""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

from clerestory.handlers.edge.redirects import parse_redirect
from clerestory.server.net.addresses import AddressError as ListenError
from clerestory.server.net.addresses import parse as parse_listen
from clerestory.server.xray.serve.address import AddressError, parse

_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?|\.[0-9]{1,9}", re.ASCII)
_SIZE = re.compile(r"([0-9]{1,15})([KMG]?)", re.ASCII | re.IGNORECASE)
_FACTORS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_ON, _OFF = ("1", "true", "yes", "on"), ("0", "false", "no", "off")

MOST_WORKERS = 1024
"""Processes of one server: more than any machine has processors for, and fewer than fill it by a slip of the finger."""

UNIX = "unix"
"""Stands for the peers of Unix sockets in a list of networks."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of value: what the help calls it, how it is read, and how it is written so that it would be read again.

    `read` raises ValueError; it may return a tuple, for an option that is repeated. A kind without a `metavar` is a
    switch: its option stands alone on the command line. `number` says that a file may have the value as a number;
    `spaced`, that it may have spaces, so that several in a variable stand on lines of their own.
    """

    metavar: str
    read: Callable[[str], Any]
    show: Callable[[Any], str] = str
    number: bool = False
    spaced: bool = False


# --- readers


def port(text: str) -> int:
    """A TCP port; 0 means a free one."""
    if not re.fullmatch(r"[0-9]{1,5}", text, re.ASCII) or int(text) > 65535:
        raise ValueError(f"{text!r} is not a port: write a number from 0 (a free one) to 65535")
    return int(text)


def host(text: str) -> str:
    """A name or an address; brackets around an IPv6 address are dropped."""
    if not text or not text.isprintable() or " " in text:
        raise ValueError(f"{text!r} is not a host: write a name or an address, such as 127.0.0.1")
    return text[1:-1] if text.startswith("[") and text.endswith("]") else text


def listen(text: str) -> str:
    """Where to listen: server.net.addresses."""
    try:
        parse_listen(text)
    except ListenError as error:
        raise ValueError(str(error)) from error
    return text


def xray(text: str) -> str:
    """An address of the x-ray, or `auto`."""
    try:
        return text if text == "auto" else str(parse(text))
    except AddressError as error:
        raise ValueError(str(error)) from error


def split_mount(text: str) -> tuple[str, str]:
    """The path and the target of `/static=site/`. Raises ValueError."""
    path, _, target = text.partition("=")
    if not path.startswith("/") or not path.strip("/") or not target:
        raise ValueError(f"{text!r} is not PATH=TARGET: write /static=site/")
    return path.rstrip("/"), target


def mount(text: str) -> str:
    """PATH=TARGET."""
    split_mount(text)
    return text


def cache_rule(text: str) -> str:
    """PATTERN=VALUE: `*.js=max-age=3600`."""
    pattern, _, value = text.partition("=")
    if not pattern or not value or not value.isascii() or not value.isprintable():
        raise ValueError(f"{text!r} is not PATTERN=VALUE: write '*.js=max-age=3600'")
    return text


_ORIGIN = re.compile(r"https?://(\*\.)?([a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(:[0-9]{1,5})?", re.ASCII)


def origin(text: str) -> str:
    """`*`, `https://app.example`, `https://*.app.example`, `http://localhost:3000`."""
    lower = text.lower()
    if text != "*" and not _ORIGIN.fullmatch(lower):
        hint = f": an origin has no path, write {lower.rstrip('/')}" if _ORIGIN.fullmatch(lower.rstrip("/")) else ""
        raise ValueError(
            f"{text!r} is not an origin{hint or ': write https://app.example, https://*.app.example or *'}"
        )
    return lower


def tokens(text: str) -> tuple[str, ...]:
    """Names of methods or fields, with commas between them."""
    found = tuple(name.strip() for name in text.split(","))
    for name in found:
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name, re.ASCII):
            raise ValueError(f"{name!r} is not a name: write them with commas between, such as Content-Type,X-Id")
    return found


_RATE = re.compile(r"([0-9]{1,9})/(s|m|h)(?:,burst=([0-9]{1,9}))?", re.ASCII)
_SPANS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def split_rate(text: str) -> tuple[int, float, int]:
    """Requests, in how many seconds, and how many at once: `10/s`, `100/m,burst=20`. Raises ValueError."""
    found = _RATE.fullmatch(text)
    if found is None or int(found[1]) == 0 or found[3] == "0":
        raise ValueError(f"{text!r} is not a rate: write 10/s, 100/m or 1000/h; ,burst=20 may follow")
    return int(found[1]), _SPANS[found[2]], int(found[3] or found[1])


def rate(text: str) -> str:
    """A rate: `split_rate`."""
    split_rate(text)
    return text


def redirect(text: str) -> str:
    """`/old=/new`: handlers.edge.redirects."""
    parse_redirect(text)
    return text


def error_page(text: str) -> str:
    """`404=errors/404.html`, `5xx=errors/sorry.html`."""
    if not re.fullmatch(r"[45](?:[0-9][0-9]|xx)=.+", text, re.ASCII | re.DOTALL):
        raise ValueError(f"{text!r} is not STATUS=FILE: write 404=errors/404.html, or 5xx=errors/sorry.html")
    return text


def media_type(text: str) -> str:
    """`text/html`, `text/*`, `application/*+json`."""
    if not re.fullmatch(r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+*-]+", text.lower(), re.ASCII):
        raise ValueError(f"{text!r} is not a media type: write text/html, text/* or application/*+json")
    return text.lower()


def field(text: str) -> str:
    """`Name: value`."""
    if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+: *[\x20-\x7e]*", text, re.ASCII):
        raise ValueError(f"{text!r} is not a field: write 'Name: value'")
    if text.partition(":")[0].lower() in ("content-length", "transfer-encoding", "connection", "date"):
        raise ValueError(f"{text!r}: the server itself says {text.partition(':')[0]}")
    return text


_HSTS = re.compile(r"([0-9]{1,10})(d?)(,subdomains)?(,preload)?", re.ASCII)

YEAR = 365 * 24 * 3600


def hsts(text: str) -> str:
    """A time, then `,subdomains` and `,preload`; as Strict-Transport-Security has it (RFC 6797 section 6.1)."""
    found = _HSTS.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no time for HSTS: write seconds or days, such as 365d or 730d,subdomains")
    seconds = int(found[1]) * (24 * 3600 if found[2] else 1)
    if found[4] and (not found[3] or seconds < YEAR):
        raise ValueError(f"{text!r}: browsers preload only what is for a year or more, and for subdomains")
    return text


def hsts_value(text: str) -> bytes:
    """The value of the field, from what `hsts` has let through."""
    found = _HSTS.fullmatch(text)
    if found is None:
        return b""
    seconds = int(found[1]) * (24 * 3600 if found[2] else 1)
    more = ("; includeSubDomains" if found[3] else "") + ("; preload" if found[4] else "")
    return f"max-age={seconds}{more}".encode("ascii")


def networks(text: str) -> tuple[str, ...]:
    """Networks, with commas between them: 10.0.0.0/8, ::1; `*` is all of them."""
    found: list[str] = []
    for part in text.split(","):
        name = part.strip()
        if name == "*":
            found += ["0.0.0.0/0", "::/0"]
            continue
        try:
            ip_network(name, strict=False)
        except ValueError:
            raise ValueError(f"{name!r} is not a network: write a CIDR such as 10.0.0.0/8 or ::1") from None
        found.append(name)
    return tuple(found)


def senders(text: str) -> tuple[str, ...]:
    """Networks, and `unix` for the peers of Unix sockets."""
    names = [name.strip() for name in text.split(",")]
    rest = ",".join(name for name in names if name != UNIX)
    return ((UNIX,) if UNIX in names else ()) + (networks(rest) if rest or UNIX not in names else ())


def seconds(text: str, *, zero: bool = False) -> float:
    """A number of seconds, more than 0 (or from 0)."""
    if not _SECONDS.fullmatch(text) or (float(text) == 0 and not zero):
        raise ValueError(f"{text!r} is not a number of seconds {'from' if zero else 'above'} 0")
    return float(text)


def duration(text: str) -> float:
    """A time: 500ms, 2s, 1.5; in seconds. 0 is none."""
    number, unit = (text[:-2], 0.001) if text.endswith("ms") else (text.removesuffix("s"), 1.0)
    if not _SECONDS.fullmatch(number):
        raise ValueError(f"{text!r} is not a time: write 500ms or 2s")
    return float(number) * unit


def amount(text: str, *, zero: bool = False, suffixes: bool = False) -> int:
    """A whole number, more than 0 (or from 0); with `suffixes`, K, M and G stand for powers of 1024."""
    found = _SIZE.fullmatch(text)
    if not found or (found[2] and not suffixes) or (int(found[1]) == 0 and not zero):
        kind = "a number of bytes" if suffixes else "a whole number"
        example = ", such as 4096, 64K or 1M" if suffixes else ""
        raise ValueError(f"{text!r} is not {kind} {'from' if zero else 'above'} 0{example}")
    return int(found[1]) * _FACTORS[found[2].upper()]


def workers(text: str) -> int:
    """A number of processes; `auto` is one for each processor that this one may run on; 0 is no supervisor."""
    if text == "auto":
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not re.fullmatch(r"[0-9]{1,4}", text, re.ASCII) or int(text) > MOST_WORKERS:
        raise ValueError(
            f"{text!r} is not a number of workers: write 1 to {MOST_WORKERS}, or auto for one for each processor"
        )
    return int(text)


def switch(text: str) -> bool:
    """On or off, in a variable of the environment."""
    word = text.strip().lower()
    if word not in _ON + _OFF:
        raise ValueError(f"{text!r} is not a switch: write 1 or 0, true or false, yes or no, on or off")
    return word in _ON


# --- how they are written


def _show_bytes(value: int) -> str:
    """`64K`, `1M`, `8190`."""
    for size, suffix in ((1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K")):
        if value and value % size == 0:
            return f"{value // size}{suffix}"
    return str(value)


def _show_seconds(value: float) -> str:
    return f"{value:.9f}".rstrip("0").rstrip(".")


# --- kinds

SWITCH = Kind("", switch, lambda value: "true" if value else "false")
TEXT = Kind("TEXT", str)
PATH = Kind("FILE", str)
DIRECTORY = Kind("DIR", str)
URL = Kind("URL", str)
PORT = Kind("PORT", port, number=True)
HOST = Kind("HOST", host)
DURATION = Kind("TIME", duration, _show_seconds, number=True)
LISTEN = Kind("ADDRESS", listen)
WORKERS = Kind("N", workers, number=True)
XRAY = Kind("ADDRESS", xray)
CACHE_RULE = Kind("PATTERN=VALUE", cache_rule, spaced=True)
FIELD = Kind("FIELD", field, spaced=True)
MEDIA_TYPE = Kind("TYPE", media_type)
ORIGIN = Kind("ORIGIN", origin)
TOKENS = Kind("NAMES", tokens)
RATE = Kind("RATE", rate)
REDIRECT = Kind("PATH=PLACE", redirect, spaced=True)
ERROR_PAGE = Kind("STATUS=FILE", error_page, spaced=True)
HSTS = Kind("TIME", hsts)
MOUNT = Kind("PATH=TARGET", mount)
NETWORKS = Kind("CIDR", networks)
SENDERS = Kind("CIDR", senders)


def choice(values: Sequence[str], metavar: str) -> Kind:
    """One of `values`."""

    def read(text: str) -> str:
        if text not in values:
            raise ValueError(f"{text!r} is not one of {', '.join(values)}")
        return text

    return Kind(metavar, read)


def kind_of(unit: str, *, zero: bool) -> Kind:
    """The kind of a bound with that unit: `seconds`, `bytes`, `bytes/s`, or something that is counted."""
    if unit == "seconds":
        return Kind("SECONDS", lambda text: seconds(text, zero=zero), _show_seconds, number=True)
    sized = unit.startswith("bytes")
    metavar = unit.upper() if sized else "N"
    return Kind(
        metavar,
        lambda text: amount(text, zero=zero, suffixes=sized),
        _show_bytes if sized else str,
        number=True,
    )
