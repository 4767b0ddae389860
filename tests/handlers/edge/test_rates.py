"""Rates: so many, and one more; when to come again; whom they are counted for, and how many of these."""

import pytest

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.messages import Request
from clerestory.handlers.asgi.scope import Scopes
from clerestory.handlers.edge.rates import Rate, RateLimit, network_of
from clerestory.handlers.proxy.forwarding import parse_networks


def limiting(rate: Rate, *trusted: str, most: int = 100) -> RateLimit:
    return RateLimit(rate, Scopes(trusted=parse_networks(trusted)).client, most)


def wait(limit: RateLimit, now: float, peer: str = "192.0.2.1:1", said: str = "") -> int:
    """0 for who is admitted, else the seconds of Retry-After."""
    fields = ((b"x-forwarded-for", said.encode()),) if said else ()
    try:
        assert limit.admit(Request("GET", "/", fields, peer=peer), now) is None
    except HTTPError as error:
        return int(dict(error.fields)[b"retry-after"]) if error.status == 429 else -1
    return 0


@pytest.mark.parametrize("burst", [1, 2, 10])
def test_so_many_at_once_and_one_more_has_to_wait(burst: int) -> None:
    limit = limiting(Rate(10, 1.0, burst))
    assert [wait(limit, 100.0) for _ in range(burst)] == [0] * burst
    assert wait(limit, 100.0) == 1


def test_then_one_for_each_interval_and_no_more() -> None:
    limit = limiting(Rate(10, 1.0, 3))
    for _ in range(3):
        wait(limit, 100.0)
    for step in range(1, 50):
        now = 100.0 + step / 10
        assert wait(limit, now - 0.01) == 1
        assert wait(limit, now) == 0
        assert wait(limit, now) == 1


def test_who_is_refused_is_not_set_back_and_is_told_when_to_come() -> None:
    limit = limiting(Rate(1, 60.0, 1))
    assert wait(limit, 0.0) == 0
    assert [wait(limit, 0.0), wait(limit, 29.5), wait(limit, 59.0)] == [60, 31, 1]
    assert wait(limit, 60.0) == 0


def test_who_has_been_away_has_a_burst_and_no_more() -> None:
    limit = limiting(Rate(10, 1.0, 2))
    for now in (0.0, 1000.0):
        assert [wait(limit, now) for _ in range(3)] == [0, 0, 1]


def test_clients_are_told_apart_by_address_and_not_by_port() -> None:
    limit = limiting(Rate(1, 60.0, 1))
    assert wait(limit, 0.0, "192.0.2.1:1") == 0
    assert wait(limit, 0.0, "192.0.2.1:2") == 60
    assert wait(limit, 0.0, "192.0.2.2:1") == 0


def test_a_network_of_ipv6_is_one_client() -> None:
    limit = limiting(Rate(1, 60.0, 1))
    assert wait(limit, 0.0, "[2001:db8::1]:1") == 0
    assert wait(limit, 0.0, "[2001:db8::ffff:0:0:1]:1") == 60
    assert wait(limit, 0.0, "[2001:db8:0:1::1]:1") == 0


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("", ""),
        ("a:b", "a:b"),
    ],
)
def test_what_tells_clients_apart(host: str, network: str) -> None:
    assert network_of(host) == network


def test_only_a_trusted_proxy_is_believed() -> None:
    limit = limiting(Rate(1, 60.0, 1), "10.0.0.0/8")
    assert wait(limit, 0.0, "10.0.0.1:1", "198.51.100.7, 10.0.0.2") == 0
    assert wait(limit, 0.0, "10.0.0.3:1", "198.51.100.7") == 60
    assert wait(limit, 0.0, "10.0.0.1:1", "198.51.100.8") == 0
    assert wait(limit, 0.0, "192.0.2.9:1", "198.51.100.9") == 0
    assert wait(limit, 0.0, "192.0.2.9:1", "198.51.100.10") == 60  # the same peer, whatever it says


def test_who_has_no_address_is_one_client() -> None:
    limit = limiting(Rate(1, 60.0, 1))
    assert [wait(limit, 0.0, "unix"), wait(limit, 0.0, "unix")] == [0, 60]


def test_so_many_are_kept_and_one_more_takes_the_place_of_who_came_first() -> None:
    limit = limiting(Rate(1, 60.0, 1), most=3)
    for last in (1, 2, 3):
        assert wait(limit, 0.0, f"192.0.2.{last}:1") == 0
    assert wait(limit, 0.0, "192.0.2.1:1") == 60  # kept, and the last to have come
    assert limit.clients == 3
    assert wait(limit, 0.0, "192.0.2.4:1") == 0
    assert limit.clients == 3
    assert wait(limit, 0.0, "192.0.2.1:1") == 60
    assert wait(limit, 0.0, "192.0.2.2:1") == 0  # forgotten
