"""What is remembered: how much, for how long, and of which file."""

import os
from pathlib import Path

import pytest

from clerestory.handlers.static.known import FRESH, Known, Memory, identity
from clerestory.handlers.static.paths import Way

NOW = 1_000_000.0


def seen(at: float = NOW) -> Known:
    return Known(Way(b"/", []), b"a", b"text/plain", [], at)


def kept(bound: int, *paths: str) -> list[str]:
    """The paths that are still known when these have been kept in turn."""
    memory = Memory(bound)
    for path in paths:
        memory.keep(path, seen())
    return [path for path in dict.fromkeys(paths) if memory.recall(path, NOW) is not None]


def test_as_many_as_the_bound_are_kept_and_one_more_is_kept_alone() -> None:
    assert kept(3, "/a", "/b", "/c") == ["/a", "/b", "/c"]
    assert kept(3, "/a", "/b", "/c", "/d") == ["/d"]
    assert kept(0, "/a") == []


def test_what_is_kept_again_takes_no_more_room() -> None:
    assert kept(2, "/a", "/b", "/a", "/b") == ["/a", "/b"]


@pytest.mark.parametrize(
    ("age", "recalled"),
    [(0.0, True), (FRESH - 0.001, True), (FRESH, False), (1e9, False), (-0.001, False)],
)
def test_it_is_believed_for_a_moment_and_not_when_the_clock_was_set_back(age: float, recalled: bool) -> None:
    memory = Memory(1)
    known = seen()
    memory.keep("/a", known)
    assert memory.recall("/a", NOW + age) is (known if recalled else None)


def test_what_is_forgotten_is_not_recalled() -> None:
    memory = Memory(1)
    memory.keep("/a", seen())
    memory.forget("/a")
    memory.forget("/b")
    assert memory.recall("/a", NOW) is None


def test_every_write_and_every_other_file_has_another_identity(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one")
    os.utime(path, ns=(0, 10**9))
    found = [identity(path.stat())]
    path.write_bytes(b"longer")
    found.append(identity(path.stat()))
    os.utime(path, ns=(0, 2 * 10**9))
    found.append(identity(path.stat()))
    (tmp_path / "other").write_bytes(b"longer")
    os.utime(tmp_path / "other", ns=(0, 2 * 10**9))
    found.append(identity((tmp_path / "other").stat()))
    assert len(set(found)) == 4
    assert identity(path.stat()) == found[2]
