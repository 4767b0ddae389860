"""Which bytes a Range asks for."""

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clerestory.handlers.api.messages import File
from clerestory.handlers.static import ranges as static_ranges
from clerestory.handlers.static.ranges import Parts, Stretch, parse_range


@pytest.mark.parametrize(
    ("value", "stretches"),
    [
        (b"bytes=0-0", [(0, 1)]),
        (b"bytes=0-99", [(0, 100)]),
        (b"bytes=0-100", [(0, 100)]),
        (b"bytes=10-19", [(10, 10)]),
        (b"bytes=99-", [(99, 1)]),
        (b"bytes=0-", [(0, 100)]),
        (b"bytes=-1", [(99, 1)]),
        (b"bytes=-100", [(0, 100)]),
        (b"bytes=-101", [(0, 100)]),
        (b"BYTES=1-2", [(1, 2)]),
        (b"bytes= 1-2", [(1, 2)]),
        (b"bytes=1-2 ,\t3-4,", [(1, 2), (3, 2)]),
        (b"bytes=,,1-2,,,3-4", [(1, 2), (3, 2)]),
        (b"bytes=50-59,0-9,-5", [(50, 10), (0, 10), (95, 5)]),
        (b"bytes=0-9,5-14", [(0, 10), (5, 10)]),
        (b"bytes=0-9,200-300", [(0, 10)]),
        (b"bytes=1-" + b"9" * 5000, [(1, 99)]),
        (b"bytes=-" + b"9" * 5000, [(0, 100)]),
        (b"bytes=" + b"0" * 5000 + b"7-8", [(7, 2)]),
        # cannot be satisfied
        (b"bytes=100-", []),
        (b"bytes=100-200,300-", []),
        (b"bytes=-0", []),
        (b"bytes=" + b"9" * 5000 + b"-", []),
        # malformed, and so ignored
        (b"", None),
        (b"bytes", None),
        (b"bytes=", None),
        (b"bytes= ,", None),
        (b"bytes=-", None),
        (b"bytes=--1", None),
        (b"bytes=2-1", None),
        (b"bytes=0-9,2-1", None),
        (b"bytes=a-b", None),
        (b"bytes=1", None),
        (b"bytes=+1-2", None),
        (b"bytes=1-2 3-4", None),
        (b"bytes=1-2;3-4", None),
        (b"bytes =1-2", None),
        (b"bytes=1 - 2", None),
        (b"bytes=0x1-2", None),
        (b"bytes=\xd9\xa1-", None),
        (b"lines=1-2", None),
        (b"bytes=1-2\n", None),
        # more than the file has
        (b"bytes=0-,0-0", None),
        (b"bytes=-100,-1", None),
    ],
)
def test_a_range_of_a_hundred_bytes(value: bytes, stretches: list[tuple[int, int]] | None) -> None:
    assert parse_range(value, 100, 16) == stretches


@pytest.mark.parametrize(
    ("value", "stretches"),
    [(b"bytes=0-", []), (b"bytes=0-0", []), (b"bytes=-0", []), (b"bytes=-1", None), (b"bytes=x", None)],
)
def test_a_range_of_nothing(value: bytes, stretches: list[Stretch] | None) -> None:
    assert parse_range(value, 0, 16) == stretches


@pytest.mark.parametrize("max_ranges", [1, 2, 16])
def test_as_many_ranges_as_allowed_pass_and_one_more_is_ignored(max_ranges: int) -> None:
    stretches = [b"%d-%d" % (2 * number, 2 * number) for number in range(max_ranges + 1)]
    found = parse_range(b"bytes=" + b",".join(stretches[:-1]), 100, max_ranges)
    assert found == [(2 * number, 1) for number in range(max_ranges)]
    assert parse_range(b"bytes=" + b",".join(stretches), 100, max_ranges) is None


@pytest.mark.parametrize(("max_ranges", "looks"), [(16, 17), (20_000, 10_000)])
def test_ten_thousand_ranges_are_each_looked_at_once_at_most(
    monkeypatch: pytest.MonkeyPatch, max_ranges: int, looks: int
) -> None:
    class Counting:
        def __init__(self, pattern: re.Pattern[bytes]) -> None:
            self.pattern = pattern
            self.seen: list[int] = []

        def match(self, value: bytes, position: int) -> re.Match[bytes] | None:
            self.seen.append(position)
            return self.pattern.match(value, position)

    counting = Counting(static_ranges._STRETCH)
    monkeypatch.setattr(static_ranges, "_STRETCH", counting)
    value = b"bytes=" + b",".join([b"0-0"] * 10_000)
    stretches = parse_range(value, 10_000, max_ranges)
    assert len(counting.seen) == looks
    assert counting.seen == sorted(set(counting.seen)), "never back"
    assert stretches == (None if max_ranges == 16 else [(0, 1)] * 10_000)


@given(
    st.lists(st.sampled_from([b"bytes=", b"0", b"9", b"12", b"-", b",", b" ", b"x", b"\t"]), max_size=30),
    st.integers(0, 200),
)
def test_whatever_is_asked_for_lies_within_the_file(pieces: list[bytes], size: int) -> None:
    stretches = parse_range(b"bytes=" + b"".join(pieces), size, 8)
    for stretch in stretches or ():
        assert 0 <= stretch.offset < stretch.offset + stretch.length <= size
    assert sum(stretch.length for stretch in stretches or ()) <= size
    assert len(stretches or ()) <= 8


def test_parts_are_framed_and_of_the_length_they_say(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(100)))
    descriptor = os.open(path, os.O_RDONLY)
    parts = Parts(descriptor, [Stretch(0, 10), Stretch(90, 10)], 100, b"text/plain")
    body = b""
    for piece in parts:
        if isinstance(piece, File):
            body += os.pread(piece.descriptor, piece.count, piece.offset)
            piece.close()
        else:
            body += piece
    head = b"\r\ncontent-type: text/plain\r\ncontent-range: bytes %b\r\n\r\n"
    boundary = b"--" + parts.boundary
    assert body == (
        boundary
        + head % b"0-9/100"
        + bytes(range(10))
        + b"\r\n"
        + boundary
        + head % b"90-99/100"
        + bytes(range(90, 100))
        + b"\r\n"
        + boundary
        + b"--\r\n"
    )
    assert parts.length == len(body)
    assert os.fstat(descriptor).st_size == 100, "open until all parts are sent"
    parts.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_boundaries_differ(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    boundaries = set()
    for _ in range(3):
        parts = Parts(os.open(path, os.O_RDONLY), [], 0, b"text/plain")
        boundaries.add(parts.boundary)
        assert re.fullmatch(rb"[0-9a-f]{30}", parts.boundary)
        parts.close()
    assert len(boundaries) == 3
