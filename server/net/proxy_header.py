"""The header of the PROXY protocol, versions 1 and 2, read strictly and byte by byte.

The specification is HAProxy's doc/proxy-protocol.txt (2020/03/05). Laws:

- `wanted` says how many of the bytes that have come belong to the header, so that none beyond it is taken;
- what cannot become a header is refused at the first byte that shows it, not when more of it has come;
- a header that does not say who the client is (UNKNOWN, LOCAL, AF_UNSPEC) leaves the connection's own ends in force;
- what is not of a stream (UDP), or has a length, an address or a checksum that is wrong, is refused.
"""

import re
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
FIXED = 16
"""Bytes of a version 2 header before its addresses."""

LONGEST_LINE = 107
"""Bytes of a version 1 header with its CRLF, at most (section 2.1)."""

LOCAL, PROXY = 0x20, 0x21
UNSPEC, TCP4, TCP6, UNIX = 0x00, 0x11, 0x21, 0x31
SIZES = {UNSPEC: 0, TCP4: 12, TCP6: 36, UNIX: 216}
CHECKSUM = 0x03
"""The type of the field that has the CRC-32c of the whole header (PP2_TYPE_CRC32C)."""

_LINE = re.compile(rb"PROXY (TCP4|TCP6) (\S+) (\S+) (0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4})\r\n")
_UNKNOWN = re.compile(rb"PROXY UNKNOWN( [^\r\n]*)?\r\n")
_WORD = b"PROXY "

Pair = tuple[str, int]


class HeaderRefused(Exception):
    """It is no header; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Header:
    """Who the client is, and where it has connected to: pairs, paths of Unix sockets, or None where it is not said."""

    version: int
    client: Pair | str | None = None
    server: Pair | str | None = None


def wanted(data: bytes, longest: int) -> int:
    """How many of the bytes `data`, which have come so far, are the header's: fewer than there are when it is complete.

    Raises HeaderRefused for what cannot become one; `longest` bounds a header of version 2.
    """
    if data.startswith(SIGNATURE[:1]):
        return min(len(data), _wanted_of_2(data, longest))
    if data[:6] != _WORD[: len(data)]:
        raise HeaderRefused("it begins with neither PROXY nor the signature of version 2")
    end = data.find(b"\n", 0, LONGEST_LINE)
    if end < 0 and len(data) >= LONGEST_LINE:
        raise HeaderRefused(f"there is no line end within {LONGEST_LINE} bytes")
    return end + 1 if end >= 0 else len(data)


def _wanted_of_2(data: bytes, longest: int) -> int:
    if data[:12] != SIGNATURE[: len(data)]:
        raise HeaderRefused("its signature is wrong")
    if len(data) > 12 and data[12] not in (LOCAL, PROXY):
        what = f"version {data[12] >> 4}" if data[12] >> 4 != 2 else f"command {data[12] & 15}"
        raise HeaderRefused(f"its {what} is not known")
    if len(data) > 13 and data[12] == PROXY and data[13] not in SIZES:
        raise HeaderRefused(f"its family and protocol, {data[13]:#04x}, are not those of a stream")
    if len(data) < FIXED:
        return FIXED
    length = int.from_bytes(data[14:16], "big")
    if FIXED + length > longest:
        raise HeaderRefused(f"it has {FIXED + length} bytes; {longest} are accepted")
    if data[12] == PROXY and length < SIZES[data[13]]:
        raise HeaderRefused("it is too short for its addresses")
    return FIXED + length


def is_complete(data: bytes) -> bool:
    """Whether the bytes, which are no more than a header's, are all of it."""
    if data.startswith(SIGNATURE):
        return len(data) >= FIXED and len(data) == FIXED + int.from_bytes(data[14:16], "big")
    return data.endswith(b"\n") and not data.startswith(SIGNATURE[:1])


def parse(data: bytes) -> Header:
    """What a complete header says. Raises HeaderRefused."""
    return _parse_2(data) if data.startswith(SIGNATURE) else _parse_1(data)


# --- version 1


def _parse_1(data: bytes) -> Header:
    if _UNKNOWN.fullmatch(data):
        return Header(1)
    found = _LINE.fullmatch(data)
    if found is None:
        raise HeaderRefused("its line is not that of version 1")
    client, server, client_port, server_port = found[2], found[3], int(found[4]), int(found[5])
    if client_port > 65535 or server_port > 65535:
        raise HeaderRefused("a port is greater than 65535")
    of_4 = found[1] == b"TCP4"
    return Header(1, (_address(client, of_4), client_port), (_address(server, of_4), server_port))


def _address(text: bytes, of_4: bool) -> str:
    try:
        decoded = text.decode("ascii")
        if "%" in decoded:
            raise ValueError(decoded)
        return str(IPv4Address(decoded) if of_4 else IPv6Address(decoded))
    except ValueError:
        raise HeaderRefused(f"{text!r} is not an address of IPv{4 if of_4 else 6}") from None


# --- version 2


def _parse_2(data: bytes) -> Header:
    if data[12] == LOCAL:
        return Header(2)
    family = data[13]
    rest = data[FIXED + SIZES[family] :]
    if family != UNSPEC or rest:
        _check_fields(data, FIXED + SIZES[family])
    if family == TCP4:
        client, server, ports = data[16:20], data[20:24], struct.unpack("!HH", data[24:28])
        return Header(2, (str(IPv4Address(client)), ports[0]), (str(IPv4Address(server)), ports[1]))
    if family == TCP6:
        client, server, ports = data[16:32], data[32:48], struct.unpack("!HH", data[48:52])
        return Header(2, (str(IPv6Address(client)), ports[0]), (str(IPv6Address(server)), ports[1]))
    if family == UNIX:
        return Header(2, _path(data[16:124]), _path(data[124:232]))
    return Header(2)


def _path(data: bytes) -> str:
    """A path ends with its first zero byte; one of the abstract namespace begins with it."""
    path = data[:1] + data[1:].partition(b"\0")[0]
    return path.replace(b"\0", b"@").decode("utf-8", "surrogateescape") if path != b"\0" else ""


def _check_fields(data: bytes, at: int) -> None:
    """The fields behind the addresses fill the rest exactly; a checksum among them is right."""
    while at < len(data):
        if at + 3 > len(data):
            raise HeaderRefused("a field at its end is cut")
        kind, size = data[at], int.from_bytes(data[at + 1 : at + 3], "big")
        begin, at = at + 3, at + 3 + size
        if at > len(data):
            raise HeaderRefused("a field is longer than the header")
        if kind == CHECKSUM:
            if size != 4:
                raise HeaderRefused("its checksum has not four bytes")
            said = int.from_bytes(data[begin:at], "big")
            if crc32c(data[:begin] + bytes(4) + data[at:]) != said:
                raise HeaderRefused("its checksum is wrong")


def _table() -> list[int]:
    """For each byte, its remainder (RFC 3720 appendix B.4: the polynomial 0x1EDC6F41, reflected)."""
    table = []
    for byte in range(256):
        remainder = byte
        for _ in range(8):
            remainder = remainder >> 1 ^ (0x82F63B78 if remainder & 1 else 0)
        table.append(remainder)
    return table


_REMAINDERS = _table()


def crc32c(data: bytes) -> int:
    """The CRC-32c of `data` (RFC 3720 section 12.1)."""
    remainder = 0xFFFFFFFF
    for byte in data:
        remainder = _REMAINDERS[(remainder ^ byte) & 0xFF] ^ remainder >> 8
    return remainder ^ 0xFFFFFFFF
