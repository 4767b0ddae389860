"""What TLS has negotiated for the connection that a request came on."""

from typing import NamedTuple


class Security(NamedTuple):
    """`version` is `TLSv1.2` or `TLSv1.3`; `cipher` the cipher suite's name; `name` the server name that the client
    asked for (SNI), or empty; `own` the certificate that we have shown, PEM. `certificate` is the client's, DER, where
    one was asked for and shown: it has been verified; `subject` is whom it names, as RFC 4514 writes it.
    """

    version: str
    cipher: str
    name: str = ""
    own: str = ""
    certificate: bytes | None = None
    subject: str = ""
