"""The entries of a directory: which are shown, in which order, and that none of a large one is lost."""

import os
import random
from pathlib import Path

import pytest

from clerestory.handlers.static import entries as static_entries
from clerestory.handlers.static.entries import Page, open_directory, read_page

pytestmark = pytest.mark.usefixtures("no_descriptor_left")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    return root


def touch(root: Path, *names: str) -> None:
    for name in names:
        if name.endswith("/"):
            (root / name).mkdir()
        else:
            (root / name).touch()


def page_of(root: Path, segments: list[bytes] | None = None, number: int = 1) -> Page:
    descriptor = open_directory(str(root), segments or [])
    try:
        return read_page(descriptor, str(root), segments or [], number)
    finally:
        os.close(descriptor)


def names(page: Page) -> list[str]:
    return [os.fsdecode(entry.name) + "/" * entry.is_directory for entry in page.entries]


def test_what_cannot_be_fetched_is_not_shown(root: Path) -> None:
    touch(root, "file", ".env", ".git/", ".well-known/", "sub/", "sub/.well-known", "back\\slash", "new\nline")
    (root.parent / "secret").touch()
    os.mkfifo(root / "fifo")
    for link, target in {
        "in": "file",
        "in_directory": "sub",
        "out": "../secret",
        "dangling": "nothing",
        "to_fifo": "fifo",
        "absolute": str(root / "file"),
    }.items():
        (root / link).symlink_to(target)
    assert names(page_of(root)) == [".well-known/", "in_directory/", "sub/", "file", "in"]
    assert names(page_of(root, [b"sub"])) == []


class TestPages:
    @pytest.fixture(autouse=True)
    def few(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(static_entries, "PAGE", 7)
        monkeypatch.setattr(static_entries, "SLICE", 5)

    def test_the_pages_of_a_directory_are_all_of_it_in_order(self, root: Path) -> None:
        """Not as the system hands it out, and nothing twice or never."""
        wanted = [f"d{number}/" for number in range(4)] + [f"{letter}{n:02}" for n in range(20) for letter in "aB"]
        shuffled = wanted[:]
        random.Random(1).shuffle(shuffled)
        touch(root, *shuffled)
        pages = [page_of(root, number=number) for number in range(1, 8)]
        found = [name for page in pages for name in names(page)]
        assert found == sorted(wanted, key=lambda name: (not name.endswith("/"), name.lower(), name))
        assert [len(page.entries) for page in pages] == [7] * 6 + [2]
        assert {(page.last, page.total, page.is_cut) for page in pages} == {(7, 44, False)}

    def test_no_more_than_a_slice_is_sorted_in_one_step(self, root: Path) -> None:
        """A sort keeps the interpreter's lock to its end, and the loop's thread waits for it."""
        touch(root, *"abcdefghijklmno")
        with os.scandir(root) as entries:
            runs, _ = static_entries._sorted_runs(entries, str(root), [])
        assert [len(run) for run in runs] == [5, 5, 5]
        assert all(run == sorted(run) for run in runs)

    def test_a_page_beyond_the_last_is_the_last(self, root: Path) -> None:
        touch(root, *"12345678")
        assert (page_of(root, number=99).number, names(page_of(root, number=99))) == (2, ["8"])

    def test_an_empty_directory_has_one_page(self, root: Path) -> None:
        assert page_of(root) == Page([], 1, 1, 0, False)

    def test_as_many_names_as_the_bound_are_read_and_one_more_is_said(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(static_entries, "MAX_NAMES", 10)
        touch(root, *"0123456789")
        assert (page_of(root).total, page_of(root).is_cut) == (10, False)
        touch(root, "x")
        assert (page_of(root).total, page_of(root).is_cut) == (10, True)

    def test_links_stand_among_directories_up_to_a_bound(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(static_entries, "MAX_LINKS", 2)
        touch(root, "d/", "a")
        for name in "xy":
            (root / name).symlink_to("d")
        assert names(page_of(root)) == ["d/", "x/", "y/", "a"]
        (root / "b").symlink_to("d")
        found = names(page_of(root))
        assert sorted(found) == ["a", "b/", "d/", "x/", "y/"]
        assert found != ["b/", "d/", "x/", "y/", "a"], "one of the three stands among the files"


def test_a_file_is_no_directory(root: Path) -> None:
    touch(root, "file")
    with pytest.raises(NotADirectoryError):
        page_of(root, [b"file"])


def test_the_bounds_are_those_of_the_documentation() -> None:
    page = Path("docs/static-files.md").read_text()
    assert f"{static_entries.PAGE:,} entries on a page" in page
    assert f"more than {static_entries.MAX_NAMES:,} entries" in page
