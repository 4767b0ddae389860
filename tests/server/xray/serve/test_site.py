"""The endpoints: what each answers, and to whom; closing by id and by filter."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clerestory.handlers.api.messages import Request, Response
from clerestory.handlers.router import Router
from clerestory.server.xray.exports.replay import load, replay
from clerestory.server.xray.serve import site
from clerestory.server.xray.serve.guard import SECURE
from tests.server.support import GET
from tests.server.xray.support import Live, live, waiting
from tests.support.client import Client, clients
from tests.support.http2 import HTTP2Client, head
from tests.support.waiting import eventually

router = Router()


@router.get("/")
def hello(request: Request) -> Response:
    return Response(b"hello")


router.get("/wait")(waiting())


@router.get("/emails/{number:int}")
async def show(request: Request, number: int) -> Response:
    answer: Response = await waiting("postgres#3 AWAITING_RESULT 1.2 s <- fd 19 readable")(request)
    return answer


WAIT = b"GET /wait?secret=abc HTTP/1.1\r\nhost: x\r\ncookie: a=b\r\n\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """One server for all; each test brings its own connections, and takes them away."""
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
    with live(router) as one:
        yield one
    monkeypatch.undo()


@pytest.fixture(autouse=True)
def nobody_left(server: Live) -> Iterator[None]:
    yield
    # A client's close is a half-close to a connection that waits for its backend: it goes on waiting.
    server.post("/close?older=0.000001&confirm=1")
    eventually(lambda: server.rows("?limit=1") == [], what="the end of every connection")


OPEN = ["/", "/page/main.js", "/metrics", "/healthz", "/readyz"]
"""What anybody on this machine may have."""

GUARDED = [
    "/machines.json",
    "/snapshot.json",
    "/connections.json",
    "/connections/1",
    "/connections/1?format=text",
    "/ended.json",
    "/events",
    "/nothing",
    "//metrics",
    "/metrics/",
    "/healthz/x",
    "/page",
]


@pytest.mark.parametrize("target", [*OPEN, "/machines.json", "/snapshot.json", "/connections.json", "/ended.json"])
def test_every_endpoint_answers_and_keeps_browsers_out(server: Live, target: str) -> None:
    answer = server.x(target)
    assert answer.status == 200
    for name, value in SECURE:
        assert answer[name.decode()] == value.decode()
    assert server.x(target, host="evil.example").status == 421
    assert server.x(target, method="HEAD").status == 200
    assert server.x(target, method="DELETE").status in (405, 501)


FORGED = (
    "Sec-Fetch-Mode: navigate",
    "Sec-Fetch-Dest: document",
    "Sec-Fetch-Site: same-origin",
    "Referer: http://localhost/",
    "Cookie: session=x",
)
"""What a browser says that shows our page: whoever can connect can say it, too."""


@pytest.mark.parametrize("target", GUARDED)
def test_what_shows_facts_takes_the_token_whatever_a_request_says_of_itself(server: Live, target: str) -> None:
    """Another user of the machine, a container beside us, and an application that fetches any URL know no token."""
    for lines in ((), FORGED, ("X-Forwarded-For: 127.0.0.1",), ("Authorization: Basic Og==",)):
        answer = server.stranger(target, *lines)
        assert (answer.status, answer["www-authenticate"]) == (401, 'Bearer realm="clerestory x-ray"')
        assert "clerestory page" in answer.text


@pytest.mark.parametrize("target", ["/close?older=0.000001&confirm=1", "/connections/1/close", "/key", "/session"])
def test_what_changes_something_takes_the_token_whatever_a_request_says_of_itself(server: Live, target: str) -> None:
    for lines in ((), FORGED):
        assert server.stranger(target, *lines, method="POST").status == 401


def test_nothing_that_anybody_may_have_holds_the_token_or_a_fact(server: Live) -> None:
    for target in OPEN:
        for lines in ((), FORGED):
            answer = server.stranger(target, *lines)
            assert answer.status == 200
            assert server.xray.keys.token not in answer.text
            assert str(server.address[1]) not in answer.text


def test_a_link_opens_a_session_once_and_the_session_opens_the_rest(server: Live) -> None:
    """A link that is found in a terminal's history opens nothing any more."""
    address, _, key = server.xray.link().partition("#key:")
    assert address == server.xray.url
    opened = server.stranger("/session", f"Authorization: Bearer {key}", method="POST")
    session = json.loads(opened.body)["session"]
    assert server.stranger("/snapshot.json", f"Authorization: Bearer {session}").status == 200
    assert (
        server.stranger("/close?older=9999&confirm=1", f"Authorization: Bearer {session}", method="POST").status == 200
    )
    again = server.stranger("/session", f"Authorization: Bearer {key}", method="POST")
    assert (again.status, "has been used, or is too old" in again.text) == (401, True)
    assert server.stranger("/snapshot.json", f"Authorization: Bearer {key}").status == 401
    assert server.stranger("/session", f"Authorization: Bearer {session}", method="POST").status == 401


