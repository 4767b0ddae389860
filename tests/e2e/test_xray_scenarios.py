"""The proof of the x-ray: for each trouble that people have with servers, the words in which it is told.

Each test brings one about in a real server (tests.support.scenarios), and asserts what `ps`, `show` and the banners
print. The how-tos of docs/ show the output of the same scenarios, and are held against it.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.scenarios import DOCS, SCENARIOS, Stage, blocks, commands, figureless, scenario
from tests.support.waiting import eventually

PEER = r"127\.0\.0\.1:\d+"
PS, SHOW = "clerestory ps", "clerestory show"


@pytest.fixture
def stage(request: pytest.FixtureRequest, choices: list[str]) -> Iterator[Stage]:
    with scenario(request.param, *choices) as stage:
        yield stage


def in_trouble(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("stage", [name], indirect=True)


def says(text: str, *patterns: str) -> None:
    """Each pattern is a whole line of the text, blanks aside."""
    lines = [" ".join(line.split()) for line in text.splitlines()]
    for pattern in patterns:
        assert any(re.fullmatch(pattern, line) for line in lines), f"{pattern!r} is no line of\n{text}"


@in_trouble("slow-headers")
def test_a_slow_headers_attack_is_heads_that_do_not_end(stage: Stage) -> None:
    listed = stage.run(f"{PS} --state reading_head")
    assert len(re.findall(rf"(?m)^\d +{PEER} +READING_HEAD [\d.]+ s of 30 s <- client readable$", listed)) == 4
    says(
        stage.run(f"{SHOW} 4"),
        r"state READING_HEAD for [\d.]+ s: part of a head has arrived",
        r"deadline head, 30 s: fires in [\d.]+ s",
        r"so far 0 requests, 66 B in, 0 B out",
        r"came last GET /products/7 HTTP/1\.1",
        r"Via: 1",
        r"[\d.]+ s - AWAITING_REQUEST HEAD_STARTED -> READING_HEAD",
    )
    assert stage.run("clerestory close --state reading_head --yes").endswith("4 connections closed.\n")
    assert stage.run(f"{SHOW} 4").startswith("connection 4 from ")
    says(stage.run(f"{SHOW} 4"), r"[\d.]+ m?s [\d.]+ s #+ READING_HEAD !CLOSE_ORDERED -> CLOSED")


@in_trouble("pre-connection")
def test_a_silent_pre_connection_has_sent_nothing_yet(stage: Stage) -> None:
    says(stage.run(PS), rf"1 {PEER} AWAITING_REQUEST [\d.]+ m?s of 15 s <- client readable")
    says(
        stage.run(f"{SHOW} 1"),
        r"state AWAITING_REQUEST for [\d.]+ m?s: no byte of the next request has arrived",
        r"so far 0 requests, 0 B in, 0 B out",
        r"deadline keep-alive, 15 s: fires in [\d.]+ s",
    )


@in_trouble("stuck-backend")
def test_a_stuck_backend_is_named_by_who_waits_for_it(stage: Stage) -> None:
    waits = r"QUERYING_BACKEND [\d.]+ s of 75 s <- work#\d+ RUNNING find_order [\d.]+ s"
    says(
        stage.run(f"{PS} --path /orders"),
        rf"1 {PEER} GET /orders/41\?\.\.\. {waits}",
        rf"2 {PEER} GET /orders/42\?\.\.\. {waits}",
    )
    for form in ("", " --format text", " --format mermaid", " --format perfetto", " --format recording"):
        assert "customer=ada" not in stage.run(f"{SHOW} 1{form}")
    assert "customer=ada" in stage.run(f"{SHOW} 1 --secrets")
    assert "agree with the table of connection" in stage.run(f"{SHOW} 1 --format recording | clerestory replay -")
    says(
        stage.run(f"{SHOW} 1"),
        r"waits for work#\d+ RUNNING find_order [\d.]+ s",
        r"request GET /orders/41\?\.\.\. \([0-9a-f]{8}-1-1\)",
    )


@in_trouble("slow-route")
def test_a_route_that_is_slow_is_named_with_the_line_that_its_requests_wait_in(stage: Stage) -> None:
    waits = r"(99|100) % thread find_order at shop/shop\.py:\d+ find_order"
    says(
        stage.run("clerestory waits"),
        r"ROUTE REQUESTS FAILED P50 P99",
        r"GET /orders/{number} 2 - [\d.]+ s [\d.]+ s",
        rf"p50 {waits}",
        rf"p99 {waits}",
        r"POST /warehouse 1 - [\d.]+ m?s [\d.]+ m?s",
        r"Of the last [\d.]+ s\. p50: the median request; p99: the slowest hundredth\.",
    )
    of_one = stage.run("clerestory waits --route /orders")
    says(of_one, r"[0-9a-f]{8}-1-1 [\d.]+ s GET /orders/41\?\.\.\. 200, [\d.]+ m?s ago")
    assert "POST /warehouse" not in of_one
    of_request = stage.run("clerestory waits --request 1-1")
    says(
        of_request,
        r"[0-9a-f]{8}-1-1 GET /orders/41\?\.\.\. from 127\.0\.0\.1:\d+: answered with 200 after [\d.]+ s",
        r"[\d.]+ s (99|100) % #+ thread find_order at shop/shop\.py:\d+ find_order",
        r"[\d.]+ m?s [\d.]+ s #+ QUERYING_BACKEND BACKEND_ANSWERED -> QUERYING_BACKEND",
    )
    assert "customer=ada" not in of_one + of_request + stage.run("clerestory waits --json")
    assert "customer=ada" in stage.run("clerestory waits --json --secrets")
    assert stage.run("clerestory waits --route /nothing").startswith("No route with /nothing in its name was asked for")


@in_trouble("slow-reader")
def test_a_slow_reader_is_a_response_that_the_client_does_not_take(stage: Stage) -> None:
    says(
        stage.run(f"{PS} --state sending_response"),
        rf"2 {PEER} GET /export SENDING_RESPONSE [\d.]+ s, send (idle|rate) deadline in [\d.]+ s <- client writable",
    )
    says(
        stage.run(f"{SHOW} 2"),
        r"state SENDING_RESPONSE for [\d.]+ s: response bytes wait for the socket",
        r"deadline send, 30 s idle: fires in [\d.]+ s, unless (a byte moves|bytes move faster)",
        r"request GET /export \([0-9a-f]{8}-2-1\), answered with 200",
    )


@in_trouble("blocked-loop")
def test_a_blocked_loop_is_told_with_the_handler_and_the_line_that_it_stands_in(stage: Stage) -> None:
    says(
        stage.run(PS),
        r"CRITICAL: The loop has been blocked for [\d.]+ s by connection 2 \(GET /label\), in label at "
        r"/srv/shop/shop\.py:\d+: with open\(PRINTER\) as printer:\. Nothing else is served meanwhile\.",
        rf"2 {PEER} GET /label QUERYING_BACKEND [\d.]+ s of 75 s <- the handler runs",
    )
    stage.printer.write_text("printed\n")
    assert stage.customers[1].answer().text == "printed\n"
    assert stage.customers[2].answer().status == 200
    eventually(lambda: "blocked" not in stage.run(PS))


@in_trouble("held-drain")
def test_a_drain_says_who_holds_it_and_until_when_and_lets_that_one_be_closed(stage: Stage) -> None:
    says(
        stage.run(PS),
        rf"WARNING: Shutting down for [\d.]+ s: waiting for 1 connection \(2: GET /export SENDING_RESPONSE [\d.]+ s, "
        rf"send idle deadline in [\d.]+ s <- {PEER} writable\)\. In [\d.]+ s what is left is closed\.",
    )
    (held,) = stage.server.wait_for("draining")["waits_for"]
    assert re.fullmatch(rf"[0-9a-f]{{8}}-2-1 GET /export of {PEER} SENDING_RESPONSE", held)
    assert "Ctrl-C once more" in stage.server.wait_for("draining")["hint"]
    assert stage.run("clerestory close 2 --yes").endswith("1 connection closed.\n")
    assert stage.server.wait() == 0
    assert stage.run(PS).startswith("clerestory: no server of this user with an x-ray is running")


@in_trouble("missed-request")
def test_a_request_that_crosses_an_idle_close_is_named_with_both_sides_times(stage: Stage) -> None:
    says(
        stage.run(PS),
        rf"WARNING: A request came just after its connection was closed as idle, [\d.]+ ms after, on connection 1 "
        rf"from {PEER}, idle for [\d.]+ s\. Such a request is not answered: a proxy in front reports 502\. Let the "
        r"client close idle connections sooner than our --keep-alive-timeout of 1 s, or raise that\.",
    )
    says(
        stage.run(f"{SHOW} 1"),
        rf"connection 1 from {PEER}: ended by deadline in AWAITING_REQUEST after [\d.]+ s; its next request came "
        r"[\d.]+ ms after we had closed it, idle for [\d.]+ s: it was not answered",
        r"[\d.]+ m?s [\d.]+ s #+ AWAITING_REQUEST DEADLINE_PASSED -> LINGERING",
        r"came last GET /products/8 HTTP/1\.1",
        r"went last HTTP/1\.1 200 OK",
    )
    (event,) = stage.server.events("request_missed")
    assert (event["id"], event["requests"]) == (1, 1)
    assert event["idle_seconds"] >= 1
    assert 0 <= event["closed_seconds_ago"] < 2


@in_trouble("leak")
def test_a_leak_of_idle_connections_is_counted_shown_by_peer_and_closed(stage: Stage) -> None:
    says(
        stage.run(f"{PS} --group peer"),
        r"WARNING: 93 of 100 slots are idle keep-alive; 93 are taken in all\.",
        r"93 [\d.]+ s 127\.0\.0\.1",
    )
    says(stage.run(f"{PS} --group state"), r"93 [\d.]+ s AWAITING_REQUEST")
    dry = stage.run("clerestory close --state awaiting_request --older 1 --dry-run")
    assert dry.endswith("93 connections would be closed.\n")
    assert stage.run("clerestory close --state awaiting_request --older 1 --yes").endswith("93 connections closed.\n")
    says(stage.run(PS), r"There are no connections\.")


# --- the how-tos

HOW_TOS = sorted(path for path in DOCS.glob("*.md") if path.name != "README.md")
SHOWN = [(path, name) for path in HOW_TOS for name in blocks(path.read_text())]


@pytest.mark.parametrize(("path", "name"), SHOWN, ids=[f"{path.stem}-{name}" for path, name in SHOWN])
def test_a_how_to_shows_what_is_really_printed(path: Path, name: str, choices: list[str]) -> None:
    with scenario(name, *choices) as stage:
        for block in blocks(path.read_text())[name]:
            for command, output in commands(block):
                assert figureless(stage.run(command)) == figureless(output)


def test_every_scenario_has_its_how_to() -> None:
    assert {name for _, name in SHOWN} == set(SCENARIOS)


def test_the_index_names_every_how_to_and_every_link_leads_somewhere() -> None:
    index = (DOCS / "README.md").read_text()
    assert [path.name for path in HOW_TOS if f"]({path.name})" not in index] == []
    for path in DOCS.glob("*.md"):
        links = re.findall(r"\]\(([^)#:]+)\)", path.read_text())
        assert [link for link in links if not (DOCS / link).exists()] == []
