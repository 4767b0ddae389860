"""The shared grammar: what is a token, a value, a length, a field block; and that none of it is slow."""

from collections.abc import Callable

import pytest

from clerestory.handlers.wire.grammar import (
    begins_extensions,
    field_block,
    field_lines,
    is_extensions,
    is_length,
    is_token,
    is_value,
    members,
)
from tests.support.growth import grows_in_proportion


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


def test_chunk_extensions_are_names_with_tokens_or_quoted_strings_and_white_space_around_their_marks() -> None:
    """RFC 9112 section 7.1.1: bad white space stands before and behind a semicolon and an equals sign, nowhere else."""
    spaced = (b" ;a", b"; a", b"\t; a\t=  b", b';a = "b c" ; d', b"; a ;b ; c= d")
    for good in (b"", b";a", b";a=b", b';a="b;c"', b';a="\\"";b', b";a;b=c;d", b';a="";b=""', *spaced):
        assert is_extensions(good), good
        for end in range(len(good) + 1):
            assert begins_extensions(good[:end]), good[:end]
    for bad in (b" ", b";", b";a=", b"a", b';a="', b";a b", b";a ", b";a=b ", b";a= ", b"; ", b' ;a="b" '):
        assert not is_extensions(bad), bad
    misplaced = (
        b" a",
        b" =",
        b"; ;",
        b"; =",
        b";a b",
        b";a = =",
        b";a=b c",
        b";a=b =",
        b';a="b" c',
        b";a= \r",
        b"\n;a",
    )
    for hopeless in (b"a", b"=", b";;", b";=", b";a==", b";a=b=", b';a="b"c', b';a=b"', b";a=\r", *misplaced):
        assert not begins_extensions(hopeless), hopeless


def test_the_members_of_a_list_are_lower_case_without_empty_ones() -> None:
    assert members(b" Close, ,X-Y\t,, keep-alive ") == [b"close", b"x-y", b"keep-alive"]


HOSTILE: list[Callable[[int], bytes]] = [
    lambda count: b"a: " + b" " * count + b"\x00",
    lambda count: b"a" + b" " * count,
    lambda count: b"a a" * count + b"\x00",
    lambda count: b"a" * count,
    lambda count: b";a=" + b'"\\a' * count,
    lambda count: b';a="' + b"\\a" * count + b"\x00",
    lambda count: b";a=b" * count + b" ",
    lambda count: b";a" + b" " * count + b"\x00",
    lambda count: b" ; a = b" * count + b"=",
    lambda count: b"; " * count,
    lambda count: b"a: b\r\n" * count + b"\n",
]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_no_expression_is_slow(hostile: Callable[[int], bytes]) -> None:
    def match(count: int) -> None:
        for expression in (field_block, is_value, is_token, is_extensions, begins_extensions):
            expression(hostile(count))

    assert grows_in_proportion(match, 4096)
