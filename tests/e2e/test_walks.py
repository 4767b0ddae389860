"""What real servers do, machine by machine, is what the worlds of `proof` say they do together.

A server writes down which rows its machines have passed; there must be a way through a world that shows the same. What
is wrong with the order, or missing, is refused although each machine by itself agrees with its table.
"""

import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from clerestory.statemachines import connection, process, slot, upstream
from clerestory.statemachines.contract import Table
from proof.traces import Step
from tests.conftest import Start
from tests.support.client import Address, Client, CutShort, chunked, clients, request
from tests.support.load import Load
from tests.support.server import ServerProcess
from tests.support.walks import held, sampled, told_first, traces


@pytest.fixture
def walks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where servers that are started from now on write what their machines have done."""
    monkeypatch.setenv("CLERESTORY_WALKS", str(tmp_path))
    return tmp_path


def ended(*servers: ServerProcess) -> None:
    for server in servers:
        server.signal()
        assert server.wait() == 0


def only(walks: Path) -> list[Step]:
    (trace,) = traces(walks)
    return trace


def test_clients_that_come_and_go_and_a_drain(start: Start, walks: Path) -> None:
    server = start()
    with clients(server.address, 6, request("/hello")) as opened:
        for client in opened:
            assert client.answer().status == 200
        opened[0].send(request("/sleep/50"))
        opened[1].send(request("/echo", "transfer-encoding: chunked", method="POST") + chunked(b"a", b"b"))
        opened[2].send(request("/bytes/2000000"))
        opened[3].send(request("/hello") * 3)
        opened[4].reset()
        opened[5].half_close()
        assert [client.answer().status for client in (*opened[:3], *[opened[3]] * 3)] == [200] * 6
        ended(server)
    assert held(only(walks)) == (["process"], [])


def test_a_reverse_proxy_with_one_connection(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    behind = start()
    monkeypatch.setenv("CLERESTORY_WALKS", str(tmp_path))
    proxy = start("--upstream-max-connections", "1", target=behind.url)
    with ExitStack() as stack:
        first, second, third = (stack.enter_context(Client(proxy.address)) for _ in range(3))
        assert [first.get("/hello").status, first.get("/status/404").status] == [200, 404]
        first.send(request("/sleep/100"))
        second.send(request("/hello"))
        third.send(request("/echo", method="POST", body=b"a" * 100_000))
        assert [one.answer().status for one in (first, second, third)] == [200] * 3
        assert len(first.get("/bytes/1000000").body) == 1_000_000
        assert first.get("/stream/generator/5/1000").status == 200
        second.send(request("/sleep/60000"))
        third.send(request("/hello"))
        proxy.wait_for("request", target="/stream/generator/5/1000")
        second.reset()
        assert third.answer().status == 200
        ended(behind)
        assert third.get("/hello").status == 502
        ended(proxy)
    assert held(only(tmp_path)) == (["process", "gateway"], [])


SMALL = [
    request("/hello"),
    request("/hello") * 3,
    request("/status/404"),
    request("/sleep/20"),
    request("/stream/generator/3/100"),
    request("/echo", method="POST", body=b"a" * 100),
    request("/echo", "transfer-encoding: chunked", method="POST") + chunked(b"a", b"b"),
    request("/echo", "content-length: 100", method="POST") + b"a" * 50,
    request("/wait/never"),
    b"GET / HTTP/1.1\r\nhost: a",
    b"no request at all\r\n\r\n",
    b"",
]


def misbehave(address: Address, seed: int) -> None:
    """A client that comes again and again, and leaves in any way at any moment."""
    dice = random.Random(seed)
    for _ in range(12):
        with suppress(OSError, AssertionError, CutShort), Client(address) as client:
            client.send(dice.choice(SMALL))
            act = dice.randrange(4)
            if act == 0:
                client.socket.settimeout(0.05)
                client.answer()
            elif act == 1:
                client.half_close()
                client.socket.settimeout(0.1)
                client.end()
            elif act == 2:
                client.reset()


def test_chaos_through_a_reverse_proxy(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three clients at once, who want one connection to the upstream."""
    behind = start()
    monkeypatch.setenv("CLERESTORY_WALKS", str(tmp_path))
    proxy = start("--upstream-max-connections", "1", "--max-connections", "3", target=behind.url)
    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(misbehave, proxy.address, seed) for seed in (1, 2, 3)]:
            done.result()
    ended(proxy)
    trace = only(tmp_path)
    assert len(trace) > 100
    assert held(trace) == (["process", "gateway"], [])


