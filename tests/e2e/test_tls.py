"""TLS for clients: real clients and certificates, handshakes that are cut, slow, or many, and what is told of them."""

import json
import signal
import socket
import ssl
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.conftest import Start
from tests.support.applications import pattern
from tests.support.certificates import HOST, Authority
from tests.support.client import Client, CutShort, SecureAddress, request
from tests.support.server import ServerProcess
from tests.support.waiting import PATIENCE, eventually
from tests.support.xray import read

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def secure(start: Start, authority: Authority) -> ServerProcess:
    """A server with one certificate, and nothing else than the defaults."""
    certificate, key = authority.issue()
    server: ServerProcess = start(
        "--tls-certificate", certificate, "--tls-key", key, "--handshake-timeout", "2", trusting=authority.client()
    )
    return server


def curl(server: ServerProcess, *options: str, target: str = "/hello") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["curl", "-sS", "--max-time", str(PATIENCE), *options, server.url.rstrip("/") + target],
        capture_output=True,
        text=True,
        check=False,
    )


def state_of(server: ServerProcess) -> str:
    """The state of its first connection."""
    return str(json.loads(read(server, "connections/1"))["state"])


def first_message(authority: Authority) -> bytes:
    """What a client of TLS says first."""
    outgoing = ssl.MemoryBIO()
    client = authority.client().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=HOST)
    with suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


# --- real clients


def test_the_line_that_says_where_it_listens_says_https(secure: ServerProcess) -> None:
    assert secure.url.startswith("https://127.0.0.1:")


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_curl_speaks_each_version(secure: ServerProcess, authority: Authority, version: str) -> None:
    done = curl(secure, "--cacert", authority.file, f"--tlsv{version}", "--tls-max", version)
    assert (done.returncode, done.stdout) == (0, "hello\n"), done.stderr


def test_an_old_version_is_refused_and_the_reason_is_told(secure: ServerProcess, authority: Authority) -> None:
    assert curl(secure, "--cacert", authority.file, "--tls-max", "1.1", "--ciphers", "ALL@SECLEVEL=0").returncode
    told = secure.wait_for("connection_ended")
    assert (told["state"], told["cause"]) == ("HANDSHAKING", "client")
    assert told["reason"] == "The client and the server have no version of TLS in common."


def test_a_client_that_does_not_trust_the_certificate_is_told_of(secure: ServerProcess) -> None:
    assert curl(secure).returncode == 60
    assert secure.wait_for("connection_ended")["reason"] == "The client does not trust the certificate."


def test_the_certificate_is_chosen_by_the_name_that_is_asked_for(start: Start, authority: Authority) -> None:
    first, second = authority.issue("one.example"), authority.issue("two.example", "*.three.example")
    server = start(
        *("--tls-certificate", first[0], "--tls-key", first[1], "--tls-certificate", second[0], "--tls-key", second[1])
    )
    port = server.address[1]
    for name, code in (("one.example", 0), ("two.example", 0), ("x.three.example", 0), ("four.example", 60)):
        done = subprocess.run(
            [
                *("curl", "-sS", "--cacert", authority.file, "--resolve", f"{name}:{port}:127.0.0.1"),
                f"https://{name}:{port}/hello",
            ],
            capture_output=True,
            check=False,
        )
        assert done.returncode == code, (name, done.stderr)


def test_a_client_shows_a_certificate_where_one_is_required(start: Start, authority: Authority) -> None:
    certificate, key = authority.issue()
    server = start("--tls-certificate", certificate, "--tls-key", key, "--tls-client-ca", authority.file)
    alice = authority.issue("alice.example", common_name="alice")
    shown = curl(server, "--cacert", authority.file, "--cert", alice[0], "--key", alice[1])
    assert (shown.returncode, shown.stdout) == (0, "hello\n"), shown.stderr
    assert curl(server, "--cacert", authority.file).returncode
    told = server.wait_for("connection_ended")
    assert told["reason"] == "The client has shown no certificate, and one is required (--tls-client-ca)."


