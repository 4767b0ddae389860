"""A certificate for development that nobody vouches for: made at the start by what is there, and gone with the process.

It is made by the command `openssl`, or by the package `cryptography`; the key never lies in a file that others could
read.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from ipaddress import ip_address

DAYS = 30
"""For as long as a process of a developer may run; a browser's exception for it ends then, too."""

TIMEOUT = 10.0
"""Seconds for the command."""


class NothingMakesOneError(Exception):
    """There is nothing here that makes a certificate."""


def names_for(host: str) -> list[str]:
    """What a certificate is for where the server listens on `host`."""
    names = ["localhost", "127.0.0.1", "::1"]
    return names if not host or host in (*names, "0.0.0.0", "::") else [host, *names]


def make(names: Sequence[str], now: datetime) -> bytes:
    """A key and a certificate for `names`, in PEM, good from `now` on. Raises NothingMakesOneError."""
    command = shutil.which("openssl")
    made = _by_command(command, names) if command is not None else b""
    if not made:
        try:
            made = _by_package(names, now)
        except ImportError:
            raise NothingMakesOneError(
                "there is neither the command openssl nor the package cryptography: install one of them, "
                "or name files with --tls-certificate and --tls-key"
            ) from None
    return made


def _by_command(command: str, names: Sequence[str]) -> bytes:
    listed = ",".join(f"{'IP' if _is_address(name) else 'DNS'}:{name}" for name in names)
    words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-days", str(DAYS)]
    words += ["-subj", "/CN=Clerestory self-signed", "-addext", f"subjectAltName={listed}"]
    words += ["-addext", "extendedKeyUsage=serverAuth", "-keyout", "-", "-out", "-"]
    try:
        done = subprocess.run(  # noqa: S603 - the words are ours
            [command, *words], stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return b""
    return done.stdout


def _by_package(names: Sequence[str], now: datetime) -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Clerestory self-signed")])
    listed = [x509.IPAddress(ip_address(one)) if _is_address(one) else x509.DNSName(one) for one in names]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=DAYS))
        .add_extension(x509.SubjectAlternativeName(listed), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    form = serialization.PrivateFormat.PKCS8
    hidden = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    return hidden + made.public_bytes(serialization.Encoding.PEM)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def in_memory(pem: bytes) -> int:
    """A descriptor of a file in memory that holds `pem`, for processes that are executed from here. Raises OSError."""
    descriptor = os.memfd_create("certificate", os.MFD_CLOEXEC)
    os.write(descriptor, pem)
    return descriptor


def from_memory(descriptor: int) -> bytes:
    """What the file holds that was made by `in_memory`; it is closed."""
    pem = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
    os.close(descriptor)
    return pem


@contextmanager
def as_file(pem: bytes) -> Iterator[str]:
    """A file that holds `pem` for as long as the block lasts: in memory where the system has that, so that no directory
    has to be writable."""
    if hasattr(os, "memfd_create"):
        descriptor = in_memory(pem)
        try:
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
    else:
        with tempfile.NamedTemporaryFile(suffix=".pem") as file:
            file.write(pem)
            file.flush()
            yield file.name
