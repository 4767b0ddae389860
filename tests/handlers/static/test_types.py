"""Media types by extension."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clerestory.handlers.static.types import DEFAULT, UNKNOWN, Types, own_coding, parse_types


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (b"index.html", b"text/html; charset=utf-8"),
        (b"INDEX.HTML", b"text/html; charset=utf-8"),
        (b"a.shtml", b"text/html; charset=utf-8"),
        (b"a.xhtml", b"application/xhtml+xml"),
        (b"a.css", b"text/css; charset=utf-8"),
        (b"a.js", b"text/javascript; charset=utf-8"),
        (b"a.mjs", b"text/javascript; charset=utf-8"),
        (b"a.cjs", b"text/javascript; charset=utf-8"),
        (b"a.min.js", b"text/javascript; charset=utf-8"),
        (b"a.json", b"application/json"),
        (b"a.jsonld", b"application/ld+json"),
        (b"a.geojson", b"application/geo+json"),
        (b"a.map", b"application/json"),
        (b"a.atom", b"application/atom+xml"),
        (b"a.rss", b"application/rss+xml"),
        (b"a.txt", b"text/plain; charset=utf-8"),
        (b"a.md", b"text/markdown; charset=utf-8"),
        (b"a.ics", b"text/calendar; charset=utf-8"),
        (b"a.svg", b"image/svg+xml"),
        (b"a.svgz", b"image/svg+xml"),
        (b"a.png", b"image/png"),
        (b"a.webp", b"image/webp"),
        (b"a.jxl", b"image/jxl"),
        (b"a.woff2", b"font/woff2"),
        (b"a.eot", b"application/vnd.ms-fontobject"),
        (b"a.wasm", b"application/wasm"),
        (b"a.pdf", b"application/pdf"),
        (b"a.epub", b"application/epub+zip"),
        (b"a.docx", b"application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        (b"a.xlsx", b"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        (b"a.pptx", b"application/vnd.openxmlformats-officedocument.presentationml.presentation"),
        (b"a.odt", b"application/vnd.oasis.opendocument.text"),
        (b"a.ods", b"application/vnd.oasis.opendocument.spreadsheet"),
        (b"a.kml", b"application/vnd.google-earth.kml+xml"),
        (b"a.jar", b"application/java-archive"),
        (b"a.apk", b"application/vnd.android.package-archive"),
        (b"a.rpm", b"application/x-redhat-package-manager"),
        (b"a.crt", b"application/x-x509-ca-cert"),
        (b"a.mp4", b"video/mp4"),
        (b"a.m4v", b"video/mp4"),
        (b"a.ts", b"video/mp2t"),
        (b"a.m3u8", b"application/vnd.apple.mpegurl"),
        (b"a.mpd", b"application/dash+xml"),
        (b"a.flv", b"video/x-flv"),
        (b"a.wmv", b"video/x-ms-wmv"),
        (b"a.mid", b"audio/midi"),
        (b"a.gltf", b"model/gltf+json"),
        (b"a.glb", b"model/gltf-binary"),
        (b"a.xml", b"application/xml"),
        (b"a.tar.gz", b"application/gzip"),
        (b"a.tgz", b"application/gzip"),
        (b"a.js.br", b"application/x-brotli"),
        (b"a.js.zst", b"application/zstd"),
        (b"a.csv.xz", b"application/x-xz"),
        (b"a", UNKNOWN),
        (b"a.", UNKNOWN),
        (b"a.unheard-of", UNKNOWN),
        (b"html", UNKNOWN),
        (b"data:text.html", b"text/html; charset=utf-8"),
        (b"data:,x", UNKNOWN),
        (b"\xff.html", b"text/html; charset=utf-8"),
        (b"x" * 250 + b".html", b"text/html; charset=utf-8"),
    ],
)
def test_a_name_has_a_media_type(name: bytes, expected: bytes) -> None:
    """The registered type where there is one: with nosniff a wrong one is a refusal."""
    assert DEFAULT.of(name) == expected


NGINX = [
    "html", "htm", "shtml", "css", "xml", "gif", "jpeg", "jpg", "js", "atom", "rss", "mml", "txt", "jad", "wml",
    "htc", "avif", "png", "svg", "svgz", "tif", "tiff", "wbmp", "webp", "ico", "jng", "bmp", "woff", "woff2", "jar",
    "war", "ear", "json", "hqx", "doc", "pdf", "ps", "eps", "ai", "rtf", "m3u8", "kml", "kmz", "xls", "eot", "ppt",
    "odg", "odp", "ods", "odt", "pptx", "xlsx", "docx", "wmlc", "wasm", "7z", "cco", "jardiff", "jnlp", "run", "pl",
    "pm", "prc", "pdb", "rar", "rpm", "sea", "swf", "sit", "tcl", "tk", "der", "pem", "crt", "xpi", "xhtml", "xspf",
    "zip", "deb", "dmg", "iso", "mid", "midi", "kar", "mp3", "ogg", "m4a", "ra", "3gpp", "3gp", "ts", "mp4", "mpeg",
    "mpg", "mov", "webm", "flv", "m4v", "mng", "asx", "asf", "wmv", "avi",
]  # fmt: skip


def test_what_nginx_knows_by_default_is_known() -> None:
    """Less bin, exe, dll, img, msi, msp and msm, which are octet-stream there, too."""
    assert [extension for extension in NGINX if DEFAULT.of(b"a." + extension.encode()) == UNKNOWN] == []


@given(st.binary(max_size=300))
def test_every_name_has_a_media_type_that_can_be_sent(name: bytes) -> None:
    found = DEFAULT.of(name)
    assert b"/" in found
    assert found.isascii()
    assert found.decode().isprintable()


def test_further_types_come_before_the_tables() -> None:
    types = Types({"ts": "text/x-typescript", "foo": "application/x-foo", "p": 'text/plain; charset="latin1"'})
    assert types.of(b"a.ts") == b"text/x-typescript; charset=utf-8"
    assert types.of(b"a.FOO") == b"application/x-foo"
    assert types.of(b"a.png") == b"image/png"
    assert DEFAULT.of(b"a.foo") == UNKNOWN


def test_types_are_read_as_mime_types_and_nginx_have_them() -> None:
    text = "# a comment\nimage/x-a  a .B\n\ntext/x-c c # another\nmodel/none\ntypes {\n  font/x-d  d;\n}\n"
    assert parse_types(text) == {"a": "image/x-a", "b": "image/x-a", "c": "text/x-c", "d": "font/x-d"}


@pytest.mark.parametrize(
    "line", ["png", "png image/png", "/png a", "image/ a", "image/pn\N{LATIN SMALL LETTER G WITH ACUTE} a", "a/b/c d"]
)
def test_a_line_that_is_no_type_is_refused_with_its_number(line: str) -> None:
    with pytest.raises(ValueError, match=r"^line 2: '.*' is not a media type, such as image/png$"):
        parse_types(f"image/x-a a\n{line}\n")


def test_a_compressed_svg_image_is_an_image_with_a_coding() -> None:
    """RFC 9110 section 8.4: the coding is of the representation, not of its transfer."""
    assert (own_coding(b"a.svgz"), own_coding(b"A.SVGZ"), own_coding(b"a.svg.gz"), own_coding(b"a.svg")) == (
        b"gzip",
        b"gzip",
        b"",
        b"",
    )
