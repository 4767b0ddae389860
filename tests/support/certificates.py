"""Certificates made for a test: an authority, and servers that it vouches for, or does not."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

HOST = "127.0.0.1"


class Authority:
    """Vouches for servers; `file` is what trusts it."""

    def __init__(self, directory: Path) -> None:
        self._authority = trustme.CA()
        self.file = str(directory / "authority.pem")
        self._authority.cert_pem.write_to_path(self.file)

    def server(self, *names: str) -> ssl.SSLContext:
        """What a server of these names and addresses speaks TLS with."""
        return _context(self._authority.issue_cert(*(names or (HOST,))))

    def expired(self) -> ssl.SSLContext:
        """The same, but yesterday was its last day."""
        yesterday = datetime.now(UTC) - timedelta(days=1)
        return _context(self._authority.issue_cert(HOST, not_after=yesterday))


def stranger() -> ssl.SSLContext:
    """A server for which only somebody unknown vouches."""
    return _context(trustme.CA().issue_cert(HOST))


def _context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context
