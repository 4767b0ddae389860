"""Every server that is measured: how it is started with its best settings for one process, and what it takes part in.

Best settings are: one process (a supervising parent is counted, not hindered), access log off, keep-alive on and
longer than any run, a backlog for the load, the fastest loop and parser that the server itself offers. Where a number
of threads is to be chosen, the one that gave the least CPU time a request on one CPU was taken.
"""

import importlib.util
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from benchmarks import machine, work
from benchmarks.builds import PLAIN, Build, BuildFailed
from benchmarks.environment import Peers
from benchmarks.load import WORKLOADS
from benchmarks.plot import Kind
from benchmarks.processes import Server, ServerFailed, free_port

HERE = Path(__file__).parent
ALL = frozenset(WORKLOADS)
ASGI = "benchmarks.peers.asgi:app"
WSGI = "benchmarks.peers.wsgi:app"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server is started: its port, the prepared data, a directory for what it writes, the peers' Python."""

    port: int
    data: Path
    scratch: Path
    peers: Peers


@dataclass(frozen=True, slots=True)
class Entry:
    """One server. `needs` are distributions of the peers' environment; `tool` is an executable."""

    name: str
    command: Callable[[Place], list[str]]
    kind: Kind = Kind.PEER
    needs: tuple[str, ...] = ()
    tool: str = ""
    install: str = ""
    workloads: frozenset[str] = ALL
    settings: str = ""
    idle_limit: int = 10_000
    """Idle connections that it can be asked to hold."""
    environment: Mapping[str, str] = field(default_factory=dict)
    build: Build = PLAIN
    """For ours: which build of the sources."""
    scheme: str = "http"

    def missing(self, peers: Peers) -> str:
        """What to install before it can be measured; empty when it is all there."""
        lacking = [name for name in self.needs if name not in peers.versions]
        if lacking:
            return f"{peers.python} -m pip install {' '.join(lacking)}"
        if self.tool and machine.tool(self.tool) is None:
            return self.install
        if self.kind is Kind.OURS and not is_ours_there():
            return "clerestory, which this checkout does not have"
        return self.build.missing()

    def start(self, data: Path, scratch: Path, peers: Peers, *cpus: int) -> Server:
        """Start it on a free port; to be used as a context manager. Raises ServerFailed when it cannot be built."""
        try:
            build = self.build.environment()
        except BuildFailed as failure:
            raise ServerFailed(str(failure)) from failure
        place = Place(free_port(), data, scratch, peers)
        log = scratch / f"{place.port}.log"
        surroundings = {work.DATA: str(data), **build, **self.environment}
        server = Server(self.command(place), place.port, log, surroundings, *cpus)
        server.scheme = self.scheme
        return server


def is_ours_there() -> bool:
    """Whether this checkout has `clerestory` already."""
    return importlib.util.find_spec("clerestory.__main__") is not None


def ours(*options: str, target: str = "benchmarks.apps:app") -> Callable[[Place], list[str]]:
    """`clerestory` on the application under test, or another target."""

    def command(place: Place) -> list[str]:
        fixed = ["--host", "127.0.0.1", "--port", str(place.port), "--log-format", "json"]
        fixed += ["--keep-alive-timeout", "3600", "--max-requests", "1000000000"]
        return [sys.executable, "-m", "clerestory", target, *fixed, *options]

    return command


def own(*words: str, options: tuple[str, ...] = ()) -> Callable[[Place], list[str]]:
    """A module of ours on this Python, given the port."""
    return lambda place: [sys.executable, *words, str(place.port), *options]


def peer(*words: str, bind: str) -> Callable[[Place], list[str]]:
    """A module of the peers' environment; `{port}` in `bind` becomes the port."""
    return lambda place: [str(place.peers.python), "-m", *words, *bind.format(port=place.port).split()]


