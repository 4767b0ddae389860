"""A request's id is the same everywhere: in the answer, in the log, in the x-ray, and for the next server."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.conftest import Start
from tests.support.client import Client
from tests.support.server import ROOT, TOKEN, ServerProcess
from tests.support.waiting import eventually
from tests.support.xray import address_of, look

TRUSTING = ("--trust", "127.0.0.0/8")

ASGI = """
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["clerestory.request_id"].encode()})
"""

WSGI = """
def app(environ, start_response):
    start_response("200 OK", [])
    return [environ["clerestory.request_id"].encode()]
"""


def show(server: ServerProcess, *words: str) -> str:
    """What `clerestory show` prints, on both streams."""
    done = subprocess.run(
        [sys.executable, "-m", "clerestory", "show", *words, "--xray", address_of(server)],
        cwd=ROOT,
        env=dict(os.environ, CLERESTORY_TOKEN=TOKEN, PYTHONPATH=str(ROOT)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
        check=False,
    )
    return done.stdout.decode()


def test_an_errors_id_is_in_its_body_its_head_and_the_log(start: Start) -> None:
    server = start()
    with Client(server.address) as client:
        plain = client.get("/nothing")
        problem = client.get("/nothing?json", "Accept: application/json")
        assert client.get("/hello").get("x-request-id") is None
    assert plain.error == "404 Not Found: There is nothing at this path."
    assert json.loads(problem.body)["request_id"] == problem["x-request-id"]
    for answer, ordinal in ((plain, 1), (problem, 2)):
        assert re.fullmatch(rf"[0-9a-f]{{8}}-[0-9]+-{ordinal}", answer["x-request-id"])
        assert server.wait_for("request", id=answer["x-request-id"])["status"] == 404


def test_every_answer_has_one_where_that_is_wanted_and_no_two_runs_share_any(start: Start) -> None:
    found = set()
    for _ in range(2):
        server = start("--request-ids", "all")
        with Client(server.address) as client:
            found |= {client.get("/hello")["x-request-id"] for _ in range(3)}
    assert len(found) == 6


def test_a_trusted_peers_id_is_taken_over_and_nobody_elses(start: Start) -> None:
    trusting, other = start(*TRUSTING), start()
    for server, kept in ((trusting, True), (other, False)):
        with Client(server.address) as client:
            answer = client.get("/nothing", "X-Request-Id: edge-7b5c")
            assert (answer["x-request-id"] == "edge-7b5c") is kept
            strange = client.get("/nothing", "X-Request-Id: <b>no id</b>")
            assert "<" not in strange["x-request-id"] + strange.text
    trusting.wait_for("request", id="edge-7b5c")


def test_the_next_server_is_told_the_id_and_logs_it(start: Start) -> None:
    upstream = start(*TRUSTING)
    proxy = start(target=upstream.url.rstrip("/"))
    with Client(proxy.address) as client:
        for number in range(3):
            client.get("/hello", "X-Request-Id: the-clients-own")
            answer = client.get(f"/nothing/{number}")
            assert upstream.request_event(f"/nothing/{number}")["id"] == answer["x-request-id"]
            assert proxy.request_event(f"/nothing/{number}")["id"] == answer["x-request-id"]
    assert {event["id"] for event in upstream.events("request")} == {event["id"] for event in proxy.events("request")}


def test_applications_are_told_it(start: Start, tmp_path: Path) -> None:
    for name, code in (("asgi", ASGI), ("wsgi", WSGI)):
        (tmp_path / f"{name}_named.py").write_text(code)
        server = start("--request-ids", "all", target=f"{name}_named:app", environment={"PYTHONPATH": str(tmp_path)})
        with Client(server.address) as client:
            answer = client.get("/")
            assert answer.text == answer["x-request-id"]


def test_show_finds_a_request_by_its_id(start: Start) -> None:
    server = start(*TRUSTING, "--xray", "127.0.0.1:0")
    with Client(server.address) as first, Client(server.address) as second, Client(server.address) as other:
        first.send(b"GET /wait/one HTTP/1.1\r\nHost: a\r\n\r\n")
        second.send(b"GET /wait/two HTTP/1.1\r\nHost: a\r\nX-Request-Id: edge/7b5c:1\r\n\r\n")
        eventually(lambda: len(look(server, "connections.json?state=querying_backend")["rows"]) == 2)
        rows = look(server, "connections.json?state=querying_backend")["rows"]
        assert {row["request_id"] for row in rows} >= {"edge/7b5c:1"}
        for row in rows:
            assert f"({row['request_id']})" in show(server, row["request_id"])
        assert "There is no connection edge" in show(server, "edge/none")
        for name in ("one", "two"):
            other.get(f"/open/{name}", method="POST")
        assert first.answer().status == second.answer().status == 200
        [made] = [row["request_id"] for row in rows if row["request_id"] != "edge/7b5c:1"]
        assert "1 request" in show(server, made)  # it has ended: its connection is shown, by the number in the id
        assert "1 request" in show(server, made.partition("-")[2])
