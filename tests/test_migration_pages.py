"""docs/from-*.md: what is written there instead of another server's options is taken, and the site that moves from
nginx answers as it did there."""

import re
import shlex
import shutil
import socket
import subprocess
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from clerestory.server.cli.arguments import parse
from clerestory.server.cli.assembly import options_of
from clerestory.server.cli.options.table import BY_NAME
from clerestory.server.cli.settings import Settings
from clerestory.server.cli.sources import from_file
from tests.support.server import ServerProcess, serving
from tests.support.waiting import eventually

ROOT = Path(__file__).resolve().parent.parent
PAGES = {name: (ROOT / "docs" / f"from-{name}.md").read_text() for name in ("uvicorn", "gunicorn", "nginx")}
COMMANDS = [
    line.partition("  #")[0].strip()
    for text in PAGES.values()
    for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    for line in block.splitlines()
]
INSTEAD = [
    option
    for text in PAGES.values()
    for row in re.findall(r"^\| `-.*?\| (.*) \|$|^\| `[a-z].*?\| (.*) \|$", text, re.MULTILINE)
    for option in re.findall(r"`(--[^`]+)`", "".join(row))
]

FLAGS = {option.flag for option in BY_NAME.values()}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_one(command: str) -> None:
    program, *words = shlex.split(command)
    assert program == "clerestory"
    options_of(Settings(parse(words).given), "")


@pytest.mark.parametrize("option", sorted(set(INSTEAD)))
def test_an_option_that_is_written_instead_is_one(option: str) -> None:
    words = shlex.split(option)
    if len(words) == 1 and words[0] in FLAGS:
        return  # named without its value
    assert parse(["shop:app", *words]).given


def test_there_are_many_of_them() -> None:
    assert (len(COMMANDS), len(set(INSTEAD)) > 50) == (6, True)


# --- nginx


class Upstream(BaseHTTPRequestHandler):
    """Says what it was asked for."""

    def do_GET(self) -> None:
        body = f"upstream {self.path}".encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@contextmanager
def upstream() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Upstream) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        port: int = one.getsockname()[1]
    return port


def answers(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def nginx(folder: Path, behind: int) -> Iterator[int]:
    (found,) = re.findall(r"```nginx\n(.*?)```", PAGES["nginx"], re.DOTALL)
    port = free_port()
    text = (
        found.replace("8000", f"127.0.0.1:{port}")
        .replace("9000", str(behind))
        .replace("root site", f"root {folder}/site")
    )
    here = f"daemon off; master_process off; error_log stderr; pid {folder}/pid; events {{}}\n"
    paths = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(f"{here}http {{ access_log off; {paths}\n{text}}}\n")
    process = subprocess.Popen(["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")], stderr=subprocess.PIPE)
    try:
        eventually(lambda: answers(port), what="nginx listens")
        yield port
    finally:
        process.terminate()
        process.communicate()


@contextmanager
def ours(folder: Path, behind: int) -> Iterator[ServerProcess]:
    (command,) = [command for command in COMMANDS if command.startswith("clerestory site/")]
    _, target, _, _, *words = shlex.split(command.replace("9000", str(behind)))
    with serving("--no-xray", *words, target=str(folder / target)) as server:
        yield server


def asked(port: int, path: str) -> tuple[object, ...]:
    """What tells whether it is the same site."""
    client = HTTPConnection("127.0.0.1", port, timeout=30)
    client.request("GET", path)
    answer = client.getresponse()
    body = answer.read()
    client.close()
    location = (answer.getheader("location") or "").rpartition("//")[2].partition("/")[2]
    if answer.status != 200:
        return answer.status, location, body * (answer.status == 404)
    replaced = path.startswith(("/assets", "/api"))  # there nginx sends no fields of what is around
    lasting = "immutable" in (answer.getheader("cache-control") or "")
    return answer.status, answer.getheader("etag"), body, replaced or answer.getheader("x-frame-options"), lasting


@pytest.mark.skipif(shutil.which("nginx") is None, reason="there is no nginx here")
def test_the_site_answers_as_it_did_in_nginx(tmp_path: Path) -> None:
    site = tmp_path / "site"
    for name in ("index.html", "404.html", "new.html", "deep/index.html", "assets/app.1234.css", "a b.txt"):
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(f"this is {name}")
        subprocess.run(["touch", "-d", "2026-01-02 03:04:05", str(site / name)], check=True)
    paths = ("/", "/deep/", "/old.html", "/assets/app.1234.css", "/a%20b.txt", "/nothing", "/api/x?y=1")
    with upstream() as behind, nginx(tmp_path, behind) as port, ours(tmp_path, behind) as server:
        found = {path: asked(server.address[1], path) for path in paths}
        assert found == {path: asked(port, path) for path in paths}
        assert found["/nothing"] == (404, "", b"this is 404.html")
        assert found["/api/x?y=1"][2] == b"upstream /x?y=1"


def test_the_file_says_what_the_command_says() -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", PAGES["nginx"], re.DOTALL)
    (command,) = [command for command in COMMANDS if command.startswith("clerestory site/")]
    by_file = {given.option.name: given.value for given in from_file(tomllib.loads(text), "x.toml")}
    by_words: dict[str, object] = dict(Settings(parse(shlex.split(command)[1:]).given))
    assert {name: by_words[name] for name in by_file} == by_file
