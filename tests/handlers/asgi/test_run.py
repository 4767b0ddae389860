"""A call of an application: where its machine stands for each thing that it waits for, and what ends it."""

import asyncio
import gc
import os
from collections.abc import AsyncIterator
from typing import Any

import pytest

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.messages import File
from clerestory.handlers.asgi.errors import ClientDisconnected
from clerestory.statemachines.application import Trigger as T
from tests.handlers.asgi.bench import Bench, bench_of, give, start


def only(bench: Bench) -> Any:
    (run,) = bench.runs
    return run


def test_it_runs_while_it_waits_for_something_of_its_own() -> None:
    async def called(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0)
        await start(send)
        await give(send, b"ok")

    with bench_of(called) as bench:
        carrier = bench.ask()
        assert (bench.states(), carrier.answer) == (["RUNNING"], None)
        assert only(bench).facts()[1] == "7-1"
        bench.turn()
        assert (bench.states(), carrier.answer and carrier.answer.body) == ([], b"ok")


def test_it_waits_for_a_body_piece_by_piece() -> None:
    got: list[Any] = []

    async def called(scope: Any, receive: Any, send: Any) -> None:
        while True:
            event = await receive()
            got.append((event["body"], event["more_body"]))
            if not event["more_body"]:
                break
        await start(send)
        await give(send, b"ok")

    with bench_of(called) as bench:
        carrier = bench.ask("POST", length=None)
        assert (bench.states(), carrier.reading) == (["AWAITING_BODY"], True)
        carrier.give(b"one", last=False)
        assert bench.states() == ["RUNNING"]
        bench.turn()
        assert bench.states() == ["AWAITING_BODY"]
        carrier.give(b"two", last=True)
        bench.turn()
        assert got == [(b"one", True), (b"two", False)]
        assert carrier.answer is not None


def test_a_body_that_has_come_is_read_before_the_application_is_called() -> None:
    async def called(scope: Any, receive: Any, send: Any) -> None:
        event = await receive()
        await start(send)
        await give(send, event["body"])

    with bench_of(called) as bench:
        carrier = bench.ask("POST", length=5, begun=b"hello")
        assert (carrier.reading, bench.runs) == (True, [])
        bench.outer.call_soon(lambda: carrier.give(b"hello", last=True))
        bench.turn(1)
        assert (carrier.answer and carrier.answer.body, bench.runs) == (b"hello", [])


def test_behind_the_body_it_waits_for_the_client_to_leave() -> None:
    got: list[str] = []

    async def called(scope: Any, receive: Any, send: Any) -> None:
        got.extend([(await receive())["type"] for _ in range(3)])

    with bench_of(called) as bench:
        carrier = bench.ask()
        assert bench.states() == ["AWAITING_DISCONNECT"]
        carrier.steps.cancel()
        assert bench.states() == ["LEAVING"]
        bench.turn()
        assert (bench.states(), got) == ([], ["http.request", *["http.disconnect"] * 2])
        assert bench.told == []


