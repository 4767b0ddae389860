"""Words, widths and colours."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clerestory.server.xray.terminal.text import Style, bare, count_of, fold, shorten, size, span, style_of


@given(st.text())
def test_nothing_unprintable_leaves(text: str) -> None:
    assert bare(text).isprintable()


def test_a_control_character_is_shown_as_its_escape() -> None:
    assert bare("GET /\x1b[2J\r\n\u202e") == "GET /\\x1b[2J\\r\\n\\u202e"


@given(st.text(alphabet="abc", max_size=40), st.integers(0, 50))
def test_what_is_shortened_fits_and_keeps_its_ends(text: str, width: int) -> None:
    short = shorten(text, width)
    assert len(short) <= max(width, 0)
    if len(text) <= width:
        assert short == text
    elif width >= 3:
        assert short[0] == text[0]
        assert short[-1] == text[-1]
        assert "…" in short


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "-"),
        (0.0003, "0.3 ms"),
        (0.0999, "99.9 ms"),
        (0.1, "0.1 s"),
        (12, "12.0 s"),
        (200, "3 min 20 s"),
        (7500, "2 h 05 min"),
    ],
)
def test_spans(seconds: float | None, words: str) -> None:
    assert span(seconds) == words


def test_sizes_and_counts() -> None:
    assert [size(n) for n in (0, 999, 12_340, 4e9, 5e12)] == ["0 B", "999 B", "12.3 kB", "4.0 GB", "5000.0 GB"]
    assert (count_of(1, "request"), count_of(10_000, "slot")) == ("1 request", "10,000 slots")


@given(st.lists(st.text(alphabet="abcdefgh", min_size=1, max_size=12), min_size=1, max_size=12), st.integers(8, 40))
def test_folding_loses_no_word_and_fits(words: list[str], width: int) -> None:
    lines = fold(" ".join(words), width, "  ")
    assert all(len(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == "".join(words)


def test_colour_only_adds() -> None:
    assert Style().paint("text", "warning") == "text"
    assert Style(80, True).paint("text", "warning") == "\x1b[33mtext\x1b[0m"
    assert Style(80, True).paint("text", "") == "text"


def test_what_is_piped_is_plain_and_never_cut() -> None:
    assert style_of(io.StringIO()) == Style(None, False)
