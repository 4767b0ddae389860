"""CONTRIBUTING.md and docs/change-a-state.md: what they tell to do is done in a copy of the sources, and what they show
is what comes of it."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "change-a-state.md").read_text()
GUIDE = (ROOT / "CONTRIBUTING.md").read_text()
BLOCKS: list[tuple[str, str]] = re.findall(r"^```(sh|console|diff)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
PYTHON = ".venv/bin/python"
SET_UP = ("python3 -m venv", f"{PYTHON} -m pip")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The sources, without what is not committed."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    archive = subprocess.run(["tar", "-c", "--null", "-T", "-"], cwd=ROOT, input=names, capture_output=True, check=True)
    subprocess.run(["tar", "-x"], cwd=tmp_path, input=archive.stdout, check=True)
    return tmp_path


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A command of the page, with the Python of these tests."""
    words = [sys.executable if word == PYTHON else word for word in shlex.split(command)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this is no checkout")
@pytest.mark.timeout(300)
def test_a_newcomer_changes_a_state(copy: Path) -> None:
    kinds = [kind for kind, _ in BLOCKS]
    assert (kinds.count("sh"), kinds.count("console"), kinds.count("diff")) == (3, 2, 4)
    for kind, text in BLOCKS:
        if kind == "diff":
            applied = subprocess.run(
                ["git", "apply"], cwd=copy, input=text, capture_output=True, text=True, check=False
            )
            assert applied.returncode == 0, f"{applied.stderr}{text}"
        elif kind == "console":
            command, _, shown = text.removeprefix("$ ").partition("\n")
            printed = run(command, copy).stdout
            assert [line for line in shown.splitlines() if line not in printed.splitlines()] == []
            assert printed.count("\n  BROKEN") == shown.count("  BROKEN")
        else:
            for command in text.splitlines():
                if not command.startswith(SET_UP):
                    done = run(command, copy)
                    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}{done.stderr}"


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this is no checkout")
def test_a_shell_without_the_new_method_is_refused_as_the_page_says(copy: Path) -> None:
    for text in [text for kind, text in BLOCKS if kind == "diff"][:2]:
        subprocess.run(["git", "apply"], cwd=copy, input=text, text=True, check=True)
    (said,) = re.findall(r"`(TableError: [^`]+)`", PAGE)
    done = run(f"{PYTHON} -m pytest -q -x tests/server/xray/workers/test_inquiry.py", copy)
    assert said.removeprefix("TableError: ") in done.stdout


def test_every_folder_and_command_that_the_guide_names_is_there() -> None:
    folders = re.findall(r"^    (\w+/) ", GUIDE, re.MULTILINE)
    assert len(folders) > 8
    assert [folder for folder in folders if not (ROOT / folder).is_dir()] == []
    inner = [name for line in re.findall(r"^ {21}(.*)$|^    \w+/ +(.*)$", GUIDE, re.MULTILINE) for name in line if name]
    named = re.findall(r"\b([a-z]+)/(?=[,;: ]|$)", " ".join(inner))
    rooms = [
        ROOT / "handlers",
        ROOT / "server",
        ROOT / "handlers" / "backends",
        ROOT / "server" / "xray",
        ROOT / "tests",
        ROOT,
    ]
    assert [name for name in named if not any((room / name).is_dir() for room in rooms)] == []
    words = [word for word in ("matrix", "compiled", "coverage") if f"./check {word}" in GUIDE]
    assert [word for word in words if f"= {word} ]" not in (ROOT / "check").read_text()] == []