def test_the_token_gets_a_key_for_a_link(server: Live) -> None:
    key = json.loads(server.post("/key").body)["key"]
    assert server.stranger("/session", f"Authorization: Bearer {key}", method="POST").status == 200
    assert server.stranger("/session", server.token, method="POST").status == 200  # typed into the page


def test_probes_are_answered_in_words(server: Live) -> None:
    assert server.x("/healthz").text == "ok\n"
    assert server.x("/readyz").text == "ready\n"


def test_readiness_flips_when_draining(server: Live) -> None:
    server.service.draining = True
    try:
        answer = server.x("/readyz")
        assert (answer.status, answer.text) == (503, "503 Service Unavailable: draining\n")
        assert server.x("/healthz").status == 200
    finally:
        server.service.draining = False


def test_the_rows_of_all_connections_and_of_some(server: Live) -> None:
    with clients(server.address, 3) as crowd:
        for client in crowd[:2]:
            client.get("/")
        crowd[2].send(WAIT)
        server.standing("QUERYING_BACKEND", 1)
        found = server.json("/connections.json?sort=state")
        assert [one["state"] for one in found["rows"]] == ["AWAITING_REQUEST"] * 2 + ["QUERYING_BACKEND"]
        assert (found["total"], found["matched"], found["groups"]) == (3, 3, None)
        found = server.json("/connections.json?path=/wait&group=state")
        assert [one["request"] for one in found["rows"]] == ["GET /wait?..."]
        assert [one["key"] for one in found["groups"]] == ["QUERYING_BACKEND"]
        assert server.json("/connections.json?kind=listener")["rows"][0]["state"] == "ACCEPTING"
        assert server.x("/connections.json?group=age").status == 400
        assert server.x("/connections.json?stat=x").status == 400


def test_one_connection_and_its_why(server: Live) -> None:
    with Client(server.address) as client:
        client.send(b"GET /emails/7 HTTP/1.1\r\nhost: x\r\n\r\n")
        (row,) = server.standing("QUERYING_BACKEND", 1)
        found = server.json(f"/connections/{row['id']}")
        assert found["why"].startswith("GET /emails/7 QUERYING_BACKEND ")
        assert found["why"].endswith(" of 75 s <- postgres#3 AWAITING_RESULT 1.2 s <- fd 19 readable")
        assert found["chain"] == ["postgres#3 AWAITING_RESULT 1.2 s", "fd 19 readable"]
        assert found["peer"] == client.name
    assert server.x("/connections/0").status == 404
    assert "is not there: /connections.json lists" in server.x("/connections/x").text


def test_secrets_are_shown_only_where_they_are_asked_for(server: Live) -> None:
    with Client(server.address) as client:
        client.send(WAIT)
        (row,) = server.standing("QUERYING_BACKEND", 1)
        for target in (f"/connections/{row['id']}", "/connections.json", f"/connections/{row['id']}?format=text"):
            mark = "&" if "?" in target else "?"
            plain = server.x(target)
            assert plain.status == 200
            assert "secret=abc" not in plain.text
            assert "a=b" not in plain.text
            assert "secret=abc" in server.x(f"{target}{mark}secrets=1").text
            assert server.stranger(f"{target}{mark}secrets=1").status == 401
        for target in ("/snapshot.json", "/ended.json", "/metrics"):
            assert "abc" not in server.x(target).text


