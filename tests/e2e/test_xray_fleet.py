"""Several real servers looked into as one: ps, show, waits and close, and one that does not answer."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Start
from tests.support.client import Client, request
from tests.support.server import ROOT, TOKEN
from tests.support.waiting import eventually

COMMAND = [sys.executable, "-m", "clerestory"]


class Machines:
    """Two servers, and the address of a third that is gone; `run` gives a command their fleet."""

    def __init__(self, start: Start, directory: Path) -> None:
        self.servers = [start("--xray", "127.0.0.1:0") for _ in range(2)]
        self.file = directory / "fleet"
        addresses = [server.wait_for("xray")["url"] for server in self.servers]
        self.file.write_text(f"# ours\nweb1 {addresses[0]}\nweb2 {addresses[1]}\n")
        with socket.create_server(("127.0.0.1", 0)) as gone:
            self.gone = f"127.0.0.1:{gone.getsockname()[1]}"

    def lose_one(self) -> None:
        self.file.write_text(f"{self.file.read_text()}web3 {self.gone}  # burnt down\n")

    def run(self, command: str, *words: str, fleet: str = "") -> tuple[int, str, str]:
        done = subprocess.run(
            [*COMMAND, command, "--fleet", fleet or str(self.file), *words],
            cwd=ROOT,
            env=os.environ | {"CLERESTORY_TOKEN": TOKEN},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr


@pytest.fixture
def machines(start: Start, tmp_path: Path) -> Machines:
    return Machines(start, tmp_path)


def rows_of(machines: Machines, *words: str) -> dict[str, str]:
    """What waits where: id and state."""
    status, text, said = machines.run("ps", "--json", *words)
    assert status == 0, said
    return {row["id"]: row["state"] for row in json.loads(text)["rows"]}


def test_connections_of_all_are_listed_shown_and_closed(machines: Machines) -> None:
    one, other = machines.servers
    with (
        Client(one.address, data=request("/wait/a")) as first,
        Client(other.address, data=request("/wait/a")) as second,
    ):
        found = {"web1:1": "QUERYING_BACKEND", "web2:1": "QUERYING_BACKEND"}
        eventually(lambda: rows_of(machines) == found)
        assert rows_of(machines, "--sort=id", "--limit", "1") == {"web1:1": "QUERYING_BACKEND"}
        _, text, _ = machines.run("ps")
        assert sorted(line.split()[0] for line in text.splitlines()[1:]) == ["web1:1", "web2:1"]
        assert machines.run("ps", "--group", "state")[1].splitlines()[1].split()[0] == "2"
        status, text, _ = machines.run("show", "web2:1")
        assert status == 0
        assert text.startswith("web2:1 ")
        assert "GET /wait/a" in text
        assert machines.run("show", "1") == (
            1,
            "",
            "clerestory: 1: write the server's name, a colon, and the id; the servers are web1, web2\n",
        )
        assert machines.run("close", "web2:1", "--yes")[0] == 0
        assert second.end()
        assert rows_of(machines) == {"web1:1": "QUERYING_BACKEND"}
        assert machines.run("close", "--state", "querying_backend", "--yes")[0] == 0
        assert first.end()


def test_requests_of_all_are_counted_by_route(machines: Machines) -> None:
    for count, server in enumerate(machines.servers, 1):
        for _ in range(count):
            with Client(server.address, data=request("/sleep/20")) as client:
                assert client.answer().status == 200
    status, text, _ = machines.run("waits", "--json")
    assert status == 0
    (route,) = (one for one in json.loads(text)["routes"] if "sleep" in one["route"])
    assert route["requests"] == 3
    slowest = route["examples"][0]["id"]
    assert slowest.partition(":")[0] in ("web1", "web2")
    status, text, _ = machines.run("waits", "--request", slowest)
    assert status == 0
    assert "GET /sleep/20" in text


def test_one_that_does_not_answer_is_named_and_the_others_are_shown(machines: Machines) -> None:
    machines.lose_one()
    with Client(machines.servers[0].address, data=request("/hello")) as client:
        assert client.answer().status == 200
        status, text, said = machines.run("ps")
        assert (status, len(text.splitlines())) == (0, 2)
        assert said.startswith(f"CRITICAL: web3: {machines.gone}: Connection refused")
        assert "What it holds is not shown." in said


def test_where_none_answers_each_is_told(machines: Machines) -> None:
    gone = [machines.gone, machines.gone.replace("127.0.0.1", "localhost")]
    status, _, said = machines.run("ps", fleet=",".join(gone))
    assert status == 2
    assert all(one in said for one in gone)


def test_addresses_stand_for_themselves_where_hosts_do_not_tell_them_apart(machines: Machines) -> None:
    addresses = [server.wait_for("xray")["url"] for server in machines.servers]
    with Client(machines.servers[1].address, data=request("/hello")) as client:
        assert client.answer().status == 200
        status, text, _ = machines.run("ps", "--json", fleet=",".join(addresses))
        assert status == 0
        (row,) = json.loads(text)["rows"]
        assert row["id"] == f"{addresses[1].removeprefix('http://').rstrip('/')}:1"
        assert row["server"] == row["id"].removesuffix(":1")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a b c\n", ":1: write a name and the address of an x-ray, such as web1 10.0.0.1:8001"),
        ("# nothing\n\n", " names no server: write a name and the address of an x-ray in each line"),
        ("web1 127.0.0.1:1\nweb1 127.0.0.1:2\n", "two servers of the fleet are called web1"),
    ],
)
def test_a_file_that_names_no_fleet_is_refused(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "fleet"
    file.write_text(content)
    done = subprocess.run(
        [*COMMAND, "ps", "--fleet", str(file)], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_a_signal_ends_the_waiting_for_a_server_that_says_nothing(machines: Machines) -> None:
    stopped = machines.servers[0]
    stopped.signal(signal.SIGSTOP)
    try:
        command = subprocess.Popen(
            [*COMMAND, "ps", "--fleet", str(machines.file)], cwd=ROOT, env=os.environ | {"CLERESTORY_TOKEN": TOKEN}
        )
        eventually(lambda: len(os.listdir(f"/proc/{command.pid}/task")) > 1, what="threads that ask")
        command.send_signal(signal.SIGINT)
        assert command.wait(20) == 128 + signal.SIGINT
    finally:
        stopped.signal(signal.SIGCONT)