def nginx(place: Place) -> list[str]:
    """nginx with its own configuration in a directory of its own."""
    directory = filled(place, "nginx.conf")
    executable = machine.tool("nginx") or "nginx"
    return [executable, "-p", str(directory), "-e", "stderr", "-c", str(directory / "nginx.conf")]


def filled(place: Place, name: str, **words: object) -> Path:
    """A directory of its own for a server, with its configuration, in which the words in @ are filled in."""
    directory = place.scratch / f"{name.partition('.')[0]}-{place.port}"
    directory.mkdir()
    text = (HERE / "peers" / name).read_text()
    for word, value in {"directory": directory, "port": place.port, "data": place.data, **words}.items():
        text = text.replace(f"@{word}@", str(value))
    (directory / name).write_text(text)
    return directory


UVICORN = "--host 127.0.0.1 --port {port} --backlog 4096 --timeout-keep-alive 3600"
UVICORN_FIXED = ("uvicorn", ASGI, "--no-access-log", "--log-level", "error", "--lifespan", "off", "--ws", "wsproto")
GRANIAN = "--host 127.0.0.1 --port {port}"
GRANIAN_FIXED = (
    *("--workers", "1", "--http", "1", "--no-ws", "--no-access-log", "--log-level", "error"),
    *("--runtime-mode", "st", "--runtime-threads", "1", "--backlog", "4096", "--backpressure", "20000"),
)

COMPILED = Build(compiled=True)