@pytest.mark.parametrize("form", ["text", "mermaid", "perfetto", "recording"])
def test_every_export_of_an_open_and_of_an_ended_connection(server: Live, form: str) -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)  # it is told in whole ones
    with Client(server.address) as client:
        client.send(WAIT)
        (row,) = server.standing("QUERYING_BACKEND", 1)
        target = f"/connections/{row['id']}?format={form}"
        running = server.x(target)
        client.reset()
    server.standing("QUERYING_BACKEND", 0)
    ended = server.x(target)
    for answer in (running, ended):
        assert answer.status == 200
        assert "HEAD_RECEIVED" in answer.text
        assert answer["content-type"].startswith("text/plain" if form in ("text", "mermaid") else "application/json")
        if form != "recording":
            (began,) = set(re.findall(r"began\W+([0-9T:.-]+Z)", answer.text))
            assert before <= datetime.fromisoformat(began) <= datetime.now(UTC)
    assert running.text != ended.text
    if form == "recording":
        assert "agree" in replay(load(running.text))
        assert "agree" in replay(load(ended.text))


def test_a_format_that_there_is_not_is_told_which_there_are(server: Live) -> None:
    with Client(server.address) as client:
        client.get("/")
        (row,) = server.rows()
        answer = server.x(f"/connections/{row['id']}?format=pdf")
        assert (answer.status, "there are json, text, mermaid, perfetto, recording" in answer.text) == (400, True)


def test_an_ended_connection_is_found_and_told_how_it_ended(server: Live) -> None:
    with Client(server.address) as client:
        client.send(b"GET / HT")
        (row,) = server.standing("READING_HEAD", 1)
        client.reset()
    server.standing("READING_HEAD", 0)
    found = server.json(f"/connections/{row['id']}")
    assert (found["ended"]["cause"], found["ended"]["state"]) == ("client", "READING_HEAD")
    listed = server.json("/ended.json")["abnormal"][0]
    assert (listed["id"], listed["way"], listed["trigger"]) == (row["id"], "FAULT", "PEER_RESET")


def test_the_tables(server: Live) -> None:
    machines = {one["name"]: one for one in server.json("/machines.json")["machines"]}
    assert machines["connection"]["states"][0]["name"] == "AWAITING_REQUEST"
    edges = server.json("/snapshot.json")["edges"]
    assert {name: len(one["rows"]) for name, one in machines.items()} == {
        name: len(counts) for name, counts in edges.items()
    }


def test_a_long_list_is_not_encoded_at_one_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """An encoder lets nobody else have the interpreter: the loop that serves would stand still for a megabyte."""
    encoded: list[object] = []
    encode = site.encode

    def recording(value: object) -> str:
        encoded.append(value)
        return encode(value)

    monkeypatch.setattr(site, "encode", recording)
    value = {"now": 1.5, "abnormal": [{"id": str(number), "path": []} for number in range(9)], "normal": []}
    body = site.document(value).body
    assert isinstance(body, bytes)
    assert json.loads(body) == value
    assert value["abnormal"] not in encoded


# --- closing


def test_closing_takes_the_token_and_our_own_origin(server: Live) -> None:
    with Client(server.address) as client:
        client.get("/")
        (row,) = server.rows()
        target = f"/connections/{row['id']}/close"
        host = f"localhost:{server.xray_address[1]}"
        form = f"token={server.xray.keys.token}".encode()
        kind = "Content-Type: application/x-www-form-urlencoded"
        assert server.stranger(target, method="POST").status == 401
        assert server.stranger(target, "X-Clerestory-Token: wrong", method="POST").status == 401
        assert server.stranger(target, kind, method="POST", body=form).status == 401
        assert server.x(target, "Origin: http://evil.example", method="POST", host=host).status == 403
        assert server.x(target, method="POST", host="evil.example").status == 421
        assert server.x(target, method="GET").status == 405
        assert client.get("/").status == 200
        assert server.x(target, f"Origin: http://{host}", method="POST", host=host).status == 200
        assert client.end() == "closed"


def test_closing_one_by_its_id_is_logged(server: Live) -> None:
    server.logs.events.clear()
    with clients(server.address, 2, WAIT) as (one, other):
        rows = {row["peer"]: row["id"] for row in server.standing("QUERYING_BACKEND", 2)}
        answer = server.post(f"/connections/{rows[one.name]}/close")
        assert json.loads(answer.body) == {"dry_run": False, "closed": [rows[one.name]], "failed": []}
        assert one.end() == "reset"
        assert other.is_open()
        (event,) = server.log("closed_by_operator")
        assert (event["connections"], event["level"]) == ([rows[one.name]], "warning")
        assert "token" not in json.dumps(event).lower().replace("x-clerestory-token", "")
        (event,) = server.log("connection_ended")
        assert event["cause"] == "operator"
        assert server.post(f"/connections/{rows[one.name]}/close").status == 404


