"""The face between a connection's shell and its socket: reads, writes and shutdowns, and nothing else.

Plain TCP here; TLS (tls.py) stands behind the same methods. Their laws: one system call each, never waiting; a peer
that is gone is PeerGoneError, whatever the kernel calls it; a socket that would block is None (read) or 0 (write).
"""

import os
import socket
import struct
from contextlib import suppress
from typing import Any, Protocol

from mypy_extensions import mypyc_attr

READ_SIZE = 64 * 1024
"""Bytes read at one readiness event: what keeps a fire-hose from starving the others."""

RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER, zero seconds: close(2) sends RST
_MORE = getattr(socket, "MSG_MORE", 0)
_PEER_GONE = (ConnectionError, TimeoutError)  # TimeoutError is ETIMEDOUT: the kernel has given the peer up


@mypyc_attr(allow_interpreted_subclasses=True)
class PeerGoneError(Exception):
    """The connection is no more: reset, broken, or timed out by the kernel."""


class FileUnreadableError(Exception):
    """The file that was being sent has come to an end too early, or cannot be read."""


class Transport(Protocol):
    """What a connection's shell reads from and writes to."""

    def own_address(self) -> Any:
        """What getsockname(2) says: a pair, or more, of an internet socket; a path of a Unix one; None without one."""

    def read(self) -> bytes | None:
        """At most READ_SIZE bytes; b"" when the peer has shut its side; None when there is nothing now."""

    def has_unread(self) -> bool:
        """Whether bytes of the peer wait to be read. A close would then be a reset, which takes from the peer what it
        has not yet read of our answer."""

    def write(self, data: bytes | memoryview, more: bool = False) -> int:
        """How many bytes of `data` the socket took. `more`: further bytes follow at once."""

    def send_file(self, descriptor: int, offset: int, count: int) -> int:
        """How many bytes of the file from `offset` the socket took. Raises FileUnreadableError."""

    def shut_down(self) -> None:
        """Half-close: the peer reads the end of the stream after what has been written."""

    def reset_on_close(self) -> None:
        """Let `close` be a reset, which nobody takes for a clean end."""

    def close(self) -> None:
        """Give the descriptor back. Called by the loop alone."""


class TCP:
    """A connected, non-blocking TCP (or Unix) socket."""

    __slots__ = ("_own_address", "_resets", "_socket", "_without_sendfile")

    def __init__(self, connected: socket.socket, own_address: Any = None) -> None:
        """`own_address` is what the peer has connected to, where a proxy has said it."""
        self._socket = connected
        self._own_address = own_address
        self._resets = False
        self._without_sendfile = not hasattr(os, "sendfile")

    def own_address(self) -> Any:
        """As Transport.own_address."""
        if self._own_address is not None:
            return self._own_address
        try:
            return self._socket.getsockname()
        except OSError:
            return None

    def read(self) -> bytes | None:
        """As Transport.read."""
        try:
            return self._socket.recv(READ_SIZE)
        except BlockingIOError:
            return None
        except OSError as error:
            raise PeerGoneError from error

    def has_unread(self) -> bool:
        """As Transport.has_unread. Nothing is taken."""
        try:
            return self._socket.recv(1, socket.MSG_PEEK) != b""
        except OSError:  # BlockingIOError: nothing has come; else there is no peer any more
            return False

    def write(self, data: bytes | memoryview, more: bool = False) -> int:
        """As Transport.write."""
        try:
            return self._socket.send(data, _MORE) if more else self._socket.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise PeerGoneError from error

    def send_file(self, descriptor: int, offset: int, count: int) -> int:
        """As Transport.send_file: sendfile(2), or read and write where the file system does not offer it."""
        if self._without_sendfile:
            return self._copy(descriptor, offset, count)
        try:
            sent = os.sendfile(self._socket.fileno(), descriptor, offset, count)
        except BlockingIOError:
            return 0
        except _PEER_GONE as error:
            raise PeerGoneError from error
        except OSError:
            # EINVAL, ENOSYS, EOPNOTSUPP: not for this file. Any other error shows itself again in the read.
            self._without_sendfile = True
            return self._copy(descriptor, offset, count)
        if not sent:
            raise FileUnreadableError("the file is shorter than it was")
        return sent

    def _copy(self, descriptor: int, offset: int, count: int) -> int:
        try:
            data = os.pread(descriptor, min(count, READ_SIZE), offset)
        except OSError as error:
            raise FileUnreadableError(f"the file cannot be read: {error.strerror}") from error
        if not data:
            raise FileUnreadableError("the file is shorter than it was")
        return self.write(data)

    def shut_down(self) -> None:
        """As Transport.shut_down."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError as error:  # ENOTCONN: it has been reset meanwhile
            raise PeerGoneError from error

    def reset_on_close(self) -> None:
        """As Transport.reset_on_close."""
        self._resets = True
        with suppress(OSError):  # it has been reset already
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)

    def close(self) -> None:
        """As Transport.close. A process that a handler has forked may hold the descriptor too, and would keep the
        peer waiting for an end that only its own close brings: so the connection is shut down first."""
        if not self._resets:
            with suppress(OSError):  # it has been reset already
                self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
