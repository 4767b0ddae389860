"""Closing bodies: each kind in its own way, and what is wrong with it is told to the caller."""

import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from clerestory.handlers.api.bodies import close_body
from clerestory.handlers.api.messages import File
from tests.server.support import temporary

pytestmark = pytest.mark.usefixtures("every_descriptor_back")


def test_generators_of_both_kinds_run_their_finally() -> None:
    ran: list[str] = []

    def pieces() -> Iterator[bytes]:
        try:
            yield b""
        finally:
            ran.append("generator")

    async def later() -> AsyncIterator[bytes]:
        try:
            yield b""
        finally:
            ran.append("asynchronous generator")

    both: list[Any] = [pieces(), later()]
    next(both[0])
    with pytest.raises(StopIteration):
        both[1].__anext__().send(None)
    for one in both:
        close_body(one)
    assert ran == ["generator", "asynchronous generator"]


@pytest.mark.parametrize("kind", [list, tuple])
def test_files_in_a_list_are_closed(kind: type) -> None:
    files = [File(temporary(b"abc"), 0, 3) for _ in range(2)]
    close_body(kind([b"piece", *files]))
    assert [file.owned for file in files] == [False, False]


def test_a_file_whose_descriptor_is_none_any_more_is_closed_already() -> None:
    descriptor = temporary(b"abc")
    os.close(descriptor)
    close_body(File(descriptor, 0, 3))


@pytest.mark.parametrize("body", [b"bytes", None, 5, object()])
def test_what_cannot_be_closed_is_left(body: object) -> None:
    close_body(body)
