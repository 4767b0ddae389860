"""With what TLS is spoken: what is loaded, what is refused, which certificate is shown, and their renewal."""

import os
import shutil
import ssl
from pathlib import Path
from typing import Any

import pytest

from clerestory.server.net.tls import LOOK, CertificateError, Secure, load, make_certificate
from clerestory.server.options import TLSOptions
from tests.support.certificates import Authority

pytestmark = pytest.mark.usefixtures("every_descriptor_back")


class Told:
    """What was told."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, dict[str, Any]]] = []

    def __call__(self, level: str, event: str, **fields: Any) -> None:
        self.events.append((level, event, fields))

    @property
    def names(self) -> list[str]:
        return [event for _, event, _ in self.events]


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def files(authority: Authority, tmp_path: Path) -> tuple[Path, Path]:
    """A certificate and its key, to be replaced."""
    certificate, key = authority.issue("one.example")
    return Path(shutil.copy(certificate, tmp_path / "c.pem")), Path(shutil.copy(key, tmp_path / "k.pem"))


def options(*pairs: tuple[Any, Any], **further: Any) -> TLSOptions:
    return TLSOptions(tuple((str(file), None if key is None else str(key)) for file, key in pairs), **further)


# --- what is loaded


def test_a_context_speaks_what_is_current_and_nothing_older(authority: Authority) -> None:
    context = load(options(authority.issue())).default
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert context.options & ssl.OP_NO_COMPRESSION
    assert context.verify_mode is ssl.CERT_NONE


def test_clients_are_asked_for_a_certificate_where_an_authority_is_named(authority: Authority) -> None:
    context = load(options(authority.issue(), client_ca=authority.file)).default
    assert context.verify_mode is ssl.CERT_REQUIRED


def test_a_key_may_be_in_the_file_of_its_certificate(authority: Authority, tmp_path: Path) -> None:
    certificate, key = map(Path, authority.issue())
    both = tmp_path / "both.pem"
    both.write_bytes(key.read_bytes() + certificate.read_bytes())
    assert load(options((both, None))).loaded[0].certificate.names == ("127.0.0.1",)


def test_one_for_this_run_needs_no_file() -> None:
    assert "localhost" in load(TLSOptions(self_signed=True), "127.0.0.1").loaded[0].certificate.names


# --- what is refused, each in one line that says which file and why


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_a_file_that_is_not_there_is_named(authority: Authority, tmp_path: Path) -> None:
    certificate, key = authority.issue()
    for wrong, option in (
        (options((tmp_path / "none.pem", key)), "--tls-certificate"),
        (options((certificate, tmp_path / "none.pem")), "--tls-key"),
        (options((certificate, key), client_ca=str(tmp_path / "none.pem")), "--tls-client-ca"),
    ):
        with pytest.raises(CertificateError) as raised:
            load(wrong)
        assert str(raised.value) == f"{option} {tmp_path}/none.pem: No such file or directory"


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not hold for the superuser")
def test_a_file_that_may_not_be_read_is_named(files: tuple[Path, Path]) -> None:
    files[1].chmod(0)
    with pytest.raises(CertificateError, match=r"--tls-key .*: Permission denied"):
        load(options(files))


def test_a_key_of_another_certificate_does_not_fit(authority: Authority) -> None:
    (certificate, _), (_, key) = authority.issue(), authority.issue()
    with pytest.raises(CertificateError, match="is not the key of"):
        load(options((certificate, key)))


@pytest.mark.parametrize("content", [b"", b"rubbish", b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n"])
def test_a_file_without_a_certificate_is_told(authority: Authority, tmp_path: Path, content: bytes) -> None:
    _, key = authority.issue()
    with pytest.raises(CertificateError, match="there is no certificate"):
        load(options((write(tmp_path / "c.pem", content), key)))


def test_a_file_without_a_key_is_told(authority: Authority, tmp_path: Path) -> None:
    certificate, _ = authority.issue()
    with pytest.raises(CertificateError, match="name the key's file with --tls-key"):
        load(options((certificate, None)))
    with pytest.raises(CertificateError, match="there is no private key in PEM in it"):
        load(options((certificate, write(tmp_path / "k.pem", b"rubbish"))))


def test_an_authority_without_a_certificate_is_told(authority: Authority, tmp_path: Path) -> None:
    with pytest.raises(CertificateError, match=r"--tls-client-ca .*: there is no certificate in it"):
        load(options(authority.issue(), client_ca=str(write(tmp_path / "ca.pem", b"rubbish"))))


def test_an_encrypted_key_is_refused_instead_of_asking_on_the_terminal(authority: Authority, tmp_path: Path) -> None:
    serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
    certificate, key = authority.issue()
    read = serialization.load_pem_private_key(Path(key).read_bytes(), None)
    hidden = read.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"secret")
    )
    with pytest.raises(CertificateError, match="the key is encrypted: decrypt it"):
        load(options((certificate, write(tmp_path / "k.pem", hidden))))


# --- which one is shown


def test_the_certificate_is_chosen_by_name_and_the_first_is_the_default(authority: Authority) -> None:
    found = load(
        options(authority.issue("a.example"), authority.issue("b.example", "*.c.example"), authority.issue("a.example"))
    )
    first, second, _ = (one.context for one in found.loaded)
    assert found.find("a.example") is first
    assert found.find("B.Example") is second
    assert found.find("x.c.example") is second
    for other in ("c.example", "x.y.c.example", "unknown.example", ""):
        assert found.find(other) is first


# --- renewal


def test_files_that_change_are_loaded_for_the_connections_that_come_then(
    files: tuple[Path, Path], authority: Authority, told: Told
) -> None:
    secure = Secure(options(files), "", told, 0.0)
    before = secure.context(0.0)
    certificate, key = authority.issue("two.example")
    shutil.copy(certificate, files[0])
    shutil.copy(key, files[1])
    assert secure.context(LOOK / 2) is before, "files are not looked at for each connection"
    after = secure.context(LOOK)
    assert after is not before
    assert secure.context(3 * LOOK) is after
    assert told.names == ["certificates_reloaded"]


def test_a_bad_new_one_is_refused_and_told_once_and_the_old_one_stays(
    files: tuple[Path, Path], authority: Authority, told: Told
) -> None:
    secure = Secure(options(files), "", told, 0.0)
    before = secure.context(0.0)
    certificate, key = authority.issue("two.example")
    shutil.copy(certificate, files[0])  # and not yet its key
    for turn in range(1, 5):
        assert secure.context(turn * LOOK) is before
    assert told.names == ["certificates_refused"]
    assert "is not the key of" in told.events[0][2]["reason"]
    shutil.copy(key, files[1])
    assert secure.context(5 * LOOK) is not before
    assert told.names == ["certificates_refused", "certificates_reloaded"]


def test_files_that_vanish_are_refused_likewise(files: tuple[Path, Path], told: Told) -> None:
    secure = Secure(options(files), "", told, 0.0)
    before = secure.context(0.0)
    files[0].unlink()
    assert not secure.reload()
    assert secure.context(0.0) is before


def test_a_reload_that_is_asked_for_does_not_wait_for_the_next_look(files: tuple[Path, Path], told: Told) -> None:
    secure = Secure(options(files), "", told, 0.0)
    before = secure.context(0.0)
    assert secure.reload()
    assert secure.context(0.0) is not before


def test_a_certificate_at_its_end_is_told(authority: Authority, told: Told) -> None:
    Secure(options(authority.issue(days=-1)), "", told, 0.0)
    Secure(options(authority.issue(days=3)), "", told, 0.0)
    Secure(options(authority.issue(days=300)), "", told, 0.0)
    assert told.names == ["certificate_expired", "certificate_ends_soon"]


def test_one_that_is_made_is_told_to_be_so_and_stays(told: Told) -> None:
    secure = Secure(TLSOptions(self_signed=True), "127.0.0.1", told, 0.0)
    before = secure.context(0.0)
    assert secure.reload()
    assert secure.context(10 * LOOK) is before
    assert told.names == ["certificate_made"]


def test_one_that_another_process_has_made_is_taken_and_not_told_again(told: Told) -> None:
    made = make_certificate("127.0.0.1")
    first = Secure(TLSOptions(self_signed=True, made=made), "127.0.0.1", told, 0.0)
    second = Secure(TLSOptions(self_signed=True, made=made), "127.0.0.1", told, 0.0)
    assert told.names == []
    assert first._contexts.loaded[0].certificate == second._contexts.loaded[0].certificate
    assert not first.has_files
    assert made.decode() not in repr(TLSOptions(self_signed=True, made=made))
