"""The shared grammar: what is a token, a value, a length, a field block; and that none of it is slow."""

import time

import pytest

from handlers.grammar import field_block, field_lines, is_extensions, is_length, is_token, is_value, members


@pytest.mark.parametrize("token", [b"a", b"X-Y", b"!#$%&'*+-.^_`|~", b"0"])
def test_a_token_is_a_token(token: bytes) -> None:
    assert is_token(token)


@pytest.mark.parametrize("token", [b"", b"a b", b"a:", b"a\r", b"\xc3", b"a\x00", b"(a)"])
def test_what_is_no_token_is_none(token: bytes) -> None:
    assert not is_token(token)


@pytest.mark.parametrize("value", [b"", b"a", b"a b\tc", b"\xc3\xa9", b'"x"'])
def test_a_value_is_a_value(value: bytes) -> None:
    assert is_value(value)


@pytest.mark.parametrize("value", [b" a", b"a ", b"a\r\nb: c", b"a\nb", b"\x00", b"\x7f", b"a\x0b"])
def test_what_is_no_value_is_none(value: bytes) -> None:
    assert not is_value(value)


def test_a_length_is_at_most_nineteen_ascii_digits() -> None:
    assert is_length(b"9" * 19)
    wrong = (b"", b"9" * 20, b"+5", b"-5", b"0x5", b"5,5", b"5 ", b"1_0", "\uff15".encode())
    assert [text for text in wrong if is_length(text)] == []


def test_a_field_block_ends_with_an_empty_line_and_has_no_other_line_end_than_crlf() -> None:
    block = b"A: b\r\nC:d\r\nE:  f \r\n\r\n"
    found = field_block(block)
    assert found is not None
    assert found.end() == len(block)
    assert field_lines(block) == [(b"A", b"b"), (b"C", b"d"), (b"E", b"f ")]
    for wrong in (
        b"A: b\n\r\n",
        b"A : b\r\n\r\n",
        b" A: b\r\n\r\n",
        b"A: b\r\n c\r\n\r\n",
        b"A: b\x00\r\n\r\n",
        b"A: b",
    ):
        assert field_block(wrong) is None, wrong


def test_chunk_extensions_are_names_with_tokens_or_quoted_strings() -> None:
    for good in (b"", b";a", b";a=b", b';a="b;c"', b';a="\\"";b'):
        assert is_extensions(good), good
    for bad in (b" ", b";", b";a=", b"a", b';a="', b";a b"):
        assert not is_extensions(bad), bad


def test_the_members_of_a_list_are_lower_case_without_empty_ones() -> None:
    assert members(b" Close, ,X-Y\t,, keep-alive ") == [b"close", b"x-y", b"keep-alive"]


@pytest.mark.parametrize(
    "hostile", [b"a: " + b" " * 65536 + b"\x00", b"a" * 65536, b";a=" + b'"\\a' * 20000, b"a: b\r\n" * 10000 + b"\n"]
)
def test_no_expression_is_slow(hostile: bytes) -> None:
    start = time.process_time()
    for expression in (field_block, is_value, is_token, is_extensions):
        expression(hostile)
    assert time.process_time() - start < 0.05
