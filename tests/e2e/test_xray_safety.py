"""The x-ray against those who mean it ill: raw bytes at its door, and hostile bytes in what it shows."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.client import Address, Answer, Client, request
from tests.support.scenarios import Stage
from tests.support.server import TOKEN, ServerProcess
from tests.support.waiting import eventually

HOSTILE = "/<script>alert(1)</script>/'\"><img/src=x/onerror=alert(2)>"


@pytest.fixture(scope="module")
def server(choices: list[str]) -> Iterator[ServerProcess]:
    shared = ServerProcess(*choices, "--xray", "127.0.0.1:0")
    yield shared
    shared.finish()


def door(server: ServerProcess) -> Address:
    """Where the x-ray listens."""
    host, port = server.wait_for("xray")["url"].removeprefix("http://").removesuffix("/").rsplit(":", 1)
    return host, int(port)


def said(server: ServerProcess, target: str, *lines: str, method: str = "GET", host: str = "localhost") -> Answer:
    """What the x-ray says to these bytes, and the token."""
    return asked(server, target, f"X-Clerestory-Token: {TOKEN}", *lines, method=method, host=host)


def asked(server: ServerProcess, target: str, *lines: str, method: str = "GET", host: str = "localhost") -> Answer:
    """What it says to a stranger."""
    with Client(door(server)) as client:
        length = ["Content-Length: 0"] if method == "POST" else []
        head = "\r\n".join([f"{method} {target} HTTP/1.1", f"Host: {host}", *length, *lines, "", ""])
        client.send(head.encode("latin-1"))
        return client.answer(method)


@pytest.mark.parametrize(
    "target",
    [
        "/page/../guard.py",
        "/page/..%2fguard.py",
        "/page/%2e%2e/guard.py",
        "/page/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/page//etc/passwd",
        "/page/%00index.html",
        "/page/index.html%00.svg",
        "/page/..\\guard.py",
        "/page/",
        "//page/main.js/",
    ],
)
def test_no_path_leads_out_of_the_page(server: ServerProcess, target: str) -> None:
    answer = said(server, target)
    assert answer.status in (400, 404)
    assert "DNS rebinding" not in answer.text
    assert "root:" not in answer.text


def orders(server: ServerProcess) -> list[str]:
    """What would close the one connection that there is, were it asked for rightly."""

    def rows() -> list[dict[str, str]]:
        found: list[dict[str, str]] = json.loads(said(server, "/connections.json").text)["rows"]
        return found if len(found) == 1 else []

    (one,) = eventually(rows)
    return [f"/connections/{one['id']}/close", "/close?state=awaiting_request&confirm=1"]


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (["Origin: http://evil.example"], 403),
        (["Origin: null"], 403),
        (["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"], 403),
        (["Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"], 401),
        (["Content-Type: text/plain"], 401),
        (["Content-Type: application/x-www-form-urlencoded"], 401),
        (["X-Clerestory-Token: wrong"], 401),
    ],
)
def test_a_forged_order_closes_nobody(server: ServerProcess, lines: list[str], status: int) -> None:
    with Client(server.address) as idle:
        assert idle.get("/hello").status == 200
        for target in orders(server):
            assert asked(server, target, *lines, method="POST").status == status
            assert asked(
                server, target, *lines, "Origin: http://localhost", method="POST", host="evil.example"
            ).status in (
                400,
                421,
            )
        assert idle.is_open()
    assert server.events("closed_by_operator") == []


def test_a_change_is_no_get(server: ServerProcess) -> None:
    with Client(server.address) as idle:
        assert idle.get("/hello").status == 200
        for target in orders(server):
            for method in ("GET", "HEAD", "PUT", "DELETE"):
                assert said(server, target, method=method).status in (404, 405, 501)
            assert said(server, target, method="OPTIONS").fields[0] == ("allow", "OPTIONS, POST")
        assert idle.is_open()


@pytest.mark.parametrize(
    "query",
    [
        "older=" + "9" * 400,
        "older=1e9",
        "limit=-1",
        "limit=99999999999999999999",
        "offset=%F0%9F%92%A9",
        "state=" + "A" * 3000,
        "sort=__class__",
        "kind=../../etc",
        "&".join(f"peer={number}" for number in range(33)),
        "group=state%00",
        "unknown=1",
        "path=%3Ftoken",
        "peer=" + "x" * 20_000,
    ],
)
def test_a_query_that_means_nothing_is_refused_and_nobody_is_worse_off(server: ServerProcess, query: str) -> None:
    assert said(server, f"/connections.json?{query}").status in (400, 414)
    assert said(server, "/healthz").text == "ok\n"


@pytest.fixture
def stage(tmp_path: Path, choices: list[str]) -> Iterator[Stage]:
    shop = Stage(tmp_path, *choices)
    yield shop
    shop.close()


def test_what_a_client_sends_is_text_wherever_it_is_shown(stage: Stage) -> None:
    """In what the terminal prints, and in every export: no control byte, and no line of its own making."""
    hostile = stage.customer(f"GET {HOSTILE} HTTP/1.1\r\nHost: x\r\nUser-Agent: \x9b31m\xff\r\n\r\n".encode("latin-1"))
    assert hostile.answer().status == 400
    half = stage.customer(b"GET /\x1b]0;owned\x07\r\nSet: \x1b[2J\n\x1bc")
    for client in (hostile, half):
        client.everything()
        client.close()
    stage.see("clerestory show 1", "ended by")
    stage.see("clerestory show 2", "ended by")
    printed = {"ps": stage.run("clerestory ps")}
    for one in (1, 2):
        printed[f"{one}"] = stage.run(f"clerestory show {one}")
        printed[f"{one} with secrets"] = stage.run(f"clerestory show {one} --secrets")
        for form in ("text", "mermaid", "perfetto", "recording"):
            printed[f"{one} {form}"] = stage.run(f"clerestory show {one} --secrets --format {form}")
    assert {name for name, text in printed.items() if re.search(r"[^\n -~]", text)} == set()
    assert "<script>" in printed["1"]
    assert "<script>" not in printed["1 mermaid"]  # which becomes markup
    assert "owned" in printed["2 with secrets"]


def test_a_slow_head_at_the_x_ray_is_given_up_and_others_are_answered(server: ServerProcess) -> None:
    with Client(door(server), data=b"GET / HT"), Client(door(server), data=request("/events")[:20]):
        assert said(server, "/healthz").status == 200


def test_a_connection_whose_exchange_is_being_taken_apart_can_be_looked_at(server: ServerProcess) -> None:
    """What the x-ray reads meanwhile, from its own thread, is there until nobody holds it."""
    with Client(server.address) as client:
        looks = []
        for _ in range(3):
            client.send(request("/block-at-the-end"))
            assert client.answer().body == b"done\n"
            looks += [json.loads(said(server, "/connections.json").body) for _ in range(3)]
        assert any(not one["consistent"] for one in looks), "it was looked at while the loop was blocked"
        client.send(request("/hello"))
        assert client.answer().status == 200
