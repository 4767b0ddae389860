"""An error carries what its answer needs."""

from clerestory.handlers.api.errors import HTTPError


def test_an_error_has_a_status_a_detail_and_fields() -> None:
    error = HTTPError(405, "Not so.", ((b"allow", b"GET"),))
    assert (error.status, error.detail, error.fields) == (405, "Not so.", ((b"allow", b"GET"),))
    assert str(error) == "(405, 'Not so.')"


def test_detail_and_fields_may_be_left_out() -> None:
    assert (HTTPError(404).detail, HTTPError(404).fields) == ("", ())
