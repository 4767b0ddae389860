"""What is wrong where an upstream does not answer."""

import pytest

from clerestory.handlers.backends.upstream.errors import UpstreamError


@pytest.mark.parametrize(("status", "fields"), [(502, ()), (503, ((b"retry-after", b"1"),)), (504, ())])
def test_only_what_is_temporary_says_when_to_come_again(status: int, fields: tuple[tuple[bytes, bytes], ...]) -> None:
    assert UpstreamError(status, "busy", "It is busy.").fields == fields


def test_it_names_the_upstream_and_the_cause_for_operators() -> None:
    error = UpstreamError(502, "refused", "The connection failed.", "127.0.0.1:9000")
    assert str(error) == "502 127.0.0.1:9000 refused: The connection failed."
    assert (error.safe, error.reached, error.sent, error.stale) == (False, True, False, False)
