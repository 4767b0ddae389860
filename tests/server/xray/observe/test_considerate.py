"""While words are made the interpreter is handed over sooner; afterwards as before."""

import sys

import pytest

from clerestory.server.xray.observe.considerate import SHORT, considerate


def test_the_interval_is_short_for_a_while() -> None:
    before = sys.getswitchinterval()
    with considerate():
        assert sys.getswitchinterval() == pytest.approx(SHORT)
    assert sys.getswitchinterval() == before


def test_it_is_put_back_after_an_error() -> None:
    before = sys.getswitchinterval()
    with pytest.raises(ZeroDivisionError), considerate():
        _ = 1 / 0
    assert sys.getswitchinterval() == before


def test_an_even_shorter_one_is_left_and_does_not_wear_away() -> None:
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.000101)
    try:
        shorter = sys.getswitchinterval()
        for _ in range(100):
            with considerate():
                assert sys.getswitchinterval() <= shorter
        assert sys.getswitchinterval() == shorter
    finally:
        sys.setswitchinterval(before)
