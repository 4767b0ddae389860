"""What SIGUSR1 tells the log: bounded, and with the histories."""

import json

from clerestory.server.xray.exports.dump import ENDED, HISTORIES, SLOWEST, dump
from clerestory.statemachines.connection import Trigger as T
from tests.server.support import GET, bench_of
from tests.server.xray.support import ROOMY, cut_of, waiting


def test_a_dump_tells_who_waits_for_what_and_how_the_last_ones_ended() -> None:
    with bench_of(waiting()) as bench:
        gone = bench.connect()
        gone.send(GET)
        bench.loop.fire(gone.connection, T.CLOSE_ORDERED)
        bench.connect().send(b"GET /emails/7?token=abc HTTP/1.1\r\nhost: x\r\n\r\n")
        bench.clock.now += 2
        bench.connect()
        found = dump(cut_of(bench), bench.recorder, ROOMY)
        assert found == {
            "banners": [],
            "states": {
                "connection": {"AWAITING_REQUEST": 1, "QUERYING_BACKEND": 1},
                "wakeup": {"WATCHING": 1},
            }
            | {kind: {} for kind in found["states"] if kind not in ("connection", "wakeup")},
            "connections": [
                "2: GET /emails/7?... QUERYING_BACKEND 2.0 s of 75 s <- work#1 RUNNING find 1.2 s",
                "3: AWAITING_REQUEST 0.0 s of 15 s <- client readable",
            ],
            "histories": {"2": ["HEAD_RECEIVED -> QUERYING_BACKEND from AWAITING_REQUEST"], "3": []},
            "ended": ["connection 1 from client, GET /: ended by operator in QUERYING_BACKEND after 0.0 s"],
        }
        assert json.loads(json.dumps(found)) == found


def test_a_dump_is_bounded() -> None:
    with bench_of(waiting()) as bench:
        for _ in range(ENDED + 1):
            client = bench.connect()
            client.send(GET)
            bench.loop.fire(client.connection, T.CLOSE_ORDERED)
        for _ in range(SLOWEST + 1):
            bench.connect()
        found = dump(cut_of(bench), bench.recorder, ROOMY)
        assert (len(found["connections"]), len(found["histories"]), len(found["ended"])) == (SLOWEST, HISTORIES, ENDED)
        assert found["ended"][0].startswith(f"connection {ENDED + 1} ")
