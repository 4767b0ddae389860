"""The header of the PROXY protocol: what is one, what is none, and how many bytes are its."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clerestory.server.net.proxy_header import (
    LONGEST_LINE,
    SIGNATURE,
    Header,
    HeaderRefused,
    crc32c,
    is_complete,
    parse,
    wanted,
)
from tests.support.many import for_each

LONGEST = 2048
BEHIND = b"GET / HTTP/1.1\r\n\r\n"


def read(data: bytes, step: int = 0) -> tuple[Header, bytes]:
    """The header at the beginning of `data`, read in steps as from a socket; and what is left behind it."""
    taken = b""
    arrived = step or len(data)
    while True:
        seen = data[:arrived]
        size = wanted(seen, LONGEST)
        assert size >= len(taken)
        taken = seen[:size]
        if is_complete(taken):
            return parse(taken), data[len(taken) :]
        if arrived >= len(data):
            raise EOFError
        arrived += step or 1


def version_2(
    addresses: bytes, family: int = 0x11, command: int = 0x21, length: int | None = None, rest: bytes = b""
) -> bytes:
    size = len(addresses) + len(rest) if length is None else length
    return SIGNATURE + bytes((command, family)) + struct.pack("!H", size) + addresses + rest


def field(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


TCP4 = bytes((192, 0, 2, 1, 198, 51, 100, 2)) + struct.pack("!HH", 4711, 80)
TCP6 = bytes.fromhex("20010db800000000000000000000000120010db8000000000000000000000002") + struct.pack("!HH", 1, 443)
UNIX = b"/run/client".ljust(108, b"\0") + b"/run/server".ljust(108, b"\0")


def checksummed(header: bytes) -> bytes:
    """A version 2 header of TCP over IPv4 with its checksum."""
    bare = version_2(TCP4, rest=field(0x03, bytes(4)))
    return bare[:-4] + struct.pack("!I", crc32c(bare))


GOOD = {
    "TCP4": (
        b"PROXY TCP4 192.0.2.1 198.51.100.2 4711 80\r\n",
        Header(1, ("192.0.2.1", 4711), ("198.51.100.2", 80)),
    ),
    "TCP6": (
        b"PROXY TCP6 2001:db8::1 2001:DB8:0:0::2 1 65535\r\n",
        Header(1, ("2001:db8::1", 1), ("2001:db8::2", 65535)),
    ),
    "the longest TCP6": (
        b"PROXY TCP6 " + b" ".join([b"ffff:" * 7 + b"ffff"] * 2) + b" 65535 65535\r\n",
        Header(1, ("ffff:" * 7 + "ffff", 65535), ("ffff:" * 7 + "ffff", 65535)),
    ),
    "UNKNOWN": (b"PROXY UNKNOWN\r\n", Header(1)),
    "UNKNOWN and more": (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", Header(1)),
    "version 2 TCP4": (version_2(TCP4), Header(2, ("192.0.2.1", 4711), ("198.51.100.2", 80))),
    "version 2 TCP6": (version_2(TCP6, 0x21), Header(2, ("2001:db8::1", 1), ("2001:db8::2", 443))),
    "version 2 UNIX": (version_2(UNIX, 0x31), Header(2, "/run/client", "/run/server")),
    "version 2 UNSPEC": (version_2(b"", 0x00), Header(2)),
    "LOCAL": (version_2(b"", 0x00, 0x20), Header(2)),
    "LOCAL with addresses and rubbish": (version_2(TCP4 + b"\xff", 0x99, 0x20), Header(2)),
    "fields": (
        version_2(TCP4, rest=field(0x01, b"h2") + field(0xE0, b"")),
        Header(2, ("192.0.2.1", 4711), ("198.51.100.2", 80)),
    ),
    "a checksum": (checksummed(TCP4), Header(2, ("192.0.2.1", 4711), ("198.51.100.2", 80))),
    "as long as may be": (
        version_2(TCP4, rest=field(0xE0, bytes(LONGEST - 16 - 12 - 3))),
        Header(2, ("192.0.2.1", 4711), ("198.51.100.2", 80)),
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_header_is_read_and_nothing_beyond_it_is_taken(name: str) -> None:
    data, header = GOOD[name]
    assert read(data) == (header, b"")
    assert read(data + BEHIND) == (header, BEHIND)
    assert read(data + data) == (header, data)


@pytest.mark.parametrize("name", GOOD)
def test_a_header_is_the_same_cut_at_every_byte(name: str) -> None:
    data, header = GOOD[name]
    assert read(data + BEHIND, 1) == (header, BEHIND)
    for at in range(len(data)):
        with pytest.raises(EOFError):
            read(data[:at]) if at else read(b"", 1)


BAD = {
    "HTTP": (b"GET / HTTP/1.1\r\n\r\n", "begins with neither"),
    "TLS": (b"\x16\x03\x01\x02\x00", "begins with neither"),
    "lower case": (b"proxy TCP4 1.1.1.1 2.2.2.2 1 2\r\n", "begins with neither"),
    "a space before": (b" PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n", "begins with neither"),
    "two spaces": (b"PROXY  TCP4 1.1.1.1 2.2.2.2 1 2\r\n", "its line is not"),
    "a tab": (b"PROXY TCP4\t1.1.1.1 2.2.2.2 1 2\r\n", "its line is not"),
    "LF alone": (b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n", "its line is not"),
    "CR before": (b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\r\n", "its line is not"),
    "a space behind": (b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2 \r\n", "its line is not"),
    "TCP5": (b"PROXY TCP5 1.1.1.1 2.2.2.2 1 2\r\n", "its line is not"),
    "UNKNOWNX": (b"PROXY UNKNOWNX\r\n", "its line is not"),
    "UDP4": (b"PROXY UDP4 1.1.1.1 2.2.2.2 1 2\r\n", "its line is not"),
    "a port too few": (b"PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n", "its line is not"),
    "a leading zero in a port": (b"PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n", "its line is not"),
    "a great port": (b"PROXY TCP4 1.1.1.1 2.2.2.2 65536 2\r\n", "greater than 65535"),
    "a leading zero in an address": (b"PROXY TCP4 1.1.1.01 2.2.2.2 1 2\r\n", "is not an address of IPv4"),
    "a great number in an address": (b"PROXY TCP4 1.1.1.256 2.2.2.2 1 2\r\n", "is not an address of IPv4"),
    "IPv6 as TCP4": (b"PROXY TCP4 ::1 ::2 1 2\r\n", "is not an address of IPv4"),
    "IPv4 as TCP6": (b"PROXY TCP6 1.1.1.1 2.2.2.2 1 2\r\n", "is not an address of IPv6"),
    "a zone": (b"PROXY TCP6 fe80::1%lo ::2 1 2\r\n", "is not an address of IPv6"),
    "no ASCII": (b"PROXY TCP4 1.1.1.\xb9 2.2.2.2 1 2\r\n", "is not an address of IPv4"),
    "a line too long": (b"PROXY UNKNOWN " + b"x" * (LONGEST_LINE - 15) + b"\r\n", "no line end within 107"),
    "a wrong signature": (b"\r\n\r\n\0\r\nQUIT\r", "its signature is wrong"),
    "version 3": (version_2(TCP4, command=0x31), "version 3 is not known"),
    "command 2": (version_2(TCP4, command=0x22), "command 2 is not known"),
    "UDP over IPv4": (version_2(TCP4, 0x12), "0x12, are not those of a stream"),
    "family 4": (version_2(TCP4, 0x41), "0x41, are not those of a stream"),
    "no transport": (version_2(TCP4, 0x10), "0x10, are not those of a stream"),
    "too short": (version_2(TCP4[:-1]), "too short for its addresses"),
    "too long": (version_2(TCP4, length=LONGEST - 15), "2049 bytes; 2048 are accepted"),
    "half a field": (version_2(TCP4, rest=b"\x01\0"), "a field at its end is cut"),
    "a long field": (version_2(TCP4, rest=b"\x01\0\x05h2"), "longer than the header"),
    "a short checksum": (version_2(TCP4, rest=field(0x03, b"\0")), "has not four bytes"),
    "a wrong checksum": (checksummed(TCP4)[:-1] + b"\0", "its checksum is wrong"),
    "a changed byte": (checksummed(TCP4).replace(b"\xc0\0\x02\x01", b"\xc0\0\x02\x07"), "its checksum is wrong"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_header_is_refused_with_the_reason(name: str) -> None:
    data, reason = BAD[name]
    with pytest.raises(HeaderRefused, match=reason):
        read(data)
    with pytest.raises(HeaderRefused, match=reason):
        read(data, 1)


def test_a_line_of_107_bytes_passes() -> None:
    """The bound that "a line too long" exceeds by one."""
    assert read(b"PROXY UNKNOWN " + b"x" * (LONGEST_LINE - 16) + b"\r\n")[0] == Header(1)


@for_each("first", [bytes([byte]) for byte in range(256) if byte not in b"P\r"])
def test_the_first_byte_that_shows_it_is_enough(first: bytes) -> None:
    with pytest.raises(HeaderRefused):
        wanted(first, LONGEST)


def test_the_checksum_is_that_of_its_standard() -> None:
    """RFC 3720 appendix B.4."""
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(b"123456789") == 0xE3069283


PIECES = st.sampled_from(
    [b"PROXY ", b"TCP4 ", b"1.1.1.1 ", b"1 ", b"\r\n", SIGNATURE, b"\x21", b"\x11", b"\0\x0c", TCP4]
)


@given(st.lists(PIECES | st.binary(max_size=20), max_size=9).map(b"".join), st.integers(1, 7))
def test_whatever_comes_is_read_alike_at_once_and_in_pieces(data: bytes, step: int) -> None:
    outcomes = []
    for size in (0, step):
        try:
            outcomes.append(str(read(data, size)))
        except (HeaderRefused, EOFError) as error:
            outcomes.append(type(error).__name__)
    assert outcomes[0] == outcomes[1]
