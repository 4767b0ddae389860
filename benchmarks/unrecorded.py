"""`python -m benchmarks.unrecorded PARTS [server arguments]`: the server with parts of its recording left out.

PARTS are names of `benchmarks.suites.engine.RECORDING`, joined by commas. For one measurement alone, the price of
looking in: the server itself has no such switch, since one whose history is off can not be asked what happened. What
reads the history at a connection's end is left out with it.
"""

import sys

from benchmarks.suites.engine import fire_without
from server.cli import main
from server.connection import Connection
from statemachines.engine import Engine


def _say_nothing(connection: Connection) -> None:
    """At its end a connection without a history has nothing to tell."""


if __name__ == "__main__":
    Engine.walk = fire_without(*sys.argv[1].split(","))  # type: ignore[assignment,method-assign]
    Connection.ended = _say_nothing  # type: ignore[assignment,method-assign]
    raise SystemExit(main(sys.argv[2:]))
