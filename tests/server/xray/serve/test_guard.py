"""The door: a table of who is let in, and what every answer says to a browser."""

import base64
from typing import Any

import pytest

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.messages import Request, Response, text_response
from clerestory.server.xray.serve.guard import SECURE, Guard, is_loopback
from clerestory.server.xray.serve.keys import Keys
from tests.server.support import bench_of

TOKEN = "the-token"


def request(method: str = "GET", host: str = "localhost:8001", path: str = "/", **fields: str) -> Request:
    pairs = tuple((name.replace("_", "-").encode(), value.encode()) for name, value in fields.items())
    return Request(method, path, (*pairs, (b"host", host.encode())), authority=host.encode())


def answer(guard: Guard, asked: Request) -> Response:
    found = guard(asked)
    assert isinstance(found, Response)
    return found


def application(_: Any) -> Response:
    return text_response("in\n")


KEYS = Keys(TOKEN, lambda: 0.0)
LOCAL = Guard(application, KEYS)
REMOTE = Guard(application, KEYS, local=False, open_metrics=False)
UNIX = Guard(application, KEYS, unix=True)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("localhost:8001", True),
        ("LOCALHOST:8001", True),
        ("localhost.:8001", True),
        ("x.localhost", True),
        ("127.0.0.1", True),
        ("127.0.0.1:8001", True),
        ("127.9.9.9", True),
        ("[::1]", True),
        ("[::1]:8001", True),
        ("", False),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.nip.io", False),
        ("127.0.0.1.evil.example:8001", False),
        ("evillocalhost", False),
        ("10.0.0.1", False),
        ("0.0.0.0", False),
        ("[::]", False),
        ("[fe80::1]", False),
        ("2130706433", False),
        ("0x7f000001", False),
        ("127.1", False),
    ],
)
def test_a_host_that_names_this_machine_only(host: str, loopback: bool) -> None:
    assert is_loopback(host.encode()) is loopback
    assert answer(LOCAL, request(host=host)).status == (200 if loopback else 421)
    assert answer(UNIX, request(host=host)).status == 200


def basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"me:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, 401),
        ({"authorization": f"Bearer {TOKEN}"}, 200),
        ({"authorization": f"bearer  {TOKEN}"}, 200),
        ({"authorization": "Bearer wrong"}, 401),
        ({"authorization": f"Bearer {TOKEN}x"}, 401),
        ({"authorization": "Bearer "}, 401),
        ({"authorization": TOKEN}, 401),
        ({"authorization": basic(TOKEN)}, 200),
        ({"authorization": basic("wrong")}, 401),
        ({"authorization": "Basic ***"}, 401),
        ({"x_clerestory_token": TOKEN}, 200),
        ({"x_clerestory_token": ""}, 401),
    ],
)
def test_what_is_not_open_to_all_takes_the_token_on_every_address(fields: dict[str, str], status: int) -> None:
    for guard, hosts in (
        (LOCAL, ("localhost",)),
        (UNIX, ("localhost", "evil.example")),
        (REMOTE, ("localhost", "evil.example")),
    ):
        for host in hosts:
            found = answer(guard, request(host=host, path="/snapshot.json", **fields))
            assert found.status == status
            assert (b"www-authenticate" in dict(found.fields)) is (status == 401)


def test_a_browser_is_not_asked_to_keep_the_token() -> None:
    """What it is given for a Basic challenge it would send with every request, whoever makes it."""
    assert dict(answer(REMOTE, request(path="/snapshot.json")).fields)[b"www-authenticate"].startswith(b"Bearer ")


@pytest.mark.parametrize("guard", [LOCAL, UNIX, REMOTE])
def test_probes_and_the_page_are_open_and_metrics_where_they_are_wanted_so(guard: Guard) -> None:
    for path in ("/", "/page/main.js", "/healthz", "/readyz"):
        assert answer(guard, request(path=path)).status == 200
    assert answer(guard, request(path="/metrics")).status == (200 if guard.open_metrics else 401)
    assert answer(guard, request(path="/metrics", x_clerestory_token=TOKEN)).status == 200


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, 200),
        ({"origin": "http://localhost:8001"}, 200),
        ({"origin": "http://LOCALHOST:8001"}, 200),
        ({"origin": "http://localhost:8001", "sec_fetch_site": "same-origin"}, 200),
        ({"sec_fetch_site": "none"}, 200),
        ({"origin": "http://localhost:3000"}, 403),
        ({"origin": "http://localhost"}, 403),
        ({"origin": "https://localhost:8001"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"sec_fetch_site": "same-site"}, 403),
        ({"origin": "http://localhost:8001", "sec_fetch_site": "cross-site"}, 403),
    ],
)
def test_a_change_comes_from_our_own_origin_or_from_no_page(fields: dict[str, str], status: int) -> None:
    assert answer(LOCAL, request("POST", **fields)).status == status
    assert answer(LOCAL, request("DELETE", **fields)).status == status
    assert answer(LOCAL, request("GET", **fields)).status == status


def test_a_page_of_another_origin_may_link_to_us_and_nothing_else() -> None:
    """It cannot read our answers, but it could have us make them, and hold all our connections."""
    foreign = {"sec_fetch_site": "cross-site"}
    shown = {"sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}
    assert answer(LOCAL, request("GET", **foreign, **shown)).status == 200
    assert answer(LOCAL, request("POST", **foreign, **shown)).status == 403
    assert answer(LOCAL, request("GET", **foreign, **shown, origin="http://evil.example")).status == 403
    for mode, dest in (("navigate", "iframe"), ("no-cors", "image"), ("cors", "empty"), ("no-cors", "document")):
        found = answer(LOCAL, request("GET", **foreign, sec_fetch_mode=mode, sec_fetch_dest=dest))
        assert found.status == 403
        assert (b"connection", b"close") in found.fields


def test_who_comes_by_another_name_is_closed() -> None:
    assert (b"connection", b"close") in answer(LOCAL, request(host="evil.example")).fields


def test_every_answer_tells_the_browser_what_it_must_not_do() -> None:
    def missing(_: Request) -> Response:
        raise HTTPError(404, "nothing")

    async def later(_: Request) -> Response:
        return text_response("in\n")

    async def refuse(_: Request) -> Response:
        raise HTTPError(400, "no")

    for handler in (application, missing, later, refuse):
        with bench_of(Guard(handler, KEYS)) as bench:
            client = bench.connect()
            for host in (b"localhost", b"evil.example"):
                head = client.send(b"GET / HTTP/1.1\r\nhost: %b\r\n\r\n" % host).sent.partition(b"\r\n\r\n")[0]
                for name, value in SECURE:
                    assert name + b": " + value in head
    policy = dict(SECURE)
    assert policy[b"content-security-policy"].startswith(b"default-src 'none'; script-src 'self';")
    assert b"frame-ancestors 'none'" in policy[b"content-security-policy"]
    assert policy[b"x-content-type-options"] == b"nosniff"
    assert policy[b"cache-control"] == b"no-store"


def test_what_fails_in_a_handler_is_the_servers_to_answer() -> None:
    async def fails(_: Request) -> Response:
        raise ValueError

    with bench_of(Guard(fails, KEYS)) as bench:
        sent = bench.connect().send(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").sent
        assert sent.startswith(b"HTTP/1.1 500")
