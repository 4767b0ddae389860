"""Names to addresses: literals at once, names in a thread, kept for a while."""

import re
import socket
from collections.abc import Iterator

import pytest

from handlers.backends.resolver import MOST, TTL, Address, Resolver, literal, look_up
from tests.handlers.backends.upstreams import Bench

HERE: Address = (socket.AF_INET, ("127.0.0.1", 80))
THERE: Address = (socket.AF_INET, ("127.0.0.2", 80))


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


def test_an_address_is_no_name() -> None:
    assert literal("127.0.0.1", 80) == [HERE]
    assert literal("::1", 80) == [(socket.AF_INET6, ("::1", 80))]
    assert literal("a.example", 80) == []


def test_a_literal_is_known_for_ever_and_asks_nobody(bench: Bench) -> None:
    resolver = Resolver("127.0.0.1", 80, bench.loop, look_up=lambda host, port: [])
    bench.clock.now += 1e9
    assert resolver.known() == [HERE]


def test_a_name_is_looked_up_in_a_thread_once_for_all_who_ask_and_kept_for_a_while(bench: Bench) -> None:
    asked: list[tuple[str, int]] = []

    def look(host: str, port: int) -> list[Address]:
        asked.append((host, port))
        return [HERE, THERE]

    resolver = Resolver("a.example", 80, bench.loop, look_up=look)
    told: list[tuple[list[Address], str]] = []
    assert resolver.known() == []
    for _ in range(3):
        resolver.ask(lambda found, reason: told.append((found, reason)))
    assert re.match(r"looking up a\.example <- work#\d+ RUNNING \S+look 0\.0 s", resolver.describe())
    bench.turn_until(lambda: len(told) == 3)
    assert told == [([HERE, THERE], "")] * 3
    assert asked == [("a.example", 80)]
    assert resolver.known() == [HERE, THERE]
    bench.clock.now += TTL - 0.1
    assert resolver.known()
    bench.clock.now += 0.1
    assert resolver.known() == []


def test_a_look_up_that_fails_says_why_and_old_addresses_are_used_on(bench: Bench) -> None:
    outcomes: list[list[Address] | OSError] = [
        socket.gaierror(-2, "Name or service not known"),
        [HERE],
        OSError("down"),
    ]

    def look(host: str, port: int) -> list[Address]:
        outcome = outcomes.pop(0)
        if isinstance(outcome, OSError):
            raise outcome
        return outcome

    resolver = Resolver("a.example", 80, bench.loop, look_up=look)
    told: list[tuple[list[Address], str]] = []
    for number in range(3):
        resolver.ask(lambda found, reason: told.append((found, reason)))
        bench.turn_until(lambda number=number: len(told) > number)  # type: ignore[misc]
    assert told == [([], "Name or service not known"), ([HERE], ""), ([HERE], "")]


def test_the_system_is_asked_and_few_addresses_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ("127.0.0.1", 80) in [address[:2] for _, address in look_up("localhost", 80)] or socket.has_ipv6
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"10.0.0.{n // 2}", 80)) for n in range(20)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    addresses = look_up("a.example", 80)
    assert len(addresses) == MOST
    assert len(set(addresses)) == MOST
