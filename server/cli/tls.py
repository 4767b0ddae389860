"""The settings of TLS, as the process that serves wants them."""

from collections.abc import Mapping
from typing import Any

from clerestory.server.cli.settings import UsageError
from clerestory.server.options import TLSOptions


def tls_of(settings: Mapping[str, Any]) -> TLSOptions | None:
    """With what TLS is spoken; None where it is not. Raises UsageError."""
    if settings["redirect_http"] or settings["hsts"]:
        name = "redirect-http" if settings["redirect_http"] else "hsts"
        if not (settings["tls_certificate"] or settings["tls_self_signed"]):
            raise UsageError(f"--{name} is for a server that speaks TLS: give it a --tls-certificate")
    certificates, keys, authority = settings["tls_certificate"], settings["tls_key"], settings["tls_client_ca"]
    if settings["tls_self_signed"]:
        if certificates or keys:
            raise UsageError("--tls-self-signed makes a certificate: leave out --tls-certificate and --tls-key")
        return TLSOptions(client_ca=authority, self_signed=True)
    if not certificates:
        if keys or authority:
            raise UsageError("--tls-key and --tls-client-ca need a --tls-certificate")
        return None
    if keys and len(keys) != len(certificates):
        raise UsageError(
            f"there are {len(certificates)} --tls-certificate and {len(keys)} --tls-key: give each its key, in the "
            "same order, or none where the keys are in the certificates' files"
        )
    pairs = zip(certificates, keys or [None] * len(certificates), strict=True)
    return TLSOptions(tuple(pairs), authority)
