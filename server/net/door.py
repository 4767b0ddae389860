"""A door: a pair of Unix sockets by which one process hands connections to another, which accepts them as of a socket
that listens.

It has no name: nobody can connect but who has the other end, and it needs no directory that can be written to. A
connection is one end of a pair that is made for it, passed as a descriptor (unix(7), SCM_RIGHTS).
"""

import errno
import os
import socket
import threading
from array import array
from typing import Any

ONE = array("i", (0,)).itemsize
"""Bytes of one descriptor."""

KNOCK = b"!"
"""What a connection comes with: a message has to have a byte."""


class Inside(socket.socket):
    """The end that accepts."""

    @classmethod
    def at(cls, descriptor: int) -> "Inside":
        """The end that this process has inherited under that number."""
        os.set_inheritable(descriptor, False)
        made = cls(fileno=descriptor)
        made.setblocking(False)
        return made

    def accept(self) -> tuple[socket.socket, Any]:
        """As socket.accept. Raises OSError: ENOTSOCK when nobody has the other end any more, EMFILE where there was no
        descriptor for the connection, which is lost."""
        # socket.recv_fds of Python 3.11 takes flags and does nothing with them: no other process may have this one.
        data, came, _, _ = self.recvmsg(len(KNOCK), socket.CMSG_LEN(ONE), socket.MSG_CMSG_CLOEXEC)
        if not data:
            raise OSError(errno.ENOTSOCK, "the other end is closed")
        descriptors = array("i")
        for level, kind, passed in came:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                descriptors.frombytes(passed[:ONE])
        if not descriptors:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return socket.socket(fileno=descriptors[0]), "the supervisor"


class Outside:
    """The end that connects. Any thread may: it is not closed in the middle of it."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._end = end
        self._lock = threading.Lock()

    def connect(self) -> socket.socket:
        """A new connection, which the other end may accept. It waits for nobody. Raises OSError: EAGAIN where too many
        wait to be accepted."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                with self._lock:
                    socket.send_fds(self._end, [KNOCK], [theirs.fileno()])
            except OSError:
                ours.close()
                raise
        ours.setblocking(False)
        return ours

    def close(self) -> None:
        """Give it back."""
        with self._lock:
            self._end.close()


def door() -> tuple[Outside, socket.socket]:
    """The end that connects, and the one that the other process inherits."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return Outside(ours), theirs
