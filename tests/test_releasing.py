"""What a release is made of: one version, a changelog that has it, and the files that docs/releasing.md names."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "releasing.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
HEADINGS = re.findall(
    r"^## (\d+\.\d+\.\d+), (not yet released|\d{4}-\d{2}-\d{2})$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
)


def test_the_changelog_begins_with_the_version_that_is_packed() -> None:
    assert HEADINGS[0][0] == PROJECT["version"]
    versions = [tuple(map(int, version.split("."))) for version, _ in HEADINGS]
    assert versions == sorted(versions, reverse=True)
    assert all(when != "not yet released" for _, when in HEADINGS[1:])


def test_what_the_checklist_names_is_there() -> None:
    for path in re.findall(r"`(\.github/[\w./]+)`", PAGE):
        assert (ROOT / path).exists()
    words = set(re.findall(r"\./check (\w+)", PAGE))
    assert words == {"matrix", "compiled"}
    assert all(f"= {word} ]" in (ROOT / "check").read_text() for word in words)


def test_an_issue_asks_for_what_is_needed() -> None:
    fault = (ROOT / ".github" / "ISSUE_TEMPLATE" / "fault.md").read_text()
    assert all(f"`clerestory {command}" in fault for command in ("ps", "show ID", "--version"))
    for path in (ROOT / ".github" / "ISSUE_TEMPLATE").iterdir():
        assert re.match(r"---\nname: .+\nabout: .+\n---\n", path.read_text()), path
