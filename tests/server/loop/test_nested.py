"""Our loop inside asyncio's and uvloop's: its turns, its timer, its end, and signals that come through."""

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from clerestory.server.loop.loop import Loop
from clerestory.server.loop.nested import Nested, Signals, loop_factory, run, wakeup_descriptor
from clerestory.server.loop.poller import PollerError, open_poller

OUTER = ["asyncio", "uvloop"]


@pytest.fixture(params=OUTER)
def outer(request: pytest.FixtureRequest) -> str:
    if request.param == "uvloop":
        pytest.importorskip("uvloop")
    return str(request.param)


@pytest.fixture
def loop() -> Iterator[Loop]:
    crashes: list[BaseException] = []
    loop = Loop(open_poller("epoll"), lambda _, error: crashes.append(error))
    yield loop
    loop.close()
    assert crashes == []


def inside(outer: str, story: Callable[[], Any]) -> None:
    async def main() -> int:
        await asyncio.wait_for(story(), 20)
        return 0

    assert run(main(), outer) == 0


def test_calls_of_other_threads_and_due_ones_are_made_while_the_outer_loop_runs(outer: str, loop: Loop) -> None:
    async def story() -> None:
        nested, made = Nested(loop, asyncio.get_running_loop()), asyncio.Event()
        nested.begin()
        loop.call_from_thread(made.set)
        await made.wait()
        made.clear()
        loop.call_at(loop.clock() + 0.01, made.set)  # between two turns: the timer is brought forward
        await made.wait()
        made.clear()
        await asyncio.to_thread(loop.call_from_thread, made.set)
        await made.wait()
        nested.end()
        assert loop.outside is None

    inside(outer, story)


def test_a_stop_ends_it_and_it_may_go_on_for_what_is_left(outer: str, loop: Loop) -> None:
    async def story() -> None:
        nested = Nested(loop, asyncio.get_running_loop())
        nested.begin()
        waiting = asyncio.ensure_future(nested.until_stopped())
        await asyncio.sleep(0)
        assert not waiting.done()
        loop.stop()
        await waiting
        nested.go_on()
        made = asyncio.Event()
        loop.call_from_thread(made.set)
        await made.wait()
        loop.stop()
        await nested.until_stopped()
        nested.end()

    inside(outer, story)


def test_what_our_loop_cannot_contain_ends_the_outer_one(
    outer: str, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def turn(timeout: float | None) -> None:
        raise ZeroDivisionError

    async def story() -> None:
        nested = Nested(loop, asyncio.get_running_loop())
        monkeypatch.setattr(loop, "turn", turn)
        nested.begin()
        with pytest.raises(ZeroDivisionError):
            await nested.until_stopped()
        nested.end()

    inside(outer, story)


def test_a_poller_that_cannot_be_polled_is_refused() -> None:
    loop = Loop(open_poller("poll"), lambda _, error: None)

    async def story() -> None:
        with pytest.raises(PollerError, match="--poller poll cannot run inside asyncio"):
            Nested(loop, asyncio.get_running_loop()).begin()

    inside("asyncio", story)
    loop.close()


def test_a_loop_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError

    monkeypatch.setattr("clerestory.server.loop.nested.importlib.import_module", missing)
    with pytest.raises(PollerError, match="pip install uvloop"):
        loop_factory("uvloop")
    assert issubclass(loop_factory("auto"), asyncio.SelectorEventLoop)  # type: ignore[arg-type]


def test_signals_come_to_our_descriptor_and_what_was_before_is_so_again(outer: str) -> None:
    called: list[int] = []
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    before = signal.signal(signal.SIGUSR2, lambda number, _: called.append(number))
    fd_before = signal.set_wakeup_fd(theirs.fileno())
    handler = signal.getsignal(signal.SIGUSR2)
    try:

        async def story() -> None:
            signals = Signals(asyncio.get_running_loop(), [signal.SIGUSR2], theirs.fileno())
            os.kill(os.getpid(), signal.SIGUSR2)
            number = await asyncio.to_thread(ours.recv, 1)
            assert number == bytes([signal.SIGUSR2])
            signals.give_back()

        inside(outer, story)
        assert called == [signal.SIGUSR2]
        assert signal.getsignal(signal.SIGUSR2) is handler
        assert wakeup_descriptor() == theirs.fileno()
    finally:
        signal.set_wakeup_fd(fd_before)
        signal.signal(signal.SIGUSR2, before)
        ours.close()
        theirs.close()
