"""A worker's assignment: written by the supervisor, read once, and not inherited."""

import os
import socket

import pytest

from clerestory.server.process.assignment import VARIABLE, Assignment, take_assignment


def test_what_is_written_is_read_once() -> None:
    """A process that the application starts is no worker."""
    assignment = Assignment(7, 3, 11, (12, 13), 1, 14, 15)
    environment = {VARIABLE: assignment.to_text(), "OTHER": "stays"}
    assert take_assignment(environment) == assignment
    assert environment == {"OTHER": "stays"}
    assert take_assignment(environment) is None


def test_only_what_there_is_is_inherited() -> None:
    assert Assignment(7, 3, 11, (12, 13)).inherited() == (11, 12, 13)
    assert Assignment(7, 3, 11, (), 0, 14, 15, 16).inherited() == (11, 14, 15, 16)


@pytest.mark.parametrize("text", ["", "1", "1 2", "a b c", "1 2 3"])
def test_what_no_supervisor_has_written_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        take_assignment({VARIABLE: text})


def test_the_sockets_are_those_and_are_not_inherited_further() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        inherited = os.dup(listening.fileno())
        os.set_inheritable(inherited, True)
        (found,) = Assignment(1, 1, 0, (inherited,)).sockets()
        with found:
            assert found.getsockname() == listening.getsockname()
            assert not os.get_inheritable(found.fileno())
