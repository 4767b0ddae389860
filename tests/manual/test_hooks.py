"""What MkDocs is given: links that lead somewhere on the site, too."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from clerestory.statemachines.tables import TABLES
from manual import hooks


@pytest.mark.parametrize(
    ("place", "text", "found"),
    [
        ("tls.md", "[x](listening.md#ports)", "[x](listening.md#ports)"),
        ("tls.md", "[changes](../CHANGELOG.md)", "[changes](project/changelog.md)"),
        ("tls.md", "[report](../labs/REPORT.md)", "report (`labs/REPORT.md`)"),
        ("tls.md", "[`labs/REPORT.md`](../labs/REPORT.md)", "`labs/REPORT.md`"),
        ("tls.md", "[x](nowhere.md)", "[x](nowhere.md)"),
        ("tls.md", "[x](https://example.org/a.md)", "[x](https://example.org/a.md)"),
        ("project/deploy.md", "[x](../docs/tls.md)", "[x](../tls.md)"),
        ("project/contributing.md", "[x](docs/architecture.md)", "[x](../architecture.md)"),
    ],
)
def test_a_link_leads_to_a_page_or_names_a_file(place: str, text: str, found: str) -> None:
    assert hooks.linked(text, place) == found


def test_all_machines_are_in_the_navigation() -> None:
    config: Any = type("Config", (), {"nav": [{"Reference": [{"Machines": []}]}]})()
    hooks.on_config(config)
    (reference,) = config.nav
    names = [name for entry in reference["Reference"][0]["Machines"] for name in entry]
    assert names == ["All machines", *TABLES]


def test_every_page_of_docs_is_in_the_navigation() -> None:
    named = set(re.findall(r"([\w.-]+\.md)$", (hooks.ROOT / "mkdocs.yml").read_text(), re.MULTILINE))
    assert {path.name for path in (hooks.ROOT / "docs").glob("*.md")} - named == set()


def test_the_site_is_built_without_a_warning_and_needs_no_other_site(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=hooks.ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    loaded = re.compile(r'(?:src|href)="(https?://[^"]+\.(?:js|css|woff2?))"')
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > len(TABLES) + 30
    assert [loaded.findall(page.read_text()) for page in pages if loaded.search(page.read_text())] == []
    assert (tmp_path / "reference" / "machines" / "connection.svg").stat().st_size > 1000
