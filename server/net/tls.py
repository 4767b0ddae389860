"""What TLS is spoken with: certificates, contexts, the choice between them by server name, and their renewal.

- The first certificate is the default: for a client that names no server, or one that no certificate is for.
- What is loaded is whole or not at all: new files are loaded beside the old ones, and take their place only when every
  one of them is good. A connection keeps what it began with.
- Files are looked at, by the kernel's note of when they changed, at most every LOOK seconds, and only while new
  connections come: not on the way of a request.
"""

import os
import ssl
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from clerestory.handlers.wire.tls import prepare
from clerestory.server.net.certificates import Certificate, read_certificate
from clerestory.server.net.self_signed import NothingMakesOneError, as_file, make, names_for
from clerestory.server.options import TLSOptions

LOOK = 3.0
"""Seconds between two looks at the files: a certificate is renewed weeks before it is needed."""

SOON = 7
"""Days before its end from which a certificate that is loaded is warned about."""

Tell = Callable[..., None]


class CertificateError(Exception):
    """TLS cannot be spoken with these files; the message is one line."""


class Loaded(NamedTuple):
    """One certificate that has been loaded, and what it is for."""

    context: ssl.SSLContext
    certificate: Certificate
    file: str


class Contexts:
    """The contexts of some certificates. `default` is the first one's, which all handshakes begin with."""

    __slots__ = ("_by_name", "default", "loaded")

    def __init__(self, loaded: Sequence[Loaded]) -> None:
        self.loaded = loaded
        self.default = loaded[0].context
        self._by_name: dict[str, ssl.SSLContext] = {}
        for one in loaded:
            for name in one.certificate.names:
                self._by_name.setdefault(name, one.context)
        if len(loaded) > 1:
            for one in loaded:
                one.context.sni_callback = self._choose  # type: ignore[assignment]
        else:
            self.default.sni_callback = _note  # type: ignore[assignment]

    def find(self, name: str) -> ssl.SSLContext:
        """The context for `name`: of a certificate for just that name, for all names of its domain, or the default."""
        name = name.lower()
        found = self._by_name.get(name) or self._by_name.get("*." + name.partition(".")[2])
        return found or self.default

    def is_for(self, name: str) -> bool:
        """Whether a certificate is for the host `name`; one that names none is for any."""
        if name in self._by_name or "*." + name.partition(".")[2] in self._by_name:
            return True
        return any(not one.certificate.names for one in self.loaded)

    def _choose(self, secret: ssl.SSLSocket, name: str | None, context: ssl.SSLContext) -> None:
        _note(secret, name, context)
        if name:
            chosen = self.find(name)
            if chosen is not context:
                secret.context = chosen


