"""The file that holds the number of the process that is to be signalled: --pid-file."""

import os
from contextlib import suppress


class PidFileError(Exception):
    """The file cannot be written; the message is one line."""


class PidFile:
    """The file `path`. It names this process from `write` until `remove`."""

    def __init__(self, path: str) -> None:
        self._path = os.path.abspath(path)

    def write(self) -> None:
        """Write our number, whole or not at all. Raises PidFileError, also where a process that runs is named."""
        other = self._named()
        if other is not None and other != os.getpid() and _runs(other):
            raise PidFileError(f"--pid-file {self._path}: it names process {other}, which runs: end it, or remove it")
        new = f"{self._path}.{os.getpid()}"
        try:
            with open(new, "w", encoding="ascii") as file:
                file.write(f"{os.getpid()}\n")
            os.replace(new, self._path)
        except OSError as error:
            with suppress(OSError):
                os.unlink(new)
            raise PidFileError(f"--pid-file {self._path}: {error.strerror}") from error

    def remove(self) -> None:
        """Remove it, if it still names us."""
        if self._named() == os.getpid():
            with suppress(OSError):
                os.unlink(self._path)

    def _named(self) -> int | None:
        try:
            with open(self._path, encoding="ascii") as file:
                text = file.read(32).strip()
        except (OSError, UnicodeError):
            return None
        return int(text) if text.isdecimal() else None


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True
