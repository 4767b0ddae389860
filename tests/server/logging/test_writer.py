"""The writer: nothing that a log's reader does, or does not do, makes the caller wait or fail."""

import io
import os
import threading
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from clerestory.server.logging.writer import DescriptorSink, Sink, TextSink, Writer, sink_for

PATIENCE = 10.0
"""Seconds until a test gives up; a test that passes never waits for them."""


class Recorder:
    """A sink that takes at most `bite` bytes at a time, and raises `errors` first, one a call (None: none)."""

    def __init__(self, *errors: OSError | None, bite: int = 1 << 20) -> None:
        self.errors = list(errors)
        self.bite = bite
        self.data = b""
        self.calls = 0
        self.called = threading.Event()
        self.closed = False

    def write(self, data: bytes) -> int:
        self.calls += 1
        self.called.set()
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error
        self.data += data[: self.bite]
        return len(data[: self.bite])

    def close(self) -> None:
        self.closed = True


def report(count: int) -> str:
    return f"dropped {count}\n"


def writer_to(sink: Sink, *, capacity: int = 1 << 20, gather: float = 0.001) -> Writer:
    return Writer(sink, report, capacity=capacity, gather=gather)


def put_and_wait(writer: Writer, sink: Recorder, line: str) -> None:
    """Put `line`, and wait until the thread has tried to write it."""
    sink.called.clear()
    writer.put(line)
    assert sink.called.wait(PATIENCE)


def test_lines_are_written_in_order_and_the_sink_is_closed() -> None:
    sink = Recorder()
    writer = writer_to(sink)
    for number in range(1000):
        writer.put(f"{number}\n")
    assert writer.close(PATIENCE)
    assert sink.data.decode().split() == [str(number) for number in range(1000)]
    assert sink.closed


def test_a_sink_that_takes_three_bytes_at_a_time_gets_all_of_them() -> None:
    sink = Recorder(bite=3)
    writer = writer_to(sink)
    writer.put("abcdefgh\n")
    writer.put("ijk\n")
    assert writer.close(PATIENCE)
    assert sink.data == b"abcdefgh\nijk\n"


def test_lines_that_come_together_are_written_together() -> None:
    sink = Recorder()
    writer = writer_to(sink, gather=3600.0)
    for _ in range(1000):
        writer.put("line\n")
    assert writer.close(PATIENCE)
    assert sink.calls == 1


def test_a_buffer_that_is_half_full_does_not_wait_for_more() -> None:
    sink = Recorder()
    writer = writer_to(sink, capacity=100, gather=3600.0)
    writer.put("." * 49 + "\n")
    writer.put("\n")
    assert sink.called.wait(PATIENCE)
    assert writer.close(PATIENCE)


def test_a_line_that_fits_exactly_is_kept_and_one_character_more_is_dropped() -> None:
    sink = Recorder()
    writer = writer_to(sink, capacity=10, gather=3600.0)
    writer.put("123456789\n")
    assert writer.close(PATIENCE)
    assert sink.data == b"123456789\n"

    sink = Recorder()
    writer = writer_to(sink, capacity=10, gather=3600.0)
    writer.put("1234567890\n")
    assert writer.close(PATIENCE)
    assert sink.data == b"dropped 1\n"


def test_a_line_put_after_the_close_is_dropped() -> None:
    sink = Recorder()
    writer = writer_to(sink)
    assert writer.close(PATIENCE)
    writer.put("late\n")
    assert sink.data == b""


def test_a_line_put_while_another_is_being_put_in_the_same_thread_does_not_lock_up() -> None:
    sink = Recorder()
    writer = writer_to(sink)
    with writer._lock:  # as a finalizer does that logs
        writer.put("from a finalizer\n")
    assert writer.close(PATIENCE)
    assert sink.data == b"from a finalizer\n"


def test_lines_that_could_not_be_written_are_counted_and_told_when_writing_goes_on() -> None:
    sink = Recorder(OSError("no space"))
    writer = writer_to(sink)
    put_and_wait(writer, sink, "lost\n")
    put_and_wait(writer, sink, "kept\n")
    assert writer.close(PATIENCE)
    assert sink.data == b"kept\ndropped 1\n"


def test_what_follows_a_torn_line_begins_on_a_new_one() -> None:
    sink = Recorder(None, OSError("no space"), OSError("still none"), bite=3)
    writer = writer_to(sink)
    writer.put("torn\n")
    while sink.errors:
        put_and_wait(writer, sink, "lost\n")
    writer.put("kept\n")
    assert writer.close(PATIENCE)
    lines = sink.data.decode().splitlines()
    assert lines[0] == "tor"
    assert set(lines[1:-1]) <= {"lost", "kept"}
    assert lines[-1].startswith("dropped ")


def test_a_sink_that_would_block_is_asked_again() -> None:
    sink = Recorder(BlockingIOError(), BlockingIOError())
    writer = writer_to(sink)
    writer.put("line\n")
    assert writer.close(PATIENCE)
    assert sink.data == b"line\n"


