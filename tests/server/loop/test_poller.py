"""Readiness: one suite on epoll(7), poll(2) and select(2)."""

import errno
import os
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from clerestory.server.loop.poller import HALF_CLOSE, POLLERS, Poller, PollerError, Readiness, Select, open_poller
from clerestory.statemachines.contract import HUNG_UP, Interest
from tests.server.support import EVERY_POLLER, PATIENCE, tcp_pair

pytestmark = pytest.mark.usefixtures("every_descriptor_back")

NOTHING, READABLE, WRITABLE = int(Interest.NOTHING), int(Interest.READABLE), int(Interest.WRITABLE)
BOTH = READABLE | WRITABLE

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture(params=EVERY_POLLER)
def poller(request: pytest.FixtureRequest) -> Iterator[Poller]:
    poller = open_poller(request.param)
    yield poller
    poller.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    near, far = socket.socketpair()
    near.setblocking(False)
    far.setblocking(False)
    with near, far:
        yield near, far


@pytest.fixture
def tcp() -> Iterator[Pair]:
    near, far = tcp_pair()
    near.setblocking(False)
    with near, far:
        yield near, far


def ready(poller: Poller, interests: int = BOTH) -> Readiness:
    """What is ready now, without the bits that only some pollers report."""
    return sorted((descriptor, bits & (interests | HUNG_UP)) for descriptor, bits in poller.wait(0))


def reset(far: socket.socket) -> None:
    far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    far.close()


# --- which there are


def test_the_best_is_the_first_that_there_is() -> None:
    poller = open_poller()
    assert poller.name == next(iter(POLLERS))
    poller.close()


@pytest.mark.parametrize("name", EVERY_POLLER)
def test_each_is_opened_by_its_name(name: str) -> None:
    poller = open_poller(name)
    assert poller.name == name
    poller.close()


def test_one_that_is_not_there_is_named_together_with_those_that_are() -> None:
    with pytest.raises(PollerError, match=r"there is no kqueue on this system; there is .*select"):
        open_poller("kqueue")


# --- what they report


def test_an_idle_socket_is_writable_and_not_readable(poller: Poller, pair: Pair) -> None:
    near, _ = pair
    poller.register(near.fileno(), BOTH)
    assert ready(poller) == [(near.fileno(), WRITABLE)]


def test_a_socket_with_bytes_is_readable_until_they_have_been_read(poller: Poller, pair: Pair) -> None:
    near, far = pair
    poller.register(near.fileno(), READABLE)
    assert ready(poller) == []
    far.send(b"xx")
    assert ready(poller) == ready(poller) == [(near.fileno(), READABLE)]
    near.recv(1)
    assert ready(poller) == [(near.fileno(), READABLE)]
    near.recv(1)
    assert ready(poller) == []


def test_a_socket_that_is_readable_and_writable_is_reported_once(poller: Poller, pair: Pair) -> None:
    near, far = pair
    far.send(b"x")
    poller.register(near.fileno(), BOTH)
    assert ready(poller) == [(near.fileno(), BOTH)]


def test_a_full_socket_is_not_writable_until_the_peer_reads(poller: Poller, pair: Pair) -> None:
    near, far = pair
    poller.register(near.fileno(), WRITABLE)
    with suppress(BlockingIOError):
        while near.send(b"x" * 65536):
            pass
    assert ready(poller) == []
    with suppress(BlockingIOError):
        while far.recv(1 << 20):
            pass
    assert ready(poller) == [(near.fileno(), WRITABLE)]


def test_only_what_is_waited_for_is_reported(poller: Poller, pair: Pair) -> None:
    near, far = pair
    far.send(b"x")
    poller.register(near.fileno(), NOTHING)
    assert ready(poller) == []
    poller.modify(near.fileno(), READABLE)
    assert ready(poller) == [(near.fileno(), READABLE)]
    poller.modify(near.fileno(), WRITABLE)
    assert ready(poller) == [(near.fileno(), WRITABLE)]
    poller.modify(near.fileno(), NOTHING)
    assert ready(poller) == []


def test_a_socket_that_was_taken_out_is_not_reported(poller: Poller, pair: Pair) -> None:
    near, far = pair
    far.send(b"x")
    poller.register(near.fileno(), READABLE)
    poller.unregister(near.fileno())
    assert ready(poller) == []
    poller.register(near.fileno(), READABLE)
    assert ready(poller) == [(near.fileno(), READABLE)]


