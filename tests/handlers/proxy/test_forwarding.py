"""Forwarding: what goes on to the next hop, what does not, and who is believed about the client."""

import pytest

from clerestory.handlers.api.messages import Field, Fields, Request
from clerestory.handlers.api.security import Security
from clerestory.handlers.proxy.forwarding import (
    KEPT,
    LONGEST_NAME,
    Forwarder,
    end_to_end,
    is_trusted,
    parse_networks,
    peer_host,
)

LOCAL = parse_networks(["127.0.0.0/8", "::1"])


def fields(*pairs: str) -> Fields:
    """`a: b` as they come from the gate."""
    return tuple((name.encode(), value.encode()) for name, _, value in (pair.partition(": ") for pair in pairs))


def forwarded(
    *pairs: str, trusted: bool = False, peer: str = "127.0.0.1:4711", method: str = "GET", minor: int = 1
) -> dict[str, str]:
    """The fields of the request to the upstream; each may be there once."""
    request = Request(method, "/", fields(*pairs), authority=b"a.example", peer=peer, minor=minor)
    found = Forwarder("us", LOCAL if trusted else ()).request_fields(request)
    assert len({name for name, _ in found}) == len(found), found
    return {name.decode(): value.decode() for name, value in found}


# --- hop by hop


@pytest.mark.parametrize(
    "name",
    ["Connection", "Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Transfer-Encoding", "Upgrade", "Content-Length",
     "Proxy-Authorization", "Proxy-Authenticate", "HTTP2-Settings"],
)  # fmt: skip
def test_what_is_about_a_connection_stays_on_it(name: str) -> None:
    assert end_to_end(fields(f"{name.lower()}: x", "a: b")) == [(b"a", b"b")]


def test_what_connection_names_stays_on_it() -> None:
    given = fields("connection: close, X-Hop , ,x-other", "x-hop: 1", "x-other: 2", "x-end: 3", "connection: x-more",
                   "x-more: 4")  # fmt: skip
    assert end_to_end(given) == [(b"x-end", b"3")]


@pytest.mark.parametrize(
    "name",
    ["host", "via", "forwarded", "x-forwarded-for", "x-forwarded-anything", "x-real-ip", "authorization", "cookie"],
)
def test_connection_cannot_take_away_what_the_next_hop_must_know(name: str) -> None:
    assert end_to_end(fields(f"connection: {name}", f"{name}: kept")) == [(name.encode(), b"kept")]


@pytest.mark.parametrize("option", ["host", "content-length", "x-forwarded-for", "forwarded", "via"])
def test_a_client_cannot_have_us_leave_out_what_we_say(option: str) -> None:
    found = forwarded(f"connection: close, {option}")
    assert found["host"] == "a.example"
    assert found["x-forwarded-for"] == "127.0.0.1"
    assert found["forwarded"].startswith("for=127.0.0.1")
    assert found["via"] == "1.1 us"


# --- who the client is


SAID = (
    "forwarded: for=6.6.6.6",
    "x-forwarded-for: 6.6.6.6",
    "x-forwarded-proto: https",
    "x-forwarded-host: evil.example",
    "x-forwarded-port: 443",
    "x-forwarded-prefix: /admin",
    "x-real-ip: 6.6.6.6",
)


def test_what_a_client_says_of_itself_is_overwritten() -> None:
    found = forwarded(*SAID, "a: b")
    assert found == {
        "host": "a.example",
        "a": "b",
        "via": "1.1 us",
        "forwarded": "for=127.0.0.1;proto=http;host=a.example",
        "x-forwarded-for": "127.0.0.1",
        "x-forwarded-proto": "http",
        "x-forwarded-host": "a.example",
    }


def test_what_a_trusted_peer_says_is_kept_and_the_peer_is_added() -> None:
    found = forwarded(*SAID, trusted=True)
    assert found == {
        "host": "a.example",
        "via": "1.1 us",
        "forwarded": "for=6.6.6.6, for=127.0.0.1;proto=http;host=a.example",
        "x-forwarded-for": "6.6.6.6, 127.0.0.1",
        "x-forwarded-proto": "https",
        "x-forwarded-host": "evil.example",
        "x-forwarded-port": "443",
        "x-forwarded-prefix": "/admin",
        "x-real-ip": "6.6.6.6",
    }


