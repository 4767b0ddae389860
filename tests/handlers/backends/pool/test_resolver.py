"""Names to addresses: literals at once, names in a thread, kept for a while."""

import re
import socket
import threading
from collections.abc import Iterator

import pytest

from clerestory.handlers.backends.pool.resolver import FRESH, MOST, TTL, Address, Resolver, literal, look_up
from clerestory.handlers.backends.threads.threads import DEFAULT
from clerestory.handlers.backends.threads.work import Work
from clerestory.statemachines.resolution import RESOLVE
from tests.handlers.backends.upstreams import PATIENCE, Bench
from tests.support.waiting import eventually

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


class Slow:
    """A system's resolver that answers when it is let; `asked` is what it was asked."""

    def __init__(self, *outcomes: list[Address] | OSError) -> None:
        self.asked: list[tuple[str, int]] = []
        self.outcomes = list(outcomes)
        self.may_answer = threading.Event()

    def __call__(self, host: str, port: int) -> list[Address]:
        self.asked.append((host, port))
        self.may_answer.wait(PATIENCE)
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, OSError):
            raise outcome
        return outcome


def test_a_name_is_looked_up_in_a_thread_once_for_all_who_ask_and_kept_for_a_while(bench: Bench) -> None:
    system = Slow([HERE, THERE])
    resolver = Resolver("a.example", 80, bench.loop, look_up=system)
    told: list[str] = []
    assert (resolver.known(), resolver.describe()) == ([], "")
    for _ in range(3):
        resolver.ask(told.append)
    text = r"resolution#\d+ ASKING 0\.0 s of 5 s for a\.example <- work#\d+ (QUEUED|RUNNING) .*Slow 0\.0 s"
    assert re.match(text, resolver.describe())
    system.may_answer.set()
    bench.turn_until(lambda: told)
    assert (told, system.asked, resolver.describe()) == ([""], [("a.example", 80)], "")
    assert resolver.known() == [HERE, THERE]
    bench.clock.now += TTL - 0.1
    assert resolver.known()
    bench.clock.now += 0.1
    assert resolver.known() == []


def test_a_look_up_that_fails_says_why_and_old_addresses_are_used_on(bench: Bench) -> None:
    system = Slow(socket.gaierror(-2, "Name or service not known"), [HERE], OSError("down"), [])
    system.may_answer.set()
    resolver = Resolver("a.example", 80, bench.loop, look_up=system)
    told: list[str] = []
    known = []
    for number in range(4):
        bench.clock.now += TTL
        resolver.ask(told.append)
        bench.turn_until(lambda number=number: len(told) > number)  # type: ignore[misc]
        known.append(resolver.known())
    assert told == ["Name or service not known", "", "", ""]
    assert known == [[], [HERE], [HERE], [HERE]]


def test_a_resolver_that_does_not_answer_is_not_waited_for_beyond_the_deadline(bench: Bench) -> None:
    """What it answers later is forgotten, and the next look-up is another one."""
    system = Slow([THERE], [HERE])
    resolver = Resolver("a.example", 80, bench.loop, look_up=system)
    told: list[str] = []
    resolver.ask(told.append)
    eventually(lambda: system.asked)
    bench.pass_time(RESOLVE.seconds - 0.1)
    assert told == []
    bench.pass_time(0.1)
    assert told == ["the resolver did not answer in time"]
    assert (resolver.known(), resolver.resolution) == ([], None)
    system.may_answer.set()
    bench.turn_until(lambda: not [one for one in bench.loop.machines if one < 0])
    assert resolver.known() == []
    resolver.ask(told.append)
    bench.turn_until(lambda: len(told) == 2)
    assert resolver.known() == [HERE]


def test_addresses_that_are_doubted_are_looked_up_again_unless_they_are_fresh(bench: Bench) -> None:
    system = Slow([HERE], [THERE])
    system.may_answer.set()
    resolver = Resolver("a.example", 80, bench.loop, look_up=system)
    told: list[str] = []
    resolver.ask(told.append)
    bench.turn_until(lambda: told)
    assert not resolver.doubt()
    bench.clock.now += FRESH
    assert resolver.doubt()
    assert resolver.known() == []
    resolver.ask(told.append)
    bench.turn_until(lambda: len(told) == 2)
    assert resolver.known() == [THERE]
    assert not Resolver("127.0.0.1", 80, bench.loop).doubt(), "an address is not looked up"


def test_look_ups_do_not_take_the_threads_of_the_application(bench: Bench) -> None:
    system = Slow(*[[HERE]] * 4)
    for number in range(4):
        Resolver(f"{number}.example", 80, bench.loop, look_up=system).ask(lambda _: None)
    assert DEFAULT.waiting() == 0
    assert all("resolver thread" in one.name for one in bench.loop.machines.values() if isinstance(one, Work))
    system.may_answer.set()
    bench.turn_until(lambda: not [one for one in bench.loop.machines if one < 0])


def test_the_system_is_asked_and_few_addresses_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ("127.0.0.1", 80) in [address[:2] for _, address in look_up("localhost", 80)] or socket.has_ipv6
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"10.0.0.{n // 2}", 80)) for n in range(20)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    addresses = look_up("a.example", 80)
    assert len(addresses) == MOST
    assert len(set(addresses)) == MOST
