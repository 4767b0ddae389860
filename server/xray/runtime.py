"""The runtime file: by which `ps` and `top` find the servers of this user on this machine, and their token.

One file for each process, named by its number, in a folder that only this user can enter: below $XDG_RUNTIME_DIR, or
below the folder for temporary files. A file whose process has gone is ignored, and removed when one of ours is written.
"""

import json
import os
import stat
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Running:
    """A server that has an x-ray. `url` is `http://127.0.0.1:8001/` or `unix:PATH`."""

    pid: int
    url: str
    token: str
    serving: str = ""


class RuntimeFileError(Exception):
    """The folder can not be used; the message says why."""


def folder() -> Path:
    """Where the files are, whether or not there is any."""
    base = os.environ.get("XDG_RUNTIME_DIR", "")
    if base and os.path.isabs(base):
        return Path(base, "clerestory")
    return Path(tempfile.gettempdir(), f"clerestory-{os.getuid()}")


def write(running: Running) -> Path:
    """Write the file of this process, with the mode 0600. Raises RuntimeFileError."""
    place = folder()
    try:
        place.mkdir(mode=0o700, exist_ok=True)
        _distrust(place)
        find()
        path = place / f"{running.pid}.json"
        with suppress(FileNotFoundError):
            path.unlink()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(asdict(running), file)
    except OSError as error:
        raise RuntimeFileError(f"{place}: {error.strerror}") from error
    return path


def find() -> list[Running]:
    """The servers of this user that run, the latest first. Files of processes that have gone are removed."""
    place = folder()
    found = []
    with suppress(OSError, RuntimeFileError):
        _distrust(place)
        paths = sorted(place.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in paths:
            running = _read(path)
            if running is not None and _alive(running.pid):
                found.append(running)
            else:
                with suppress(OSError):
                    path.unlink()
    return found


def remove(path: Path) -> None:
    """Remove the file at the end."""
    with suppress(OSError):
        path.unlink()


def _distrust(place: Path) -> None:
    """Another user may have made the folder first: below a folder for temporary files anybody can."""
    status = os.lstat(place)
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o077:
        raise RuntimeFileError(f"{place} is not a folder that only this user can enter: remove it")


def _read(path: Path) -> Running | None:
    try:
        members = json.loads(path.read_text(encoding="utf-8"))
        return Running(int(members["pid"]), str(members["url"]), str(members["token"]), str(members["serving"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
