"""TLS between a connection and its socket: the methods of Transport, and the handshake before them. Nothing here waits.

`ssl.SSLSocket` does its own system calls on the non-blocking socket, so the machine goes on seeing readiness as the
kernel tells it. Laws:

- *Nothing lies hidden.* The poller knows nothing of bytes in OpenSSL's memory. OpenSSL reads one record at a time, and
  a read here takes one whole record: what comes after it is still in the kernel, where the poller sees it.
- *An end is an end only when TLS says so* (RFC 8446 section 6.1): a connection that is closed without close_notify may
  have been cut by anybody, and what it was in the middle of is not whole (TruncatedError).
- *A byte is sent when the socket has taken it.* A record that the socket does not take is kept by OpenSSL, which wants
  to be called again with the same bytes: `write` has not counted them, so that is what the caller does.
- *Our last word is close_notify*, before the half-close and before the close, unless the connection is cut.
- *After the handshake a read only reads and a write only writes.* Renegotiation is refused on both sides, and a reply
  to a key update waits for our next write; what asks for anything else is closed.

Deliberately not here: early data, which anybody can send again.
"""

import os
import re
import socket
import ssl
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from clerestory.handlers.api.security import Security
from clerestory.handlers.wire.transport import READ_SIZE, RESET_ON_CLOSE, FileUnreadableError, PeerGoneError
from clerestory.statemachines.contract import Interest

RECORD = 16 * 1024
"""Bytes that one record holds at most (RFC 8446 section 5.1)."""

MOST = 16 * RECORD
"""Bytes written in one go: more than the kernel lets wait in a socket's buffer (server.net.listener.NOT_SENT)."""

HANDSHAKE = 0x16
"""The first byte that a client of TLS sends: a record's content type (RFC 8446 section 5.1)."""

READABLE, WRITABLE = int(Interest.READABLE), int(Interest.WRITABLE)

_TLS_LEVEL, _TLS_TX = 282, 1
"""SOL_TLS and TLS_TX of <linux/tls.h>."""


class TruncatedError(PeerGoneError):
    """The connection ended without close_notify."""


class HandshakeError(Exception):
    """The TLS handshake failed. `name` is OpenSSL's reason, such as `NO_SHARED_CIPHER`; `detail` is what it says of a
    certificate that is not accepted."""

    def __init__(self, error: ssl.SSLError) -> None:
        super().__init__(str(error))
        self.name = error.reason or ""
        self.detail = error.verify_message.rstrip(".") if isinstance(error, ssl.SSLCertVerificationError) else ""


class PlainTextError(Exception):
    """The client does not speak TLS; what it sends looks like a request of HTTP. Nothing has been read of it."""


class _Socket(ssl.SSLSocket):
    """`name` is the server name that the client asked for."""

    name = ""

    def getpeername(self) -> Any:
        """Whether the socket is connected, as far as ssl asks: it would close one that has been reset meanwhile, and
        only the loop closes descriptors."""
        return None


def prepare(context: ssl.SSLContext, certificate: str) -> None:
    """Let `context`, which shows `certificate` (PEM), make the sockets that TLS works with."""
    context.sslsocket_class = _Socket
    context.certificate = certificate  # type: ignore[attr-defined]


