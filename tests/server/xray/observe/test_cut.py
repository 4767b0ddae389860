"""A cut: consistent between two turns, and from outside while the loop stands in a handler."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from clerestory.handlers.api.messages import Request, Response
from clerestory.server.loop.loop import Loop
from clerestory.server.loop.poller import open_poller
from clerestory.server.xray.observe import cut as cutting
from clerestory.server.xray.observe.cut import (
    ANSWER_TIMEOUT,
    LONGEST,
    Cut,
    Look,
    Looks,
    step_of,
    take,
    take_from_outside,
)
from clerestory.statemachines.contract import Facts
from tests.server.support import GET, HELLO, Clock, Pending, bench_of, hello
from tests.server.xray.support import Gate, cut_of, live, waiting
from tests.support.client import Client
from tests.support.waiting import eventually


def test_a_cut_holds_every_machine_with_its_node_its_time_and_its_glance() -> None:
    with bench_of(hello) as bench:
        client = bench.connect()
        bench.clock.now += 2
        client.send(GET)
        cut = cut_of(bench)
        assert len(cut.seen) == len(bench.loop.machines) == 2
        assert cut.seen[0][0] is bench.loop.wake_up
        machine, node, since, glance = cut.seen[1]
        assert (machine, node, since) == (client.connection, client.connection.node, bench.clock.now)
        facts = Facts(*glance)
        assert (facts.number, facts.peer, facts.born) == (1, "client", bench.clock.now - 2)
        assert (facts.bytes_in, facts.bytes_out, facts.served) == (len(GET), len(HELLO), 1)
        assert (facts.request, facts.operation, facts.status, facts.pace) == (None, None, None, None)


def test_a_cut_stays_what_it_was_while_the_machines_go_on() -> None:
    with bench_of(waiting()) as bench:
        client = bench.connect()
        client.send(GET)
        cut = cut_of(bench)
        client.leave()
        _, node, _, glance = cut.seen[1]
        assert node.state == "QUERYING_BACKEND"
        assert Facts(*glance).request.target == "/"
        assert len(cut_of(bench).seen) == 1


def test_a_paced_state_tells_its_pace() -> None:
    async def read(request: Request) -> Response:
        return Response(await request.read())

    with bench_of(read) as bench:
        client = bench.connect()
        client.send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n12345")
        facts = Facts(*cut_of(bench).seen[1][3])
        assert facts.pace == (30.0, 240, 5.0)
        assert facts.progressed == bench.clock.now
        assert facts.waited == 0
        assert facts.moved >= 5


def test_the_loop_that_turns_answers_between_two_turns() -> None:
    with live(hello) as server:
        loop = server.json("/snapshot.json")["loop"]
        assert loop["blocked"] is None
        assert 0 <= loop["lag"] < 20
        assert 0 <= loop["pause"] < 1
        assert server.json("/connections.json")["consistent"] is True


@pytest.mark.parametrize("computes", [False, True], ids=["sleeps", "computes"])
def test_a_blocked_loop_is_seen_from_outside_with_its_handler_and_its_stack(computes: bool) -> None:
    gate = Gate(computes=computes)
    with live(gate) as server, Client(server.address) as idle, Client(server.address) as client:
        idle.get("/")
        client.send(b"GET /block?secret=1 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert gate.entered.wait(20)
        try:
            snapshot = server.json("/snapshot.json")
            assert snapshot["consistent"] is False
            blocked = snapshot["loop"]["blocked"]
            assert blocked["seconds"] >= ANSWER_TIMEOUT * 0.9
            assert blocked["id"] == "2"
            assert blocked["why"].startswith("GET /block?... QUERYING_BACKEND ")
            functions = [frame["function"] for frame in blocked["stack"]]
            assert functions[0] in ("_bootstrap", "run")
            assert ("compute" if computes else "sleep") in functions
            assert any(frame["code"] for frame in blocked["stack"])
            banner = snapshot["banners"][0]
            assert (banner["kind"], banner["level"], banner["connections"]) == ("blocked", "critical", ["2"])
            assert "by connection 2 (GET /block?...)" in banner["text"]
            assert snapshot["machines"]["connection"]["states"]["AWAITING_REQUEST"] == 1
            ready = server.x("/readyz")
            assert ready.status in (200, 503)  # 503 from the first second on
            eventually(lambda: server.x("/readyz").status == 503)
            assert "blocked for" in server.x("/readyz").text
        finally:
            gate.opened.set()
        assert client.answer().text == "late"
        assert server.json("/snapshot.json")["loop"]["blocked"] is None
        assert server.x("/readyz").text == "ready\n"


def test_a_loop_that_is_not_run_is_blocked_by_nobody() -> None:
    with bench_of(hello) as bench:
        cut = take_from_outside(bench.loop)
        assert cut.blocked is not None
        assert cut.blocked.machine is None
        assert not cut.consistent


def test_a_recursion_leaves_a_stack_of_bounded_depth() -> None:
    entered, go_on = threading.Event(), threading.Event()

    def deep(depth: int) -> Response:
        if depth:
            return deep(depth - 1)
        entered.set()
        go_on.wait(20)
        return Response(b"up")

    with live(lambda _: deep(200)) as server, Client(server.address) as client:
        client.send(GET)
        assert entered.wait(20)
        blocked = server.json("/snapshot.json")["loop"]["blocked"]
        go_on.set()
        assert len(blocked["stack"]) == 40
        assert blocked["stack"][-1]["function"] == "wait"
        assert client.answer().text == "up"


def test_a_source_that_is_no_file_is_not_read(tmp_path: Path) -> None:
    """Opening a pipe that nobody writes to would stop the x-ray for good."""
    os.mkfifo(tmp_path / "pipe")
    entered, go_on = threading.Event(), threading.Event()
    names = {"entered": entered, "go_on": go_on, "Response": Response}
    source = "def handler(request):\n    entered.set()\n    go_on.wait(20)\n    return Response(b'up')\n"
    exec(compile(source, str(tmp_path / "pipe"), "exec"), names)
    with live(cast("Any", names["handler"])) as server, Client(server.address) as client:
        client.send(GET)
        assert entered.wait(20)
        frames = server.json("/snapshot.json")["loop"]["blocked"]["stack"]
        go_on.set()
        assert [frame["code"] for frame in frames if frame["function"] == "handler"] == [""]
        assert client.answer().text == "up"


# --- the operation


@pytest.fixture
def loops() -> Iterator[tuple[Loop, Loop]]:
    """Two loops that nobody runs: the one that is looked at, and ours."""

    def crashed(machine: object, error: BaseException) -> None:
        raise error

    pair = Loop(open_poller(), crashed), Loop(open_poller(), crashed)
    yield pair
    for loop in pair:
        loop.close()


class Executor:
    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.results: list[object] = []

    def finished(self, operation: object, result: object = None, error: BaseException | None = None) -> None:
        assert error is None
        self.results.append(result)


def test_a_look_is_delivered_once_although_its_patience_ends_later(loops: tuple[Loop, Loop]) -> None:
    main, ours = loops
    executor, look = Executor(ours), Look(Looks(main, ours))
    look.start(executor)
    main.turn(0)
    ours.turn(0)
    assert len(executor.results) == 1
    turn_until(ours, time.monotonic() + ANSWER_TIMEOUT * 2)
    assert len(executor.results) == 1
    assert look.describe() == "the main loop's next turn"


def test_a_look_that_is_given_up_reports_nothing(loops: tuple[Loop, Loop]) -> None:
    main, ours = loops
    executor, look = Executor(ours), Look(Looks(main, ours))
    look.start(executor)
    look.cancel()
    main.turn(0)
    turn_until(ours, time.monotonic() + ANSWER_TIMEOUT * 2)
    assert executor.results == []


def test_the_loop_copies_once_for_all_who_wait_and_nothing_gathers_while_it_is_blocked(
    loops: tuple[Loop, Loop],
) -> None:
    main, ours = loops
    looks, executors = Looks(main, ours), [Executor(ours) for _ in range(50)]
    for executor in executors:
        Look(looks).start(executor)
    assert len(main.wake_up._calls) == 1
    main.turn(0)
    late = Executor(ours)
    Look(looks).start(late)  # the copy has been taken, and is not delivered yet
    ours.turn(0)
    (cut,) = {id(result): result for executor in executors for result in executor.results}.values()
    assert isinstance(cut, Cut)
    assert late.results == []
    main.turn(0)
    ours.turn(0)
    (later,) = late.results
    assert isinstance(later, Cut)
    assert later.now > cut.now


class Steps:
    """What `step_of` says, one after the other, and then the last one again and again; on a fake clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *steps: tuple[int, None, float] | None) -> None:
        self.clock = Clock()
        self.main, self.ours = (Loop(open_poller(), lambda *_: None, clock=self.clock) for _ in range(2))
        said = iter(steps)
        last = steps[-1]
        monkeypatch.setattr(cutting, "step_of", lambda _: next(said, last))

    def wait(self) -> float:
        """Seconds until a look is lost patience with."""
        executor, asked = Executor(self.ours), self.clock.now
        Look(Looks(self.main, self.ours)).start(executor)
        while not executor.results:
            self.clock.now += 0.01
            self.ours.turn(0)
        (cut,) = executor.results
        assert isinstance(cut, Cut)
        self.blocked = cut.blocked
        self.main.close()
        self.ours.close()
        return self.clock.now - asked


