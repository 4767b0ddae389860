"""What is said of a method that is not served."""

from clerestory.handlers.api.methods import REGISTERED, allow, not_allowed, not_supported


def test_the_registry_has_http_s_own_methods_and_not_the_http_2_preface() -> None:
    """RFC 9110 section 9.1, RFC 5789."""
    assert {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"} <= REGISTERED
    assert REGISTERED.isdisjoint({"PRI", "BREW", "get", ""})


def test_a_method_that_is_not_allowed_is_told_what_is() -> None:
    """RFC 9110 section 15.5.6: 405 has an Allow field."""
    error = not_allowed("POST", ["HEAD", "GET"])
    assert (error.status, error.detail) == (405, "POST is not allowed here; use GET, HEAD or OPTIONS.")
    assert error.fields == (allow({"GET", "HEAD"}),) == ((b"allow", b"GET, HEAD, OPTIONS"),)
    assert not_allowed("GET", []).detail == "GET is not allowed here; use OPTIONS."


def test_a_method_that_nobody_knows_is_not_supported() -> None:
    """RFC 9110 section 15.6.2."""
    error = not_supported("BREW")
    assert (error.status, error.detail, error.fields) == (501, "BREW is not supported.", ())
