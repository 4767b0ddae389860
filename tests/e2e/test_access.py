"""CORS, passwords, rates, redirects and error pages in real processes, in front of applications of every kind."""

import socket
from base64 import b64encode
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Start
from tests.support.client import Address, Answer, Client

bcrypt: Any = import_module("bcrypt")

pytestmark = pytest.mark.timeout(180)

APPLICATION = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    body = b""
    while True:
        event = await receive()
        body += event.get("body", b"")
        if not event.get("more_body"):
            break
    if scope["path"] == "/fail":
        raise RuntimeError("as asked")
    status = 404 if scope["path"].endswith("/mine") else 200
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"served " + body})
"""


def ask(address: Address, target: str, *lines: str, method: str = "GET", body: bytes = b"") -> Answer:
    head = "".join(f"{line}\r\n" for line in ("Host: a", *lines, *([f"Content-Length: {len(body)}"] if body else [])))
    with Client(address, data=f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode() + body) as client:
        return client.answer()


def basic(text: str) -> str:
    return "Authorization: Basic " + b64encode(text.encode()).decode()


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "guarded.py").write_text(APPLICATION)
    (tmp_path / "users").write_text(f"frances:{bcrypt.hashpw(b'horse', bcrypt.gensalt(4)).decode()}\n")
    (tmp_path / "sorry.html").write_text("<h1>Sorry</h1>")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "x.txt").write_text("a file")
    return tmp_path


def test_an_application_behind_all_of_it(start: Start, files: Path) -> None:
    server: Any = start(
        *("--no-xray", "--app-dir", str(files), "--cors", "https://app.example", "--cors-credentials"),
        *("--basic-auth", str(files / "users"), "--redirect", "/old=/new", "--max-body", "10"),
        *("--error-page", f"5xx={files / 'sorry.html'}"),
        target="guarded:app",
    )
    assert server.events("basic_auth_without_tls")
    answer = ask(server.address, "/x", "Origin: https://app.example")
    assert (answer.status, answer["www-authenticate"]) == (401, 'Basic realm="restricted", charset="UTF-8"')
    assert answer["access-control-allow-origin"] == "https://app.example"  # so that the page sees why
    own = (basic("frances:horse"), "Origin: https://app.example")
    for _ in range(2):  # the second time it is remembered
        answer = ask(server.address, "/x", *own, method="POST", body=b"x" * 10)
        assert (answer.status, answer.body) == (200, b"served xxxxxxxxxx")
        assert (answer["access-control-allow-credentials"], answer["vary"]) == ("true", "origin")
    answer = ask(server.address, "/x", *own, method="POST", body=b"x" * 11)
    assert (answer.status, answer["access-control-allow-origin"]) == (413, "https://app.example")
    answer = ask(server.address, "/fail", *own)
    assert (answer.status, answer.body, answer["access-control-allow-origin"]) == (
        *(500, b"<h1>Sorry</h1>"),
        "https://app.example",
    )
    assert ask(server.address, "/x", basic("frances:wrong")).status == 401
    preflight = ("Origin: https://app.example", "Access-Control-Request-Method: PUT")
    answer = ask(server.address, "/x", *preflight, method="OPTIONS")
    assert (answer.status, answer["access-control-allow-origin"]) == (204, "https://app.example")
    answer = ask(server.address, "/old?q")
    assert (answer.status, answer["location"]) == (308, "/new?q")


def test_checks_of_passwords_hold_up_nobody_else(start: Start, files: Path) -> None:
    """A hash that takes a second is computed while others are answered: the order of answers tells."""
    slow = bcrypt.hashpw(b"horse", bcrypt.gensalt(13)).decode()
    (files / "slow").write_text(f"frances:{slow}\n")
    (files / "c.toml").write_text(
        f"""
[[site]]
path = "/secret"
target = "{files / "site"}"
basic-auth = "{files / "slow"}"
[[site]]
path = "/open"
target = "{files / "site"}"
"""
    )
    server: Any = start("--no-xray", "--config", str(files / "c.toml"), target="")
    head = f"GET /secret/x.txt HTTP/1.1\r\nHost: a\r\n{basic('frances:horse')}\r\n\r\n".encode()
    with Client(server.address, data=head) as waiting:
        waiting.socket.setblocking(False)
        for _ in range(3):
            assert ask(server.address, "/open/x.txt").body == b"a file"
        with pytest.raises(BlockingIOError):
            waiting.socket.recv(1, socket.MSG_PEEK)
        waiting.socket.setblocking(True)
        assert waiting.answer().body == b"a file"


def test_sites_have_rates_and_redirects_of_their_own(start: Start, files: Path) -> None:
    behind: Any = start("--no-xray", target=str(files / "site"))
    (files / "c.toml").write_text(
        f"""
trust = ["127.0.0.1"]
[[site]]
path = "/slow"
target = "{files / "site"}"
rate-limit = "1/h,burst=3"
error-page = ["404={files / "sorry.html"}"]
redirect = ["/a/*=/b/*,302"]
[[site]]
path = "/behind"
target = "{behind.url.rstrip("/")}"
cors = "*"
[[site]]
path = "/app"
target = "guarded:app"
app-dir = "{files}"
error-page = ["404={files / "sorry.html"}"]
"""
    )
    server: Any = start("--no-xray", "--config", str(files / "c.toml"), target="")
    first, second = "X-Forwarded-For: 192.0.2.1", "X-Forwarded-For: 192.0.2.2"
    answers = [ask(server.address, "/slow/x.txt", first) for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    assert answers[3]["retry-after"] in ("3600", "3599")
    assert ask(server.address, "/slow/none", second).body == b"<h1>Sorry</h1>"
    answer = ask(server.address, "/slow/a/c?d", second)
    assert (answer.status, answer["location"]) == (302, "/slow/b/c?d")
    for path in ("/behind/x.txt", "/behind/none"):
        assert ask(server.address, path, "Origin: https://b.example")["access-control-allow-origin"] == "*"
    answer = ask(server.address, "/app/mine")  # the application's own 404
    assert (answer.status, answer.body) == (404, b"served ")
    assert ask(server.address, "/app/mine").get("access-control-allow-origin") is None
