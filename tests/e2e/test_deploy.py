"""HAProxy with the configuration of deploy/ over three servers, each on an address of its own, under the load of
clients that do not retry: each server is upgraded, one is killed, one stands still, one is slow; and the PostgreSQL
below them is restarted."""

import json
import os
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import pytest

from tests.support import postgres
from tests.support.client import Client, CutShort
from tests.support.figures import FIGURES
from tests.support.load import Load
from tests.support.server import ServerProcess
from tests.support.waiting import eventually

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(shutil.which("haproxy") is None, reason="there is no haproxy here"),
]

DEPLOY = Path(__file__).resolve().parent.parent.parent / "deploy"
PATIENCE = 90.0
NAMES = "abc"
CLIENTS = 6

APPLICATION = """
import asyncio
import os

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    await asyncio.sleep(float(os.environ.get("SLOW", "0")))
    headers = [(b"content-length", b"5")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"hello"})
"""


def free_port() -> int:
    """A port that is free on each server's address, and on HAProxy's."""
    while True:
        with ExitStack() as held:
            first = held.enter_context(socket.socket())
            first.bind(("127.0.0.1", 0))
            port = int(first.getsockname()[1])
            try:
                for number in range(1, 4):
                    held.enter_context(socket.socket()).bind((f"127.0.1.{number}", port))
            except OSError:
                continue
            return port


class Cluster:
    """Three servers behind HAProxy."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "deployed.py").write_text(APPLICATION)
        self.port, self.xray, self.front = free_port(), free_port(), free_port()
        self.servers: dict[str, ServerProcess] = {}
        self.workers: tuple[str, ...] = ()
        self.target: tuple[str, ...] = ("--app-dir", str(folder), "deployed:app")

    def begin(self, name: str, slow: str = "0") -> None:
        """Start a server, and wait until HAProxy sends it requests."""
        host = f"127.0.1.{NAMES.index(name) + 1}"
        self.servers[name] = ServerProcess(
            *("--host", host, "--port", str(self.port), "--xray", f"{host}:{self.xray}", *self.workers, *self.target),
            target="",
            environment={"SLOW": slow},
            patience=PATIENCE,
        )

    def order(self, command: str) -> str:
        """What HAProxy answers to a command on its admin socket."""
        with socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(PATIENCE)
            asking.connect(str(self.folder / "admin.sock"))
            asking.sendall(f"{command}\n".encode())
            return b"".join(iter(lambda: asking.recv(65536), b"")).decode()

    def is_asked(self) -> bool:
        """Whether HAProxy's admin socket is there, and listens."""
        try:
            return bool(self.status())
        except OSError:
            return False

    def column(self, title: str) -> dict[str, str]:
        """That column of HAProxy's statistics, for each server."""
        text = self.order("show stat clerestory 4 -1")
        lines = [line.split(",") for line in text.lstrip("# ").splitlines() if line]
        place = lines[0].index(title)
        return {line[1]: line[place] for line in lines[1:]}

    def status(self) -> dict[str, str]:
        """What HAProxy thinks of each server: UP, DOWN, or something between."""
        return self.column("status")

    def empty(self, name: str) -> None:
        """Have HAProxy send a server nothing new, and wait until it has answered all that it was sent."""
        assert self.order(f"set server clerestory/{name} state drain").strip() == ""
        eventually(lambda: self.column("scur")[name] == "0", what=f"the end of the sessions of {name}")

    def await_status(self, **wanted: str) -> None:
        eventually(lambda: self.status().items() >= wanted.items(), PATIENCE, f"{wanted} in HAProxy")

    def configuration(self) -> str:
        """That of deploy/, with this machine's addresses."""
        text = (DEPLOY / "haproxy" / "haproxy.cfg").read_text()
        changes = {
            "bind :80": f"bind 127.0.0.1:{self.front}",
            "/run/haproxy/admin.sock": str(self.folder / "admin.sock"),
            "maxconn 20000": "maxconn 200",  # it asks for as many descriptors at the start
            "check port 8001": f"check port {self.xray}",
        }
        changes |= {f"10.0.0.1{n}:8000": f"127.0.1.{n}:{self.port}" for n in (1, 2, 3)}
        for old, new in changes.items():
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        return text

    def load(self, *, goes_on: bool = False) -> Load:
        return Load(("127.0.0.1", self.front), {"/": b"hello"}, CLIENTS, goes_on=goes_on)

    def served(self, name: str) -> int:
        """Requests that a server has answered."""
        return len(self.servers[name].events("request"))


