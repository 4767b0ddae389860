"""Media types and content codings."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.static_paths import Walk
from handlers.static_variants import acceptable, available, content_type, qualities


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (b"index.html", b"text/html; charset=utf-8"),
        (b"INDEX.HTML", b"text/html; charset=utf-8"),
        (b"a.css", b"text/css; charset=utf-8"),
        (b"a.js", b"text/javascript; charset=utf-8"),
        (b"a.mjs", b"text/javascript; charset=utf-8"),
        (b"a.min.js", b"text/javascript; charset=utf-8"),
        (b"a.json", b"application/json"),
        (b"a.map", b"application/json"),
        (b"a.txt", b"text/plain; charset=utf-8"),
        (b"a.md", b"text/markdown; charset=utf-8"),
        (b"a.svg", b"image/svg+xml"),
        (b"a.png", b"image/png"),
        (b"a.webp", b"image/webp"),
        (b"a.woff2", b"font/woff2"),
        (b"a.wasm", b"application/wasm"),
        (b"a.pdf", b"application/pdf"),
        (b"a.mp4", b"video/mp4"),
        (b"a.xml", b"application/xml"),
        (b"a.tar.gz", b"application/gzip"),
        (b"a.tgz", b"application/gzip"),
        (b"a.js.br", b"application/x-brotli"),
        (b"a.js.zst", b"application/zstd"),
        (b"a.csv.xz", b"application/x-xz"),
        (b"a", b"application/octet-stream"),
        (b"a.", b"application/octet-stream"),
        (b"a.unheard-of", b"application/octet-stream"),
        (b"html", b"application/octet-stream"),
        (b"data:text.html", b"text/html; charset=utf-8"),
        (b"data:,x", b"application/octet-stream"),
        (b"\xff.html", b"text/html; charset=utf-8"),
        (b"x" * 250 + b".html", b"text/html; charset=utf-8"),
    ],
)
def test_a_name_has_a_media_type(name: bytes, expected: bytes) -> None:
    assert content_type(name) == expected


@given(st.binary(max_size=300))
def test_every_name_has_a_media_type_that_can_be_sent(name: bytes) -> None:
    found = content_type(name)
    assert b"/" in found
    assert found.isascii()
    assert found.decode().isprintable()


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
