"""The options of TLS: what other servers call them is understood."""

import pytest

from clerestory.server.cli.assembly import gather
from clerestory.server.cli.options.tls import TLS_OPTIONS


@pytest.mark.parametrize(
    ("typed", "name"),
    [("--certfile", "tls_certificate"), ("--ssl-keyfile", "tls_key"), ("--ssl-ca-certs", "tls_client_ca")],
)
def test_what_other_servers_call_them_means_the_same(typed: str, name: str) -> None:
    _, settings = gather([typed, "file.pem"], {})
    assert settings[name] in ("file.pem", ("file.pem",))


def test_all_of_them_are_for_one_page_of_the_help() -> None:
    assert {option.group.name for option in TLS_OPTIONS} == {"tls"}
