"""Media types and content codings."""

from pathlib import Path

import pytest

from clerestory.handlers.static.paths import Walk
from clerestory.handlers.static.variants import acceptable, available, qualities


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"", {b"": 1}),
        (b"gzip", {b"gzip": 1}),
        (b"GZip , BR;q=0.5", {b"gzip": 1, b"br": 0.5}),
        (b"gzip;q=0", {b"gzip": 0}),
        (b"gzip; q=0.25 ,*;q=1.000", {b"gzip": 0.25, b"*": 1}),
        (b"gzip ;\tQ=0.", {b"gzip": 0}),
        (b"gzip;q=1.1", {}),
        (b"gzip;q=0.1234", {}),
        (b"gzip;q=-1", {}),
        (b"gzip;q=", {}),
        (b"gzip;q=nan, br", {b"br": 1}),
        (b"gzip;level=9", {}),
    ],
)
def test_qualities_are_read_and_what_is_malformed_is_left_out(value: bytes, expected: dict[bytes, float]) -> None:
    assert qualities(value) == expected


ALL = [(b"br", b"a.br"), (b"zstd", b"a.zst"), (b"gzip", b"a.gz")]


@pytest.mark.parametrize(
    ("accept_encoding", "codings"),
    [
        (None, []),
        (b"", []),
        (b"identity", []),
        (b"deflate", []),
        (b"gzip", [b"gzip"]),
        (b"x-gzip", []),
        (b"gzip, deflate, br, zstd", [b"br", b"zstd", b"gzip"]),
        (b"gzip;q=1.0, br;q=0.5", [b"gzip", b"br"]),
        (b"br;q=0, *", [b"zstd", b"gzip"]),
        (b"*", [b"br", b"zstd", b"gzip"]),
        (b"*;q=0", []),
        (b"gzip;q=0", []),
        (b"gzip;q=0.5, identity", []),
        (b"gzip;q=0.5, identity;q=0.5", [b"gzip"]),
        (b"gzip;q=0.5, br;q=0.1, identity;q=0.2", [b"gzip"]),
        (b"identity;q=0", []),
        (b"identity;q=0, *;q=0.1", [b"br", b"zstd", b"gzip"]),
    ],
)
def test_the_most_welcome_coding_comes_first(accept_encoding: bytes | None, codings: list[bytes]) -> None:
    assert [coding for coding, _ in acceptable(ALL, accept_encoding)] == codings
    assert acceptable([], accept_encoding) == []


def test_variants_are_looked_for_beside_the_file(tmp_path: Path) -> None:
    for name in ("a.js", "a.js.gz", "a.js.br", "a.js.gz.br", "b.js"):
        (tmp_path / name).touch()
    with Walk(str(tmp_path)) as walk:
        assert available(walk, b"a.js") == [(b"br", b"a.js.br"), (b"gzip", b"a.js.gz")]
        assert available(walk, b"b.js") == []
        assert available(walk, b"a.js.gz") == [], "a coded file is not coded again"
