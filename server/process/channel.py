"""The channel between a supervisor and one of its workers: lines of JSON, both ways, over a pair of Unix sockets.

What a worker says:

    {"say": "ready"}                                it serves
    {"say": "beat", ...}                            its watchdog runs; with figures of the loop
    {"say": "recycle", "why": ...}                  it has served, or has grown, enough
    {"say": "drain"}                                it was sent a signal, and is to drain
    {"say": "blocked", "seconds": ..., ...}         its loop stands still, and where
    {"say": "last", ...}                            what it had counted when it ended

What a supervisor orders: {"order": "retire"}, {"order": "drain"}, {"order": "stop"}; see `Order`. A line that is no
JSON is what faulthandler has written: the stack of a worker that dies.
"""

import enum
import json
import socket
import threading
from typing import Any

LONGEST = 1024 * 1024
"""Bytes of a line; of a longer one the beginning is dropped. What a worker says last takes a tenth of it."""

READ = 64 * 1024

Message = dict[str, Any]


class Order(enum.StrEnum):
    """What a worker is told to do."""

    RETIRE = "retire"
    """Finish what is in flight; leave the backlog to the others, and end."""
    DRAIN = "drain"
    """Take the backlog, too: nobody else will."""
    STOP = "stop"
    """End at once."""


class Channel:
    """One end. `tell` may be called from any thread; `read` belongs to the loop's."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self.socket = end
        self._rest = b""
        self._lock = threading.Lock()

    def fileno(self) -> int:
        return self.socket.fileno()

    def tell(self, message: Message) -> bool:
        """Send `message` if there is room for it. Whether there was: a peer that does not read is not waited for."""
        data = json.dumps(message).encode() + b"\n"
        with self._lock:
            try:
                sent = self.socket.send(data)
                while sent < len(data):  # a stream may take a part of it: the rest would be half a line
                    self.socket.setblocking(True)
                    self.socket.settimeout(1.0)
                    sent += self.socket.send(data[sent:])
            except OSError:
                return False
            finally:
                if self.socket.fileno() >= 0:
                    self.socket.setblocking(False)
        return True

    def read(self) -> tuple[list[Message | str], bool]:
        """What has come: messages, and lines that are none; and whether the other end is still open."""
        try:
            data = self.socket.recv(READ)
        except BlockingIOError:
            return [], True
        except OSError:
            data = b""
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()[-LONGEST:]
        if not data and self._rest:
            lines.append(self._rest)
            self._rest = b""
        return [_parsed(line) for line in lines if line.strip()], bool(data)

    def close(self) -> None:
        with self._lock:
            self.socket.close()


def _parsed(line: bytes) -> Message | str:
    try:
        found = json.loads(line)
    except ValueError:
        return line.decode("utf-8", "backslashreplace")
    return found if isinstance(found, dict) else line.decode("utf-8", "backslashreplace")


def pair() -> tuple[Channel, socket.socket]:
    """The supervisor's end, and the socket that a worker inherits."""
    ours, theirs = socket.socketpair()
    return Channel(ours), theirs
