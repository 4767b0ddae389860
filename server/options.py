"""What the process that serves is told: the command line's result, without its syntax.

`server.cli.main` makes it, `server.process.process` reads it, and tests make one without a command line.
"""

from dataclasses import dataclass, field
from typing import Literal

from clerestory.server.config import Limits
from clerestory.statemachines.engine import Dispatch

PollerName = Literal["auto", "epoll", "poll", "select"]
LoopName = Literal["auto", "asyncio", "uvloop"]
ParserName = Literal["auto", "h11", "httptools"]
RequestIds = Literal["errors", "all"]
XRayMetrics = Literal["auto", "open", "token"]
HTTP2Choice = Literal["auto", "off"]


@dataclass(frozen=True, slots=True)
class TLSOptions:
    """With what TLS is spoken: files in PEM. `pairs` are certificates, each with the file of its key, or None where
    that is in the same file; the first is the default. `client_ca` has the authorities that must vouch for clients.
    `self_signed` makes a certificate at the start instead, unless one was `made` already, in PEM. With `http2`, that is
    offered, too (ALPN)."""

    pairs: tuple[tuple[str, str | None], ...] = ()
    client_ca: str | None = None
    self_signed: bool = False
    made: bytes = field(default=b"", repr=False)
    http2: bool = False

    def files(self) -> list[str]:
        """All of them."""
        found = [file for pair in self.pairs for file in pair if file is not None]
        return found if self.client_ca is None else [*found, self.client_ca]


@dataclass(frozen=True, slots=True)
class Options:
    """Where and how to serve. `auto` takes the best that this system has.

    `listen` says where, as server.net.addresses has it; where it is empty, `host` and `port` do: `port` 0 takes a free
    one. `proxy_protocol` names the networks (and `unix`) whose connections begin with the PROXY protocol.

    `access_log` is what was asked for; `Logs.access` is what holds. `loop` says inside of which loop ours runs: `auto`
    is none, but for an ASGI application, which needs one. `description` is what is served, for the start-up line: `the
    built-in mail site, 1,000 samples in memory`. `xray` is where the x-ray is served: HOST:PORT, unix:PATH, `auto` for
    the usual address or a free port, empty for none; `xray_token` is its token, made up where it is empty;
    `xray_metrics` says whether /metrics takes it: `auto` means beyond this machine only. A request that takes at least
    `slow` seconds is logged, with what it waited for; 0 is none.
    With `otel` requests are traced by OpenTelemetry. `trusted` are the networks whose peers are believed, as text;
    `request_ids` says which responses have x-request-id.
    `tls` is there where the listeners speak TLS. Those of `redirect_http` do not: they redirect to https:// on
    `redirect_port`, or on the port of the first that does, where that is 0. `http2` says whether HTTP/2 is offered by
    those that do, `h2c` whether it is spoken without TLS, too.
    `workers` is how many processes serve below a supervisor; with 0 this one serves, and there is no supervisor.
    `reload` replaces them whenever a source file below `app_dir` changes. `debug`, or that, shows clients the traceback
    of an error in a handler. `user` and `group` are whom the processes
    belong to from when the sockets are bound; `pid_file` is where the number of the process is that takes signals.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    listen: tuple[str, ...] = ()
    proxy_protocol: tuple[str, ...] = ()
    poller: PollerName = "auto"
    loop: LoopName = "auto"
    dispatch: Dispatch = Dispatch.COMPILED
    parser: ParserName = "auto"
    access_log: bool = True
    limits: Limits = field(default_factory=Limits)
    description: str = ""
    xray: str = ""
    xray_token: str = ""
    xray_metrics: XRayMetrics = "auto"
    slow: float = 0.0
    otel: bool = False
    trusted: tuple[str, ...] = ()
    request_ids: RequestIds = "errors"
    tls: TLSOptions | None = None
    http2: HTTP2Choice = "auto"
    h2c: bool = False
    redirect_http: tuple[str, ...] = ()
    redirect_port: int = 0
    workers: int = 0
    reload: bool = False
    debug: bool = False
    app_dir: str = ""
    user: str = ""
    group: str = ""
    pid_file: str = ""

    def addresses(self) -> tuple[str, ...]:
        """Where to listen, as server.net.addresses has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.listen or (f"{host}:{self.port}",)
