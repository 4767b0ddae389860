"""The page of compatibility: what a test's name says, and what comes of the outcomes."""

import pytest

from benchmarks.compatibility import page, parts_of

HERE = "tests/e2e/hosting"


@pytest.mark.parametrize(
    ("node", "parts"),
    [
        (
            f"{HERE}/test_frameworks.py::test_a_body_comes_back[plain-asyncio-2.4-1024]",
            ("plain", "ASGI, asyncio", "a body comes back (1024)"),
        ),
        (
            f"{HERE}/test_frameworks.py::test_it_streams[starlette-asyncio-2.3]",
            ("starlette", "ASGI, asyncio, 2.3", "it streams"),
        ),
        (f"{HERE}/test_websocket_frameworks.py::test_x_y[channels]", ("channels", "WebSocket", "x y")),
        (f"{HERE}/test_wsgi_frameworks.py::test_x[7-flask]", ("flask", "WSGI", "x (7)")),
    ],
)
def test_a_test_says_what_it_has_run(node: str, parts: tuple[str, str, str]) -> None:
    assert parts_of(node) == parts


def test_the_page_counts_what_holds_and_names_what_fails() -> None:
    row = ("plain", "ASGI, asyncio")
    found = {
        "clerestory": {row: {"one": "passed", "two": "passed", "three": "skipped"}},
        "other": {row: {"one": "failed", "two": "passed"}},
        "third": {},
    }
    lines = page(found, {"other": "1.2"}).splitlines()
    assert "| framework | run as | clerestory | other 1.2 | third |" in lines
    assert "| plain | ASGI, asyncio | 2 of 2 | 1 of 2 | - |" in lines
    assert lines[lines.index("## What other fails") + 2] == "- one: plain (ASGI, asyncio)"
    assert lines[lines.index("## What clerestory fails") + 2] == "Nothing."
