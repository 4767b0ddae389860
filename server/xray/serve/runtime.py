"""The runtime file: by which `ps` and `top` find the servers of this user on this machine, and their token.

One file for each process, named by its number, in a folder that only this user can enter: below $XDG_RUNTIME_DIR, or,
where that cannot be used, below the folder for temporary files. A file whose process has gone is ignored, and removed
when one of ours is written; so is one whose number another process has now.
"""

import json
import os
import stat
import tempfile
from collections.abc import Iterator
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
    born: str = ""
    """When the process began, as the kernel counts it; empty where it does not say."""


class RuntimeFileError(Exception):
    """The folder cannot be used; the message says why."""


class TokenError(ValueError):
    """The token cannot be sent in a field; the message says why."""


def token_of(text: str, where: str) -> str:
    """The token that `text` is, without the white space around it, which an environment file often adds.

    Raises TokenError, which names `where` it comes from.
    """
    token = text.strip()
    if not all("!" <= character <= "~" for character in token):
        raise TokenError(f"{where} must be visible ASCII characters without spaces")
    return token


def folders() -> list[Path]:
    """Where the files may be, the best place first, whether or not there is any."""
    found = []
    base = os.environ.get("XDG_RUNTIME_DIR", "")
    if base and os.path.isabs(base):
        found.append(Path(base, "clerestory"))
    with suppress(OSError):  # everything is read-only, as in a container
        found.append(Path(tempfile.gettempdir(), f"clerestory-{os.getuid()}"))
    return found


def write(running: Running) -> Path:
    """Write the file of this process, with the mode 0600, in the first folder that takes it: after `sudo -E` or `su`
    $XDG_RUNTIME_DIR is another user's. Raises RuntimeFileError."""
    reasons = []
    for place in folders():
        try:
            return _write(running, place)
        except RuntimeFileError as error:
            reasons.append(str(error))
    raise RuntimeFileError("; ".join(reasons) or "there is no folder for temporary files that can be written to")


def _write(running: Running, place: Path) -> Path:
    try:
        place.mkdir(mode=0o700, exist_ok=True)
        _distrust(place)
        find()
        path, new = place / f"{running.pid}.json", place / f"{running.pid}.new"
        with suppress(FileNotFoundError):
            new.unlink()
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(asdict(running), file)
        os.replace(new, path)  # nobody reads half of it
    except OSError as error:
        raise RuntimeFileError(f"{place}: {error.strerror}") from error
    return path


def find() -> list[Running]:
    """The servers of this user that run, the latest first. Files of processes that have gone are removed."""
    found: list[tuple[float, Running]] = []
    for place in folders():
        with suppress(OSError, RuntimeFileError):
            _distrust(place)
            found += _find(place)
    return [running for _, running in sorted(found, key=lambda one: one[0], reverse=True)]


def _find(place: Path) -> Iterator[tuple[float, Running]]:
    """Those in one folder, with the time of their files."""
    for path in place.glob("*.json"):
        with suppress(OSError):  # its server may end meanwhile
            running = _read(path)
            if running is None:
                continue
            if _alive(running):
                yield path.stat().st_mtime, running
            else:
                path.unlink()


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
        url, token, serving = (str(members[name]) for name in ("url", "token", "serving"))
        return Running(int(members["pid"]), url, token, serving, str(members.get("born", "")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _alive(running: Running) -> bool:
    """Whether that very process runs. One that we may not signal is another user's, who has its number now."""
    try:
        os.kill(running.pid, 0)
    except (OSError, OverflowError):
        return False
    return not running.born or born(running.pid) in ("", running.born)


def born(pid: int) -> str:
    """When a process began, as the kernel counts it: proc_pid_stat(5), field 22. Empty where that is not known."""
    try:
        stat_line = Path("/proc", str(pid), "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return stat_line.rpartition(")")[2].split()[19]  # its name, in parentheses, may hold anything
