"""What an `await` hands to the executor, and what it gets back."""

import pytest

from clerestory.handlers.api.operations import NEXT_PIECE, Executor, HalfClose, Operation, span


class Answer(Operation):
    """An operation that a test ends by hand."""

    def start(self, executor: Executor) -> None:
        raise AssertionError("a test starts nothing")

    def cancel(self) -> None:
        raise AssertionError("a test cancels nothing")

    def describe(self) -> str:
        return "a test"


async def wait_for(operation: Operation) -> object:
    return await operation


def test_await_hands_over_the_operation_and_gets_its_result() -> None:
    operation = Answer()
    coroutine = wait_for(operation)
    assert coroutine.send(None) is operation
    with pytest.raises(StopIteration) as stopped:
        coroutine.send(42)
    assert stopped.value.value == 42


def test_an_error_is_raised_at_the_await() -> None:
    coroutine = wait_for(Answer())
    coroutine.send(None)
    with pytest.raises(LookupError, match="gone"):
        coroutine.throw(LookupError("gone"))


def test_an_operation_says_how_it_is_begun_given_up_and_described() -> None:
    class Half(Operation):
        def start(self, executor: Executor) -> None: ...

    with pytest.raises(TypeError, match="abstract method"):
        Half()  # type: ignore[abstract]


def test_an_operation_is_worth_an_answer_and_holds_nothing_unless_it_says_otherwise() -> None:
    assert Answer().client_closed() is HalfClose.ANSWER
    assert Answer().holds() is None


def test_the_next_piece_is_no_operation() -> None:
    async def handler() -> bytes:
        return await NEXT_PIECE

    coroutine = handler()
    assert coroutine.send(None) is NEXT_PIECE
    assert not isinstance(NEXT_PIECE, Operation)
    with pytest.raises(StopIteration) as stopped:
        coroutine.send(b"piece")
    assert stopped.value.value == b"piece"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0.0 s"), (119.94, "119.9 s"), (200, "3 min 20 s"), (7199, "119 min 59 s"), (7500, "2 h 05 min")],
)
def test_a_span_is_told_as_people_tell_it(seconds: float, words: str) -> None:
    assert span(seconds) == words


def test_a_general_deadline_counts_unless_an_operation_says_that_it_has_its_own() -> None:
    assert Answer().keeps_time() is False
