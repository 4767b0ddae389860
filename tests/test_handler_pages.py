"""docs/handlers.md and docs/tutorial.md: their programs run, and answer what the pages say."""

import doctest
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from clerestory.testing import Client
from tests.support.postgres import Cluster
from tests.support.server import serving
from tests.support.waiting import eventually

DOCS = Path(__file__).resolve().parent.parent / "docs"
BLOCK = re.compile(r"^```(python|pycon|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: str) -> list[tuple[str, str]]:
    return BLOCK.findall((DOCS / page).read_text())


def program(page: str) -> dict[str, Any]:
    """The names that the page's Python blocks define, as one program."""
    names: dict[str, Any] = {"__name__": page}
    for kind, text in blocks(page):
        if kind == "python":
            exec(compile(text, str(DOCS / page), "exec", dont_inherit=True), names)
    return names


@pytest.fixture
def handlers() -> Iterator[dict[str, Any]]:
    names = program("handlers.md")
    names["client"].close()
    with Client(names["router"]) as client:
        yield names | {"client": client}


def test_the_examples_of_the_handlers_page_answer_as_it_says(handlers: dict[str, Any]) -> None:
    text = "".join(text for kind, text in blocks("handlers.md") if kind == "pycon")
    test = doctest.DocTestParser().get_doctest(text, handlers, "handlers.md", "docs/handlers.md", 0)
    said: list[str] = []
    runner = doctest.DocTestRunner(verbose=False)
    result = runner.run(test, out=said.append)
    assert result.attempted > 10
    assert result.failed == 0, "".join(said)


def commands(page: str) -> Iterator[tuple[str, str]]:
    """The commands that a page shows, with what they print."""
    for kind, text in blocks(page):
        if kind == "console":
            for one in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
                command, _, output = one.partition("\n")
                yield command, output


def undated(text: str) -> list[str]:
    """The lines, without what differs from run to run: ids, ports, and times."""
    text = re.sub(r"[0-9a-f]{8}-\d+-1\b", "ID", text)
    text = re.sub(r"^1:\d+ +(\d+ +)127\.0\.0\.1:\d+", r"1:N \1CLIENT", text, flags=re.MULTILINE)
    text = re.sub(r"\d+\.\d s", "T s", text)
    return [" ".join(line.split()) for line in text.splitlines() if line]


def printed(words: str, environment: dict[str, str]) -> list[str]:
    """The lines that a command prints, with the scripts of this environment on its path."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    whole = os.environ | environment | {"PATH": path}
    done = subprocess.run(shlex.split(words), env=whole, capture_output=True, text=True, check=False)
    return undated(done.stdout)


def is_printed(words: str, environment: dict[str, str], wanted: list[str]) -> bool:
    return set(wanted) <= set(printed(words, environment))


def test_the_tutorial_is_typed_and_prints_what_it_says(tmp_path: Path) -> None:
    """Its program, in a new directory; every command of it, in a shell of its own."""
    shop = tmp_path / "shop.py"
    pieces = [text for kind, text in blocks("tutorial.md") if kind == "python" and "clerestory.testing" not in text]
    shop.write_text("".join(pieces))
    typed = list(commands("tutorial.md"))
    run = tmp_path / "run"
    run.mkdir()
    environment = {"XDG_RUNTIME_DIR": str(run), "TMPDIR": str(run), "CLERESTORY_XRAY_TOKEN": ""}
    options = shlex.split(typed[0][0])[2:]
    with serving(
        *options,
        "--xray",
        f"unix:{tmp_path}/x",
        "--app-dir",
        str(tmp_path),
        target="shop:router",
        environment=environment,
    ) as server:
        for command, output in typed[1:]:
            words = command.removesuffix(" &").replace("http://127.0.0.1:8000", server.url.rstrip("/"))
            if command.endswith("&"):
                waiting = subprocess.Popen(shlex.split(words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                continue
            wanted = undated(output)
            if command.startswith("curl"):
                assert printed(words, environment) == wanted, command
            else:
                shown = partial(is_printed, words, environment, wanted)
                eventually(shown, what=f"{output} of {command}")
        waiting.kill()
        waiting.wait()
    assert len(typed) == 10


def test_the_tutorials_test_passes() -> None:
    program("tutorial.md")["test_an_order_is_taken_from_the_stock"]()


def test_the_program_of_the_page_about_postgresql_answers(postgres: Cluster) -> None:
    url = postgres.url(postgres.new_database())
    text = (DOCS / "postgresql.md").read_text().replace("postgresql://shop@127.0.0.1/shop", url)
    (source,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict[str, Any] = {"__name__": "postgresql.md"}
    exec(compile(source, "postgresql.md", "exec", dont_inherit=True), names)
    create = (
        "CREATE TABLE stock (item text, amount int); INSERT INTO stock VALUES ('tea', 3);"
        "CREATE TABLE orders (id serial, item text)"
    )
    names["database"].prepare(lambda connection: connection.execute(create))
    with Client(names["router"]) as client:
        assert client.post("/orders?item=tea").json() == {"id": 1}
        assert client.get("/orders").json() == {"tea": 1}
    names["database"].close()