@pytest.mark.parametrize("slash", ["/", "%2F"])
def test_closing_one_stream_lets_the_others_go_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, slash: str) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with live(router, h2c=True) as server, HTTP2Client(server.address) as client:
        closed, other = client.open(head(b"GET", b"/wait?secret=abc")), client.open(head(b"GET", b"/wait"))
        rows = server.standing("QUERYING_BACKEND", 2)
        number = rows[0]["id"].partition("/")[0]
        assert sorted(row["id"] for row in rows) == [f"{number}/{closed}", f"{number}/{other}"]
        target = f"/connections/{number}{slash}{closed}"
        assert server.json(target)["request"] == "GET /wait?..."
        answer = server.post(f"{target}/close")
        assert json.loads(answer.body) == {"dry_run": False, "closed": [f"{number}/{closed}"], "failed": []}
        assert client.whole(closed).reset == 8, "CANCEL"
        assert [row["id"] for row in server.standing("QUERYING_BACKEND", 1)] == [f"{number}/{other}"]
        assert client.get().body == b"hello", "the connection goes on"
        (event,) = server.log("closed_by_operator")
        assert event["connections"] == [f"{number}/{closed}"]
        gone = server.json(target)
        assert (gone["ended"]["cause"], gone["ended"]["state"]) == ("operator", "QUERYING_BACKEND")
        listed = server.json("/ended.json")
        assert [(one["id"], one["kind"]) for one in listed["abnormal"]] == [(f"{number}/{closed}", "h2_stream")]
        assert [(one["id"], one["request"]) for one in listed["normal"]] == [(f"{number}/5", "GET /")]
        assert server.post(f"{target}/close").status == 404
        assert server.post(f"/connections/{number}/close").status == 200
        with pytest.raises(ConnectionResetError):
            client.until(lambda: False)


def test_the_server_itself_can_not_be_closed(server: Live) -> None:
    for row in server.json("/connections.json?kind=*")["rows"]:
        answer = server.post(f"/connections/{row['id']}/close")
        assert (answer.status, "is not an open connection" in answer.text) == (404, True)
    assert server.post("/close?kind=*&older=0.000001&confirm=1").text == '{"dry_run":false,"closed":[],"failed":[]}'


def test_closing_by_filter_says_first_which_and_closes_no_other(server: Live) -> None:
    with clients(server.address, 3, WAIT) as crowd, clients(server.address, 2, GET) as idle:
        for client in idle:
            assert client.answer().text == "hello"
        server.standing("QUERYING_BACKEND", 3)
        query = "/close?state=querying_backend&path=/wait"
        dry = json.loads(server.post(query).body)
        assert (dry["dry_run"], dry["would_close"]) == (True, 3)
        assert sorted(one["peer"] for one in dry["rows"]) == sorted(client.name for client in crowd)
        assert all(client.is_open() for client in crowd)
        done = json.loads(server.post(query + "&confirm=1").body)
        assert sorted(done["closed"]) == sorted(one["id"] for one in dry["rows"])
        assert [client.end() for client in crowd] == ["reset"] * 3
        assert all(client.is_open() for client in idle)


@pytest.mark.parametrize("query", ["", "?confirm=1", "?kind=*&confirm=1", "?limit=5&confirm=1", "?older=0&confirm=1"])
def test_closing_everything_has_to_be_said_in_other_words(server: Live, query: str) -> None:
    with Client(server.address) as client:
        client.get("/")
        answer = server.post(f"/close{query}")
        assert answer.status == 400
        assert "Say which to close, by at least one of state=, older=, peer= and path=." in answer.text
        assert client.is_open()


def test_a_filter_that_means_nothing_closes_nothing(server: Live) -> None:
    with Client(server.address) as client:
        client.get("/")
        assert server.post("/close?state=nowhere&confirm=1").status == 400
        assert server.post("/close?confirm=1&stat=lingering").status == 400
        assert client.is_open()
