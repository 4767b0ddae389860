"""How an application is called: start_response, write, the iterable and its close(). More of it is in
tests/e2e/hosting/test_wsgi_rules.py."""

import io
from typing import Any

import pytest

from clerestory.handlers.wsgi.heads import HeadError
from tests.handlers.wsgi.bench import bench_of


class Closing:
    def __init__(self, pieces: Any) -> None:
        self.pieces, self.closed = iter(pieces), 0

    def __iter__(self) -> Any:
        return self.pieces

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize("pieces", [[], [b"a"], [b"", b"a", b"b"], ["text"], [b"a", 3]])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_close_is_called_once_however_it_ends(pieces: list[Any], method: str) -> None:
    result = Closing(pieces)

    def called(environ: Any, start: Any) -> Any:
        start("200 OK", [])
        return result

    with bench_of(called) as bench:
        bench.ask(method)
        bench.rest()
    assert result.closed == 1


@pytest.mark.parametrize("result", [[b"a"], iter([b"a"]), [], iter([])])
def test_an_answer_that_was_not_started_is_refused(result: Any) -> None:
    with bench_of(lambda environ, start: result) as bench:
        carrier = bench.ask()
        bench.rest()
        assert isinstance(carrier.error, HeadError)


def test_a_file_has_its_length_and_a_wrapper_of_anything_is_read() -> None:
    def called(environ: Any, start: Any) -> Any:
        start("200 OK", [])
        return environ["wsgi.file_wrapper"](io.BytesIO(b"abc"), 2)

    with bench_of(called) as bench:
        carrier = bench.ask()
        assert carrier.whole() == b"abc"
        bench.rest()


def test_what_is_written_to_errors_is_told_also_without_an_end() -> None:
    def called(environ: Any, start: Any) -> Any:
        environ["wsgi.errors"].writelines(["one\ntw", "o"])
        raise RuntimeError

    with bench_of(called) as bench:
        bench.ask()
        bench.rest()
        assert [fields["text"] for _, name, fields in bench.log.events if name == "application_said"] == ["one", "two"]
