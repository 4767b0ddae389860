"""What may stand behind an option, and what is said of all else."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clerestory.server.cli.values import amount, host, port, seconds


@pytest.mark.parametrize(("text", "value"), [("0", 0), ("8000", 8000), ("65535", 65535), ("00080", 80)])
def test_a_port_is_a_number_up_to_65535(text: str, value: int) -> None:
    assert port(text) == value


@pytest.mark.parametrize("text", ["65536", "-1", "http", "", "8_0", "+80", "8 0", "\uff18\uff10"])
def test_what_is_no_port_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a port"):
        port(text)


@pytest.mark.parametrize(
    ("text", "value"), [("127.0.0.1", "127.0.0.1"), ("localhost", "localhost"), ("[::1]", "::1"), ("::", "::")]
)
def test_a_host_is_a_name_or_an_address(text: str, value: str) -> None:
    assert host(text) == value


@pytest.mark.parametrize("text", ["", "a b", "a\x00", "\udc80"])
def test_what_is_no_host_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a host"):
        host(text)


@pytest.mark.parametrize(("text", "value"), [("1", 1.0), ("0.5", 0.5), (".25", 0.25), ("86400", 86400.0)])
def test_seconds_may_have_a_fraction(text: str, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["0", "0.0", "-1", "nan", "inf", "1e400", "1_0", "", ".", "1.", "5s", "\uff11"])
def test_seconds_are_positive_finite_plain_numbers(text: str) -> None:
    with pytest.raises(ValueError, match="is not a number of seconds above 0"):
        seconds(text)


def test_seconds_may_be_zero_where_that_means_none() -> None:
    assert seconds("0", zero=True) == 0.0


@pytest.mark.parametrize(("text", "value"), [("1", 1), ("64K", 65536), ("1M", 1 << 20), ("2g", 2 << 30)])
def test_a_size_may_have_a_suffix(text: str, value: int) -> None:
    assert amount(text, suffixes=True) == value


@pytest.mark.parametrize("text", ["0", "0K", "-1", "K", "1.5M", "1KB", "1 K", "", "1T", "0x10", "\uff11"])
def test_a_size_is_a_positive_whole_number(text: str) -> None:
    with pytest.raises(ValueError, match="is not a number of bytes above 0, such as"):
        amount(text, suffixes=True)


def test_a_count_has_no_suffix() -> None:
    with pytest.raises(ValueError, match="is not a whole number above 0"):
        amount("1K")


@given(st.text())
@pytest.mark.parametrize("reader", [port, host, seconds, amount])
def test_whatever_is_typed_is_taken_or_refused(reader: Callable[[str], object], text: str) -> None:
    said = ""
    try:
        reader(text)
    except ValueError as error:
        said = str(error)
    assert said == "" or said.startswith(repr(text))
