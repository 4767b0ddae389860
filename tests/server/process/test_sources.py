"""Which files are sources, and what is a change of one."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from clerestory.server.process import sources
from clerestory.server.process.sources import Sources, look_at
from tests.server.support import bench_of, hello


def write(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x = 1\n")


def test_what_is_no_source_is_not_looked_at(tmp_path: Path) -> None:
    for name in ("app.py", "shop/db.py", "clerestory.toml"):
        write(tmp_path / name)
    for name in ("log.txt", ".git/hook.py", "shop/__pycache__/db.py", "node_modules/x.py", "env/lib/y.py", ".#app.py"):
        write(tmp_path / name)
    (tmp_path / "env" / "pyvenv.cfg").touch()
    found = {os.path.relpath(one, tmp_path) for one in look_at(str(tmp_path))}
    assert found == {"app.py", "shop/db.py", "clerestory.toml"}


def replace(path: Path) -> None:
    """As editors save: another file, of the same size, takes the name."""
    status = path.stat()
    new = path.with_suffix(".new")
    new.write_text("x = 2\n")
    os.utime(new, ns=(status.st_atime_ns, status.st_mtime_ns))
    os.replace(new, path)


CHANGES: dict[str, Callable[[Path], object]] = {
    "written": lambda path: path.write_text("x = 12\n"),
    "touched": lambda path: os.utime(path, (1, 1)),
    "gone": lambda path: path.unlink(),
    "come": lambda path: write(path.with_name("app2.py")),
    "replaced": replace,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_is_told_once_and_by_name(tmp_path: Path, change: Callable[[Path], object]) -> None:
    path = tmp_path / "shop" / "app.py"
    write(path)
    told: list[str] = []
    with bench_of(hello) as bench:
        bench.loop.add(Sources(bench.loop, str(tmp_path), told.append))
        bench.after(1.0)
        assert told == []
        change(path)
        bench.after(1.0)
        bench.after(1.0)
    assert len(told) == 1
    assert os.path.basename(told[0]).startswith("app")


def test_they_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MOST", 3)
    for number in range(4):
        write(tmp_path / f"{number}.py")
    assert len(look_at(str(tmp_path))) == 3


def test_a_folder_that_is_not_there_has_none(tmp_path: Path) -> None:
    assert look_at(str(tmp_path / "none")) == {}
