"""What `send()` raises: an OSError where the client has gone, as the specification asks since 2.4."""

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.asgi.errors import ClientDisconnected, EventError, incomplete


def test_a_departure_is_an_oserror_and_a_wrong_event_is_none() -> None:
    assert issubclass(ClientDisconnected, OSError)
    assert issubclass(EventError, RuntimeError)
    assert not issubclass(EventError, OSError)


def test_an_end_before_the_answers_is_a_fault_unless_the_server_ends() -> None:
    told = incomplete(begun=False, told=True)
    assert isinstance(told, HTTPError)
    assert told.status == 503
    for begun, was_told, said in ((True, True, "did not end it"), (False, False, "without an answer")):
        fault = incomplete(begun=begun, told=was_told)
        assert isinstance(fault, EventError)
        assert said in str(fault)