def test_a_peer_elsewhere_is_not_trusted() -> None:
    assert forwarded(*SAID, trusted=True, peer="10.0.0.1:80")["x-forwarded-for"] == "10.0.0.1"


def test_a_peers_address_of_version_6_is_quoted_where_it_has_to_be() -> None:
    found = forwarded(peer="[2001:db8::1]:4711")
    assert found["forwarded"] == 'for="[2001:db8::1]";proto=http;host=a.example'
    assert found["x-forwarded-for"] == "2001:db8::1"


@pytest.mark.parametrize(
    "name", ["x_forwarded_for", "x-forwarded_for", "content_length", "transfer_encoding", "host_", "x_real_ip"]
)
def test_a_field_that_an_environ_would_take_for_another_is_dropped(name: str) -> None:
    found = forwarded(f"{name}: 6.6.6.6", "x_own: kept")
    assert (name in found) is (name == "host_")
    assert found["x_own"] == "kept"


# --- the others


def test_via_tells_the_version_in_which_the_request_came() -> None:
    assert forwarded("via: 1.1 first", minor=0)["via"] == "1.1 first, 1.0 us"


def test_a_request_that_has_been_here_before_is_known() -> None:
    forwarder = Forwarder("us")
    assert forwarder.has_passed(Request("GET", "/", fields("via: 1.1 other, 1.0 us")))
    assert not forwarder.has_passed(Request("GET", "/", fields("via: 1.1 them, 1.1 use")))
    assert not forwarder.has_passed(Request("GET", "/", ()))


def test_the_upstreams_own_host_is_told_where_that_is_wanted() -> None:
    request = Request("GET", "/", fields("host: a.example"), authority=b"a.example", peer="127.0.0.1:1")
    found = dict(Forwarder("us", keep_host=False).request_fields(request))
    assert b"host" not in found
    assert found[b"x-forwarded-host"] == b"a.example"


def test_the_authority_of_an_absolute_target_replaces_host() -> None:
    request = Request("GET", "http://b.example/", fields("host: a.example"), authority=b"b.example")
    found: list[Field] = Forwarder("us").request_fields(request)
    assert [value for name, value in found if name == b"host"] == [b"b.example"]


def test_an_authority_that_is_no_token_is_quoted() -> None:
    request = Request("GET", "/", (), authority=b"a.example:8000", peer="")
    found = dict(Forwarder("us").request_fields(request))
    assert found[b"forwarded"] == b'for=unknown;proto=http;host="a.example:8000"'


def test_an_answers_fields_lose_framing_and_hops_and_gain_via() -> None:
    given = fields("content-length: 5", "connection: x-hop", "x-hop: 1", "set-cookie: a", "set-cookie: b", "via: 1.1 o")
    found = Forwarder("us").answer_fields(given, 1)
    assert found == [(b"set-cookie", b"a"), (b"set-cookie", b"b"), (b"via", b"1.1 o, 1.1 us")]


@pytest.mark.parametrize(
    ("host", "trusted"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("::ffff:127.0.0.1", True), ("::2", False),
     ("10.0.0.1", False), ("unix", False), ("", False), ("fe80::1%eth0", False)],
)  # fmt: skip
def test_networks_hold_addresses(host: str, trusted: bool) -> None:
    assert is_trusted(host, LOCAL) is trusted