def test_openssl_resumes_a_session_and_is_refused_a_renegotiation(
    secure: ServerProcess, authority: Authority, tmp_path: Path
) -> None:
    host, port = secure.address
    command = ["openssl", "s_client", "-connect", f"{host}:{port}", "-CAfile", authority.file, "-alpn", "http/1.1"]
    session = str(tmp_path / "session")
    asked = request("/hello", "Connection: close")

    def talk(*options: str) -> bytes:
        return subprocess.run(
            [*command, "-ign_eof", *options], input=asked, capture_output=True, timeout=PATIENCE, check=False
        ).stdout

    first = talk("-sess_out", session)
    assert b"ALPN protocol: http/1.1" in first
    assert b"\r\n\r\nhello\n" in first
    second = talk("-sess_in", session)
    assert b"Reused, TLSv1.3" in second
    assert b"\r\n\r\nhello\n" in second
    renegotiated = subprocess.run(
        [*command, "-tls1_2"], input=b"R\n", capture_output=True, timeout=PATIENCE, check=False
    )
    assert b"no renegotiation" in renegotiated.stderr + renegotiated.stdout
    with Client(secure.address) as client:
        assert client.get("/hello").text == "hello\n"


def test_an_end_of_ours_is_one_that_tls_knows_of(secure: ServerProcess) -> None:
    """Without close_notify a client cannot tell a whole answer from one that was cut."""
    with Client(secure.address) as client:
        assert client.get("/hello", "Connection: close").text == "hello\n"
        assert client.end() == "closed"


def test_a_large_answer_comes_whole_to_a_slow_reader(secure: ServerProcess) -> None:
    with Client(secure.address, window=4096) as client:
        client.send(request("/bytes/3000000"))
        client.take(200_000, at_most=1000)
        assert client.answer().body == pattern(3_000_000)


def test_the_x_ray_tells_version_and_cipher(secure: ServerProcess) -> None:
    with Client(secure.address) as client:
        client.get("/hello")
        cipher = client.socket.cipher()  # type: ignore[attr-defined]
        number = secure.wait_for("request")["id"].split("-")[1]
        one = json.loads(read(secure, f"connections/{number}"))
        assert one["tls"] == f"{cipher[1]}, {cipher[0]}"


# --- what is not TLS, and TLS where there is none


def test_plain_http_on_a_port_for_https_gets_a_clear_answer(secure: ServerProcess) -> None:
    with Client((secure.address[0], secure.address[1])) as client:
        answer = client.get("/hello")
        assert (answer.status, answer["content-type"]) == (400, "text/plain; charset=utf-8")
        assert "ask for it with https://" in answer.text
        assert client.end() == "closed"
    assert secure.wait_for("connection_ended")["trigger"] == "PLAIN_HTTP_RECEIVED"


def test_tls_on_a_port_for_http_is_told_in_the_log(start: Start, authority: Authority) -> None:
    server = start()
    host, port = server.address
    address = SecureAddress((host, port))
    address.context = authority.client()
    with pytest.raises(ssl.SSLError):
        Client(address)
    assert "TLS handshake on a port that speaks plain HTTP" in server.wait_for("connection_ended")["reason"]


# --- handshakes that are cut, slow, or many


def test_a_handshake_cut_at_every_byte_leaves_nothing_behind(secure: ServerProcess, authority: Authority) -> None:
    message = first_message(authority)
    for size in range(len(message)):
        with socket.create_connection(secure.address) as client:
            client.sendall(message[:size])
    secure.settle()
    with Client(secure.address) as client:
        assert client.get("/hello").text == "hello\n"


def test_a_first_message_that_is_spoilt_at_any_byte_harms_nobody(secure: ServerProcess, authority: Authority) -> None:
    message = first_message(authority)
    for place in range(0, len(message), 3):
        spoilt = message[:place] + bytes([message[place] ^ 0x55]) + message[place + 1 :]
        with socket.create_connection(secure.address, PATIENCE) as client:
            client.sendall(spoilt)
            client.shutdown(socket.SHUT_WR)
            with suppress(ConnectionError):
                while client.recv(65536):
                    pass
    secure.settle()


def test_a_slow_handshake_ends_at_its_deadline(secure: ServerProcess, authority: Authority) -> None:
    message = first_message(authority)
    with socket.create_connection(secure.address, PATIENCE) as client:
        client.sendall(message[:100])
        with suppress(ConnectionError):
            assert client.recv(1) == b""
    told = secure.wait_for("connection_ended")
    assert (told["cause"], told["state"], told["trigger"]) == ("deadline", "HANDSHAKING", "DEADLINE_PASSED")


