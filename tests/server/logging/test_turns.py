"""Turns: lines of several processes are never cut into, however long they are and however slowly they are read."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from clerestory.server.logging.turns import Turns, make_turns
from tests.support.server import ROOT
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("every_descriptor_back")

PROGRAM = """
import sys
from clerestory.server.logging.turns import Turns
from clerestory.server.logging.writer import DescriptorSink, Writer

name, turns, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
writer = Writer(DescriptorSink(2), str, capacity=1 << 26, gather=0.0, turns=Turns(turns))
for number in range(count):
    size = (10, 300, 5000, 70_000, 200_000)[number % 5]
    writer.put('{"name":"%s","number":%d,"text":"%s"}\\n' % (name, number, name * size))
writer.close(60.0)
"""
"""Lines shorter and longer than PIPE_BUF, than a pipe, and than a piece of the writer's."""


@contextmanager
def pipe_of(*names: str, turns: Turns, count: int) -> Iterator[tuple[int, list[subprocess.Popen[bytes]]]]:
    """The reading end of a pipe that so many processes write to."""
    reading, writing = os.pipe()
    os.set_inheritable(turns.descriptor, True)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, name, str(turns.descriptor), str(count)],
            cwd=ROOT,
            stderr=writing,
            pass_fds=(turns.descriptor,),
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        for name in names
    ]
    os.close(writing)
    try:
        yield reading, processes
    finally:
        os.close(reading)
        for process in processes:
            process.kill()
            process.wait()


def read_all(reading: int, data: bytes = b"") -> list[bytes]:
    """All that comes, a little at a time: the writers wait for us most of the time."""
    pieces = [data]
    while piece := os.read(reading, 3000):
        pieces.append(piece)
    return b"".join(pieces).split(b"\n")


@pytest.fixture
def turns() -> Iterator[Turns]:
    made = make_turns()
    assert made is not None
    yield made
    made.close()


def test_lines_of_three_processes_stay_whole_before_a_slow_reader(turns: Turns) -> None:
    with pipe_of("a", "b", "c", turns=turns, count=50) as (reading, _):
        lines = read_all(reading)
    assert lines.pop() == b""
    found = [json.loads(line) for line in lines]
    for name in "abc":
        assert [one["number"] for one in found if one["name"] == name] == list(range(50))
    assert all(set(one["text"]) == {one["name"]} for one in found)


def test_who_is_killed_in_the_middle_of_a_line_spoils_no_other(turns: Turns) -> None:
    """It holds the turn, and the pipe is full of its line. The next one's begins on a new line."""
    with pipe_of("k", turns=turns, count=4) as (reading, (victim,)):
        eventually(lambda: os.pread(turns.descriptor, 1, 0) == b"!", 30, "a write that does not end")
        data = os.read(reading, 3000)
        assert b"\n" in data  # the short lines have come, and the long one has begun
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        assert turns.take()
        turns.give(whole=True)
        assert not turns.take()
        turns.give(whole=True)


def test_the_next_process_begins_on_a_new_line(turns: Turns) -> None:
    os.pwrite(turns.descriptor, b"!", 0)  # as one has left it that was killed
    with pipe_of("n", turns=turns, count=1) as (reading, _):
        assert read_all(reading) == [b"", b'{"name":"n","number":0,"text":"nnnnnnnnnn"}', b""]


def test_a_file_that_somebody_has_closed_does_no_harm() -> None:
    made = make_turns()
    assert made is not None
    made.close()
    assert not made.take()
    made.give(whole=True)


def test_a_system_without_files_in_memory_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_: str) -> int:
        raise OSError

    monkeypatch.setattr(os, "memfd_create", none)
    assert make_turns() is None
    monkeypatch.delattr(os, "memfd_create")
    assert make_turns() is None
