"""`clerestory replay FILE...`: hold recordings against the tables of their machines, without a server; with `--page`,
write a page that plays them together as well.

A recording that disagrees was made by another version of the table, was changed, or shows that the engine does not do
what its table says; the first place where they disagree is named. Exit status 0 where they agree, 1 where they do not,
2 where the file is no recording.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from clerestory.server.xray.exports.exports import FORMAT
from clerestory.server.xray.exports.player import player
from clerestory.statemachines.contract import Table
from clerestory.statemachines.tables import TABLES

USAGE = """\
usage: clerestory replay [--page OUT.html] FILE...

Hold recordings against the tables of their machines. FILE is what /connections/ID?format=recording gives, or what
python -m proof writes of a counter-example; - is standard input.

  --page OUT.html   also write a page that plays them together in a browser, without a server

Exit status: 0 if all agree with their tables, 1 if one does not, 2 if a file is not a recording."""


class RecordingError(Exception):
    """The file is no recording; the message says what is wrong with it."""


class Disagreement(Exception):
    """The recording and the table disagree; the message says where."""


def run(arguments: Sequence[str]) -> tuple[int, str]:
    """Replay the files that are named: the exit status, and a line for each that says what came of it."""
    names, page = list(arguments), ""
    if "-h" in names or "--help" in names:
        return 0, USAGE
    if "--page" in names:
        at = names.index("--page")
        page = next(iter(names[at + 1 : at + 2]), "")
        del names[at : at + 2]
        if not page:
            return 2, USAGE
    if not names or any(name.startswith("--") for name in names):
        return 2, USAGE
    recordings: list[dict[str, Any]] = []
    found = [_run_one(name, recordings) for name in names]
    status, lines = max(status for status, _ in found), [line for _, line in found]
    if page and len(recordings) == len(names):
        try:
            Path(page).write_text(player(recordings, ", ".join(Path(name).name for name in names)), encoding="utf-8")
        except OSError as error:
            return 2, "\n".join([*lines, f"{page}: {error.strerror}"])
        lines.append(f"{page}: open it in a browser")
    return status, "\n".join(lines)


def _run_one(name: str, recordings: list[dict[str, Any]]) -> tuple[int, str]:
    """Replay one, and add it to `recordings` if it is one."""
    try:
        recording = load(sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8"))
        recordings.append(recording)
        return 0, f"{name}: {replay(recording)}"
    except Disagreement as where:
        return 1, f"{name}: {where}"
    except OSError as error:
        return 2, f"{name}: {error.strerror}"
    except (UnicodeDecodeError, RecordingError) as error:
        return 2, f"{name}: {error}"


def load(text: str) -> dict[str, Any]:
    """The recording that `text` is. Raises RecordingError."""
    try:
        recording = json.loads(text)
    except ValueError as error:
        raise RecordingError(f"this is not JSON: {error}") from error
    if not isinstance(recording, dict) or recording.get("format") != FORMAT:
        raise RecordingError("this is not a recording: get one with /connections/ID?format=recording")
    if recording.get("version") != 1:
        raise RecordingError(f"this is a recording of version {recording.get('version')}: replay it where it was made")
    transitions = recording.get("passages")
    if not isinstance(transitions, list) or not all(_is_transition(one) for one in transitions):
        raise RecordingError("it has no list of transitions with at, source, trigger and dest")
    return recording


def _is_transition(one: object) -> bool:
    names = isinstance(one, dict) and all(isinstance(one.get(key), str) for key in ("source", "trigger", "dest"))
    return names and isinstance(one.get("at"), int | float)  # type: ignore[attr-defined]


def replay(recording: dict[str, Any]) -> str:
    """What was replayed, in one line. Raises Disagreement."""
    table = TABLES.get(recording.get("machine", ""))
    if table is None:
        raise Disagreement(f"there is no machine {recording.get('machine')!r}; there are {', '.join(TABLES)}")
    transitions: list[dict[str, Any]] = recording["passages"]
    state: str | None = str(table.initial) if recording.get("whole") else None
    time, cause = float("-inf"), None
    for number, transition in enumerate(transitions, 1):
        state, time = _step(table, number, transition, state, time)
        cause = cause or _cause(table, transition)
    if recording.get("ended"):
        _check_end(table, state, cause, recording.get("cause"))
    return f"{len(transitions)} transitions agree with the table of {table.name}"


def _step(table: Table, number: int, transition: dict[str, Any], state: str | None, time: float) -> tuple[str, float]:
    source, trigger, dest = transition["source"], transition["trigger"], transition["dest"]
    here = f"transition {number}"
    if state is not None and source != state:
        raise Disagreement(f"{here} leaves {source}, but the machine was in {state}")
    if source not in table.states.__members__:
        raise Disagreement(f"{here}: {table.name} has no state {source}")
    rows = [row for row in table.rows if row.source == source and row.trigger == trigger]
    if not rows:
        raise Disagreement(f"{here}: the table has no row for {trigger} in {source}")
    if not any(row.dest == dest and row.guard == transition.get("guard", row.guard) for row in rows):
        ways = " or ".join(_way(row.dest, row.guard) for row in rows)
        said = _way(dest, transition.get("guard", ""))
        raise Disagreement(f"{here}: {trigger} in {source} leads to {ways}, not to {said}")
    if transition["at"] < time:
        raise Disagreement(f"{here} is {time - transition['at']:.6f} s before the one before it")
    return dest, transition["at"]


def _way(dest: str, guard: str) -> str:
    return f"{dest} if {guard}" if guard else str(dest)


def _cause(table: Table, transition: dict[str, Any]) -> str | None:
    key = transition["source"], transition["trigger"], transition["dest"]
    return next((row.ends for row in table.rows if (row.source, row.trigger, row.dest) == key and row.ends), None)


def _check_end(table: Table, state: str | None, cause: str | None, said: str | None) -> None:
    final = [str(spec.state) for spec in table.specs if spec.final]
    if state not in final:
        raise Disagreement(f"the machine is said to have ended, but it is left in {state or 'no state at all'}")
    if cause != said:
        raise Disagreement(f"it is said to have been ended by {said}, but its rows say {cause}")
