"""What the process that serves is told: the command line's result, without its syntax.

`server.cli` makes it, `server.process` reads it, and tests make one without a command line.
"""

from dataclasses import dataclass, field
from typing import Literal

from server.config import Limits
from statemachines.engine import Dispatch

PollerName = Literal["auto", "epoll", "poll", "select"]
ParserName = Literal["auto", "h11", "httptools"]


@dataclass(frozen=True, slots=True)
class Options:
    """Where and how to serve. `port` 0 takes a free one; `auto` takes the best that this system has.

    `access_log` is what was asked for; `Logs.access` is what holds. `description` is what is served, for the start-up
    line: `the built-in mail site, 1,000 samples in memory`. `xray` is where the x-ray is served: HOST:PORT, unix:PATH,
    `auto` for the usual address or a free port, empty for none; `xray_token` is its token, made up where it is empty.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    poller: PollerName = "auto"
    dispatch: Dispatch = Dispatch.COMPILED
    parser: ParserName = "auto"
    access_log: bool = True
    limits: Limits = field(default_factory=Limits)
    description: str = ""
    xray: str = ""
    xray_token: str = ""
