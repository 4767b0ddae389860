"""Pieces of an answer that wait for the connection."""

import os
from pathlib import Path

import pytest

from clerestory.handlers.api.messages import File
from clerestory.handlers.asgi.pieces import discard, next_of, shortened


@pytest.fixture
def file(tmp_path: Path) -> File:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    return File(os.open(path, os.O_RDONLY), 0, 10)


def test_what_has_gathered_is_one_piece_up_to_a_file(file: File) -> None:
    output: list[bytes | File] = [b"a", b"b", file, b"c", b"d"]
    assert [next_of(output) for _ in range(3)] == [b"ab", file, b"cd"]
    assert output == []
    file.close()


def test_a_single_piece_is_not_copied() -> None:
    piece = bytes(100)
    assert next_of([piece]) is piece


def test_a_piece_is_shortened_to_what_was_promised(file: File) -> None:
    assert shortened(b"hello", 2) == b"he"
    assert shortened(file, 3) is file
    assert file.count == 3
    file.close()


def test_files_that_nobody_takes_are_closed(file: File) -> None:
    output: list[bytes | File] = [b"a", file]
    discard(output)
    assert output == []
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(file.descriptor)
