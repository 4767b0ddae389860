"""What a certificate says of itself: for which names it is, and until when. Read from its DER.

Only what the choice by server name and a warning need is looked at; whether a certificate is sound is for OpenSSL,
which has loaded it before. Raises ValueError for what is no certificate.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import NamedTuple

SEQUENCE, OCTETS, OBJECT = 0x30, 0x04, 0x06
UTC_TIME = 0x17
EXTENSIONS = 0xA3
ALTERNATIVE_NAMES = bytes((0x55, 0x1D, 0x11))
"""id-ce-subjectAltName (RFC 5280 section 4.2.1.6)."""
DNS_NAME, ADDRESS = 0x82, 0x87


class Certificate(NamedTuple):
    """`names` are DNS names, lower-case, and addresses; `until` is the end of its validity."""

    names: tuple[str, ...]
    until: datetime


def read_certificate(der: bytes) -> Certificate:
    """What the certificate `der` says of itself (RFC 5280 section 4.1)."""
    ((_, whole),) = elements(der)
    (_, signed), *_ = elements(whole)
    names: list[str] = []
    until: datetime | None = None
    for tag, content in elements(signed):
        if tag == SEQUENCE and until is None:
            until = _end_of(content)
        elif tag == EXTENSIONS:
            ((_, listed),) = elements(content)
            for _, extension in elements(listed):
                parts = list(elements(extension))
                if parts[0] == (OBJECT, ALTERNATIVE_NAMES):
                    ((_, general),) = elements(parts[-1][1])
                    names += filter(None, (_name(*one) for one in elements(general)))
    if until is None:
        raise ValueError("it has no validity")
    return Certificate(tuple(names), until)


def elements(der: bytes) -> Iterator[tuple[int, bytes]]:
    """The elements that `der` is made of: the tag and the content of each."""
    at = 0
    while at < len(der):
        if at + 2 > len(der):
            raise ValueError("it is cut short")
        tag, size = der[at], der[at + 1]
        at += 2
        if size & 0x80:
            count = size & 0x7F
            size = int.from_bytes(der[at : at + count], "big")
            at += count
        if not 0 <= size <= len(der) - at:
            raise ValueError("it is cut short")
        yield tag, der[at : at + size]
        at += size


def _end_of(content: bytes) -> datetime | None:
    """The second of two times, where `content` is a Validity."""
    times = [(tag, value) for tag, value in elements(content) if tag in (UTC_TIME, UTC_TIME + 1)]
    if len(times) != 2:
        return None
    tag, value = times[1]
    text = value.decode("ascii")
    if tag == UTC_TIME:  # RFC 5280 section 4.1.2.5.1: two digits of the year
        text = ("19" if text >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _name(tag: int, value: bytes) -> str:
    if tag == DNS_NAME:
        return value.decode("ascii", "replace").lower()
    if tag == ADDRESS and len(value) in (4, 16):
        return str(ip_address(value))
    return ""
