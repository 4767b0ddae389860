"""What all tests share: on which poller, parser and dispatch the real servers run, and how they are started and ended.

pytest tests/e2e --poller poll --parser h11 --dispatch transitions
"""

import gc
import os
import ssl
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import settings

from tests.support import held
from tests.support.certificates import Authority
from tests.support.client import Client
from tests.support.figures import FIGURES
from tests.support.nesting import watched
from tests.support.server import ServerProcess, serving

if TYPE_CHECKING:
    from tests.support.postgres import Cluster

# A deadline for each example would be an assertion on time, and fail on a machine that has other things to do.
settings.register_profile("ours", deadline=None)
settings.load_profile("ours")

POLLERS = ("epoll", "poll", "select")
PARSERS = ("auto", "h11", "httptools")
DISPATCHES = ("compiled", "transitions")

Start = Callable[..., ServerProcess]
Connect = Callable[..., Client]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("the real servers of tests/e2e")
    group.addoption("--poller", choices=POLLERS, default="epoll", help="who tells which sockets are ready")
    group.addoption("--parser", choices=PARSERS, default="auto", help="who reads requests")
    group.addoption("--dispatch", choices=DISPATCHES, default="compiled", help="who walks the tables")


held.install()


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):  # a worker is measured, the processes that its tests start are not
        os.environ.pop("COVERAGE_PROCESS_CONFIG", None)
    config.addinivalue_line("markers", "tls_too: holds its conversations over TLS, too")
    config.addinivalue_line("markers", "many: needs more connections than select can hold")


def pytest_report_header(config: pytest.Config) -> str:
    return "real servers run with " + " ".join(_choices(config))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--poller") != "select":
        return
    for item in items:
        if item.get_closest_marker("many"):
            item.add_marker(pytest.mark.skip(reason="select(2) holds descriptors below 1,024"))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of pytest-xdist hands the figures it has measured to whoever prints them."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["figures"] = FIGURES


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    FIGURES.extend(getattr(node, "workeroutput", {}).get("figures", ()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if FIGURES:
        terminalreporter.section("figures")
        for line in FIGURES:
            terminalreporter.write_line(line)


def _choices(config: pytest.Config) -> list[str]:
    names = ("--poller", "--parser", "--dispatch")
    return [word for name in names for word in (name, str(config.getoption(name)))]


@pytest.fixture(scope="session")
def choices(pytestconfig: pytest.Config) -> list[str]:
    """The options by which every server of this run is started."""
    return _choices(pytestconfig)


@pytest.fixture
def every_descriptor_back() -> Iterator[None]:
    """No test may leave a descriptor behind."""
    before = len(os.listdir("/proc/self/fd"))
    yield
    if len(os.listdir("/proc/self/fd")) > before:
        gc.collect()
        assert len(os.listdir("/proc/self/fd")) <= before


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Vouches for the certificates of these tests."""
    return Authority(tmp_path_factory.mktemp("authority"))


class Carrier(NamedTuple):
    """What a server is started with, and what its clients speak TLS with."""

    options: tuple[str, ...]
    trusting: ssl.SSLContext | None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "carrier" in metafunc.fixturenames and metafunc.definition.get_closest_marker("tls_too"):
        metafunc.parametrize("carrier", ["tcp", "tls"], indirect=True, scope="module")


@pytest.fixture(scope="module")
def carrier(request: pytest.FixtureRequest, authority: Authority) -> Carrier:
    """Over what the conversations of a module are held: TCP, and TLS too where it is marked so."""
    if getattr(request, "param", "tcp") == "tcp":
        return Carrier((), None)
    certificate, key = authority.issue()
    return Carrier(("--tls-certificate", certificate, "--tls-key", key), authority.client())


@pytest.fixture
def start(choices: list[str], carrier: Carrier) -> Iterator[Start]:
    """Starts a server of this test's own, as `ServerProcess(...)`; at the end it must have kept the common laws."""
    started: list[ServerProcess] = []

    def begin(*options: str, **how: object) -> ServerProcess:
        if carrier.trusting is not None:
            how = {"trusting": carrier.trusting, **how}
        server = ServerProcess(*choices, *carrier.options, *options, **how)  # type: ignore[arg-type]
        started.append(server)
        return server

    yield begin
    try:
        for server in started:
            server.finish()
    finally:
        for server in started:
            if server.running:
                server.kill()


@pytest.fixture(scope="module")
def server(choices: list[str], carrier: Carrier) -> Iterator[ServerProcess]:
    """A server with every limit at its default, shared by a module's tests."""
    with serving(*choices, *carrier.options, trusting=carrier.trusting) as shared:
        yield shared


@pytest.fixture(scope="module")
def within_the_worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What the machines of this module's servers do together is held against the worlds of `proof`. For
    `usefixtures`: it begins before the server, and looks when that has ended."""
    from tests.support import walks

    folder = tmp_path_factory.mktemp("walks")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLERESTORY_WALKS", str(folder))
        yield
    refused = [one for trace in walks.traces(folder) for one in walks.held(trace)[1]]
    assert not refused


@pytest.fixture
def connect(server: ServerProcess) -> Iterator[Connect]:
    """Opens connections to the module's server, and closes them at the end."""
    opened: list[Client] = []

    def begin(data: bytes = b"", window: int | None = None) -> Client:
        client = Client(server.address, data=data, window=window, own=True)
        opened.append(client)
        return client

    yield begin
    for client in opened:
        client.close()


@pytest.fixture(scope="session")
def postgres() -> "Iterator[Cluster]":
    """A PostgreSQL server that all tests share; who stops one starts his own."""
    from tests.support.postgres import running

    yield from running()


@pytest.fixture(autouse=True)
def nested_walks() -> Iterator[list[str]]:
    """DESIGN's law 4 holds in every test: a test that breaks it on purpose empties the list."""
    nested: list[str] = []
    with watched(nested):
        yield nested
    assert not nested
