"""TLS to an upstream: a socket's methods, with TLS between them and the wire. Nothing here waits.

TLS reads from and writes to memory; what moves bytes is one system call on the socket for each call here, so that the
machine goes on seeing readiness as the kernel tells it. Laws:

- *Verified, or nothing is sent*: the certificate's chain, its dates, and that it is for the host in the upstream's URL,
  name or address. There is no switch that turns this off; a private authority is trusted by naming its file.
- *Nothing lies hidden.* The poller knows nothing of bytes in TLS's memory, so each read takes out all that can be
  decrypted; what is left is part of a record, whose rest the poller reports.
- *An end is an end only when TLS says so* (RFC 8446 section 6.1): a connection that is closed without it was cut, by
  whomever, and what it was in the middle of is not whole.
- *A byte is sent when the socket has taken it*, enciphered: until then `send` does not count it, and is called with it
  again.

Deliberately not here: certificates of our own, resumption, early data.
"""

import socket
import ssl
from contextlib import suppress

READ_SIZE = 64 * 1024
RECORD = 16 * 1024
"""Bytes that one record of TLS holds at most: what is enciphered at a time beyond it only lies in memory."""
PIECE = 4 * RECORD


class Untrusted(Exception):
    """The TLS handshake failed. `cause` is for operators, `detail` is one sentence that is safe to show."""

    def __init__(self, cause: str, detail: str) -> None:
        super().__init__(cause)
        self.cause = cause
        self.detail = detail


def client_context(authorities: str | None = None) -> ssl.SSLContext:
    """What verifies upstreams: by the authorities of the file of that name, else by the system's.

    Raises OSError, which ssl.SSLError is: there is no such file, or there is no certificate in it.
    """
    context = ssl.create_default_context(cafile=authorities)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


class TLS:
    """A connected, non-blocking socket behind TLS. `ended` says that the upstream has said its last."""

    __slots__ = ("_cut", "_incoming", "_outgoing", "_owed", "_rest", "_socket", "_tls", "ended")

    def __init__(self, connected: socket.socket, context: ssl.SSLContext, host: str) -> None:
        self._socket = connected
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._rest: bytes | memoryview = b""
        """What is enciphered and not yet taken by the socket."""
        self._owed = 0
        """Bytes in it that `send` has not counted yet."""
        self._cut = False
        self.ended = False

    # --- the handshake

    def begin_handshake(self) -> None:
        """Send the first message. Raises ConnectionError."""
        self._shake_hands()

    def go_on(self) -> bool:
        """Read once, and answer; whether the TLS handshake is complete. Raises EOFError, ConnectionError, Untrusted."""
        try:
            data = self._socket.recv(READ_SIZE)
        except BlockingIOError:
            return False
        except OSError as error:
            raise ConnectionError from error
        if not data:
            raise EOFError
        self._incoming.write(data)
        if not self._shake_hands():
            return False
        with suppress(BlockingIOError):
            if self._decipher():
                raise Untrusted("garbage", "The upstream sent data before it had a request.")
            raise EOFError
        return True

    def _shake_hands(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            ended = False
        except ssl.SSLError as error:
            with suppress(OSError):
                self._flush()  # the alert that tells the upstream why
            raise _explained(error) from error
        else:
            ended = True
        try:
            self._flush()
        except OSError as error:
            raise ConnectionError from error
        return ended

    def _flush(self) -> None:
        """Send what TLS itself has to say. It is little, and there was nothing before it: a socket takes it."""
        data = self._outgoing.read()
        if data and self._socket.send(data) < len(data):
            raise ConnectionAbortedError

    # --- as a socket

    def recv(self, size: int) -> bytes:
        """What has come, b"" at the end. Raises BlockingIOError, and OSError when the connection is gone."""
        if self.ended:
            return b""
        data = self._socket.recv(size)
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()
        return self._decipher()

    def _decipher(self) -> bytes:
        """All that can be deciphered of what has come; as recv."""
        pieces: list[bytes] = []
        try:
            while piece := self._tls.read(RECORD):
                pieces.append(piece)
            self._end()
        except ssl.SSLWantReadError:
            if not pieces:
                raise BlockingIOError from None
        except ssl.SSLError as error:  # a record that was tampered with, an alert, an end that TLS does not know of
            if not pieces:
                raise ConnectionAbortedError(error.reason) from error
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _end(self) -> None:
        """The upstream's last word is answered at once: some wait for that before they close."""
        self.ended = True
        if not self._owed:
            self._say_goodbye()

    def _say_goodbye(self) -> None:
        with suppress(OSError):  # ssl.SSLError is one: what is to be sent lies in memory all the same
            self._tls.unwrap()
        with suppress(OSError):
            self._flush()

    def send(self, data: bytes | memoryview) -> int:
        """How many bytes of `data` the socket has taken; those that are left are to be the next call's. Raises
        BlockingIOError, and OSError when the connection is gone."""
        if not self._owed:
            self._owed = self._tls.write(data[:PIECE])
            self._rest = self._outgoing.read()
        taken = self._socket.send(self._rest)
        self._rest = memoryview(self._rest)[taken:] if taken < len(self._rest) else b""
        left = min(self._owed, len(self._rest))
        sent, self._owed = self._owed - left, left
        return sent

    def fileno(self) -> int:
        """As a socket's."""
        return self._socket.fileno()

    def is_quiet(self) -> bool:
        """Whether nothing has come, not even the end. What TLS says to itself is no news."""
        try:
            self.recv(READ_SIZE)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def shutdown(self, how: int) -> None:
        """Half-close, as TLS says it and as TCP does. Raises OSError."""
        self._say_goodbye()
        self._socket.shutdown(how)

    def setsockopt(self, level: int, option: int, value: int | bytes) -> None:
        """As a socket's. With SO_LINGER the close will be a reset, and nothing is said before it."""
        self._cut = self._cut or option == socket.SO_LINGER
        self._socket.setsockopt(level, option, value)

    def close(self) -> None:
        """Give the descriptor back, with TLS's own farewell unless the connection is cut."""
        if not self._cut and not self.ended and not self._owed:
            self._say_goodbye()
        self._socket.close()


def _explained(error: ssl.SSLError) -> Untrusted:
    if isinstance(error, ssl.SSLCertVerificationError):
        why = error.verify_message.rstrip(".")
        return Untrusted(f"certificate: {why}", "The upstream's certificate is not one that is trusted here.")
    why = (error.reason or "failed").replace("_", " ").lower()
    return Untrusted(f"handshake: {why}", "The TLS handshake with the upstream failed.")
