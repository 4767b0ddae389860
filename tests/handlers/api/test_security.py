"""What a request knows of the TLS that it came over."""

from clerestory.handlers.api.messages import Request
from clerestory.handlers.api.security import Security


def test_a_request_over_tls_has_the_scheme_https() -> None:
    assert Request("GET", "/", ()).scheme == "http"
    secure = Request("GET", "/", (), security=Security("TLSv1.3", "TLS_AES_256_GCM_SHA384"))
    assert secure.scheme == "https"


def test_without_a_certificate_of_the_client_nobody_is_named() -> None:
    security = Security("TLSv1.2", "ECDHE-RSA-AES256-GCM-SHA384")
    assert (security.name, security.certificate, security.subject) == ("", None, "")