class TLS:
    """A connected, non-blocking socket behind TLS, of which we are the server.

    Until `shake_hands` has returned 0, only it, `shut_down`, `reset_on_close` and `close` may be called.
    """

    __slots__ = (
        "_context",
        "_is_cut",
        "_is_over",
        "_owed",
        "_own_address",
        "_secret",
        "_socket",
        "_uses_kernel",
        "is_truncated",
        "security",
    )

    def __init__(self, connected: socket.socket, context: ssl.SSLContext, own_address: Any = None) -> None:
        """`own_address` is what the peer has connected to, where a proxy has said it."""
        self._own_address = own_address
        self._socket = connected
        self._context = context
        self._secret: ssl.SSLSocket | None = None
        """The same descriptor, once TLS is between it and us."""
        self._owed = 0
        """Bytes of the record that OpenSSL holds, since the socket has not taken them."""
        self._is_cut = False
        self._is_over = False
        """Whether TLS is of no use any more: what comes is raw, and only to be discarded."""
        self._uses_kernel = False
        self.security: Security | None = None
        self.is_truncated = False
        """Whether it has ended without close_notify."""

    # --- the handshake

    def shake_hands(self) -> int:
        """Do what can be done of the handshake; 0 when it is complete, else READABLE or WRITABLE: what it waits
        for. Raises PlainTextError, EOFError, PeerGoneError, HandshakeError."""
        secret = self._secret
        if secret is None:
            if not self._has_begun():
                return READABLE
            self._socket = secret = self._secret = self._context.wrap_socket(
                self._socket, server_side=True, do_handshake_on_connect=False, suppress_ragged_eofs=False
            )
        try:
            secret.do_handshake()
        except ssl.SSLWantReadError:
            return READABLE
        except ssl.SSLWantWriteError:
            return WRITABLE
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError) as error:
            self._is_over = True
            raise EOFError from error
        except ssl.SSLError as error:  # OpenSSL has sent the alert that tells the client why
            self._is_over = True
            raise HandshakeError(error) from error
        except OSError as error:
            self._is_over = True
            raise PeerGoneError from error
        self.security = security_of(secret)
        self._uses_kernel = sends_in_kernel(secret)
        return 0

    def _has_begun(self) -> bool:
        """Whether the client's first byte is there, and is one of TLS. OpenSSL's memory is taken only then: a client
        that connects and says nothing costs no more than one of plain HTTP."""
        try:
            first = self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError as error:
            raise PeerGoneError from error
        if not first:
            raise EOFError
        if first.isalpha():  # a method; of a record it would be no content type
            raise PlainTextError
        return True

    @property
    def has_begun(self) -> bool:
        """Whether the client has sent something."""
        return self._secret is not None

    @property
    def protocol(self) -> str:
        """What is spoken behind the handshake, as ALPN has agreed on: `h2`, `http/1.1`, or empty (RFC 7301)."""
        return (self._secret.selected_alpn_protocol() or "") if self._secret is not None else ""

    def plain(self) -> socket.socket:
        """The socket of a client that does not speak TLS."""
        return self._socket

    # --- as Transport

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
        secret = self._secret
        if self._is_over or secret is None:
            return self._read_raw()
        try:
            return secret.read(RECORD)
        except ssl.SSLWantReadError:
            return None
        except ssl.SSLZeroReturnError:  # so is the client's close_notify called behind our own
            return b""
        except ssl.SSLEOFError as error:
            self._is_over = self.is_truncated = True
            raise TruncatedError from error
        except OSError as error:  # a record that was tampered with, an alert, a reset
            self._is_over = True
            raise PeerGoneError from error

    def _read_raw(self) -> bytes | None:
        """What still comes of a client of which nothing more is wanted."""
        try:
            return socket.socket.recv(self._socket, READ_SIZE)
        except BlockingIOError:
            return None
        except OSError as error:
            raise PeerGoneError from error

    def has_unread(self) -> bool:
        """As Transport.has_unread. What is there may be no more than close_notify; a reset it would cause all the
        same."""
        try:
            return socket.socket.recv(self._socket, 1, socket.MSG_PEEK) != b""
        except OSError:
            return False

    def write(self, data: bytes | memoryview, more: bool = False) -> int:  # noqa: ARG002
        """As Transport.write: record by record, until the socket takes no more."""
        secret = self._secret
        size = len(data)
        if size <= RECORD:
            return self._write_record(secret, data)
        view, sent = memoryview(data), 0
        while sent < size and sent < MOST:
            taken = self._write_record(secret, view[sent : sent + RECORD])
            if not taken:
                break
            sent += taken
        return sent

    def _write_record(self, secret: ssl.SSLSocket | None, data: bytes | memoryview) -> int:
        if self._is_over or secret is None:
            raise PeerGoneError
        try:
            taken = secret.write(data)
        except ssl.SSLWantWriteError:
            self._owed = len(data)
            return 0
        except OSError as error:
            self._is_over = True
            raise PeerGoneError from error
        self._owed = 0
        return taken

    def send_file(self, descriptor: int, offset: int, count: int) -> int:
        """As Transport.send_file: sendfile(2) where the kernel enciphers, else read and write."""
        if self._uses_kernel and not self._owed:
            try:
                sent = os.sendfile(self._socket.fileno(), descriptor, offset, count)
            except BlockingIOError:
                return 0
            except (ConnectionError, TimeoutError) as error:
                raise PeerGoneError from error
            except OSError:  # as in TCP.send_file
                self._uses_kernel = False
            else:
                if not sent:
                    raise FileUnreadableError("the file is shorter than it was")
                return sent
        try:
            data = os.pread(descriptor, min(count, READ_SIZE), offset)
        except OSError as error:
            raise FileUnreadableError(f"the file cannot be read: {error.strerror}") from error
        if not data or len(data) < self._owed:
            raise FileUnreadableError("the file is shorter than it was")
        return self.write(data)

    def shut_down(self) -> None:
        """As Transport.shut_down: as TLS says it, and as TCP does."""
        self._say_goodbye()
        try:
            socket.socket.shutdown(self._socket, socket.SHUT_WR)
        except OSError as error:
            raise PeerGoneError from error

    def _say_goodbye(self) -> None:
        """Send close_notify. ssl looks at once whether the client's has come; where anything else has, OpenSSL is of
        no use any more."""
        secret = self._secret
        if secret is None or self._is_over or self._owed:
            return
        try:
            secret.unwrap()
        except ssl.SSLWantReadError:
            return
        except (OSError, ValueError):  # ValueError: there is nothing to be unwrapped
            pass
        self._is_over = True

    def reset_on_close(self) -> None:
        """As Transport.reset_on_close."""
        self._is_cut = True
        with suppress(OSError):  # it has been reset already
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)

    def close(self) -> None:
        """As Transport.close, which has the reason for the shutdown."""
        if not self._is_cut:
            if self.security is not None:
                self._say_goodbye()
            with suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
        self._socket.close()


