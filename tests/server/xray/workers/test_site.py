"""One x-ray for all workers: rows say whose they are, counts are sums, orders reach the right one, and nobody who does
not answer is waited for."""

import json
from typing import Any

import pytest

from clerestory.handlers.api.messages import Request, Response
from clerestory.statemachines.supervisor import Trigger
from tests.server.support import GET, hello
from tests.server.xray.support import Gate, waiting
from tests.server.xray.workers.support import Team, team_of
from tests.support.client import Client
from tests.support.waiting import eventually

ORDER = b"GET /orders/7 HTTP/1.1\r\nHost: x\r\n\r\n"


def ids(rows: list[dict[str, Any]]) -> list[str]:
    return [row["id"] for row in rows]


def test_rows_of_all_workers_say_whose_they_are() -> None:
    with team_of(waiting(), hello) as team:
        first, second = team.workers[1].address, team.workers[2].address
        with Client(first, data=ORDER), Client(second, data=GET) as other:
            other.answer()
            eventually(lambda: [row["state"] for row in team.rows()] == ["QUERYING_BACKEND", "AWAITING_REQUEST"])
            document = team.json("/connections.json")
            assert (document["total"], document["matched"], document["offset"]) == (2, 2, 0)
            assert [(row["id"], row["worker"], row["generation"]) for row in document["rows"]] == [
                ("1:1", 1, 1),
                ("2:1", 2, 1),
            ]
            assert ids(team.rows("?state=awaiting_request")) == ["2:1"]
            assert ids(team.rows("?sort=-wait")) == ["2:1", "1:1"]
            assert ids(team.rows("?limit=1&offset=1")) == ["2:1"]
            groups = team.json("/connections.json?group=peer&limit=0")["groups"]
            assert [(one["key"], one["count"]) for one in groups] == [("127.0.0.1", 2)]


def test_the_supervisors_own_machines_are_among_them() -> None:
    with team_of(hello, hello) as team:
        rows = team.rows("?kind=worker&sort=id")
        assert [(row["id"], row["state"]) for row in rows] == [("worker:1", "READY"), ("worker:2", "READY")]
        assert team.json("/connections/worker:2")["kind"] == "worker"
        kinds = {row["id"] for row in team.rows("?kind=*")}
        assert any(one.startswith("2:listener:") for one in kinds)
        assert {"worker:1", "worker:2"} <= kinds


def test_what_is_counted_is_added_up() -> None:
    with team_of(hello, hello) as team:
        for number in (1, 1, 2):
            team.get(number, "/")
        eventually(lambda: team.json("/snapshot.json")["totals"]["requests"] == 3)
        snapshot = team.json("/snapshot.json")
        assert snapshot["totals"]["accepted"] == 3
        assert snapshot["totals"]["statuses"] == {"200": 3}
        assert snapshot["dwell"]["connection"]["AWAITING_REQUEST"]["count"] >= 3
        slots = [live.service.max_connections for live in team.workers.values()]
        assert snapshot["bounds"]["slots"] == sum(slots)
        workers = snapshot["workers"]
        assert [(one["worker"], one["state"], one["answers"]) for one in workers] == [
            (1, "READY", True),
            (2, "READY", True),
        ]


def test_one_connection_is_found_by_its_worker_and_number() -> None:
    with (
        team_of(waiting(), waiting()) as team,
        Client(team.workers[1].address, data=ORDER),
        Client(team.workers[2].address, data=GET),
    ):
        eventually(lambda: len(team.rows("?state=querying_backend")) == 2)
        one = team.json("/connections/1:1")
        assert (one["id"], one["request"], one["worker"]) == ("1:1", "GET /orders/7", 1)
        assert team.json("/connections/2:1")["request"] == "GET /"
        both = team.x("/connections/1")
        assert both.status == 404
        assert "write 1:1 or 2:1" in both.text
        for name, reason in (("3:1", "no worker 3"), ("2:9", "2:9 is not there"), ("9", "9 is not there")):
            assert reason in team.x(f"/connections/{name}").text
        with Client(team.workers[2].address, data=ORDER):
            eventually(lambda: len(team.rows("?state=querying_backend")) == 3)
            assert team.json("/connections/2")["id"] == "2:2"
        trace = team.x("/connections/1:1?format=perfetto")
        assert (trace.status, json.loads(trace.body)["displayTimeUnit"]) == (200, "ms")
        assert team.x("/connections/1:1?format=nonsense").status == 400


def test_one_is_closed_in_the_right_worker() -> None:
    with team_of(waiting(), waiting()) as team:
        with (
            Client(team.workers[1].address, data=ORDER) as first,
            Client(team.workers[2].address, data=ORDER) as second,
        ):
            eventually(lambda: len(team.rows("?state=querying_backend")) == 2)
            assert "write 1:1 or 2:1" in team.post("/connections/1/close").text
            done = json.loads(team.post("/connections/2:1/close").body)
            assert (done["closed"], done["failed"]) == (["2:1"], [])
            eventually(lambda: not second.is_open())
            assert first.is_open()
            done = json.loads(team.post("/connections/1/close").body)  # the only open one by now
            assert done["closed"] == ["1:1"]
            eventually(lambda: not first.is_open())
        assert [event["connections"] for event in team.workers[1].log("closed_by_operator")] == [["1"]]


