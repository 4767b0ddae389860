"""The options of TLS: certificates and their keys, in pairs."""

import pytest

from clerestory.server.cli.assembly import gather
from clerestory.server.cli.settings import UsageError
from clerestory.server.cli.tls import tls_of
from clerestory.server.options import TLSOptions


def parsed(*words: str) -> TLSOptions | None:
    return tls_of(gather(list(words), {})[1])


def test_without_a_certificate_no_tls_is_spoken() -> None:
    assert parsed() is None


def test_certificates_and_keys_are_pairs_in_their_order() -> None:
    found = parsed(
        *("--tls-certificate", "a", "--tls-certificate", "b", "--tls-key", "x", "--tls-key", "y"),
        *("--tls-client-ca", "c"),
    )
    assert found == TLSOptions((("a", "x"), ("b", "y")), "c")
    assert found.files() == ["a", "x", "b", "y", "c"]


def test_keys_may_be_left_out_all_together() -> None:
    assert parsed("--tls-certificate", "a", "--tls-certificate", "b") == TLSOptions((("a", None), ("b", None)))


def test_one_may_be_made() -> None:
    assert parsed("--tls-self-signed") == TLSOptions(self_signed=True)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--tls-key", "k"], "need a --tls-certificate"),
        (["--tls-client-ca", "k"], "need a --tls-certificate"),
        (["--tls-certificate", "a", "--tls-certificate", "b", "--tls-key", "k"], "give each its key"),
        (["--tls-self-signed", "--tls-certificate", "a"], "leave out --tls-certificate"),
    ],
)
def test_what_does_not_fit_together_is_said(words: list[str], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        parsed(*words)
