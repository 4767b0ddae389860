"""docs/log-events.md lists every event that the code writes, with its level, and no other."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

PAGE = Path("docs/log-events.md").read_text()
LEVELS = {"debug", "info", "warning", "error", "always"}
OTHER = {"said"}
"""Names of variables that are one of the methods."""
NAME = re.compile(r"[a-z]+(_[a-z]+)*")
NO_EVENTS = {"gauge"}
"""A kind of metric, beside the metric `info`."""


def written(source: str) -> Iterator[tuple[str, str]]:
    """The events that a source writes, each with its level."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute | ast.Name):
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
        texts = [one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        if called in LEVELS | OTHER and texts and NAME.fullmatch(texts[0]):
            yield texts[0], called
        elif len(texts) > 1 and texts[0] in LEVELS | {"critical"} and NAME.fullmatch(texts[1]):
            yield texts[1], texts[0]


def all_written() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {
        "request": {"info"}
    }  # written by logs.request, of which nothing but its fields is told
    for folder in ("statemachines", "handlers", "server"):
        for path in sorted(Path(folder).rglob("*.py")):
            for event, level in written(path.read_text()):
                if event not in NO_EVENTS:
                    found.setdefault(event, set()).add(level)
    return {event: levels - OTHER or {"info"} for event, levels in found.items()}


def test_every_event_is_listed_with_its_level_and_no_other_is() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([a-z, ]+) \| .+ \|$", PAGE, re.MULTILINE)
    listed = {event: set(levels.split(", ")) for event, levels in rows}
    assert len(rows) == len(listed)
    assert listed == all_written()


def test_an_event_is_found_however_it_is_written() -> None:
    source = 'logs.info("one_event", id=1)\nsay("warning", "other", run)\nlogs.event("critical", "x")\nerror("no one")'
    assert list(written(source)) == [("one_event", "info"), ("other", "warning"), ("x", "critical")]
