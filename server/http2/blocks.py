"""Field blocks (RFC 7541), of which those that repeat are read, and written, once.

A connection's dynamic table gives blocks their meaning, and each block may change it. One that does not, because all of
its fields stand in the tables already, means the same until another one does: so what a client asks again and again,
and what is answered again and again, costs a look-up. A table counts its changes, and what is remembered is forgotten
with the next one.
"""

from collections.abc import Callable, Iterable

from hpack.table import HeaderTable

Fields = Iterable[tuple[bytes, bytes]]

KEPT, LONGEST = 16, 256
"""Blocks that are remembered of one connection in each direction, and the bytes of one at most: 8 KiB with their fields
as long as they are in use, and a client's `date` alone makes us forget ours within a second."""


class Table(HeaderTable):
    """A dynamic table. `changes` counts what has changed it.

    The library forgets that it has to tell of another size (RFC 7541 section 4.2) where the same one is set again.
    """

    def __init__(self) -> None:
        super().__init__()
        self.changes = 0

    def add(self, name: bytes, value: bytes) -> None:
        """As HeaderTable.add."""
        self.changes += 1
        super().add(name, value)

    @property
    def maxsize(self) -> int:
        """As HeaderTable.maxsize."""
        return self._maxsize

    @maxsize.setter
    def maxsize(self, most: int) -> None:
        self.changes += 1
        is_to_be_told = self.resized
        HeaderTable.maxsize.fset(self, most)  # type: ignore[attr-defined]
        self.resized = self.resized or is_to_be_told


class Read:
    """The blocks that come on one connection, which `decode` reads, by `table`."""

    __slots__ = ("_changes", "_decode", "_known", "_table")

    def __init__(self, table: Table, decode: Callable[[bytes], Fields]) -> None:
        self._table = table
        self._decode = decode
        self._known: dict[bytes, Fields] = {}
        self._changes = -1

    def fields(self, block: bytes) -> Fields:
        """The fields of a whole block: the same tuple as the last time, where it has been read. Raises what `decode`
        does."""
        table = self._table
        if table.changes == self._changes:
            known = self._known.get(block)
            if known is not None:
                return known
        before = table.changes
        fields = self._decode(block)
        if table.changes == before and len(block) <= LONGEST:
            if before != self._changes or len(self._known) >= KEPT:
                self._known.clear()
                self._changes = before
            fields = self._known[block] = tuple(fields)
        return fields


class Written:
    """The blocks that are sent on one connection, which `encode` writes, by `table`."""

    __slots__ = ("_changes", "_encode", "_known", "_table")

    def __init__(self, table: Table, encode: Callable[[Fields], bytes]) -> None:
        self._table = table
        self._encode = encode
        self._known: dict[Fields, bytes] = {}
        self._changes = -1

    def block(self, fields: Fields) -> bytes:
        """The block of these fields; remembered where they are a tuple."""
        table = self._table
        is_tuple = isinstance(fields, tuple)
        if table.changes == self._changes and is_tuple:
            known = self._known.get(fields)
            if known is not None:
                return known
        before, resized = table.changes, table.resized
        block = self._encode(fields)
        if table.changes == before and is_tuple and not resized and len(block) <= LONGEST:
            if before != self._changes or len(self._known) >= KEPT:
                self._known.clear()
                self._changes = before
            self._known[fields] = block
        return block
