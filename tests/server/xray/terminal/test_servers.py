"""Which server is meant."""

import os
from pathlib import Path

import pytest

from clerestory.server.xray.serve import runtime
from clerestory.server.xray.serve.runtime import Running
from clerestory.server.xray.terminal.client import Client, XRayError
from clerestory.server.xray.terminal.servers import choose

MAIL = Running(4711, "http://127.0.0.1:8001/", "mail's token", "the built-in mail site")
SHOP = Running(4712, "unix:/run/shop.sock", "shop's token", "the application \x1bshop")


@pytest.fixture(autouse=True)
def no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLERESTORY_TOKEN", raising=False)
    monkeypatch.delenv("CLERESTORY_XRAY_TOKEN", raising=False)


def token_of(client: Client) -> str:
    return client._token


def test_the_only_one() -> None:
    client = choose(running=[MAIL])
    assert (client.address, token_of(client)) == ("127.0.0.1:8001", "mail's token")


def test_none_says_what_to_do() -> None:
    with pytest.raises(XRayError, match=r"start one with clerestory, or say .*: --xray 127\.0\.0\.1:8001"):
        choose(running=[])


def test_several_are_listed() -> None:
    with pytest.raises(XRayError) as raised:
        choose(running=[MAIL, SHOP])
    assert str(raised.value).split("\n") == [
        "2 servers are running; say which:",
        "  --pid 4711     127.0.0.1:8001  the built-in mail site",
        "  --pid 4712     unix:/run/shop.sock  the application \\x1bshop",
    ]


def test_by_its_number() -> None:
    assert choose(pid=4712, running=[MAIL, SHOP]).address == "unix:/run/shop.sock"
    with pytest.raises(XRayError, match="no server with an x-ray has the process id 1:"):
        choose(pid=1, running=[MAIL, SHOP])


@pytest.mark.parametrize("address", ["127.0.0.1:8001", "http://127.0.0.1:8001/"])
def test_by_its_address_with_the_token_of_its_runtime_file(address: str) -> None:
    client = choose(address, running=[SHOP, MAIL])
    assert (client.address, token_of(client)) == ("127.0.0.1:8001", "mail's token")


def test_an_address_that_is_nobody_s_has_no_token() -> None:
    assert token_of(choose("127.0.0.1:9", running=[SHOP, MAIL])) == ""


@pytest.mark.parametrize("name", ["CLERESTORY_TOKEN", "CLERESTORY_XRAY_TOKEN"])
def test_the_environment_s_token_goes_first(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "mine")
    assert token_of(choose(running=[MAIL])) == token_of(choose("127.0.0.1:9", running=[])) == "mine"


def test_the_runtime_files_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    runtime.write(Running(os.getpid(), "http://127.0.0.1:5/", "t", "this test"))
    assert choose().address == "127.0.0.1:5"