def test_a_client_that_has_sent_its_last_is_told_to_who_waits_for_that_and_the_answer_goes_on() -> None:
    async def called(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        told = (await receive())["type"]
        await start(send)
        await give(send, told.encode())

    with bench_of(called) as bench:
        carrier = bench.ask()
        carrier.steps.client_closed()
        bench.turn()
        assert carrier.answer is not None
        assert carrier.answer.body == b"http.disconnect"


def test_of_two_who_wait_one_is_told_a_piece_and_the_other_waits_on() -> None:
    got: list[Any] = []

    async def called(scope: Any, receive: Any, send: Any) -> None:
        async def ask() -> None:
            got.append((await receive()).get("body"))

        await asyncio.gather(ask(), ask())

    with bench_of(called) as bench:
        carrier = bench.ask("POST", length=None)
        bench.turn()
        carrier.give(b"one", last=False)
        bench.turn()
        assert got == [b"one"]
        carrier.give(b"two", last=True)
        bench.turn()
        assert got == [b"one", b"two"]


@pytest.mark.parametrize("ended", [False, True])
def test_who_is_cancelled_while_it_waits_takes_nothing_from_the_others(ended: bool) -> None:
    """Each waits for itself: neither does the others' wait end with it, nor is anything lost that comes."""
    got: list[Any] = []

    async def called(scope: Any, receive: Any, send: Any) -> None:
        if ended:
            await receive()
        waiting = [asyncio.ensure_future(receive()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(0)
        got.append([one.done() for one in waiting])
        event = await waiting[1]
        waiting[2].cancel()
        got.append(event)
        await start(send)
        await give(send, b"ok")

    with bench_of(called) as bench:
        carrier = bench.ask("POST", length=0 if ended else None)
        bench.turn()
        assert got == [[True, False, False]]
        if ended:
            carrier.steps.client_closed()
        else:
            carrier.give(b"one", last=False)
        bench.turn()
        assert got[1:] == [
            {"type": "http.disconnect"} if ended else {"type": "http.request", "body": b"one", "more_body": True}
        ]
        assert (carrier.answer and carrier.answer.body, bench.runs) == (b"ok", [])


@pytest.mark.parametrize("woken", [False, True])
def test_what_comes_for_one_that_has_given_up_is_kept(woken: bool) -> None:
    """Also where it gives up when it has been woken already."""
    got: list[Any] = []
    waiting: list[asyncio.Future[Any]] = []
    go_on = asyncio.Event()

    async def called(scope: Any, receive: Any, send: Any) -> None:
        waiting.append(asyncio.ensure_future(receive()))
        await go_on.wait()
        got.extend([(await receive())["body"], (await receive())["body"]])

    with bench_of(called) as bench:
        carrier = bench.ask("POST", length=None)
        bench.turn()
        if woken:
            carrier.give(b"one", last=False)
        waiting[0].cancel()
        bench.turn()
        assert waiting[0].cancelled()
        if not woken:
            carrier.give(b"one", last=False)
        go_on.set()
        bench.turn()
        carrier.give(b"two", last=True)
        bench.turn()
        assert got == [b"one", b"two"]


def test_one_that_gives_up_a_body_answers_without_it() -> None:
    """Not first when the client sends more."""

    async def called(scope: Any, receive: Any, send: Any) -> None:
        waiting = asyncio.ensure_future(receive())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.sleep(0)
        await start(send, 408)
        await give(send, b"too ", more=True)
        await give(send, b"late")

    with bench_of(called) as bench:
        carrier = bench.ask("POST", length=None)
        bench.turn()
        assert (carrier.answer and carrier.answer.status, b"".join(carrier.pieces)) == (408, b"too ")
        carrier.step()
        assert (carrier.pieces, bench.states()) == ([b"too ", b"late"], [])


def test_it_waits_for_room_beyond_the_bound_and_not_below() -> None:
    async def called(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0)
        await start(send)
        await give(send, b"first", more=True)  # taken at once
        await give(send, b"x" * 1000, more=True)
        await give(send, b"x", more=True)
        await give(send, b"last")

    with bench_of(called, max_output=1000) as bench:
        carrier = bench.ask()
        bench.turn()
        assert (bench.states(), carrier.pieces) == (["AWAITING_ROOM"], [b"first"])
        carrier.step()
        assert (bench.states(), carrier.pieces[1]) == (["PRODUCING"], b"x" * 1001)
        bench.turn()
        carrier.step()
        assert (bench.states(), carrier.pieces[2:]) == ([], [b"last"])
        carrier.step()
        assert carrier.ended


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_a_body_that_is_not_sent_is_taken_turn_by_turn(method: str) -> None:
    """The head goes out with the first piece; an application that goes on holds up nobody."""
    given: list[int] = []

    async def called(scope: Any, receive: Any, send: Any) -> None:
        await start(send, 200 if method == "HEAD" else 304)
        for number in range(3):
            await give(send, b"x" * 5000, more=True)
            given.append(number)
        await give(send, b"x")

    with bench_of(called) as bench:
        carrier = bench.ask(method)
        assert carrier.answer is not None
        assert (bench.states(), given) == (["PRODUCING"], [])
        bench.turn()
        assert (bench.states(), given) == ([], [0, 1, 2])


def test_in_a_drain_a_slow_client_still_makes_send_wait() -> None:
    async def called(scope: Any, receive: Any, send: Any) -> None:
        await start(send)
        while True:
            await give(send, b"x" * 600, more=True)

    with bench_of(called, max_output=1000) as bench:
        bench.ask()
        bench.turn()
        run = only(bench)
        bench.hosting.drain()
        bench.turn()
        assert (bench.states(), run.size) == (["LEAVING"], 1200)
        bench.hosting.cancel_all()
        bench.turn()
        assert bench.runs == []


def test_room_that_is_never_made_ends_with_the_client() -> None:
    raised: list[BaseException] = []

    async def called(scope: Any, receive: Any, send: Any) -> None:
        await start(send)
        try:
            while True:
                await give(send, b"x" * 600, more=True)
        except OSError as error:
            raised.append(error)
            raise

    with bench_of(called) as bench:
        carrier = bench.ask()
        bench.turn()
        assert bench.states() == ["AWAITING_ROOM"]
        carrier.steps.close()
        bench.turn()
        assert [type(error) for error in raised] == [ClientDisconnected]
        assert (bench.runs, bench.told) == ([], [])


def test_work_behind_the_answer_is_a_state_and_its_failure_is_logged() -> None:
    async def called(scope: Any, receive: Any, send: Any) -> None:
        await start(send)
        await give(send, b"ok")
        await asyncio.sleep(0)
        raise ValueError("behind")

    with bench_of(called) as bench:
        carrier = bench.ask()
        assert (bench.states(), carrier.ended) == (["RUNNING_ON"], True)
        bench.turn()
        ((level, event, fields),) = bench.told
        assert (level, event, fields["id"], str(fields["exc_info"])) == ("error", "application_failed", "7-1", "behind")


@pytest.mark.parametrize("begun", [False, True])
def test_what_it_raises_before_its_answer_ends_is_told_to_the_connection(begun: bool) -> None:
    async def called(scope: Any, receive: Any, send: Any) -> None:
        if begun:
            await start(send)
            await give(send, b"x", more=True)
        await asyncio.sleep(0)
        raise ValueError("own")

    with bench_of(called) as bench:
        carrier = bench.ask()
        bench.turn()
        if begun:
            carrier.step()
        assert isinstance(carrier.error, ValueError)
        assert bench.told == []


def test_one_that_is_late_is_answered_504_and_told_and_then_cancelled_and_then_given_up() -> None:
    stubborn = True

    async def called(scope: Any, receive: Any, send: Any) -> None:
        while stubborn:
            try:
                await bench.outer.create_future()
            except asyncio.CancelledError:
                continue

    with bench_of(called) as bench:
        carrier = bench.ask()
        run = only(bench)
        bench.loop.fire(run, T.DEADLINE_PASSED)
        bench.loop.make_calls()
        assert isinstance(carrier.error, HTTPError)
        assert (carrier.error.status, bench.states()) == (504, ["LEAVING"])
        bench.loop.fire(run, T.DEADLINE_PASSED)
        bench.turn()
        assert (bench.states(), bench.events()) == (["CANCELLING"], ["application_cancelled"])
        bench.loop.fire(run, T.DEADLINE_PASSED)
        assert (bench.runs, bench.hosting.runs) == ([], set())
        assert bench.events() == ["application_cancelled", "application_stuck"]
        stubborn = False
        run.task.cancel()
        bench.turn()


def test_files_that_nobody_takes_are_closed(tmp_path: Any) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")

    async def called(scope: Any, receive: Any, send: Any) -> None:
        await start(send)
        await give(send, b"x", more=True)
        await send({"type": "http.response.pathsend", "path": str(path)})
        await asyncio.sleep(0)

    with bench_of(called) as bench:
        carrier = bench.ask()
        run = only(bench)
        (file,) = [piece for piece in run.output if isinstance(piece, File)]
        descriptor = file.descriptor
        os.fstat(descriptor)
        carrier.steps.close()
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)
        bench.turn()


def test_what_a_call_raises_when_its_client_has_gone_is_not_kept() -> None:
    """Its traceback holds the application's frames, and these hold the run: a generator that is the answer's body would
    end when the collector of cycles comes by, and not when its client leaves."""
    ended: list[str] = []

    async def pieces() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"more"
        finally:
            ended.append("pieces")

    async def called(scope: Any, receive: Any, send: Any) -> None:
        await start(send)
        async for piece in pieces():
            await give(send, piece, more=True)
            await asyncio.sleep(0)

    gc.disable()
    try:
        with bench_of(called) as bench:
            bench.ask()
            run = only(bench)
            run.leave()
            for _ in range(5):
                bench.turn()
            assert (bench.states(), run.failure, ended) == ([], None, ["pieces"])
    finally:
        gc.enable()