def test_a_duplicate_elsewhere_does_not_keep_a_socket_in_the_set(poller: Poller, pair: Pair) -> None:
    near, far = pair
    poller.register(near.fileno(), READABLE)
    twin = os.dup(near.fileno())
    poller.unregister(near.fileno())
    near.close()
    far.send(b"x")
    assert ready(poller) == []
    os.close(twin)


def test_many_that_are_ready_are_all_reported(poller: Poller) -> None:
    pairs = [socket.socketpair() for _ in range(100)]
    for near, far in pairs:
        poller.register(near.fileno(), READABLE)
        far.send(b"x")
    assert [descriptor for descriptor, _ in ready(poller)] == sorted(near.fileno() for near, _ in pairs)
    for near, far in pairs:
        near.close()
        far.close()


@pytest.mark.skipif(not hasattr(os, "eventfd"), reason="there is no eventfd(2) here")
def test_what_is_no_socket_is_reported_too(poller: Poller) -> None:
    descriptor = os.eventfd(0)
    poller.register(descriptor, READABLE)
    assert ready(poller) == []
    os.eventfd_write(descriptor, 1)
    assert ready(poller) == [(descriptor, READABLE)]
    poller.modify(descriptor, NOTHING)
    assert ready(poller) == []
    os.close(descriptor)


def test_a_listening_socket_that_waits_for_nothing_is_not_reported_when_clients_come(poller: Poller) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        poller.register(listening.fileno(), NOTHING)
        with socket.create_connection(listening.getsockname()):
            assert ready(poller) == []
            poller.modify(listening.fileno(), READABLE)
            assert ready(poller) == [(listening.fileno(), READABLE)]


# --- how the peer leaves


def test_a_half_close_is_readable_and_no_hang_up(poller: Poller, tcp: Pair) -> None:
    near, far = tcp
    far.shutdown(socket.SHUT_WR)
    poller.register(near.fileno(), READABLE)
    assert [(d, bits & READABLE) for d, bits in poller.wait(PATIENCE)] == [(near.fileno(), READABLE)]
    poller.modify(near.fileno(), NOTHING)
    assert ready(poller) == []


def test_a_reset_is_a_hang_up_whatever_is_waited_for(poller: Poller, tcp: Pair) -> None:
    near, far = tcp
    poller.register(near.fileno(), NOTHING)
    assert ready(poller) == []
    reset(far)
    (descriptor, bits), *_ = poller.wait(PATIENCE)
    assert descriptor == near.fileno()
    assert bits & HUNG_UP


def test_a_reset_behind_bytes_that_were_not_read_is_a_hang_up_too(poller: Poller, tcp: Pair) -> None:
    near, far = tcp
    poller.register(near.fileno(), NOTHING)
    far.send(b"the next request")
    assert ready(poller) == []
    reset(far)
    reports = poller.wait(PATIENCE)
    assert [(descriptor, bool(bits & HUNG_UP)) for descriptor, bits in reports] == [(near.fileno(), True)]


def test_bytes_that_nobody_waits_for_do_not_make_the_wait_end_at_once(poller: Poller, pair: Pair) -> None:
    near, far = pair
    far.send(b"x")
    poller.register(near.fileno(), NOTHING)
    assert ready(poller) == []
    assert near.recv(5) == b"x"


# --- how long they wait


def test_a_wait_without_a_bound_ends_when_something_is_ready(poller: Poller, pair: Pair) -> None:
    near, far = pair
    poller.register(near.fileno(), READABLE)
    waker = threading.Thread(target=far.send, args=(b"x",))
    waker.start()
    assert [descriptor for descriptor, _ in poller.wait(None)] == [near.fileno()]
    waker.join()


def test_a_wait_with_a_bound_ends_without_anything(poller: Poller, pair: Pair) -> None:
    near, _ = pair
    poller.register(near.fileno(), READABLE)
    assert poller.wait(0.001) == []
    assert poller.wait(0) == []