@contextmanager
def running(cluster: Cluster) -> Iterator[None]:
    """HAProxy before the cluster's servers."""
    (cluster.folder / "haproxy.cfg").write_text(cluster.configuration())
    command = ["haproxy", "-db", "-q", "-f", str(cluster.folder / "haproxy.cfg")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            eventually(cluster.is_asked, what="HAProxy's socket")
            cluster.await_status(a="UP", b="UP", c="UP")
            yield
        finally:
            process.kill()


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with TemporaryDirectory() as folder:  # a short path: it has a Unix socket
        made = Cluster(Path(folder))
        yield made
        end(made)


def end(made: Cluster) -> None:
    """End its servers, which must have kept the common laws."""
    try:
        for server in made.servers.values():
            server.finish()
    finally:
        for server in made.servers.values():
            if server.running:
                server.kill()


def test_each_is_upgraded_in_turn_and_nothing_is_lost(cluster: Cluster) -> None:
    """As deploy/README.md says: a reload, then a restart; the next server when this one is back."""
    cluster.workers = ("--workers", "1")
    for name in NAMES:
        cluster.begin(name)
    with running(cluster), cluster.load() as load:
        for name in NAMES:
            load.reach(load.total + 200)
            server = cluster.servers[name]
            server.signal(signal.SIGHUP)
            server.wait_for("reloaded", patience=PATIENCE)
            cluster.empty(name)
            server.signal(signal.SIGTERM)
            assert server.wait(PATIENCE) == 0
            cluster.begin(name)
            cluster.order(f"set server clerestory/{name} state ready")
            cluster.await_status(a="UP", b="UP", c="UP")
        load.reach(load.total + 200)
        load.stop()
        FIGURES.append(f"behind HAProxy, three servers reloaded and restarted: {load.total} requests, 0 lost")
        assert load.failures == []


def test_one_that_is_killed_and_one_that_stands_still_lose_no_more_than_they_held(cluster: Cluster) -> None:
    for name in NAMES:
        cluster.begin(name)
    with running(cluster), cluster.load(goes_on=True) as load:
        load.reach(200)
        cluster.servers["a"].kill()
        cluster.await_status(a="DOWN")
        killed = len(load.failures)
        before = load.total
        eventually(lambda: load.total >= before + 200, PATIENCE, "answers of the others")
        assert len(load.failures) == killed <= CLIENTS, load.failures
        cluster.begin("a")
        cluster.await_status(a="UP", b="UP", c="UP")
        os.kill(cluster.servers["b"].pid, signal.SIGSTOP)
        try:
            cluster.await_status(b="DOWN")
            before = load.total
            eventually(lambda: load.total >= before + 200, PATIENCE, "answers of the others")
            stopped = len(load.failures) - killed
            eventually(lambda: load.total >= before + 400, PATIENCE, "answers of the others")
            assert len(load.failures) - killed == stopped <= CLIENTS, load.failures
        finally:
            os.kill(cluster.servers["b"].pid, signal.SIGCONT)
        cluster.await_status(a="UP", b="UP", c="UP")
        load.stop()
        FIGURES.append(f"behind HAProxy, one killed: {killed} lost; one stopped: {stopped} lost, of {CLIENTS} clients")


def test_one_that_is_slow_is_given_less_and_nothing_is_lost(cluster: Cluster) -> None:
    for name in NAMES:
        cluster.begin(name, slow="0.5" if name == "c" else "0")
    with running(cluster), cluster.load() as load:
        load.reach(600)
        load.stop()
        assert load.failures == []
        for name in NAMES:
            cluster.servers[name].signal()
            assert cluster.servers[name].wait(PATIENCE) == 0
        shares = [cluster.served(name) for name in NAMES]
        assert sum(shares) == load.total
        assert shares[2] < min(shares[:2]), shares


class Senders:
    """Clients that each send one e-mail after the other, none twice; `sent` has each one's subject and status."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.address = address
        self.sent: dict[str, int] = {}
        self.stopped = threading.Event()
        self.threads = [threading.Thread(target=self._send, args=(name,)) for name in range(CLIENTS)]

    def _send(self, name: int) -> None:
        number = 0
        client = Client(self.address)
        while not self.stopped.is_set():
            number += 1
            subject = f"{name}-{number}"
            email = {"sender": "me@example.org", "subject": subject, "body": "It works.\n"}
            try:
                self.sent[subject] = client.get("/emails", method="POST", body=json.dumps(email).encode()).status
            except (OSError, CutShort):
                self.sent[subject] = 0
            if self.sent[subject] != 201:
                client.close()
                client = Client(self.address)
        client.close()

    def __enter__(self) -> Self:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        for thread in self.threads:
            thread.join(PATIENCE)

    def reach(self, count: int) -> None:
        """Wait until so many more have been accepted."""
        before = self.accepted()
        eventually(lambda: self.accepted() >= before + count, PATIENCE, f"{count} more e-mails")

    def accepted(self) -> int:
        return list(self.sent.values()).count(201)


def test_a_database_that_is_restarted_loses_what_the_log_names_and_nothing_is_done_twice(cluster: Cluster) -> None:
    for database in postgres.running(max_connections="40"):
        name = database.new_database()
        cluster.target = ("--database", database.url(name))
        for server in NAMES:
            cluster.begin(server)
        with running(cluster), Senders(("127.0.0.1", cluster.front)) as senders:
            senders.reach(100)
            database.stop()
            eventually(lambda: any(status != 201 for status in list(senders.sent.values())), PATIENCE, "a failure")
            database.start()
            senders.reach(300)
        lost = {subject: status for subject, status in senders.sent.items() if status != 201}
        FIGURES.append(
            f"behind HAProxy, the database restarted: {len(lost)} of {len(senders.sent)} e-mails not accepted"
        )
        assert set(lost.values()) <= {502, 503, 504}
        named = sum(len(server.events("backend_failed")) for server in cluster.servers.values())
        assert named >= len(lost)
        with database.connect(name) as connection:
            kept = [subject for (subject,) in connection.execute("SELECT subject FROM emails").fetchall()]
        assert len(kept) == len(set(kept)), "none is there twice"
        assert {subject for subject, status in senders.sent.items() if status == 201} <= set(kept)