def test_those_that_a_filter_chooses_are_closed_in_all_workers() -> None:
    with team_of(waiting(), waiting()) as team:
        clients = [Client(live.address, data=data) for live in team.workers.values() for data in (ORDER, GET)]
        eventually(lambda: len(team.rows("?state=querying_backend")) == 4)
        assert team.post("/close").status == 400
        would = json.loads(team.post("/close?path=/orders").body)
        assert (would["dry_run"], would["would_close"]) == (True, 2)
        assert sorted(ids(would["rows"])) == ["1:1", "2:1"]
        done = json.loads(team.post("/close?path=/orders&confirm=1").body)
        assert sorted(done["closed"]) == ["1:1", "2:1"]
        eventually(lambda: [client.is_open() for client in clients] == [False, True, False, True])
        for client in clients:
            client.close()


def test_a_blocked_worker_is_shown_as_such() -> None:
    gate = Gate()
    block = b"GET /block HTTP/1.1\r\nHost: x\r\n\r\n"
    with team_of(gate, hello) as team, Client(team.workers[1].address, data=block):
        assert gate.entered.wait(20)
        snapshot = team.json("/snapshot.json")
        first, second = snapshot["workers"]
        assert first["answers"]
        assert first["blocked"] is not None
        assert second["blocked"] is None
        assert (snapshot["loop"]["blocked"]["worker"], snapshot["loop"]["blocked"]["id"]) == (1, "1:1")
        banner = snapshot["banners"][0]
        assert (banner["kind"], banner["worker"], banner["connections"]) == ("blocked", 1, ["1:1"])
        assert banner["text"].startswith("Worker 1, generation 1: The loop has been blocked")
        gate.opened.set()


def test_a_worker_that_does_not_answer_is_shown_with_its_age_and_not_waited_for() -> None:
    """It has been silent for hours; one that was heard a moment ago has more time, and no more than its deadline."""
    with team_of(hello, None) as team:
        silent = next(one for one in team.supervisor.workers() if one.number == 2)
        team.get(1, "/")
        for age in (0.0, 50.0):
            heard = team.loop.clock() - age
            team.on_loop(lambda heard=heard: setattr(silent, "heard", heard))  # type: ignore[misc]
            snapshot = team.json("/snapshot.json")
            first, second = snapshot["workers"]
            assert (first["answers"], second["answers"]) == (True, False)
            assert second["heard"] >= age
            banner = snapshot["banners"][0]
            assert (banner["kind"], banner["level"], banner["worker"]) == ("silent", "critical", 2)
            assert snapshot["totals"]["requests"] == 1
        shown = team.x("/connections/2:1")
        assert shown.status == 503
        assert "worker 2 (last heard 5" in shown.text
        assert team.x("/readyz").status == 200
        assert 'clerestory_worker_up{worker="2",generation="1"} 0' in team.x("/metrics").text


def test_a_worker_that_starts_is_not_asked() -> None:
    with team_of(hello, ready=False) as team:
        eventually(lambda: 1 in team.recruits.doors)
        (only,) = team.json("/snapshot.json")["workers"]
        assert (only["state"], only["answers"]) == ("STARTING", None)
        assert team.x("/readyz").text.endswith("starting\n")
        assert team.x("/connections/1:1").status == 503
        assert team.rows() == []


def test_it_is_ready_while_a_worker_is_and_not_in_a_drain() -> None:
    with team_of(hello, hello) as team:
        assert team.x("/readyz").text == "ready\n"
        team.workers[1].service.draining = True
        assert team.x("/readyz").text == "ready\n"
        team.workers[2].service.draining = True
        answer = team.x("/readyz")
        assert (answer.status, answer.text) == (503, "503 Service Unavailable: draining\n")
        team.workers[2].service.draining = False
        team.on_loop(lambda: team.loop.tell(team.supervisor, Trigger.SIGNAL_RECEIVED))
        assert "draining" in team.x("/readyz").text


def test_without_an_answer_from_anybody_it_is_not_ready() -> None:
    with team_of(None) as team:
        assert team.x("/readyz").text.endswith("no worker answers\n")


def value(team: Team, sample: str) -> float:
    lines = [line for line in team.x("/metrics").text.splitlines() if line.startswith(f"{sample} ")]
    assert len(lines) == 1, (sample, lines)
    return float(lines[0].rpartition(" ")[2])


