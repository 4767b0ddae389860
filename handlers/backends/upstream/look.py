"""The look at a connection in the moment before a request is sent on it, and at the first bytes that come after it.

HTTP/1.1 has no identifier that ties an answer to its request: an answer belongs to a request because it is the next
one to come. A byte that is on a connection before the request therefore becomes the beginning of somebody's answer.
Three things are looked at:

- *Is anything there?* One `recv(2)` with MSG_PEEK directly before the first `send(2)`. Whatever has come by then, bytes
  or the end of the connection, cannot be an answer to what has not been sent.
- *Has the upstream heard us?* Bytes may cross our request on the wire, after the look. The segment that carries an
  answer also acknowledges the request that it answers: the kernel of the upstream had it before the application could
  read it. So if nothing of the request is acknowledged when the first byte of an answer is read, that byte is older
  than the request's arrival. The kernel tells how much it still waits for (SIOCOUTQ, tcp(7)). An upstream that is slow
  to answer acknowledges by itself after some 40 ms; so this is looked at once directly after the `send(2)`, too.
- *Has the answer room for more?* An answer without content whose head announces some (to HEAD, 304) is where
  upstreams err: the content that they send after all may come at any later time. Such a connection is not used again.

Deliberately not here: to refuse all bytes that are there directly after the `send(2)`. On one machine the kernel often
lets the upstream run before our call returns: of the answers of a fast upstream 10 to 98 % are there by then.

Nor *when it came*: the kernel can note that (SO_TIMESTAMPNS), and what came sooner than half a round trip after the
sending answers nothing. Over a way of 5 ms each, with an upstream that sends an answer nobody asked for behind every
seventh, 185 and 190 of 1,200 answers were foreign with such stamps, 181 and 142 without; and without the look at what
is acknowledged 331 and 302. What the acknowledgement does not tell, the stamp did not tell either.

What is left: an answer that nobody asked for which the upstream sends when it already has the request cannot be told
from the answer to it, by anybody. And one that crosses the request on its way, where we read so late that the
request has been acknowledged meanwhile: on one machine about one answer in 100,000 of an upstream that does this all
the time; over a longer way, and with a processor that is busy, a third of those that cross.
"""

import socket
import sys

from clerestory.handlers.backends.upstream.gate import UNTIL_CLOSE, Head
from clerestory.handlers.backends.upstream.tls import TLS

if sys.platform == "linux":
    import termios
    from fcntl import ioctl

    _OUTSTANDING, _INCOME = termios.TIOCOUTQ, termios.FIONREAD
    """SIOCOUTQ has the number of the one, SIOCINQ that of the other."""

_NONE = bytes(4)
"""A C integer that is 0."""


def is_quiet(channel: "socket.socket | TLS") -> bool:
    """Whether nothing has come, not even the end."""
    if isinstance(channel, TLS):
        return channel.is_quiet()
    try:
        channel.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def refuses(data: bytes) -> bool:
    """Whether `data` begins an answer of status 4xx or 5xx. On a new connection, where nobody else's answer can be, an
    upstream may say so before it is asked: it is full (503), or did not want to wait (408)."""
    return data[:5] == b"HTTP/" and data[9:10] in (b"4", b"5")


def first_bytes(channel: "socket.socket | TLS") -> bytes:
    """How what has come begins; b"" where nothing has, or where looking would take it (TLS)."""
    if isinstance(channel, TLS):
        return b""
    try:
        return channel.recv(16, socket.MSG_PEEK)
    except OSError:
        return b""


def has_crossed(descriptor: int, sent: int) -> bool:
    """Whether directly after the first `sent` bytes of a request bytes are there that are older than its arrival."""
    if sys.platform != "linux":
        return False
    try:
        return ioctl(descriptor, _INCOME, _NONE) != _NONE and is_unheard(descriptor, sent)
    except OSError:
        return False


def is_unheard(descriptor: int, sent: int) -> bool:
    """Whether none of the last `sent` bytes has reached the upstream yet, as far as the kernel knows."""
    if sys.platform != "linux":
        return False
    try:
        outstanding = ioctl(descriptor, _OUTSTANDING, _NONE)
    except OSError:
        return False
    return outstanding != _NONE and 0 < sent <= int.from_bytes(outstanding, sys.byteorder)


def may_bring_more(head: Head, method: str) -> bool:
    """Whether the answer to `method` that `head` began has no content, though its head announces some."""
    return head.length not in (0, UNTIL_CLOSE) and head.body_length(method) == 0


__all__ = [
    "first_bytes",
    "has_crossed",
    "is_quiet",
    "is_unheard",
    "may_bring_more",
    "refuses",
]