def test_two_thousand_half_handshakes_keep_nobody_out(start: Start, authority: Authority) -> None:
    """Those that have taken longest are closed beyond the limit, and a client that goes on is served."""
    certificate, key = authority.issue()
    server = start(
        *("--tls-certificate", certificate, "--tls-key", key, "--max-handshakes", "500"),
        trusting=authority.client(),
        descriptors=4096,
    )
    message = first_message(authority)
    with ExitStack() as opened:
        for number in range(2000):
            client = opened.enter_context(socket.create_connection(server.address, PATIENCE))
            client.sendall(message[: 1 + number % len(message)])
            if number % 500 == 499:
                with Client(server.address) as good:
                    assert good.get("/hello").text == "hello\n"
        eventually(lambda: server.descriptors() - server.base <= 501)
        server.wait_for("handshakes_closed")
    server.settle()


def test_a_connection_that_is_cut_within_a_request_is_told_to_be_so(secure: ServerProcess) -> None:
    with Client(secure.address) as client:
        client.send(request("/echo", "Content-Length: 100", method="POST") + b"part")
        client.take(1)  # what came of the body has been read
        eventually(lambda: state_of(secure) == "READING_BODY", what="the wait for the rest")
    told = secure.wait_for("connection_ended")
    assert "without TLS's close_notify" in told["reason"]
    assert (told["cause"], told["trigger"], told["state"]) == ("client", "PEER_RESET", "READING_BODY")


def test_an_answer_that_breaks_off_is_seen_to_be_cut(secure: ServerProcess) -> None:
    with Client(secure.address, window=4096) as client:
        client.send(request("/bytes/30000000"))
        client.take(1000)
        secure.signal()
        secure.wait_for("draining")
        secure.signal()
        with pytest.raises(CutShort) as cut:
            client.answer()
        assert cut.value.how == "reset"


def test_in_a_drain_a_connection_is_closed_as_tls_wants_it(secure: ServerProcess) -> None:
    with Client(secure.address) as client:
        client.get("/hello")
        secure.signal()
        assert client.end() == "closed"
    assert secure.wait() == 0


# --- certificates


def test_new_certificates_are_taken_without_a_restart(start: Start, authority: Authority, tmp_path: Path) -> None:
    files = tmp_path / "c.pem", tmp_path / "k.pem"

    def place(*pair: str) -> None:
        for target, source in zip(files, pair, strict=True):
            fresh = target.with_suffix(".new")
            fresh.write_bytes(Path(source).read_bytes())
            fresh.rename(target)

    place(*authority.issue(HOST, "before.example"))
    server = start("--tls-certificate", str(files[0]), "--tls-key", str(files[1]), trusting=authority.client())

    def names() -> set[str]:
        with Client(server.address) as client:
            shown = client.socket.getpeercert()  # type: ignore[attr-defined]
            return {value for _, value in shown["subjectAltName"]}

    assert "before.example" in names()
    with Client(server.address) as old:
        old.get("/hello")
        place(*authority.issue(HOST, "after.example"))
        eventually(lambda: "after.example" in names(), what="the new certificate")
        assert old.get("/hello").text == "hello\n", "what is under way goes on"
        server.wait_for("certificates_reloaded")
        if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
            pytest.skip("SIGHUP is ignored here, and so by the server")
        server.signal(signal.SIGHUP)  # which does not wait for somebody to connect
        server.wait_for("certificates_reloaded", 2)
        files[0].write_text("nonsense")
        server.signal(signal.SIGHUP)
        server.wait_for("certificates_refused")
        assert "after.example" in names()
        assert server.events("signal_ignored") == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--tls-certificate", "/none.pem"], "--tls-certificate /none.pem: No such file or directory"),
        (["--tls-key", "/none.pem"], "--tls-key and --tls-client-ca need a --tls-certificate"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(options: list[str], words: str) -> None:
    done = subprocess.run([sys.executable, "-m", "clerestory", *options], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, f"clerestory: {words}\n")


def test_one_for_development_is_made_and_told_of(start: Start) -> None:
    server = start("--tls-self-signed")
    assert curl(server, "--insecure").stdout == "hello\n"
    assert server.wait_for("certificate_made")["names"] == ["localhost", "127.0.0.1", "::1"]
