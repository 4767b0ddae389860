"""docs/handlers.md and docs/tutorial.md: their programs run, and answer what the pages say."""

import doctest
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clerestory.testing import Client

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


CURL = re.compile(r"curl (?:-d '([^']*)' )?'?http://127\.0\.0\.1:8000([^ ']*)'?")


def test_the_tutorials_program_answers_as_it_says() -> None:
    names = program("tutorial.md")
    asked = 0
    with Client(names["router"]) as client:
        for kind, text in blocks("tutorial.md"):
            commands = re.split(r"^\$ ", text, flags=re.MULTILINE) if kind == "console" else []
            for command, _, output in (one.partition("\n") for one in commands):
                curl = CURL.fullmatch(command)
                if curl is not None:
                    data, target = curl.groups()
                    answer = client.post(target, body=data.encode()) if data else client.get(target)
                    assert answer.text.strip() == output.strip(), command
                    asked += 1
    assert asked == 7


def test_the_tutorials_test_passes() -> None:
    program("tutorial.md")["test_an_order_is_taken_from_the_stock"]()
