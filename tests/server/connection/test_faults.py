"""What is answered to what a handler raised, and what the log is told of it."""

from typing import Any

import pytest

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.messages import Request
from clerestory.server.connection.faults import answer_to
from tests.server.support import bench_of, hello

REQUEST = Request("GET", "/", ((b"accept", b"text/plain"),))


class Odd(HTTPError):
    """One that cannot be made a page of."""

    @property
    def status(self) -> Any:
        raise KeyError("no status")

    @status.setter
    def status(self, value: int) -> None:
        """Nothing is kept."""


@pytest.mark.parametrize("request_of", [REQUEST, None])
@pytest.mark.parametrize(
    ("error", "status", "is_logged"),
    [(HTTPError(404, "It is not here."), 404, False), (KeyError("secret"), 500, True), (SystemExit(), 500, True)],
)
def test_an_http_error_is_an_answer_and_all_else_is_for_the_log_alone(
    error: BaseException, status: int, is_logged: bool, request_of: Request | None
) -> None:
    with bench_of(hello) as bench:
        connection = bench.connect().connection
        answer = answer_to(connection, request_of, error)
        assert answer.status == status
        assert b"secret" not in answer.body  # type: ignore[operator]
        assert bool(bench.logs.take()) is is_logged


def test_an_http_error_of_which_no_answer_can_be_made_is_a_fault_of_its_own() -> None:
    with bench_of(hello) as bench:
        answer = answer_to(bench.connect().connection, REQUEST, Odd(404, "It is not here."))
        assert answer.status == 500
        assert bench.logs.take() != []
