"""The log of whatever runs on a loop, for handlers and backends: they import no server, and may run without one.

The server leaves its logs with the loop, as `loop.registry[JOURNAL]`. Where nobody did, what is told goes nowhere.
"""

from typing import Any, Protocol

from clerestory.statemachines.loop import Loop

JOURNAL = "journal"
"""Under what name a loop keeps it."""


class Journal(Protocol):
    """What takes events: a name and fields, `journal.info("upstream_up", upstream="127.0.0.1:9000")`."""

    def info(self, event: str, **fields: Any) -> Any:
        """Something that is as it should be."""

    def warning(self, event: str, **fields: Any) -> Any:
        """Something that an operator may have to look after."""

    def error(self, event: str, **fields: Any) -> Any:
        """Something that went wrong here."""


class _Nowhere:
    """For a loop that nobody has given a log."""

    def info(self, event: str, **fields: Any) -> None: ...

    def warning(self, event: str, **fields: Any) -> None: ...

    def error(self, event: str, **fields: Any) -> None: ...


_NOWHERE = _Nowhere()


def journal_of(loop: Loop) -> Journal:
    """The log of what runs on `loop`."""
    found: Journal = loop.registry.get(JOURNAL, _NOWHERE)
    return found