def test_a_loop_that_stands_in_one_step_is_blocked_after_our_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Steps(monkeypatch, (1, None, 0.0)).wait() == pytest.approx(ANSWER_TIMEOUT, abs=0.04)


def test_a_loop_that_goes_from_step_to_step_of_a_long_turn_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch has up to a thousand machines: together they may take longer than our patience, and none is to blame."""
    steps = Steps(monkeypatch, *((1, None, float(number)) for number in range(100)))
    assert steps.wait() == pytest.approx(LONGEST, abs=ANSWER_TIMEOUT)


def test_a_loop_that_waits_for_readiness_is_not_blocked_since_it_began_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was idle for an hour, and is given no processor: it is late by what it takes from now on."""
    steps = Steps(monkeypatch, None)
    steps.clock.now += 3600
    assert steps.wait() == pytest.approx(LONGEST, abs=ANSWER_TIMEOUT)
    assert steps.blocked is not None
    assert steps.blocked.seconds == pytest.approx(LONGEST, abs=ANSWER_TIMEOUT)


@pytest.mark.parametrize("name", ["epoll", "poll", "select"])
def test_a_loop_says_whether_it_waits(name: str) -> None:
    loop = Loop(open_poller(name), lambda *_: None)
    entered, go_on = threading.Event(), threading.Event()

    def stand() -> None:
        entered.set()
        go_on.wait(20)

    thread = threading.Thread(target=loop.run)
    thread.start()
    eventually(lambda: loop.thread and step_of(loop) is None)
    loop.call_from_thread(stand)
    assert entered.wait(20)
    assert step_of(loop) == step_of(loop) == (loop.turns, None, 0.0)
    go_on.set()
    eventually(lambda: step_of(loop) is None)
    loop.call_from_thread(loop.stop)
    thread.join(20)
    loop.close()


def turn_until(loop: Loop, limit: float) -> None:
    while time.monotonic() < limit:
        loop.turn(0.01)


def test_a_cut_on_the_loops_own_thread_counts_how_long_it_took() -> None:
    with bench_of(lambda _: Pending()) as bench:
        cut = take(bench.loop, bench.clock.now - 3)
        assert (cut.lag, cut.pause, cut.turns) == (3, 0, bench.loop.turns)
