"""Widths are those of a wide face, so that a text in another still fits."""

import pytest

from clerestory.diagrams.metrics import width


def test_a_text_is_as_wide_as_its_letters() -> None:
    assert width("", 10) == 0
    assert width("iW", 10) == pytest.approx(width("i", 10) + width("W", 10))
    assert width("i", 10) < width("W", 10)


def test_width_grows_with_the_size_and_with_the_weight() -> None:
    assert width("CLOSED", 20) == pytest.approx(2 * width("CLOSED", 10))
    assert width("CLOSED", 10, bold=True) > width("CLOSED", 10)


def test_every_printable_letter_has_a_width_of_its_own_and_others_an_em() -> None:
    assert all(2 < width(chr(code), 10) < 12 for code in range(32, 127))
    assert [width(letter, 10) for letter in "\n·→\x7f"] == [10, 10, 10, 10]


def test_known_widths_of_dejavu_sans_are_met() -> None:
    assert width("A", 1000) == 684
    assert width("~", 1000) == 838
    assert width("~", 1000, bold=True) == 838
    assert width(" ", 1000) == 318
