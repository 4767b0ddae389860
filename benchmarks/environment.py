"""The peers' own virtual environment: made on first use, so that no peer's dependency ever reaches the server's own.

`--peers PATH` takes another one. Nothing here needs root; nginx and node are taken when they are on the machine.
"""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

DEFAULT = Path(__file__).parent / ".venv-peers"
PACKAGES = (
    "aiohttp",
    "asyncpg",
    "cheroot",
    "fastapi",
    "granian",
    "gunicorn",
    "h11",
    "httptools",
    "httpx",
    "hypercorn",
    "psycopg[binary]",
    "psycopg_pool",
    "starlette",
    "tornado",
    "uvicorn",
    "uvloop",
    "waitress",
    "websockets",
)

LIST = """
import importlib.metadata as m, json
print(json.dumps({d.metadata["Name"].lower(): d.version for d in m.distributions() if d.metadata["Name"]}))
"""


class PeersUnavailable(Exception):
    """The environment could not be made; the message says what to do."""


class Peers:
    """The environment at `path`. `versions` is what it holds; empty when there is none."""

    def __init__(self, path: Path = DEFAULT) -> None:
        self.path = path
        self.python = path / "bin" / "python"

    def make(self, progress: Callable[[str], None]) -> None:
        """Make it, unless it is there, and install the peers that it lacks. Raises PeersUnavailable."""
        if not self.python.exists():
            progress(f"installing the peers into {self.path} (once; about a minute)")
            try:
                command = [sys.executable, "-m", "venv", str(self.path)]
                subprocess.run(command, check=True, capture_output=True, text=True)
            except subprocess.CalledProcessError as error:
                raise PeersUnavailable(f"python -m venv {self.path} failed: {_last(error)}") from error
        failed = [package for package in PACKAGES if not self._has(package) and not self._install(package)]
        self.__dict__.pop("versions", None)  # there may be more by now
        if failed:
            progress(f"could not be installed, and will be listed as such: {', '.join(failed)}")

    def _has(self, package: str) -> bool:
        return re.sub(r"\[.*\]", "", package).replace("_", "-") in self.versions

    def _install(self, package: str) -> bool:
        """One at a time: a peer that does not build here must not keep the others away."""
        command = [str(self.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", package]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    @cached_property
    def versions(self) -> dict[str, str]:
        """Distribution (lower case) to version."""
        if not self.python.exists():
            return {}
        answer = subprocess.run([str(self.python), "-c", LIST], capture_output=True, text=True, check=True)
        found: dict[str, str] = json.loads(answer.stdout)
        return found


def _last(error: subprocess.CalledProcessError) -> str:
    lines = str(error.stderr or error.stdout or "no output").strip().splitlines()
    return lines[-1] if lines else "no output"