def test_load_is_held_by_a_sample_of_its_connections(start: Start, walks: Path) -> None:
    server = start()
    with Load(server.address, {"/hello": b"hello\n", "/sleep/1": b"slept\n"}, clients=4) as load:
        load.reach(300)
    assert not load.failures
    ended(server)
    trace = only(walks)
    assert held(trace) == (["process"], [])
    kept = {step.machine for step in sampled(trace) if step.table == "connection"}
    assert len(kept) == 40
    assert next(step.machine for step in reversed(trace) if step.table == "connection") in kept


def number(table: Table, source: str, trigger: str, dest: str) -> int:
    """The first such row."""
    return next(
        at for at, row in enumerate(table.rows) if (row.source, row.trigger, row.dest) == (source, trigger, dest)
    )


@pytest.fixture
def recorded(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Step]:
    """A proxy that answers a request, and ends by a drain."""
    behind = start()
    monkeypatch.setenv("CLERESTORY_WALKS", str(tmp_path))
    proxy = start("--upstream-max-connections", "1", target=behind.url)
    with Client(proxy.address) as client:
        assert client.get("/hello").status == 200
        proxy.signal()
        assert client.end() == "closed"
    assert proxy.wait() == 0
    trace = only(tmp_path)
    assert held(trace) == (["process", "gateway"], [])
    return trace


def places(trace: list[Step], table: Table, *rows: int) -> list[int]:
    return [at for at, step in enumerate(trace) if step.table == table.name and step.row in rows]


def test_a_caller_that_is_not_told_is_refused(recorded: list[Step]) -> None:
    """The answer has come, and the connection does not go on: the wake-up is lost."""
    told = number(connection.TABLE, "QUERYING_BACKEND", "BACKEND_ANSWERED", "QUERYING_BACKEND")
    (at,) = places(recorded, connection.TABLE, told)
    assert held([*recorded[:at], *recorded[at + 1 :]])[1] != []
    assert held(recorded[:at])[1] != []


def test_a_process_that_stops_before_its_last_connection_has_ended_is_refused(recorded: list[Step]) -> None:
    stops = [at for at, row in enumerate(process.TABLE.rows) if row.dest == "STOPPED"]
    (at,) = places(recorded, process.TABLE, *stops)
    closes = [place for place, step in enumerate(recorded) if step.table == "connection"][-1]
    assert closes < at
    early = [*recorded[:closes], recorded[at], *recorded[closes:at], *recorded[at + 1 :]]
    assert [one.partition(":")[0] for one in held(early)[1]] == ["process"]


def test_a_connection_to_the_upstream_that_two_have_is_refused(recorded: list[Step]) -> None:
    """It is given a request while it has one."""
    sends = number(upstream.TABLE, "CONNECTING", "CONNECTED", "SENDING_REQUEST")
    (at,) = places(recorded, upstream.TABLE, sends)
    assert [one.partition(":")[0] for one in held([*recorded[: at + 1], *recorded[at:]])[1]] == ["gateway"]


def test_a_write_may_come_before_all_are_told() -> None:
    """As in a turn that takes long: the slot hears of its connection when a request has been written on it already."""
    freed = [
        Step("u", "upstream", number(upstream.TABLE, "AWAITING_RESPONSE", "ANSWER_ENDED", "IDLE"), "REQUEST_GIVEN"),
        Step("u", "upstream", number(upstream.TABLE, "IDLE", "REQUEST_GIVEN", "SENDING_REQUEST")),
    ]
    written = Step("u", "upstream", number(upstream.TABLE, "SENDING_REQUEST", "OUTPUT_FLUSHED", "AWAITING_RESPONSE"))
    told = Step("s", "upstream_slot", number(slot.UPSTREAM, "WAITING", "SLOT_FREED", "DONE"))
    answered = Step("u", "upstream", number(upstream.TABLE, "AWAITING_RESPONSE", "ANSWER_ENDED", "IDLE"))
    assert told_first([*freed, written, told, answered]) == [*freed, told, written, answered]
    assert told_first([*freed, told, written, answered]) == [*freed, told, written, answered]
