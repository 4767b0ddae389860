"""Certificates made for a test: an authority, and servers that it vouches for, or does not."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp

import trustme

HOST = "127.0.0.1"


class Authority:
    """Vouches for servers and clients; `file` is what trusts it."""

    def __init__(self, directory: Path) -> None:
        self._authority = trustme.CA()
        self._directory = directory
        self.file = str(directory / "authority.pem")
        self._authority.cert_pem.write_to_path(self.file)

    def server(self, *names: str) -> ssl.SSLContext:
        """What a server of these names and addresses speaks TLS with."""
        return _context(self._authority.issue_cert(*(names or (HOST,))))

    def issue(self, *names: str, days: int = 365, common_name: str | None = None) -> tuple[str, str]:
        """The files of a certificate for these names and addresses, and of its key."""
        end = datetime.now(UTC) + timedelta(days=days)
        made = self._authority.issue_cert(*(names or (HOST,)), common_name=common_name, not_after=end)
        folder = Path(mkdtemp(dir=self._directory))
        certificate, key = folder / "certificate.pem", folder / "key.pem"
        certificate.write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
        made.private_key_pem.write_to_path(str(key))
        return str(certificate), str(key)

    def client(self, *pair: str, alpn: str = "http/1.1") -> ssl.SSLContext:
        """What a client that trusts this authority speaks TLS with; with a certificate of its own, where it has one."""
        context = ssl.create_default_context(cafile=self.file)
        context.set_alpn_protocols([alpn])
        if pair:
            context.load_cert_chain(*pair)
        return context

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
