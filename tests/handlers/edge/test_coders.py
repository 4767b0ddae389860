"""The codings: what goes in comes out, and what is flushed can be read."""

import zlib
from importlib import import_module
from typing import Any

import pytest

from clerestory.handlers.edge.coders import CODERS, coder_for, installed

brotli: Any = import_module("brotli")
zstandard: Any = import_module("zstandard")

TEXT = b"the same again and again, " * 4000


def decoder(coding: bytes) -> Any:
    """What decodes with that coding, piece by piece."""
    if coding == b"gzip":
        return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress
    if coding == b"br":
        return brotli.Decompressor().process
    return zstandard.ZstdDecompressor(max_window_size=1 << 17).decompressobj().decompress


@pytest.mark.parametrize("coding", CODERS)
def test_what_goes_in_comes_out(coding: bytes) -> None:
    coder = coder_for(coding)
    coded = coder.code(TEXT[:100]) + coder.code(memoryview(TEXT)[100:]) + coder.finish()
    assert decoder(coding)(coded) == TEXT
    assert len(coded) < len(TEXT) / 20


@pytest.mark.parametrize("coding", CODERS)
def test_what_is_flushed_can_be_read(coding: bytes) -> None:
    coder, read = coder_for(coding), decoder(coding)
    for piece in (b"data: 1\n\n", b"data: 2\n\n"):
        assert read(coder.code(piece) + coder.flush()) == piece


def test_all_of_them_are_installed_here_and_gzip_is_everywhere() -> None:
    assert installed() == (b"zstd", b"br", b"gzip")


def test_one_that_is_not_installed_is_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clerestory.handlers.edge.coders.find_spec", lambda name: name == "zlib" or None)
    assert installed() == (b"gzip",)
