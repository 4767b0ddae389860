"""The page's files, read: what its policy forbids is not in them, and what they refer to is there."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from clerestory.server.xray.serve.pages import TYPES, load
from clerestory.statemachines.tables import TABLES

PAGE = Path(__file__).parents[4] / "server" / "xray" / "page"
FILES = sorted(PAGE.iterdir())
SCRIPTS = [file for file in FILES if file.suffix == ".js"]


def ids(file: Path) -> str:
    return file.name


def test_every_file_is_served_with_its_type() -> None:
    assert {file.name for file in FILES} == set(load())
    assert {file.suffix[1:] for file in FILES} <= set(TYPES)


@pytest.mark.parametrize("file", FILES, ids=ids)
def test_a_file_is_short_enough_to_be_read(file: Path) -> None:
    assert len(file.read_text().splitlines()) <= 250


@pytest.mark.parametrize("file", FILES, ids=ids)
def test_no_file_refers_to_another_origin(file: Path) -> None:
    found = re.findall(r"https?://[^\s\"']+", file.read_text())
    assert [url for url in found if url not in ("http://www.w3.org/2000/svg", "http://www.w3.org/2000/svg`")] == []


@pytest.mark.parametrize("file", SCRIPTS, ids=ids)
def test_no_script_makes_code_or_markup_of_text(file: Path) -> None:
    code = re.sub(r"//.*", "", file.read_text())
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", '"style",'):
        assert word not in code


@pytest.mark.parametrize("file", SCRIPTS, ids=ids)
def test_every_import_is_there_and_used(file: Path) -> None:
    text = file.read_text()
    for names, other in re.findall(r"import \{([^}]+)\} from \"\./([^\"]+)\";", text):
        exported = (PAGE / other).read_text()
        for name in (name.strip() for name in names.split(",")):
            assert re.search(rf"export (async )?(function\*?|class|const|let) {name}\b", exported), (
                f"{other} has no {name}"
            )
            assert len(re.findall(rf"\b{name}\b", text)) > 1, f"{name} is not used"


def test_the_connection_is_drawn_by_hand_whole() -> None:
    """With a state or a row that has no place there, the whole machine is laid out by rule, which is hard to read."""
    text = (PAGE / "layout.js").read_text()
    table = TABLES["connection"]
    assert {f"{row.source}>{row.dest}" for row in table.rows} == set(re.findall(r'"([A-Z_]+>[A-Z_]+)":', text))
    boxes = text[text.index("boxes: {") : text.index("routes: {")]
    assert {str(spec.state) for spec in table.specs} == set(re.findall(r"^    ([A-Z_]+):", boxes, re.MULTILINE))


def test_the_document_has_nothing_inline_and_its_files_are_there() -> None:
    text = (PAGE / "index.html").read_text()
    assert re.search(r"<script(?![^>]* src=)", text) is None
    assert re.search(r"<style|\sstyle=|\son\w+=", text) is None
    found = re.findall(r"(?:src|href)=\"page/([^\"]+)\"", text)
    assert len(found) > 3
    assert [name for name in found if not (PAGE / name).is_file()] == []


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node")
@pytest.mark.parametrize("file", SCRIPTS, ids=ids)
def test_a_script_is_well_formed(file: Path) -> None:
    # A module, as main.js is, is checked as one only when its name says so.
    kind = "commonjs" if file.name == "theme.js" else "module"
    done = subprocess.run(
        ["node", f"--input-type={kind}", "--check"], input=file.read_bytes(), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