ENTRIES = (
    Entry(
        "Clerestory compiled, httptools",
        ours("--parser", "httptools", "--no-access-log"),
        Kind.OURS,
        settings="the same sources, the hot path compiled to C by mypyc; history and histograms on",
        build=COMPILED,
    ),
    Entry(
        "Clerestory compiled, h11",
        ours("--parser", "h11", "--no-access-log"),
        Kind.OURS,
        settings="likewise",
        build=COMPILED,
    ),
    Entry(
        "Clerestory compiled, httptools, log",
        ours("--parser", "httptools", "--access-log"),
        Kind.OURS,
        settings="likewise; JSON access log on, written to a file",
        build=COMPILED,
    ),
    Entry(
        "Clerestory, httptools",
        ours("--parser", "httptools", "--no-access-log"),
        Kind.OURS,
        settings="plain Python; history and histograms on",
    ),
    Entry("Clerestory, h11", ours("--parser", "h11", "--no-access-log"), Kind.OURS, settings="likewise"),
    Entry(
        "Clerestory, httptools, log",
        ours("--parser", "httptools", "--access-log"),
        Kind.OURS,
        settings="JSON access log on, written to a file",
    ),
    Entry("Clerestory, h11, log", ours("--parser", "h11", "--access-log"), Kind.OURS, settings="likewise"),
    Entry(
        "Clerestory, stock dispatch",
        ours("--parser", "httptools", "--no-access-log", "--dispatch", "transitions"),
        Kind.OURS,
        workloads=frozenset({"constant"}),
        settings="every trigger through the library `transitions`",
    ),
    Entry(
        "bare epoll loop",
        own("-m", "benchmarks.floor"),
        Kind.REFERENCE,
        workloads=frozenset({"constant", "close"}),
        settings="Python, no parsing: the floor",
    ),
    Entry(
        "bare epoll loop + 20 µs",
        own("-m", "benchmarks.floor", options=("20",)),
        Kind.REFERENCE,
        workloads=frozenset({"constant", "close"}),
        settings="the same, slower by 20 µs of computing: the load then sleeps between answers, and is woken by each",
        idle_limit=0,
    ),
    Entry(
        "nginx",
        nginx,
        Kind.REFERENCE,
        tool="nginx",
        install="nginx (Debian: apt-get install nginx-light)",
        workloads=ALL - {"sqlite", "echo"},
        settings="one process, `return`, sendfile",
    ),
    Entry(
        "granian ASGI",
        peer("granian", ASGI, "--interface", "asginl", "--loop", "uvloop", *GRANIAN_FIXED, bind=GRANIAN),
        needs=("granian", "uvloop"),
        settings="Rust; one worker, one runtime thread, uvloop",
    ),
    Entry(
        "granian WSGI",
        peer(
            "granian", WSGI, "--interface", "wsgi", "--blocking-threads", "1", *GRANIAN_FIXED, bind=GRANIAN
        ),
        needs=("granian",),
        settings="Rust; one worker, one blocking thread",
    ),
    Entry(
        "uvicorn, uvloop + httptools",
        peer(*UVICORN_FIXED, "--http", "httptools", "--loop", "uvloop", bind=UVICORN),
        needs=("uvicorn", "uvloop", "httptools"),
        settings="no access log",
    ),
    Entry(
        "uvicorn, asyncio + h11",
        peer(*UVICORN_FIXED, "--http", "h11", "--loop", "asyncio", bind=UVICORN),
        needs=("uvicorn", "h11"),
        settings="no access log",
    ),
    Entry(
        "hypercorn",
        peer("hypercorn", ASGI, "-c", "file:benchmarks/peers/hypercorn.py", bind="-b 127.0.0.1:{port}"),
        needs=("hypercorn", "uvloop"),
        settings="uvloop, no worker process",
    ),
    Entry(
        "aiohttp",
        peer("benchmarks.peers.aiohttp_app", bind="{port}"),
        needs=("aiohttp", "uvloop"),
        settings="its C parser, uvloop",
    ),
    Entry(
        "tornado",
        peer("benchmarks.peers.tornado_app", bind="{port}"),
        needs=("tornado", "uvloop"),
        settings="uvloop",
    ),
    Entry(
        "waitress",
        peer(
            "waitress", "--threads=1", "--backlog=4096", "--connection-limit=20000", "--channel-timeout=3600",
            "--asyncore-use-poll", bind="--listen=127.0.0.1:{port} " + WSGI,
        ),
        needs=("waitress",),
        settings="one thread, poll",
    ),
    Entry(
        "gunicorn gthread",
        peer(
            "gunicorn", WSGI, "-k", "gthread", "-w", "1", "--threads", "8", "--backlog", "4096", "--keep-alive", "3600",
            "--worker-connections", "20000", "--log-level", "error", bind="-b 127.0.0.1:{port}",
        ),
        needs=("gunicorn",),
        settings="one worker, eight threads",
    ),
    Entry(
        "cheroot",
        peer("benchmarks.peers.cheroot_server", bind="{port}"),
        needs=("cheroot",),
        settings="eight threads, all connections kept alive",
    ),
    Entry(
        "http.server",
        own("-m", "benchmarks.peers.threading_server"),
        settings="standard library, HTTP/1.1, a thread for each connection",
        idle_limit=1000,
    ),
    Entry(
        "node http",
        lambda place: [machine.tool("node") or "node", str(HERE / "peers" / "node.js"), str(place.port)],
        tool="node",
        install="node (Debian: apt-get install nodejs)",
        workloads=ALL - {"sqlite"},
        settings="one process",
    ),
)  # fmt: skip

OURS_FIXED = ("--parser", "httptools", "--no-access-log", "--no-xray")
STARLETTE = ("--no-access-log", "--log-level", "error", "--ws", "none", "--http", "httptools", "--loop", "uvloop")
STARLETTE_NEEDS = ("uvicorn", "uvloop", "httptools", "starlette")

POSTGRES = ours(*OURS_FIXED, "--postgres-sessions", str(work.SESSIONS), target="benchmarks.apps_databases:postgres")
SQLITE = ours(*OURS_FIXED, target="benchmarks.apps_databases:sqlite")

