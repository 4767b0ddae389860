"""The pid file: whole or not at all, ours only, and removed at the end."""

import os
from pathlib import Path

import pytest

from clerestory.server.process.pidfile import PidFile, PidFileError


def test_it_names_us_until_the_end(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    file = PidFile(str(path))
    file.write()
    assert path.read_text() == f"{os.getpid()}\n"
    assert os.listdir(tmp_path) == ["pid"]
    file.remove()
    assert not path.exists()


@pytest.mark.parametrize("content", ["", "rubbish", "4194304999", "-5", "\xff"])
def test_one_that_names_nobody_who_runs_is_replaced(tmp_path: Path, content: str) -> None:
    path = tmp_path / "pid"
    path.write_text(content, encoding="latin-1")
    PidFile(str(path)).write()
    assert path.read_text() == f"{os.getpid()}\n"


def test_one_that_names_a_process_that_runs_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    path.write_text(f"{os.getppid()}\n")
    with pytest.raises(PidFileError, match=f"process {os.getppid()}, which runs"):
        PidFile(str(path)).write()
    assert path.read_text() == f"{os.getppid()}\n"


def test_one_that_is_anothers_by_the_end_is_left(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    file = PidFile(str(path))
    file.write()
    path.write_text("1\n")
    file.remove()
    assert path.read_text() == "1\n"


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(PidFileError, match="No such file or directory"):
        PidFile(str(tmp_path / "none" / "pid")).write()
