"""A door: connections are handed over without a name, whoever has gone is noticed, and nobody is waited for."""

import contextlib
import errno
import os
import resource
import socket

import pytest

from clerestory.server.net.door import Inside, Outside, door

pytestmark = pytest.mark.usefixtures("every_descriptor_back")


def both() -> tuple[Outside, Inside]:
    outside, theirs = door()
    return outside, Inside.at(theirs.detach())


def test_a_connection_is_handed_over_and_leads_both_ways() -> None:
    outside, inside = both()
    with inside, outside.connect() as ours:
        theirs, _ = inside.accept()
        with theirs:
            assert not os.get_inheritable(theirs.fileno())
            ours.send(b"asked")
            assert theirs.recv(10) == b"asked"
            theirs.send(b"answered")
            assert ours.recv(10) == b"answered"
    outside.close()


def test_each_is_accepted_once_in_their_order() -> None:
    outside, inside = both()
    opened = [outside.connect() for _ in range(3)]
    for number, one in enumerate(opened):
        one.send(b"%d" % number)
    with inside:
        for number in range(3):
            with inside.accept()[0] as accepted:
                assert accepted.recv(1) == b"%d" % number
        with pytest.raises(BlockingIOError):
            inside.accept()
    for one in opened:
        one.close()
    outside.close()


def test_nobody_is_waited_for_who_does_not_accept() -> None:
    outside, inside = both()
    opened: list[socket.socket] = []
    with contextlib.suppress(BlockingIOError):
        while len(opened) < 10_000:
            opened.append(outside.connect())
    assert len(opened) < 10_000
    with inside:
        inside.accept()[0].close()
        outside.connect().close()
    for one in opened:
        one.close()
    outside.close()


def test_without_a_descriptor_the_connection_is_lost_and_the_reason_is_told() -> None:
    outside, inside = both()
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    with inside, outside.connect() as ours:
        spare = os.open(os.devnull, os.O_RDONLY)
        os.close(spare)
        resource.setrlimit(resource.RLIMIT_NOFILE, (spare, before[1]))
        try:
            with pytest.raises(OSError, match="Too many open files") as raised:
                inside.accept()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
        assert raised.value.errno == errno.EMFILE
        assert ours.recv(1) == b""
    outside.close()


def test_each_side_notices_that_the_other_has_gone() -> None:
    outside, inside = both()
    outside.close()
    with inside, pytest.raises(OSError, match="other end") as raised:
        inside.accept()
    assert raised.value.errno == errno.ENOTSOCK
    with pytest.raises(OSError, match="Bad file descriptor"):
        outside.connect()
    outside, inside = both()
    inside.close()
    with pytest.raises(BrokenPipeError):
        outside.connect()
    outside.close()
