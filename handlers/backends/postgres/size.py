"""The size of a result, in bytes as PostgreSQL sends it, before and after libpq has received it.

libpq stores a part of a result until the whole part has arrived, and a row until the whole row has: it cannot be told
to stop. So the bytes in the socket are counted around each read, from the second on (one read is limited by libpq's
buffer, 16 KiB unless there was a larger row before). That stops a large result while it is being received. A complete
part is counted exactly.

The size of a read can only be estimated from the bytes in the socket before and after it, and the server refills the
socket at once. libpq reads LEAST bytes or more, so at least that many are taken if they are there (without TLS, which
takes one record). The count is never too high, and it may be too low: by half for many rows, and by more for a single
large field. Once libpq knows how long a row is, it allocates all of it and keeps reading while bytes arrive, within one
call. Such a field is refused by the exact count, when it is already in memory. PostgreSQL limits a field to 1 GiB; a
statement can limit it with `left(body, 100000)`.
"""

import fcntl
import sys
import termios

from psycopg import pq

ROW = 7
"""Bytes of a row in addition to its fields: type, length, number of fields (the manual, "Message Formats", DataRow)."""

FIELD = 4
"""Bytes of a field in addition to its value: its length."""


LEAST = 8192
"""Bytes of free buffer that libpq ensures before each read (pqReadData)."""


def waiting_bytes(descriptor: int) -> int:
    """Bytes in the socket's receive buffer."""
    return int.from_bytes(fcntl.ioctl(descriptor, termios.FIONREAD, b"\0\0\0\0"), sys.byteorder)


class Arrivals:
    """An estimate of the bytes read of a result since this was created: `total` or more."""

    __slots__ = ("_before", "_descriptor", "_least", "total")

    def __init__(self, descriptor: int, *, is_secure: bool = False) -> None:
        self._descriptor = descriptor
        self._least = 0 if is_secure else LEAST
        self._before = 0
        self.total = 0

    def before_read(self) -> None:
        """Record the bytes in the socket."""
        self._before = waiting_bytes(self._descriptor)

    def after_read(self) -> None:
        """Add the bytes that the read has taken."""
        taken = self._before - waiting_bytes(self._descriptor)
        self.total += max(taken, min(self._before, self._least))


def size_of(result: pq.abc.PGresult) -> int:
    """Bytes of the rows of `result`."""
    rows, fields, value = range(result.ntuples), range(result.nfields), result.get_value
    values = sum([len(value(row, field) or b"") for row in rows for field in fields])
    return ROW * len(rows) + FIELD * len(rows) * len(fields) + values
