"""The work that all applications do."""

import json
from pathlib import Path

import pytest

from benchmarks import work


def test_the_constant_is_what_the_issue_says() -> None:
    assert work.constant() == b'{"id": 42, "subject": "hello"}'


def test_an_email_is_read_by_its_key(data: Path) -> None:
    assert json.loads(work.email(7) or b"")["subject"] == "Subject 7"
    assert work.email(work.EMAILS + 1) is None


def test_there_are_two_files_and_no_others(data: Path) -> None:
    small = work.file(work.SMALL_FILE)
    assert small is not None
    assert small.stat().st_size == 16 * 1024
    assert work.file("../emails.sqlite") is None


def test_served_by_hand_the_data_is_made_when_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Path] = []
    monkeypatch.delenv(work.DATA, raising=False)
    monkeypatch.setattr(work, "BY_HAND", tmp_path / "data")
    monkeypatch.setattr(work, "prepare", made.append)
    assert work.data() == tmp_path / "data"
    assert made == [tmp_path / "data"]
