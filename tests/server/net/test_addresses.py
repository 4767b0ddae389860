"""Where to listen, as it is written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clerestory.server.net.addresses import LONGEST_PATH, Address, AddressError, parse


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8000", Address("127.0.0.1", 8000)),
        ("localhost:0", Address("localhost", 0)),
        ("[::1]:80", Address("::1", 80)),
        ("[fe80::1%eth0]:80", Address("fe80::1%eth0", 80)),
        ("[::]:80,v6only", Address("::", 80, v6only=True)),
        ("8000", Address("127.0.0.1", 8000)),
        ("*:80", Address("*", 80)),
        (":80", Address("*", 80)),
        ("unix:/run/a.sock", Address(path="/run/a.sock")),
        ("unix:/a,B", Address(path="/a,B")),
        ("unix:/a,mode=660", Address(path="/a", mode=0o660)),
        ("unix:/a,owner=www:data,mode=0600", Address(path="/a", mode=0o600, owner="www:data")),
        ("fd:3", Address(descriptor=3)),
        ("systemd", Address(systemd=True)),
    ],
)
def test_an_address_is_read(text: str, address: Address) -> None:
    assert parse(text) == address


def test_a_port_alone_is_on_the_usual_host() -> None:
    assert parse("80", "::1") == Address("::1", 80)
    assert parse("80", "0.0.0.0") == Address("0.0.0.0", 80)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not an address: write HOST:PORT"),
        ("localhost", "is not an address"),
        ("::1:80", "is not an address"),
        ("a b:80", "is not an address"),
        ("http://a:80", "is not an address"),
        ("1:2:3", "is not an address"),
        ("a:", "is not an address"),
        ("a:65536", "a port is a number from 0"),
        ("65536", "a port is a number from 0"),
        ("a:80,v6only", ",v6only stands alone, behind an IPv6 address"),
        ("[::]:80,v6only=1", ",v6only stands alone"),
        ("[::]:80,dual", ",dual is not known here"),
        ("unix:", "write unix: and a path"),
        ("unix:" + "a" * (LONGEST_PATH + 1), "write unix: and a path"),
        ("unix:a\0b", "write unix: and a path"),
        ("unix:/a,mode=9", "a mode is three octal digits"),
        ("unix:/a,mode=660,mode=600", "mode is given twice"),
        ("unix:/a,owner=", "an owner is USER"),
        ("unix:/a,own=me", ",own is not known here: what may follow is mode and owner"),
        ("fd:", "write fd: and the number"),
        ("fd:x", "write fd: and the number"),
        ("fd:3,mode=660", "write fd: and the number"),
        ("/run/a", "did you mean unix:/run/a?"),
    ],
)
def test_what_is_no_address_is_told_what_one_is(text: str, said: str) -> None:
    with pytest.raises(AddressError) as raised:
        parse(text)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("text", ["127.0.0.1:80", "[::1]:80", "unix:/run/a", "fd:3", "systemd", "*:80"])
def test_an_address_is_written_as_it_is_read(text: str) -> None:
    assert str(parse(text)) == text


@given(st.text() | st.from_regex(r"(unix:|fd:|\[)?[0-9a-z:\]]*(,[a-z]+(=[a-z0-9]*)?)*"))
def test_whatever_is_written_is_read_or_refused(text: str) -> None:
    said = ""
    try:
        parse(text)
    except AddressError as error:
        said = str(error)
    assert said == "" or said.startswith(repr(text))