def _note(secret: ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> None:
    """Keep which name was asked for."""
    if name:
        secret.name = name  # type: ignore[attr-defined]


def load(options: TLSOptions, host: str = "") -> Contexts:
    """The contexts for the certificates of `options`; one that is made is for `host`. Raises CertificateError."""
    if not options.self_signed:
        return Contexts([_load(file, key, options) for file, key in options.pairs])
    with as_file(options.made or make_certificate(host)) as file:
        return Contexts([_load(file, None, options)])


def make_certificate(host: str) -> bytes:
    """A certificate for `host` that nobody vouches for, and its key, in PEM. Raises CertificateError."""
    try:
        return make(names_for(host), datetime.fromtimestamp(time.time(), UTC))
    except NothingMakesOneError as error:
        raise CertificateError(f"--tls-self-signed: {error}") from error


def tell_of_made(names: Sequence[str], tell: Tell) -> None:
    """Say that a certificate was made, and for what."""
    hint = "clients do not trust it: it is for development; each start makes another"
    tell("warning", "certificate_made", names=list(names), hint=hint)


def _load(file: str, key: str | None, options: TLSOptions) -> Loaded:
    _readable("--tls-certificate", file)
    if key is not None:
        _readable("--tls-key", key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | getattr(ssl, "OP_ENABLE_KTLS", 0)
    context.set_alpn_protocols(["h2", "http/1.1"] if options.http2 else ["http/1.1"])
    try:
        own = _first_certificate(file)
        certificate = read_certificate(ssl.PEM_cert_to_DER_cert(own))
    except ValueError as error:
        raise CertificateError(f"--tls-certificate {file}: there is no certificate in PEM in it") from error
    try:
        context.load_cert_chain(file, key, _refuse_password)
    except ssl.SSLError as error:
        raise CertificateError(_explained(error, file, key)) from error
    except ValueError as error:  # of _refuse_password
        raise CertificateError(f"--tls-key {key or file}: {error}: decrypt it with `openssl pkey`") from error
    if options.client_ca is not None:
        _readable("--tls-client-ca", options.client_ca)
        try:
            context.load_verify_locations(options.client_ca)
        except ssl.SSLError as error:
            raise CertificateError(f"--tls-client-ca {options.client_ca}: there is no certificate in it") from error
        context.verify_mode = ssl.CERT_REQUIRED
    prepare(context, own)
    return Loaded(context, certificate, file)


def _first_certificate(file: str) -> str:
    with open(file, encoding="latin-1") as stream:
        text = stream.read()
    begin, end = text.find(ssl.PEM_HEADER), text.find(ssl.PEM_FOOTER)
    if not 0 <= begin < end:
        raise ValueError("no certificate")
    return text[begin : end + len(ssl.PEM_FOOTER)]


def _readable(option: str, file: str) -> None:
    try:
        with open(file, "rb"):
            pass
    except OSError as error:
        raise CertificateError(f"{option} {file}: {error.strerror}") from error


def _refuse_password() -> str:
    """OpenSSL would ask on the terminal."""
    raise ValueError("the key is encrypted")


def _explained(error: ssl.SSLError, file: str, key: str | None) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"--tls-key {key or file} is not the key of --tls-certificate {file}"
    if key is None:
        return f"--tls-certificate {file}: there is no private key in it: name the key's file with --tls-key"
    return f"--tls-key {key}: there is no private key in PEM in it"


class Secure:
    """What a listener speaks TLS with, and its renewal. `tell` is told, as a log's event with its level, what happens.

    Raises CertificateError where it cannot begin.
    """

    __slots__ = ("_contexts", "_due", "_options", "_seen", "_tell")

    def __init__(self, options: TLSOptions, host: str, tell: Tell, now: float) -> None:
        self._options = options
        self._tell = tell
        self._seen = self._stamps()
        self._contexts = load(options, host)
        self._due = now + LOOK
        if not options.self_signed:
            self._warn()
        elif not options.made:
            tell_of_made(self._contexts.loaded[0].certificate.names, tell)

    def context(self, now: float) -> ssl.SSLContext:
        """What a new connection begins with."""
        if now >= self._due:
            self._due = now + LOOK
            if self._stamps() != self._seen:
                self.reload()
        return self._contexts.default

    def is_for(self, name: str) -> bool:
        """As Contexts.is_for."""
        return self._contexts.is_for(name)

    @property
    def has_files(self) -> bool:
        """Whether it was loaded from files, which may have been renewed."""
        return not self._options.self_signed

    def reload(self) -> bool:
        """Load the files again; whether they are good. If not, that is told once, and what was loaded stays."""
        if self._options.self_signed:
            return True
        self._seen = self._stamps()
        try:
            self._contexts = load(self._options)
        except CertificateError as error:
            self._tell(
                "error",
                "certificates_refused",
                reason=str(error),
                hint="the old ones go on being used; the new files are looked at again when they change",
            )
            return False
        self._tell(
            "info",
            "certificates_reloaded",
            files=[one.file for one in self._contexts.loaded],
            until=[one.certificate.until.isoformat() for one in self._contexts.loaded],
        )
        self._warn()
        return True

    def _stamps(self) -> list[tuple[int, int, int] | None]:
        """What shows that a file has changed."""
        found: list[tuple[int, int, int] | None] = []
        for file in self._options.files():
            try:
                status = os.stat(file)
            except OSError:
                found.append(None)
            else:
                found.append((status.st_mtime_ns, status.st_ino, status.st_size))
        return found

    def _warn(self) -> None:
        """Say which certificates are at their end."""
        now = datetime.fromtimestamp(time.time(), UTC)
        for one in self._contexts.loaded:
            left = (one.certificate.until - now).days
            if left < SOON:
                what = "certificate_expired" if one.certificate.until <= now else "certificate_ends_soon"
                self._tell("warning", what, file=one.file, until=one.certificate.until.isoformat())
