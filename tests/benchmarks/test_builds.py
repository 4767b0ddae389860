"""A build is the sources, less what was asked to be left out; the compiled one says what it is."""

import os
import subprocess
import sys

import pytest

from benchmarks import builds
from benchmarks.builds import PLAIN, PROFILE, READER, RECORDING, ROOT, WALK, Build, lines_without

COMPILED = Build(compiled=True)
pytestmark = pytest.mark.timeout(1200)  # the compiler takes its time, once
LINES = ["def walk(self):", "    now = clock()", "    go()", "def enter(self):", "    now = clock()"]


def test_lines_are_left_out_of_the_one_function() -> None:
    assert lines_without(LINES, "def walk(", ("now =",)) == [LINES[0], *LINES[2:]]
    assert lines_without(LINES, "def enter(", ("now =",)) == LINES[:4]


def test_a_line_that_is_no_longer_there_is_an_error() -> None:
    with pytest.raises(LookupError, match="has no line `then =` any more"):
        lines_without(LINES, "def walk(", ("then =",))


def test_every_line_of_the_recording_is_there() -> None:
    path, function = WALK
    for lines in RECORDING.values():
        lines_without((ROOT / path).read_text().splitlines(), function, lines)
    path, function = READER
    lines_without((ROOT / path).read_text().splitlines(), function, ("tell_end(",))
    for (path, function), lines in PROFILE.items():
        lines_without((ROOT / path).read_text().splitlines(), function, lines)


def test_the_checkout_itself_needs_no_environment() -> None:
    assert PLAIN.environment() == {}


def run(build: Build, *words: str) -> str:
    environment = {**os.environ, **build.environment()}
    return subprocess.run([sys.executable, *words], env=environment, capture_output=True, text=True, check=True).stdout


def test_without_its_history_a_build_still_walks() -> None:
    script = (
        "from clerestory.statemachines import engine; import inspect;"
        "print('ring +=' in inspect.getsource(engine.Engine.walk), engine.__file__)"
    )
    found, place = run(Build(left_out=("history",)), "-c", script).split()
    assert found == "False"
    assert place.startswith(str(builds.STORE))


def test_without_its_profile_a_build_serves_and_notes_nothing() -> None:
    script = (
        "import inspect; from clerestory.server.connection import waiting;"
        "from clerestory.server.xray.serve import thread;"
        "print('note(' in inspect.getsource(waiting.noted), 'on_exchange_ended' in inspect.getsource(thread));"
        "print(waiting.noted(None, None, []).of)"
    )
    assert run(Build(left_out=("profile",)), "-c", script).split() == ["False", "False", "{}"]


def test_the_compiled_build_is_made_once_and_says_what_it_is() -> None:
    if missing := COMPILED.missing():
        pytest.skip(f"needs {missing}")
    place = COMPILED.make()
    assert COMPILED.make() == place
    assert "compiled to C" in run(COMPILED, "-m", "clerestory", "--version")
    assert "compiled to C" not in run(PLAIN, "-m", "clerestory", "--version")