DATABASES = (
    Entry(
        "Clerestory, PostgreSQL",
        POSTGRES,
        Kind.OURS,
        workloads=frozenset({"postgres"}),
        settings="sessions are machines on the server's own loop; history and histograms on",
    ),
    Entry(
        "Clerestory compiled, PostgreSQL",
        POSTGRES,
        Kind.OURS,
        workloads=frozenset({"postgres"}),
        settings="likewise, the hot path compiled to C by mypyc; the sessions are not",
        build=COMPILED,
    ),
    Entry(
        "Starlette, asyncpg",
        peer("uvicorn", "benchmarks.peers.databases:with_asyncpg", *STARLETTE, bind=UVICORN),
        needs=(*STARLETTE_NEEDS, "asyncpg"),
        workloads=frozenset({"postgres"}),
        settings="uvicorn, uvloop, httptools; no reset between queries, as ours",
    ),
    Entry(
        "Starlette, psycopg",
        peer("uvicorn", "benchmarks.peers.databases:with_psycopg", *STARLETTE, bind=UVICORN),
        needs=(*STARLETTE_NEEDS, "psycopg", "psycopg-binary", "psycopg-pool"),
        workloads=frozenset({"postgres"}),
        settings="uvicorn, uvloop, httptools; psycopg_pool, autocommit, statements prepared",
    ),
    Entry(
        "Clerestory, SQLite",
        SQLITE,
        Kind.OURS,
        workloads=frozenset({"sqlite-threads"}),
        settings="two reading threads; each call is a machine",
    ),
    Entry(
        "Clerestory compiled, SQLite",
        SQLITE,
        Kind.OURS,
        workloads=frozenset({"sqlite-threads"}),
        settings="likewise, the hot path compiled to C by mypyc; the threads' pool is not",
        build=COMPILED,
    ),
    Entry(
        "Starlette, threads",
        peer("uvicorn", "benchmarks.peers.databases:with_threads", *STARLETTE, bind=UVICORN),
        needs=STARLETTE_NEEDS,
        workloads=frozenset({"sqlite-threads"}),
        settings="uvicorn, uvloop, httptools; a plain endpoint in its thread pool; eight threads suit it best",
    ),
)
HTTP2_FIXED = (*OURS_FIXED, "--h2c")
HTTP2 = (
    Entry("Clerestory, router", ours(*HTTP2_FIXED), Kind.OURS, settings="plain Python; history and histograms on"),
    Entry(
        "Clerestory, ASGI",
        ours(*HTTP2_FIXED, "--interface", "asgi", target=ASGI),
        Kind.OURS,
        settings="plain Python; the application that the peers have",
    ),
    Entry(
        "hypercorn, HTTP/2",
        peer("hypercorn", ASGI, "-c", "file:benchmarks/peers/hypercorn.py", bind="-b 127.0.0.1:{port}"),
        needs=("hypercorn", "uvloop"),
        settings="the library h2, as ours; uvloop, no worker process",
    ),
    Entry(
        "granian, HTTP/2",
        peer(
            "granian", ASGI, "--interface", "asginl", "--loop", "uvloop",
            *("2" if word == "1" and before == "--http" else word for before, word in pairwise(("", *GRANIAN_FIXED))),
            bind=GRANIAN,
        ),
        needs=("granian", "uvloop"),
        settings="Rust, hyper; one worker, one runtime thread, uvloop",
    ),
)  # fmt: skip
BY_NAME = {entry.name: entry for entry in ENTRIES}
EVERY_NAME = BY_NAME | {entry.name: entry for entry in (*DATABASES, *HTTP2)}


def choose(only: tuple[str, ...], entries: tuple[Entry, ...] = ENTRIES) -> list[Entry]:
    """The entries whose name has one of the words of `only` in it; all of them without. Raises LookupError."""
    chosen = [entry for entry in entries if not only or any(word.lower() in entry.name.lower() for word in only)]
    if not chosen:
        raise LookupError(f"--only {','.join(only)}: no server here has that in its name: {', '.join(BY_NAME)}")
    return chosen