def test_metrics_are_those_of_one_process() -> None:
    with team_of(hello, hello) as team:
        for number in (1, 2, 2):
            team.get(number, "/")
            team.say(number, "beat", connections=number, requests=7, memory=1000)
        answers = 'clerestory_requests_total{class="2xx"}'
        eventually(lambda: value(team, answers) == 3)
        assert value(team, 'clerestory_request_duration_seconds_count{route="GET /",status="2xx"}') == 3
        assert value(team, "clerestory_accepted_total") == 3
        assert value(team, 'clerestory_machines{machine="worker",state="READY"}') == 2
        assert value(team, 'clerestory_worker_up{worker="1",generation="1"}') == 1
        eventually(lambda: value(team, 'clerestory_worker_connections{worker="2",generation="1"}') == 2)
        page = team.x("/metrics").text
        helps = [line for line in page.splitlines() if line.startswith("# TYPE ")]
        assert len(helps) == len(set(helps))


@pytest.mark.parametrize("last_words", [True, False])
def test_what_a_worker_has_counted_counts_when_it_has_ended(last_words: bool) -> None:
    """With its last words all of it; without them, what it had counted when it was last asked."""
    answers = 'clerestory_requests_total{class="2xx"}'
    with team_of(hello, hello) as team:
        for number in (1, 2, 2):
            team.get(number, "/")
        eventually(lambda: value(team, answers) == 3)
        eventually(lambda: team.json("/snapshot.json")["totals"]["requests"] == 3)
        team.get(2, "/")
        eventually(lambda: team.workers[2].service.statuses[200] == 3)
        team.leave(2, last_words=last_words)
        eventually(lambda: 2 not in [one["worker"] for one in team.json("/snapshot.json")["workers"]])
        expected = 4 if last_words else 3
        assert value(team, answers) == expected
        snapshot = team.json("/snapshot.json")
        assert snapshot["totals"]["statuses"] == {"200": expected}
        team.get(1, "/")
        eventually(lambda: value(team, answers) == expected + 1)


def test_it_says_for_whom_an_old_generation_is_still_there() -> None:
    with team_of(waiting()) as team, Client(team.workers[1].address, data=ORDER):
        eventually(lambda: team.rows("?state=querying_backend"))
        team.reload()
        team.join(2, hello)
        eventually(lambda: team.states() == ["RETIRING", "READY"])
        old, new = team.json("/snapshot.json")["workers"]
        assert (old["generation"], new["generation"]) == (1, 2)
        (held,) = old["waits_for"]
        assert held.startswith("1:1: GET /orders/7 QUERYING_BACKEND ")
        (row,) = [row for row in team.json("/snapshot.json")["rows"] if row["id"] == "worker:1"]
        assert " <- 1:1: GET /orders/7 QUERYING_BACKEND " in row["why"]
        assert new["waits_for"] == []


def test_where_time_goes_is_told_of_all_workers_together() -> None:
    with team_of(hello, hello) as team:
        for number in (1, 2, 2):
            team.get(number, "/orders")
        eventually(lambda: [one["requests"] for one in team.json("/waits.json")["routes"]] == [3])
        (route,) = team.json("/waits.json?route=orders")["routes"]
        assert sum(part["share"] for part in route["whole"]) == pytest.approx(1)
        example = route["examples"][0]
        assert example["id"] == f"{example['worker']}:{example['id'].partition(':')[2]}"
        one = team.json(f"/waits.json?example={example['id']}")
        assert (one["id"], one["worker"]) == (example["id"], example["worker"])
        assert team.x("/waits.json?example=2:99-1").status == 404


def test_the_ended_are_those_of_all_workers() -> None:
    def answer(request: Request) -> Response:
        return Response(b"bye", 200, ((b"connection", b"close"),))

    with team_of(answer, answer) as team:
        team.get(1, "/")
        team.get(2, "/")
        eventually(lambda: len(team.json("/ended.json")["normal"]) == 2)
        found = team.json("/ended.json")["normal"]
        assert sorted(ids(found)) == ["1:1", "2:1"]
        assert found[0]["ended_at"] >= found[1]["ended_at"]
        assert team.json("/connections/2:1")["ended"] is not None
        assert team.x("/connections/2:1/close", method="POST").status == 404


def test_events_tell_of_all_workers() -> None:
    with team_of(hello, hello) as team:
        team.get(2, "/")
        with Client(team.xray_address) as client:
            client.send(f"GET /events HTTP/1.1\r\nHost: localhost\r\n{team.token}\r\n\r\n".encode())
            seen: list[bytes] = []

            def beats() -> int:
                seen.append(client.socket.recv(65536))
                return b"".join(seen).count(b"event: beat")

            eventually(lambda: beats() >= 2, what="two beats")
        text = b"".join(seen).decode()
        document = json.loads(text[text.index("data: ") + 6 :].splitlines()[0])
        assert [one["worker"] for one in document["workers"]] == [1, 2]
        assert document["totals"]["accepted"] == 1


def test_it_takes_the_token_as_any_x_ray_does() -> None:
    with team_of(hello) as team:
        for target in ("/snapshot.json", "/connections/1:1", "/waits.json"):
            assert team.stranger(target).status == 401
        assert team.stranger("/close?older=0", method="POST").status == 401
        assert team.stranger("/readyz").status == 200
