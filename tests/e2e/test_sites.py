"""Several targets in one real process: an application at the root, a directory and a proxy beside it, and sites."""

from pathlib import Path

from tests.conftest import Start
from tests.support.client import Client

APPLICATION = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    await receive()
    said = f"{scope['root_path']} {scope['path']} {scope['raw_path'].decode()}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": said})
"""


def body(server: object, path: str, host: str = "a") -> bytes:
    with Client(server.address, data=f"GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n".encode()) as client:  # type: ignore[attr-defined]
        return client.answer().body


def test_an_application_a_directory_and_a_proxy_stand_beside_each_other(start: Start, tmp_path: Path) -> None:
    (tmp_path / "told.py").write_text(APPLICATION)
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "x.txt").write_text("a file")
    behind = start("--no-xray")
    words = ("--mount", f"/static={tmp_path / 'site'}", "--mount", f"/behind={behind.url.rstrip('/')}")
    server = start("--no-xray", "--app-dir", str(tmp_path), *words, target="told:app")
    assert body(server, "/x%2Fy") == b" /x/y /x%2Fy"
    assert body(server, "/static/x.txt") == b"a file"
    assert body(server, "/behind/hello") == body(behind, "/hello")
    (event,) = server.events("listening")
    assert event["serving"].endswith(
        f"files in {tmp_path / 'site'}, which has no index.html (--listing lists it) at "
        f"/static; a reverse proxy of {behind.url.rstrip('/')} at /behind"
    )


def test_a_router_is_mounted_beside_a_directory_and_knows_its_prefix(start: Start, tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("a file")
    (tmp_path / "shop.py").write_text(
        "from clerestory import Router\nrouter = Router()\n"
        "@router.get('/where')\ndef where(request): return request.base + request.path\n"
    )
    words = ("--app-dir", str(tmp_path), "--mount", "/shop=shop:router")
    server = start("--no-xray", *words, target=str(tmp_path))
    assert (body(server, "/shop/where"), body(server, "/x.txt")) == (b"/shop/where", b"a file")


def test_sites_are_chosen_by_host_and_path_and_have_limits_of_their_own(start: Start, tmp_path: Path) -> None:
    (tmp_path / "told.py").write_text(APPLICATION)
    (tmp_path / "x.txt").write_text("a file")
    (tmp_path / "c.toml").write_text(
        f"""
[[site]]
host = "files.example"
target = "{tmp_path}"
listing = true

[[site]]
path = "/app"
target = "told:app"
app-dir = "{tmp_path}"
max-body = 10
"""
    )
    server = start("--no-xray", "--config", str(tmp_path / "c.toml"), target="")
    assert body(server, "/x.txt", "files.example") == b"a file"
    assert body(server, "/app/x") == b"/app /app/x /app/x"
    assert body(server, "/x.txt").startswith(b"404 ")
    for length, status in ((10, 200), (11, 413)):
        head = f"POST /app/x HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n".encode()
        with Client(server.address, data=head + b"x" * length) as client:
            assert client.answer().status == status
