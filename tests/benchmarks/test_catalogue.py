"""Every server that is installed gives every answer that it is measured by, byte by byte."""

from pathlib import Path

import pytest

from benchmarks import catalogue, load
from benchmarks.catalogue import BY_NAME, ENTRIES, Entry
from benchmarks.environment import Peers
from benchmarks.load import WORKLOADS, Fields
from benchmarks.plot import Kind

pytestmark = pytest.mark.timeout(1200)  # the compiled build is made on its first use


@pytest.mark.parametrize("name", BY_NAME)
def test_a_server_gives_the_right_answers(name: str, data: Path, tmp_path: Path, peers: Peers) -> None:
    entry = BY_NAME[name]
    if missing := entry.missing(peers):
        pytest.skip(f"{name} is not installed: {missing}")
    with entry.start(data, tmp_path, peers) as server:
        for workload in sorted(entry.workloads):
            for fields in Fields:
                load.verify(server, WORKLOADS[workload], fields)


def test_a_missing_peer_says_what_to_install(tmp_path: Path) -> None:
    nowhere = Peers(tmp_path)
    assert BY_NAME["granian ASGI"].missing(nowhere).endswith("-m pip install granian uvloop")
    unknown = Entry("x", lambda _: [], tool="surely-not-installed", install="apt-get install it")
    assert unknown.missing(nowhere) == "apt-get install it"


def test_names_are_unique_and_ours_are_there() -> None:
    assert len(BY_NAME) == len(ENTRIES)
    assert sum(entry.kind is Kind.OURS for entry in ENTRIES) == 8


def test_only_chooses_by_a_part_of_the_name() -> None:
    assert [entry.name for entry in catalogue.choose(("NGINX", "bare"))] == [
        "bare epoll loop",
        "bare epoll loop + 20 µs",
        "nginx",
    ]
    assert len(catalogue.choose(())) == len(ENTRIES)
    with pytest.raises(LookupError, match="no server here has that in its name"):
        catalogue.choose(("surely-not",))
