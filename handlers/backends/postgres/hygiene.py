"""The statements that reset a session before the next request gets it.

By default everything is reset. This is not `DISCARD ALL`: that would also drop the statements that are prepared here,
and they would have to be prepared again. `DISCARD ALL` is sent only if statements may have been prepared by SQL. The
server takes 14 us for the former and 6 us for `DISCARD ALL` (PostgreSQL 18).
"""

from collections.abc import Collection

from clerestory.handlers.backends.postgres.statement import Mark

KINDS = {
    # The role first: with the rights of another role, the rest might be refused.
    "role": b"SET SESSION AUTHORIZATION DEFAULT",
    "settings": b"RESET ALL",
    "cursors": b"CLOSE ALL",
    "channels": b"UNLISTEN *",
    "locks": b"SELECT pg_catalog.pg_advisory_unlock_all()",
    "temporary": b"DISCARD TEMP",
    "sequences": b"DISCARD SEQUENCES",
    "statements": b"DEALLOCATE ALL",
}
"""What a session remembers, and the statement that resets it. `sequences` are the last values that `currval`
returns."""

_ALL = b"DISCARD ALL"


class Hygiene:
    """What is reset. `kept`, of KINDS, is not. `harmless` are further statements that leave nothing behind: functions
    of the application by name, and `insert`, `update`, `delete`, `merge` if no trigger does. With `always`, a session
    is reset after every use, whatever was run."""

    def __init__(self, kept: Collection[str] = (), *, harmless: Collection[str] = (), always: bool = False) -> None:
        self.harmless = harmless
        if unknown := set(kept) - KINDS.keys():
            raise ValueError(
                f"{min(unknown)!r} is not something that a session remembers: use one of {', '.join(KINDS)}"
            )
        undone = [name for name in KINDS if name not in kept]
        self.session = b"; ".join(KINDS[name] for name in undone if name != "statements")
        self.statements = self.session if "statements" in kept else b"; ".join(KINDS[name] for name in undone)
        if not kept:
            self.statements = _ALL
        self.least = Mark.SESSION if always else Mark.NOTHING
        """The mark of a statement that leaves nothing behind."""

    def statement(self, mark: Mark) -> bytes:
        """The statement that resets a session; empty if none is needed."""
        if mark is Mark.NOTHING:
            return b""
        return self.statements if mark is Mark.STATEMENTS else self.session
