"""The writer: lines go into a bounded buffer, and a daemon thread writes them in batches.

Its laws:

- `put` never waits for the reader of the log. A pipe that is full, a terminal on hold, a disk that is slow: the buffer
  fills, further lines are dropped and counted, and one line tells how many when writing goes on again.
- Nothing that goes wrong with writing ends the server. A closed pipe is a place where lines get lost; so is a full
  disk. When lines get through again, the first ones are followed by the number of those that were lost.
- What a crash or an exit leaves in the buffer is written by `close`, within a deadline.

What waking costs: a thread that is woken for each line costs two context switches a line, and takes the interpreter
away from the loop. So the thread sleeps for good while there is nothing to write, is woken by the first line only, and
then lets lines gather for GATHER seconds: at most twenty batches a second, whatever the load, and an idle server never
wakes. A buffer that is half full hurries it.
"""

import codecs
import os
import threading
from collections.abc import Callable
from typing import Protocol, TextIO

CAPACITY = 4 * 1024 * 1024
"""Characters that may wait; as many again may be in the batch that is being written. Sixteen thousand access lines:
nearly half a second at full load, which outlasts the pauses of a collector that is alive."""

GATHER = 0.05
"""Seconds that lines gather: not noticed by who watches the log, and long enough to make waking cheap."""

PIECE = 64 * 1024
"""Bytes in one write(2): what a pipe holds."""


class Sink(Protocol):
    """Where batches go. `write` takes some of the bytes and says how many, as write(2); it may raise OSError."""

    def write(self, data: bytes) -> int: ...

    def close(self) -> None: ...


class Turns(Protocol):
    """Whose turn it is to write where several processes do (server.logging.turns)."""

    def take(self) -> bool:
        """Wait for our turn; whether a new line is to be begun first."""

    def give(self, *, whole: bool) -> None:
        """Our turn is over; `whole` if we end at the end of a line."""


class DescriptorSink:
    """A descriptor, duplicated: nobody can close it under us and have its number reused for a client's socket."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = os.dup(descriptor)

    def write(self, data: bytes) -> int:
        return os.write(self._descriptor, data)

    def close(self) -> None:
        os.close(self._descriptor)


class TextSink:
    """A stream without a descriptor, as tests have it; without a stream, as under `2>&-`, what is written is gone."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode

    def write(self, data: bytes) -> int:
        if self._stream is not None:
            self._stream.write(self._decode(data))
        return len(data)

    def close(self) -> None:
        """The stream is not ours to close."""


def sink_for(stream: TextIO | None) -> Sink:
    """What writes where `stream` does."""
    if stream is None:
        return TextSink(None)
    try:
        stream.flush()
        return DescriptorSink(stream.fileno())
    except (OSError, ValueError):  # io.UnsupportedOperation, which says that there is none, is both
        return TextSink(stream)


class Writer:
    """A bounded buffer of lines and the thread that empties it into `sink`, with `turns` when it is our turn.

    `report` makes the line that says how many were dropped. Each line ends with its own line end.
    """

    def __init__(
        self,
        sink: Sink,
        report: Callable[[int], str],
        *,
        capacity: int = CAPACITY,
        gather: float = GATHER,
        turns: Turns | None = None,
    ) -> None:
        self._sink = sink
        self._report = report
        self._capacity = capacity
        self._gather = gather
        self._turns = turns
        self._lines: list[str] = []
        self._size = 0
        self._dropped = 0
        self._torn = False
        self._closing = False
        # Reentrant: a finalizer that logs may run, in this very thread, while a line is being put.
        self._lock = threading.RLock()
        self._work = threading.Event()
        self._hurry = threading.Event()
        self._given_up = threading.Event()
        self._runner = threading.Thread(target=self._run, name="log writer", daemon=True)
        self._runner.start()

    def put(self, line: str) -> None:
        """Buffer `line`, or drop and count it when it does not fit. Never waits, never raises."""
        with self._lock:
            before = self._size
            size = before + len(line)
            if size > self._capacity or self._closing:
                self._dropped += 1
                return
            self._lines.append(line)
            self._size = size
            if not before:
                self._work.set()
            elif size * 2 > self._capacity >= before * 2:
                self._hurry.set()

    def close(self, timeout: float) -> bool:
        """Write what is buffered; whether that was done within `timeout` seconds. Later lines are dropped."""
        with self._lock:
            self._closing = True
            self._work.set()
            self._hurry.set()
        self._runner.join(timeout)
        self._given_up.set()
        return not self._runner.is_alive()

    def _run(self) -> None:
        while not (self._closing and not self._lines):
            self._work.wait()
            self._hurry.wait(self._gather)
            lines, dropped = self._take()
            self._write_batch("".join(lines), dropped)
        self._sink.close()

    def _take(self) -> tuple[list[str], int]:
        """All the lines that wait, and how many were dropped after them."""
        with self._lock:
            lines, self._lines, self._size = self._lines, [], 0
            dropped, self._dropped = self._dropped, 0
            if not self._closing:
                self._work.clear()
                self._hurry.clear()
            return lines, dropped

    def _write_batch(self, text: str, dropped: int) -> None:
        lost = self._write_all(text)
        if lost or (dropped and self._write_all(self._report(dropped))):
            with self._lock:
                self._dropped += dropped + lost

    def _write_all(self, text: str) -> int:
        """Write `text`; return how many of its lines were lost. What follows a torn line begins on a new one."""
        data = (b"\n" if self._torn else b"") + text.encode("utf-8", "backslashreplace")
        at = 0
        try:
            while at < len(data):
                end = end_of_lines(data, at)
                if self._turns is not None and self._turns.take():
                    self._write_some(b"\n")
                try:
                    while at < end:
                        at += self._write_some(data[at : min(end, at + PIECE)])
                finally:
                    if self._turns is not None:
                        self._turns.give(whole=not at or data[at - 1 : at] == b"\n")
        except (OSError, ValueError):  # ValueError: a stream that was closed
            unwritten = at or int(self._torn)
            if self._turns is None:
                self._torn = data[at - 1 : at] != b"\n" if at else self._torn
            return data.count(b"\n", unwritten)
        self._torn = False
        return 0

    def _write_some(self, piece: bytes) -> int:
        try:
            return self._sink.write(piece)
        except BlockingIOError:  # someone made our standard error non-blocking; only the poller may ask for readiness
            if self._given_up.wait(self._gather):
                raise
            return 0


def end_of_lines(data: bytes, at: int) -> int:
    """The end of the whole lines from `at` on that fit into a piece; of one line, where that is longer."""
    if len(data) - at <= PIECE:
        return len(data)
    end = data.rfind(b"\n", at, at + PIECE) + 1
    return end or data.find(b"\n", at + PIECE) + 1 or len(data)