def test_a_wait_is_rounded_up_to_milliseconds_where_the_kernel_counts_in_them(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[int | None] = []

    class Fake:
        def __init__(self) -> None:
            self.register = self.modify = self.unregister = lambda *_: None

        def poll(self, timeout: int | None) -> Readiness:
            waited.append(timeout)
            return []

    monkeypatch.setattr(select, "poll", Fake)
    poller = open_poller("poll")
    for seconds in (None, 0, 0.0001, 0.001, 0.0011, 1.5):
        poller.wait(seconds)
    assert waited == [None, 0, 1, 1, 2, 1500]


# --- what is particular


@pytest.mark.skipif("epoll" not in POLLERS, reason="there is no epoll here")
def test_epoll_can_itself_be_polled(pair: Pair) -> None:
    inner, outer = open_poller("epoll"), open_poller("poll")
    near, far = pair
    inner.register(near.fileno(), READABLE)
    outer.register(inner.fileno(), READABLE)  # type: ignore[attr-defined]
    assert ready(outer) == []
    far.send(b"x")
    assert len(ready(outer)) == 1
    inner.close()


def test_a_half_close_is_told_to_those_that_ask_for_it_and_at_each_wait(poller: Poller, tcp: Pair) -> None:
    """So a state that has taken note of it must not go on asking."""
    near, far = tcp
    poller.register(near.fileno(), HALF_CLOSE)
    assert ready(poller) == []
    far.shutdown(socket.SHUT_WR)
    assert poller.wait(PATIENCE) == [(near.fileno(), HALF_CLOSE)]
    assert poller.wait(0) == [(near.fileno(), HALF_CLOSE)]
    poller.modify(near.fileno(), NOTHING)
    assert poller.wait(0) == []


def test_a_half_close_is_told_together_with_the_end_that_can_be_read(poller: Poller, tcp: Pair) -> None:
    near, far = tcp
    poller.register(near.fileno(), READABLE | HALF_CLOSE)
    far.shutdown(socket.SHUT_WR)
    [(_, bits)] = poller.wait(PATIENCE)
    assert bits & READABLE
    assert not bits & HUNG_UP


def test_a_half_close_behind_bytes_that_nobody_reads_is_told(poller: Poller, tcp: Pair) -> None:
    """As over TLS, whose close_notify comes before the FIN."""
    near, far = tcp
    poller.register(near.fileno(), HALF_CLOSE)
    far.sendall(b"unread")
    far.shutdown(socket.SHUT_WR)
    assert poller.wait(PATIENCE) == [(near.fileno(), HALF_CLOSE)]


def test_bytes_that_nobody_asks_for_are_no_half_close(poller: Poller, tcp: Pair) -> None:
    near, far = tcp
    poller.register(near.fileno(), HALF_CLOSE)
    far.send(b"x")
    assert poller.wait(0) == []
    assert near.recv(10) == b"x", "nothing was taken"


def test_select_says_how_many_it_can_hold_and_refuses_the_one_beyond() -> None:
    poller = Select()
    assert poller.capacity == 1024
    poller.register(1023, READABLE)
    poller.unregister(1023)
    with pytest.raises(ValueError, match="descriptors below 1024, not 1024"):
        poller.register(1024, READABLE)
    assert poller.wait(0) == []


def test_select_looks_for_hang_ups_now_and_then(monkeypatch: pytest.MonkeyPatch, pair: Pair) -> None:
    waited: list[float | None] = []

    def fake(reading: list[int], writing: list[int], _: list[int], timeout: float | None) -> tuple[list[int], ...]:
        waited.append(timeout)
        return [], [], []

    monkeypatch.setattr(select, "select", fake)
    near, _ = pair
    poller = Select()
    poller.register(near.fileno(), READABLE)
    poller.wait(None)
    poller.wait(9)
    assert waited == [None, 9]
    waited.clear()
    poller.modify(near.fileno(), NOTHING)
    for timeout in (None, 9, 0.125):
        poller.wait(timeout)
    assert waited[1::2] == [Select.LOOK_AGAIN, Select.LOOK_AGAIN, 0.125]
    assert waited[0::2] == [0, 0, 0]


def test_select_reports_a_hang_up_together_with_what_else_is_ready(tcp: Pair, pair: Pair) -> None:
    poller = Select()
    gone, far = tcp
    near, other = pair
    poller.register(gone.fileno(), NOTHING)
    poller.register(near.fileno(), BOTH)
    other.send(b"x")
    reset(far)
    assert sorted(poller.wait(PATIENCE)) == sorted([(gone.fileno(), HUNG_UP), (near.fileno(), BOTH)])


def test_select_without_a_descriptor_left_to_look_with_goes_on(monkeypatch: pytest.MonkeyPatch, pair: Pair) -> None:
    def dup(descriptor: int) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(os, "dup", dup)
    near, far = pair
    far.send(b"x")
    poller = Select()
    poller.register(near.fileno(), NOTHING)
    assert poller.wait(0) == []