SHORT = {
    "commonName": "CN",
    "countryName": "C",
    "domainComponent": "DC",
    "localityName": "L",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "stateOrProvinceName": "ST",
    "streetAddress": "STREET",
    "userId": "UID",
}
"""RFC 4514 section 3."""

_special = re.compile(r'([,+"\\<>;=]|^[# ]| $)')


def security_of(secret: ssl.SSLSocket) -> Security:
    """What has been negotiated."""
    cipher, name, subject = secret.cipher(), getattr(secret, "name", ""), ""
    certificate = secret.getpeercert(binary_form=True)
    if certificate is not None:
        said: Any = (secret.getpeercert() or {}).get("subject", ())
        subject = name_of(said)
    own = getattr(secret.context, "certificate", "")
    return Security(secret.version() or "", cipher[0] if cipher else "", name, own, certificate, subject)


def name_of(subject: Iterable[Iterable[tuple[str, str]]]) -> str:
    """A distinguished name, as RFC 4514 writes it: `CN=alice,O=Example`, the last part first."""
    parts = ["+".join(f"{SHORT.get(key, key)}={_escaped(value)}" for key, value in part) for part in subject]
    return ",".join(reversed(parts))


def _escaped(value: str) -> str:
    return _special.sub(r"\\\1", value)


def sends_in_kernel(secret: ssl.SSLSocket) -> bool:
    """Whether the kernel enciphers what is sent on this connection."""
    if not hasattr(ssl, "OP_ENABLE_KTLS"):
        return False
    try:
        return bool(secret.getsockopt(_TLS_LEVEL, _TLS_TX, 128))
    except OSError:
        return False
