"""The far end of a tunnel: when a 101 is one, and what it costs the pool."""

from collections.abc import Iterator

import pytest

from clerestory.handlers.backends.upstream.upstream import Bounds
from clerestory.handlers.proxy.tunnel import Tunnel
from clerestory.statemachines.contract import Cause
from clerestory.statemachines.upstream import State as S
from tests.handlers.backends.upstreams import Bench, Caller, Far, answer, asked, fault

AGREED = b"HTTP/1.1 101 Yes\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n\r\n"
WEBSOCKET = b"websocket"


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench(bounds=Bounds(max_connections=1, max_tunnels=2))
    yield bench
    bench.close()


def upgraded(bench: Bench) -> tuple[Caller, Far, Tunnel]:
    caller, far = asked(bench, upgrade=WEBSOCKET)
    far.received()
    far.send(AGREED)
    assert caller.error is None, caller.error
    tunnel = caller.result.tunnel
    assert isinstance(tunnel, Tunnel)
    return caller, far, tunnel


def test_an_upgrade_is_asked_for_in_the_request(bench: Bench) -> None:
    _, far = asked(bench, upgrade=WEBSOCKET)
    assert far.received().endswith(b"\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")


def test_a_101_that_agrees_is_a_tunnel_and_no_byte_behind_it_is_read_as_http(bench: Bench) -> None:
    caller, far, _ = upgraded(bench)
    assert (caller.result.status, bench.states()) == (101, [S.TUNNELLING])
    far.send(answer(b"poison"))
    assert bench.states() == [S.TUNNELLING]
    assert bench.connections()[0].bytes_in == len(AGREED), "nothing is read before there is a client's end"


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 101 X\r\n\r\n",
        b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\n\r\n",
        b"HTTP/1.1 101 X\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
        b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket, h2c\r\n\r\n",
        b"HTTP/1.1 101 X\r\nConnection: upgrade, close\r\nUpgrade: websocket\r\n\r\n",
        b"HTTP/1.0 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    ],
)
def test_a_101_that_agrees_to_something_else_is_garbage(bench: Bench, said: bytes) -> None:
    caller, far = asked(bench, "POST", upgrade=WEBSOCKET)
    far.send(said)
    assert fault(caller) == (502, "garbage")
    assert bench.states() == []


def test_an_upgrade_that_is_not_agreed_to_is_an_answer_and_the_connection_is_pooled(bench: Bench) -> None:
    caller, far = asked(bench, upgrade=WEBSOCKET)
    far.send(answer(b"no", status=b"426 Upgrade Required"))
    assert (caller.result.tunnel, caller.result.complete, bench.states()) == (None, b"no", [S.IDLE])


def test_hints_may_come_before_it(bench: Bench) -> None:
    caller, far = asked(bench, upgrade=WEBSOCKET)
    far.send(b"HTTP/1.1 103 Early Hints\r\n\r\n" + AGREED)
    assert caller.result.tunnel is not None


def test_the_slot_that_a_tunnel_gives_back_is_for_whoever_waits_first(bench: Bench) -> None:
    async def upgrade_and_ask() -> None:
        await bench.upstream.request("GET", "/", upgrade=WEBSOCKET)
        await bench.upstream.request("GET", "/later")

    bench.run(upgrade_and_ask())
    far = bench.accept()
    bench.settle()
    first = bench.ask(target="/first")
    far.send(AGREED)
    far = bench.accept()
    bench.settle()
    assert far.received().startswith(b"GET /first ")
    far.send(answer(b"it was my turn"))
    assert first.result.complete == b"it was my turn"
    assert far.received().startswith(b"GET /later ")


def test_a_tunnel_takes_no_slot_of_the_pool(bench: Bench) -> None:
    caller, far = asked(bench, upgrade=WEBSOCKET)
    waiting = bench.ask()
    assert not waiting.done
    far.send(AGREED)
    assert caller.result.tunnel is not None
    bench.accept().send(answer(b"hello"))
    assert waiting.result.complete == b"hello"
    assert bench.pool.load == 1, "it counts where one of several is chosen"
    caller.result.tunnel.cancel()
    bench.settle()
    assert bench.pool.load == 0


def test_so_many_tunnels_and_no_more(bench: Bench) -> None:
    _, _, first = upgraded(bench)
    upgraded(bench)
    assert fault(bench.ask(upgrade=WEBSOCKET)) == (503, "busy")
    assert not bench.ask().done, "the others are asked as before"
    first.cancel()
    bench.settle()
    assert not bench.ask(upgrade=WEBSOCKET).done


def test_upgrades_that_are_under_way_count_too() -> None:
    bench = Bench(bounds=Bounds(max_connections=1, max_tunnels=2))
    callers = [bench.ask(upgrade=WEBSOCKET) for _ in range(3)]
    assert [caller.done for caller in callers] == [False, False, True]
    assert fault(callers[2]) == (503, "busy")
    bench.close()


def test_a_tunnel_that_nobody_joins_is_ended_by_its_deadline(bench: Bench) -> None:
    _, far, _ = upgraded(bench)
    (connection,) = bench.connections()
    bench.pass_time(29.99)
    assert bench.states() == [S.TUNNELLING]
    bench.pass_time(0.01)
    assert (bench.states(), connection.history[-1][1].row.ends) == ([], Cause.DEADLINE)
    assert far.received() == b"RESET"


def test_a_client_that_goes_resets_it(bench: Bench) -> None:
    _, far, tunnel = upgraded(bench)
    tunnel.cancel()
    bench.settle()
    assert (bench.states(), far.received()) == ([], b"RESET")


def test_a_reset_before_the_client_has_joined_is_remembered(bench: Bench) -> None:
    _, far, tunnel = upgraded(bench)
    far.reset()
    assert bench.states() == []
    assert tunnel.course.node.final


def test_it_says_who_it_is(bench: Bench) -> None:
    upgraded(bench)
    (connection,) = bench.connections()
    assert connection.title() == f"upstream#{connection.number} {connection.address}"
    assert (
        connection.describe()
        == f"{connection.title()} TUNNELLING <- fd {connection.descriptor} nothing but a disconnect"
    )
