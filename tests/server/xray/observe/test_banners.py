"""Banners: the words an operator sees first."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from clerestory.server.net.listener import Listener
from clerestory.server.net.sockets import listen
from clerestory.server.process.process import Process
from clerestory.server.process.signals import Signals
from clerestory.server.xray.observe.banners import Banner, Bounds, banners
from clerestory.server.xray.observe.cut import Blocked, Cut, Frame
from clerestory.server.xray.observe.seen import Seens
from clerestory.statemachines.listener import Trigger as L
from clerestory.statemachines.process import Trigger as P
from tests.server.support import GET, Bench, bench_of, hello
from tests.server.xray.support import ROOMY, cut_of, waiting


def texts(bench: Bench, bounds: Bounds = ROOMY) -> list[str]:
    return [one.text for one in banners(cut_of(bench), bounds)]


def test_where_all_is_well_nothing_is_said() -> None:
    with bench_of(hello) as bench:
        bench.connect()
        assert texts(bench) == []


def test_slots_taken_by_those_who_do_nothing() -> None:
    with bench_of(waiting()) as bench:
        for number in range(97):
            client = bench.connect()
            if number < 4:
                client.send(GET)
        assert texts(bench) == ["93 of 100 slots are idle keep-alive; 97 are taken in all."]


def test_slots_taken_by_those_who_wait_for_a_backend() -> None:
    with bench_of(waiting()) as bench:
        bench.connect().send(GET)
        assert texts(bench, Bounds(1, 1000)) == ["1 of 1 slots is QUERYING_BACKEND; 1 are taken in all."]


@pytest.mark.parametrize(
    ("used", "said"),
    [
        (None, []),
        (899, []),
        (900, [("warning", "900 of 1,000 descriptors are open: 100 are left.")]),
        (1000, [("critical", "1,000 of 1,000 descriptors are open: 0 are left.")]),
    ],
)
def test_descriptors_that_run_short(used: int | None, said: list[tuple[str, str]]) -> None:
    with bench_of(hello) as bench:
        found = banners(cut_of(bench), Bounds(100, 1000, used))
        assert [(one.level, one.text) for one in found] == said


def test_what_holds_a_drain_and_until_when() -> None:
    with bench_of(waiting(), drain_timeout=30.0) as bench:
        bench.connect().send(GET)
        bench.clock.now += 12
        with draining(bench):
            bench.clock.now += 1
            (banner,) = banners(cut_of(bench), ROOMY)
            assert banner == Banner(
                "draining",
                "warning",
                "Shutting down for 1.0 s: waiting for 1 connection (1: GET / QUERYING_BACKEND 13.0 s of 75 s "
                "<- work#1 RUNNING find 1.2 s). In 29.0 s what is left is closed.",
                ("1",),
                29.0,
            )


def test_a_drain_that_many_hold_names_those_who_have_held_it_longest() -> None:
    with bench_of(waiting()) as bench:
        for _ in range(8):
            bench.connect().send(GET)
            bench.clock.now += 1
        with draining(bench):
            (banner,) = banners(cut_of(bench), ROOMY)
            assert banner.text.startswith(
                "Shutting down for 0.0 s: waiting for 8 connections (1: GET / QUERYING_BACKEND 8.0 s"
            )
            assert "; and 3 more). In 30.0 s what is left is closed." in banner.text
            assert banner.connections == ("1", "2", "3", "4", "5")


@contextmanager
def draining(bench: Bench) -> Iterator[None]:
    """A process that drains what is on the bench."""
    with closing(Signals()) as signals:
        process = Process(bench.service, signals, "the bench")
        bench.loop.add(process)
        bench.loop.fire(process, P.LISTENING)
        bench.loop.fire(process, P.SIGNAL_RECEIVED)
        bench.settle()
        bench.loop.fire(process, P.DEADLINE_PASSED)
        assert process.state == "DRAINING"
        yield


@pytest.mark.parametrize(
    ("trigger", "reason"),
    [(L.DESCRIPTORS_EXHAUSTED, "no descriptor is left"), (L.CAPACITY_REACHED, "there is no room")],
)
def test_a_listener_that_takes_nobody(trigger: L, reason: str) -> None:
    with bench_of(hello) as bench:
        listener = Listener(bench.service, listen("127.0.0.1", 0))
        bench.loop.add(listener)
        listener.engine.fire(listener, trigger)
        bench.clock.now += 0.5
        (banner,) = banners(cut_of(bench), ROOMY)
        assert (banner.kind, banner.level, banner.seconds) == ("paused", "critical", 0.5)
        assert banner.text == f"{listener.address} has accepted no new connections for 0.5 s: {reason}."


def test_a_blocked_loop_is_told_before_anything_else() -> None:
    with bench_of(waiting()) as bench:
        client = bench.connect()
        client.send(GET)
        frame = Frame("app.py", 12, "slow", "time.sleep(10)")
        blocked = Blocked(3.2, client.connection, (frame,))
        cut = Cut(bench.clock.now, Seens(bench.loop.machines.values()), blocked=blocked)
        first, *others = banners(cut, Bounds(1, 1000, 950))
        assert first.text == (
            "The loop has been blocked for 3.2 s by connection 1 (GET /), in slow at app.py:12: time.sleep(10). "
            "Nothing else is served meanwhile."
        )
        assert (first.level, first.connections) == ("critical", ("1",))
        assert [one.level for one in others] == ["warning", "warning"]


def test_a_loop_blocked_outside_of_every_machine() -> None:
    with bench_of(hello) as bench:
        cut = Cut(bench.clock.now, Seens(()), blocked=Blocked(0.5, None, ()))
        assert [one.text for one in banners(cut, ROOMY)] == [
            "The loop has been blocked for 0.5 s. Nothing else is served meanwhile."
        ]


def test_a_loop_blocked_by_another_machine_names_it() -> None:
    with bench_of(hello) as bench:
        listener = Listener(bench.service, listen("127.0.0.1", 0))
        bench.loop.add(listener)
        cut = Cut(bench.clock.now, Seens([listener]), blocked=Blocked(0.5, listener, ()))
        (banner,) = banners(cut, ROOMY)
        assert banner.text.startswith(f"The loop has been blocked for 0.5 s by listener:{listener.descriptor}.")
