"""The README tells the truth: its curl examples are run against the built-in site, and its claims are looked up."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from clerestory.server.cli.arguments import parse
from clerestory.server.cli.assembly import options_of
from clerestory.server.cli.options.table import BY_NAME
from clerestory.server.cli.settings import Settings
from clerestory.server.xray.terminal import COMMANDS as TERMINAL
from tests.support.server import ServerProcess

README = Path("README.md").read_text()
EXAMPLES = re.findall(r"```console\n\$ (curl .*)\n((?:.*\n)*?)```", README)
COMMANDS = [
    line.partition("  #")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("clerestory ")
]
APPLICATIONS = dict(re.findall(r"<!-- (fastapi|router) -->\n```python\n(.*?)```", README, re.DOTALL))


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    server = ServerProcess(target="")
    yield server
    server.kill()


@pytest.mark.parametrize(("command", "output"), EXAMPLES, ids=[command for command, _ in EXAMPLES])
def test_a_curl_example_prints_what_the_readme_shows(server: ServerProcess, command: str, output: str) -> None:
    words = [word.replace("http://127.0.0.1:8000", server.url.rstrip("/")) for word in shlex.split(command)]
    printed = subprocess.run([*words, "-s"], capture_output=True, text=True, check=True, timeout=30).stdout
    assert _undated(printed) == _undated(output)


def _undated(text: str) -> str:
    """Without what differs from run to run: the date, and what ids begin with."""
    text = re.sub(r"[0-9a-f]{8}-\d+-1\b", "ID", text.replace("\r\n", "\n"))
    return re.sub(r"^date: .*$", "date: -", text, flags=re.MULTILINE).strip()


def test_the_fastapi_application_serves(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(APPLICATIONS["fastapi"])
    server = ServerProcess(target="shop:app", environment={"PYTHONPATH": str(tmp_path)})
    try:
        curl = ["curl", "-s", "--fail", f"{server.url}squares/12"]
        answer = subprocess.run(curl, capture_output=True, check=True, timeout=30)
    finally:
        server.kill()
    assert answer.stdout == b'{"n":12,"square":144}'


def test_the_routers_application_serves(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(APPLICATIONS["router"])
    server = ServerProcess(target="shop:router", environment={"PYTHONPATH": str(tmp_path)})
    try:
        curl = ["curl", "-s", "--fail", f"{server.url}squares/12", "-d", "abc", f"{server.url}digests"]
        answers = subprocess.run([*curl[:4], "--next", "-s", *curl[4:]], capture_output=True, check=True, timeout=30)
    finally:
        server.kill()
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert answers.stdout.decode() == f'{{"n": 12, "square": 144}}{{"sha256": "{digest}"}}'


def test_what_ps_prints_is_what_the_how_to_shows() -> None:
    [shown] = re.findall(r"```console\n\$ clerestory ps.*?```", README, re.DOTALL)
    assert shown.split() == _block_of(Path("docs/what-is-it-waiting-for.md").read_text()).split()


def _block_of(page: str) -> str:
    """The how-to's first block; a test of its own runs the scenario and holds the block against it."""
    found = re.search(r"```console\n\$ clerestory ps.*?```", page, re.DOTALL)
    assert found is not None
    return found[0]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_one(command: str) -> None:
    options_of(Settings(parse(shlex.split(command)[1:]).given), "")


def test_every_option_and_every_subcommand_that_the_readme_names_is_there() -> None:
    assert len(COMMANDS) >= 10
    known = {option.flag for option in BY_NAME.values()} | {"--step", "--path", "--data-binary"}  # of labs, ps and curl
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", README)) - known == set()
    named = set(re.findall(r"`(?:clerestory )?([a-z]+)(?: [0-9])?`", README)) & {
        "waits",
        "top",
        "show",
        "watch",
        "close",
    }
    assert len(named) == 5
    assert named <= set(TERMINAL)
    for module in set(re.findall(r"python -m (\w+)", README)) - {"server", "clerestory", "venv"}:
        assert Path(module, "__main__.py").exists(), module


def test_every_path_that_the_readme_names_is_there() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README) + re.findall(r"^    (\w+/) ", README, re.MULTILINE)
    assert [link for link in links if not Path(link).exists()] == []
