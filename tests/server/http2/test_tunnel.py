"""A stream that was upgraded: bytes pass both ways in bounded pieces, by the windows, and each end is the right one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from h2.settings import SettingCodes

from clerestory.handlers.api.messages import Request, Response
from clerestory.handlers.api.upgrade import Upgrade
from clerestory.handlers.proxy.tunnel import READABLE, WRITABLE, GoneError
from clerestory.statemachines.contract import Name
from clerestory.statemachines.h2_stream import State as S
from clerestory.statemachines.h2_stream import Trigger as T
from tests.server.http2.support import Headers, Peer, head, speaking
from tests.server.support import Bench


class Echo(Upgrade):
    """Sends back what comes, and ends when the client has. `reads` says whether it takes anything."""

    def __init__(self) -> None:
        self.near: Any = None
        self.waiting = b""
        self.most = 0
        """The longest piece that was sent."""
        self.reads = True
        self.ended = self.cancelled = False

    def protocol_name(self) -> bytes:
        return b"websocket"

    def join(self, near: Any, early: bytes) -> Name | None:
        self.near = near
        self.want()
        return None

    def pass_on(self, end: Any, ready: int) -> Name | None:
        try:
            if ready & READABLE:
                data = end.take()
                self.waiting += data or b""
                self.ended = self.ended or data == b""
            if ready & WRITABLE and self.waiting:
                sent = end.put(self.waiting)
                self.most = max(self.most, sent)
                self.waiting = self.waiting[sent:]
        except GoneError:
            return end.gone  # type: ignore[no-any-return]
        if self.ended and not self.waiting:
            return end.over  # type: ignore[no-any-return]
        self.want()
        return None

    def want(self) -> None:
        wanted = (READABLE if self.reads and not self.ended else 0) | (WRITABLE if self.waiting else 0)
        self.near.service.loop.set_interest(self.near, wanted)

    def describe(self) -> str:
        return "an echo"

    def client_ended_first(self) -> bool:
        return True

    def cancel(self) -> None:
        self.cancelled = True


@contextmanager
def tunnelling(**options: Any) -> Iterator[tuple[Bench, list[Echo]]]:
    """A bench whose application upgrades every CONNECT."""
    made: list[Echo] = []

    def application(request: Request) -> Response:
        if request.method != "CONNECT":
            return Response(b"hello")
        made.append(Echo())
        return Response(made[-1], 101, ((b"x", b"y"),))

    application.takes_websockets = True  # type: ignore[attr-defined]
    with speaking(application, **options) as bench:
        yield bench, made


def connect() -> Headers:
    return [*head(b"CONNECT"), (b":protocol", b"websocket")]


def opened(peer: Peer) -> int:
    number = peer.begin(connect(), end=False)
    peer.flush()
    answer = peer.answers[number]
    assert (answer.headers, answer.ended) == ([(b":status", b"200"), (b"x", b"y")], False)
    assert peer.streams[number].state == S.TUNNELLING
    return number


def test_what_is_sent_comes_back_and_both_sides_end() -> None:
    with tunnelling() as (bench, made):
        peer = Peer(bench)
        assert peer.library.remote_settings[SettingCodes.ENABLE_CONNECT_PROTOCOL] == 1
        number = opened(peer)
        peer.data(number, b"one")
        peer.data(number, b"two")
        assert peer.answers[number].body == b"onetwo"
        peer.data(number, b"", end=True)
        assert (peer.answers[number].ended, peer.answers[number].reset) == (True, None)
        assert (peer.streams, made[0].cancelled) == ({}, True)
        (recording,) = bench.recorder.streams
        assert (recording.ending(), recording.status) == ("client in TUNNELLING", 101)
        assert (recording.bytes_out, recording.engine.table.name) == (6, "h2_stream")


def test_what_comes_before_the_answer_is_not_lost() -> None:
    with tunnelling() as (bench, _):
        peer = Peer(bench)
        number = peer.begin(connect(), end=False)
        peer.library.send_data(number, b"early", end_stream=True)
        peer.flush()
        assert (peer.answers[number].body, peer.answers[number].ended) == (b"early", True)


def test_pieces_are_bounded_and_windows_are_waited_for_both_ways() -> None:
    with tunnelling(http2_window=65_535) as (bench, made):
        peer = Peer(bench, takes_all=False)
        number = opened(peer)
        data = bytes(range(256)) * 255
        for at in range(0, 65_280, 16_320):
            peer.data(number, data[at : at + 16_320])
        peer.data(number, data[:1000])
        assert len(peer.answers[number].body) == 65_535, "a window, and no more"
        assert len(made[0].waiting) == 65_280 + 1000 - 65_535
        assert made[0].most <= 16_384
        assert peer.streams[number].state == S.TUNNELLING
        assert peer.get().body == b"", "the connection's own window is used up, too"
        peer.library.increment_flow_control_window(100_000)
        peer.flush()
        assert peer.answers[number + 2].body == b"hello"
        peer.library.increment_flow_control_window(10_000, number)
        peer.flush()
        assert peer.answers[number].body == data + data[:1000]


def test_one_that_does_not_read_stalls_its_client_at_a_window() -> None:
    with tunnelling(http2_window=65_535) as (bench, made):
        peer = Peer(bench)
        number = opened(peer)
        made[0].reads = False
        made[0].want()
        for _ in range(5):
            room = peer.library.local_flow_control_window(number)
            peer.data(number, bytes(min(room, 16_384)))
        assert peer.library.local_flow_control_window(number) == 0
        assert made[0].waiting == b""
        assert peer.get().body == b"hello"
        made[0].reads = True
        made[0].want()
        bench.settle()
        peer.flush()
        assert len(peer.answers[number].body) == 65_535


def test_a_reset_is_a_fault_unless_we_have_ended() -> None:
    with tunnelling() as (bench, made):
        peer = Peer(bench)
        first, second = opened(peer), opened(peer)
        made[1].near.finish()
        peer.flush()
        assert peer.answers[second].ended
        for number in (first, second):
            peer.library.reset_stream(number, 8)
        peer.flush()
        assert [one.id for one in bench.recorder.broken_streams] == [f"{peer.machine.number}/{first}"]
        assert [one.id for one in bench.recorder.streams] == [f"{peer.machine.number}/{second}"]
        assert [one.cancelled for one in made] == [True, True]


@pytest.mark.parametrize(
    ("order", "code"),
    [
        (lambda bench, near: bench.loop.tell(near, near.broken), 8),
        (lambda bench, near: bench.loop.tell(near, T.CLOSE_ORDERED), 8),
        (lambda bench, near: bench.after(301), 8),
    ],
)
def test_what_is_cut_is_reset(order: Callable[[Bench, Any], object], code: int) -> None:
    with tunnelling(keep_alive_timeout=1000) as (bench, made):
        peer = Peer(bench)
        number = opened(peer)
        order(bench, made[0].near)
        peer.flush()
        assert (peer.answers[number].reset, peer.streams) == (code, {})


def test_trailers_that_are_none_break_it() -> None:
    with tunnelling() as (bench, _):
        peer = Peer(bench)
        number = opened(peer)
        peer.library.send_headers(number, [(b"connection", b"x")], end_stream=True)
        peer.flush()
        assert (peer.answers[number].reset, peer.streams) == (1, {})


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("status", [200, 204, 299])
def test_an_answer_that_opens_none_is_not_taken_for_one_that_does(status: int, streamed: bool) -> None:
    def application(request: Request) -> Response:
        return Response(iter((b"hel", b"lo")) if streamed else b"", status)

    application.takes_websockets = True  # type: ignore[attr-defined]
    with speaking(application) as bench:
        peer = Peer(bench)
        number = peer.begin(connect(), end=False)
        peer.flush()
        answer = peer.answers[number]
        assert (answer.status, answer.ended) == (400, True)
        assert b"no WebSocket at this path" in answer.body
