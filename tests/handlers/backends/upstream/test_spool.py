"""What of a message waits for its reader: in order, within bounds, in memory and in a file."""

import os
import tempfile
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clerestory.handlers.backends.upstream.spool import READ_SIZE, Spool, Store


def store_of(buffer: int = 8, buffers: int = 100, file: int = 16, files: int = 100) -> Store:
    return Store(
        {"upstream_buffer": buffer, "upstream_buffers": buffers, "upstream_file": file, "upstream_files": files}
    )


def taken(spool: Spool) -> bytes:
    data = b""
    while piece := spool.take():
        data += piece
    return data


@given(st.lists(st.one_of(st.binary(min_size=1, max_size=12), st.none()), max_size=60), st.integers(0, 20))
def test_pieces_leave_in_the_order_in_which_they_came(steps: list[bytes | None], buffer: int) -> None:
    store = store_of(buffer=buffer, file=1000, files=1000)
    spool, came, left = Spool(store), b"", b""
    for step in steps:
        if step is None:
            left += spool.take()
        else:
            came += step
            spool.put(step)
        assert (store.memory, store.files >= spool.in_file) == (spool.in_memory, True)
        assert bool(spool) is (len(came) > len(left))
    assert left + taken(spool) == came
    assert (store.memory, store.files, spool.whole()) == (0, 0, b"")


def test_memory_comes_first_then_a_file_then_there_is_no_room() -> None:
    store = store_of(buffer=8, file=16)
    spool = Spool(store)
    spool.put(b"x" * 8)
    assert (store.memory, store.files, spool.has_room) == (8, 0, True)
    spool.put(b"y" * 15)
    assert (store.memory, store.files, spool.has_room) == (8, 15, True)
    assert spool.whole() is None, "it is not in memory as a whole"
    spool.put(b"z")
    assert (store.memory, store.files, spool.has_room) == (8, 16, False)
    assert taken(spool) == b"x" * 8 + b"y" * 15 + b"z"
    assert spool.has_room


@pytest.mark.parametrize(
    ("limits", "room"),
    [({"buffers": 8}, True), ({"buffers": 8, "file": 0}, False), ({"buffers": 8, "files": 0}, False)],
)
def test_all_spools_together_have_bounds_of_their_own(limits: dict[str, int], room: bool) -> None:
    store = store_of(**limits)
    one, other = Spool(store), Spool(store)
    one.put(b"x" * 7)
    assert other.has_room
    one.put(b"x")
    assert other.has_room is room
    one.close()
    assert other.has_room


@pytest.mark.parametrize("name", ["mkstemp", "pwrite"])
def test_a_file_that_cannot_be_made_or_written_to_has_no_room(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(28, os.strerror(28))

    spool = Spool(store_of())
    spool.put(b"x" * 8)
    monkeypatch.setattr(tempfile if name == "mkstemp" else os, name, fail)
    spool.put(b"y" * 8)
    assert not spool.has_room
    assert taken(spool) == b"x" * 8 + b"y" * 8


def test_what_comes_when_the_disk_is_full_stays_behind_what_the_file_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OSError(28, os.strerror(28))

    spool = Spool(store_of(buffer=0))
    spool.put(b"first")
    monkeypatch.setattr(os, "pwrite", fail)
    spool.put(b"second")
    assert not spool.has_room
    assert taken(spool) == b"firstsecond"


def _close(spool: Spool) -> None:
    spool.close()


def _forget(spool: Spool) -> None:
    spool.__del__()


@pytest.mark.parametrize("end", [_close, _forget])
def test_memory_and_file_are_given_back_at_the_end(end: Callable[[Spool], None]) -> None:
    before = set(os.listdir("/proc/self/fd"))
    store = store_of()
    spool = Spool(store)
    for _ in range(3):
        spool.put(b"x" * 8)
    assert (store.memory, store.files) == (8, 16)
    end(spool)
    assert (store.memory, store.files, bool(spool)) == (0, 0, False)
    assert set(os.listdir("/proc/self/fd")) == before


def test_a_long_file_is_taken_in_bounded_pieces() -> None:
    spool = Spool(store_of(buffer=0, file=1 << 20, files=1 << 20))
    spool.put(bytes(READ_SIZE + 1))
    assert [len(spool.take()), len(spool.take()), spool.take()] == [READ_SIZE, 1, b""]