def test_closing_gives_up_on_a_sink_that_would_always_block() -> None:
    sink = Recorder(*[BlockingIOError()] * 1_000_000)
    writer = writer_to(sink)
    put_and_wait(writer, sink, "line\n")
    assert not writer.close(0.01)
    writer._runner.join(PATIENCE)
    assert not writer._runner.is_alive()


class Pipe(NamedTuple):
    """Both ends as files, which can be closed twice without closing someone else's descriptor."""

    reading: io.FileIO
    writing: io.FileIO


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    reading, writing = os.pipe()
    with io.FileIO(reading, "r") as reader, io.FileIO(writing, "w") as writer:
        yield Pipe(reader, writer)


def test_a_pipe_that_nobody_reads_costs_lines_and_nothing_else(pipe: Pipe) -> None:
    writer = writer_to(DescriptorSink(pipe.writing.fileno()), capacity=32 * 1024)
    pipe.writing.close()
    most = 0
    for number in range(20_000):
        writer.put(f"{number:09}\n")
        most = max(most, writer._size)
    assert most <= 32 * 1024

    found = b""
    finished: list[bool] = []
    closer = threading.Thread(target=lambda: finished.append(writer.close(PATIENCE)))
    closer.start()
    while piece := pipe.reading.read(65536):  # the reader comes at last
        found += piece
    closer.join()
    lines = found.decode().splitlines()
    dropped = [int(line.split()[1]) for line in lines if line.startswith("dropped")]
    assert finished == [True]
    assert sum(dropped) > 0
    assert len(lines) - len(dropped) + sum(dropped) == 20_000


def test_closing_gives_up_on_a_pipe_that_nobody_reads(pipe: Pipe) -> None:
    writer = writer_to(DescriptorSink(pipe.writing.fileno()))
    writer.put("." * 500_000 + "\n")
    assert not writer.close(0.01)
    pipe.reading.close()  # now it fails, and the thread ends
    writer._runner.join(PATIENCE)
    assert not writer._runner.is_alive()


def test_a_closed_pipe_ends_nothing(pipe: Pipe) -> None:
    pipe.reading.close()
    writer = writer_to(DescriptorSink(pipe.writing.fileno()))
    writer.put("nobody hears\n")
    assert writer.close(PATIENCE)


def test_a_descriptor_is_duplicated_so_that_its_number_can_be_reused(pipe: Pipe) -> None:
    sink = DescriptorSink(pipe.writing.fileno())
    pipe.writing.close()
    assert sink.write(b"still there") == 11
    assert pipe.reading.read(100) == b"still there"
    sink.close()
    assert pipe.reading.read(100) == b""


def test_a_stream_without_a_descriptor_is_written_to_as_text() -> None:
    stream = io.StringIO()
    sink = sink_for(stream)
    assert isinstance(sink, TextSink)
    for byte in "Zoë\n".encode():
        assert sink.write(bytes([byte])) == 1
    assert stream.getvalue() == "Zoë\n"


def test_without_a_stream_lines_are_gone_and_nothing_fails() -> None:
    writer = writer_to(sink_for(None))
    writer.put("line\n")
    assert writer.close(PATIENCE)


def test_a_stream_that_was_closed_ends_nothing() -> None:
    stream = io.StringIO()
    writer = writer_to(TextSink(stream))
    stream.close()
    writer.put("line\n")
    assert writer.close(PATIENCE)


# --- several processes


class Turn:
    """Turns that note when they are taken and given."""

    def __init__(self, sink: Recorder, *, torn: bool = False) -> None:
        self.sink, self.torn = sink, torn
        self.noted: list[tuple[int, bool | None]] = []

    def take(self) -> bool:
        self.noted.append((len(self.sink.data), None))
        torn, self.torn = self.torn, False
        return torn

    def give(self, *, whole: bool) -> None:
        self.noted.append((len(self.sink.data), whole))


def written_by_turns(sink: Recorder, turns: Turn, *lines: str) -> None:
    writer = Writer(sink, report, gather=3600.0, turns=turns)
    for line in lines:
        writer.put(line)
    assert writer.close(PATIENCE)


def test_a_turn_ends_at_the_end_of_a_line_and_is_as_long_as_a_piece() -> None:
    sink = Recorder(bite=1000)
    turns = Turn(sink)
    lines = ["a" * 39_999 + "\n", "b" * 19_999 + "\n", "c" * 9_999 + "\n", "d" * 99_999 + "\n", "e\n"]
    written_by_turns(sink, turns, *lines)
    assert sink.data.decode() == "".join(lines)
    ends = [60_000, 70_000, 170_000, 170_002]
    assert turns.noted == [
        noted for at, end in zip([0, *ends], ends, strict=False) for noted in ((at, None), (end, True))
    ]


def test_after_a_torn_line_of_another_process_a_new_one_is_begun() -> None:
    sink = Recorder()
    written_by_turns(sink, Turn(sink, torn=True), "kept\n")
    assert sink.data == b"\nkept\n"


def test_who_cannot_write_all_of_a_line_says_so_at_the_end_of_its_turn() -> None:
    sink = Recorder(None, OSError("no space"), bite=3)
    turns = Turn(sink)
    written_by_turns(sink, turns, "torn\n")
    assert turns.noted[:2] == [(0, None), (3, False)]