@pytest.mark.parametrize("text", ["", "a", "10.0.0.1/8", "10.0.0.0/33", "::1/129"])
def test_what_is_no_network_is_said(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - which of them is not the point
        parse_networks([text])


def test_a_peers_host() -> None:
    assert [peer_host(peer) for peer in ("127.0.0.1:80", "[::1]:80", "unix")] == ["127.0.0.1", "::1", ""]


# --- what is kept in mind


def test_what_is_said_of_a_client_is_kept_for_it_alone_and_is_bounded() -> None:
    forwarder = Forwarder("us")
    for number in range(KEPT + 1):
        peer = f"10.{number >> 8}.{number & 255}.1"
        for authority in (b"a.example", b"b.example"):
            fields = dict(forwarder.request_fields(Request("GET", "/", (), authority=authority, peer=f"{peer}:80")))
            assert fields[b"x-forwarded-for"] == peer.encode()
            assert fields[b"x-forwarded-host"] == authority
        assert len(forwarder._said) <= KEPT
    before = len(forwarder._said)
    for size, more in ((LONGEST_NAME, 1), (LONGEST_NAME + 1, 1)):
        forwarder.request_fields(Request("GET", "/", (), authority=b"a" * size, peer="1.1.1.1:1"))
        assert len(forwarder._said) == before + more


def test_names_that_go_on_are_kept_and_are_bounded() -> None:
    forwarder = Forwarder("us")
    for number in range(KEPT + 1):
        forwarder.request_fields(Request("GET", "/", ((b"x-%d" % number, b"1"),), peer="1.1.1.1:1"))
        assert len(forwarder._plain) <= KEPT
    before = len(forwarder._plain)
    for size, more in ((LONGEST_NAME, 1), (LONGEST_NAME + 1, 1)):
        fields = forwarder.request_fields(Request("GET", "/", ((b"y" * size, b"1"),), peer="1.1.1.1:1"))
        assert (b"y" * size, b"1") in fields
        assert len(forwarder._plain) == before + more


def test_a_name_that_connection_names_is_dropped_though_it_is_known_to_go_on() -> None:
    forwarder = Forwarder("us")
    plain: Fields = ((b"x-own", b"1"),)
    assert plain[0] in forwarder.request_fields(Request("GET", "/", plain, peer="1.1.1.1:1"))
    named = Request("GET", "/", ((b"connection", b"X-Own"), *plain), peer="1.1.1.1:1")
    assert plain[0] not in forwarder.request_fields(named)
    assert plain[0] in forwarder.request_fields(Request("GET", "/", plain, peer="1.1.1.1:1"))


def test_what_a_client_says_of_itself_is_never_kept() -> None:
    forwarder = Forwarder("us", trusted=parse_networks(["10.0.0.1"]))
    liar = ((b"x-forwarded-for", b"6.6.6.6"),)
    trusted = dict(forwarder.request_fields(Request("GET", "/", liar, peer="10.0.0.1:1")))
    assert trusted[b"x-forwarded-for"] == b"6.6.6.6, 10.0.0.1"
    again = dict(forwarder.request_fields(Request("GET", "/", (), peer="10.0.0.1:1")))
    assert again[b"x-forwarded-for"] == b"10.0.0.1"
    other = dict(forwarder.request_fields(Request("GET", "/", liar, peer="10.0.0.2:1")))
    assert other[b"x-forwarded-for"] == b"10.0.0.2"


# --- whose request it is


@pytest.mark.parametrize(
    ("peer", "said", "client"),
    [
        ("127.0.0.1:4711", "", "127.0.0.1"),
        ("127.0.0.1:4711", "203.0.113.5, 203.0.113.7", "203.0.113.7"),
        ("203.0.113.9:4711", "203.0.113.7", "203.0.113.9"),
        ("[2001:db8:1:2:3:4:5:6]:4711", "", "2001:db8:1:2::"),
        ("127.0.0.1:4711", "2001:db8:1:2::9", "2001:db8:1:2::"),
        ("[::ffff:203.0.113.9]:4711", "", "::ffff:203.0.113.9"),
        ("127.0.0.1:4711", "rubbish:x", "rubbish:x"),
        ("", "", ""),
    ],
)
def test_a_client_is_known_by_its_address_or_network_and_only_a_trusted_peer_names_another(
    peer: str, said: str, client: str
) -> None:
    given = fields(f"x-forwarded-for: {said}") if said else ()
    assert Forwarder("us", LOCAL).client(Request("GET", "/", given, peer=peer)) == client


def test_the_upstream_is_told_by_what_scheme_we_were_asked() -> None:
    """The same client may ask by both, one after the other, from the same port."""
    rewriting = Forwarder("us")
    secure = Request("GET", "/", (), peer="127.0.0.1:1", security=Security("TLSv1.3", "TLS_AES_256_GCM_SHA384"))
    plain = Request("GET", "/", (), peer="127.0.0.1:1")
    for request, scheme in ((secure, b"https"), (plain, b"http"), (secure, b"https")):
        found = dict(rewriting.request_fields(request))
        assert found[b"x-forwarded-proto"] == scheme
        assert b"proto=" + scheme in found[b"forwarded"].split(b";")
