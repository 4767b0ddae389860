"""Which files sendfile(2) may send, and from where."""

import gzip
import io
import os
from pathlib import Path
from typing import Any

import pytest

from clerestory.handlers.wsgi.files import FileWrapper, file_of


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    return path


def test_a_wrapper_reads_in_blocks_and_closes() -> None:
    file = io.BytesIO(b"abcde")
    wrapper = FileWrapper(file, 2)
    assert list(wrapper) == [b"ab", b"cd", b"e"]
    wrapper.close()
    assert file.closed


@pytest.mark.parametrize("mode", [{"mode": "rb"}, {"mode": "r+b"}, {"mode": "rb", "buffering": 0}])
def test_what_is_left_of_a_file_is_sent(path: Path, mode: Any) -> None:
    with open(path, **mode) as handle:
        handle.read(3)
        file = file_of(FileWrapper(handle), None)
        part = file_of(FileWrapper(handle), 2)
    assert file is not None
    assert part is not None
    assert (file.read(), part.read()) == (b"3456789", b"34"), "though the application's own is closed"
    file.close()
    part.close()


def test_what_is_no_regular_file_in_bytes_is_not(path: Path) -> None:
    reading, writing = os.pipe()
    os.close(writing)
    packed = path.with_suffix(".gz")
    packed.write_bytes(gzip.compress(b"x"))
    with open(path) as text, gzip.open(packed) as unpacked, open(reading, "rb") as pipe, open(path, "rb") as closed:
        closed.close()
        for file in (text, unpacked, pipe, closed, io.BytesIO(b"x"), object()):
            assert file_of(FileWrapper(file), None) is None
