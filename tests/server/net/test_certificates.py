"""What a certificate says of itself, read from its DER."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clerestory.server.net.certificates import elements, read_certificate
from tests.support.certificates import Authority


def der_of(file: str) -> bytes:
    text = Path(file).read_text()
    return ssl.PEM_cert_to_DER_cert(text[: text.index(ssl.PEM_FOOTER) + len(ssl.PEM_FOOTER)])


def test_its_names_are_those_it_was_issued_for(authority: Authority) -> None:
    file, _ = authority.issue("Example.org", "*.example.net", "127.0.0.1", "::1")
    assert set(read_certificate(der_of(file)).names) == {"example.org", "*.example.net", "127.0.0.1", "::1"}


@pytest.mark.parametrize("days", [-1, 1, 20_000])
def test_its_end_is_read_in_this_century_and_in_those_to_come(authority: Authority, days: int) -> None:
    """RFC 5280 section 4.1.2.5: up to 2049 with two digits of the year, from 2050 on with four."""
    file, _ = authority.issue(days=days)
    left = read_certificate(der_of(file)).until - datetime.now(UTC)
    assert abs(left - timedelta(days=days)) < timedelta(hours=1)


def test_one_that_is_cut_short_is_none_wherever_it_is_cut(authority: Authority) -> None:
    der = der_of(authority.issue()[0])
    for size in range(len(der)):
        with pytest.raises(ValueError):  # noqa: PT011 - which of the ways to be none does not matter
            read_certificate(der[:size])


@given(st.binary(max_size=64))
def test_rubbish_is_a_value_error_or_elements(data: bytes) -> None:
    try:
        found = list(elements(data))
    except ValueError:
        return
    assert sum(len(content) for _, content in found) <= len(data)
