"""Recordings with the page that plays them, in one file: it needs no server, and its policy lets it ask for nothing.

The page is the x-ray's own (server/xray/page/play.html). Its styles and scripts are put into it; the scripts know each
other by an import map, since what is in one file has no address. Beside them are the recordings, and the tables of
today that they are played on.
"""

import base64
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from clerestory.server.xray.serve.pages import load
from clerestory.server.xray.serve.shape import table_json
from clerestory.statemachines.tables import TABLES

POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' data:; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)

_IMPORT = re.compile(r'from "\./(\w+\.js)"')
_STYLE = re.compile(r'<link rel="stylesheet" href="([\w.]+)">')
_SCRIPT = re.compile(r'<script( type="module")? src="([\w.]+)"></script>')


def player(recordings: Sequence[dict[str, Any]], title: str) -> str:
    """The page, as a file, that plays `recordings`."""
    files = {name: data.decode() for name, data in load().items()}
    given = {
        "machines": [table_json(table, {}) for table in TABLES.values()],
        "recordings": list(recordings),
        "title": title,
    }
    page = _STYLE.sub(lambda found: f"<style>\n{files[found[1]]}</style>", files["play.html"])
    page = _SCRIPT.sub(lambda found: _script(files, found[2], is_module=bool(found[1])), page)
    page = page.replace('href="icon.svg"', f'href="{_address("image/svg+xml", files["icon.svg"])}"')
    head = (
        f'<meta http-equiv="content-security-policy" content="{POLICY}">\n'
        f'<script type="application/json" id="given">{_safe(given)}</script>\n'
    )
    return page.replace("<title>", f"{head}<title>", 1)


def _script(files: dict[str, str], name: str, *, is_module: bool) -> str:
    if not is_module:
        return f"<script>\n{files[name]}</script>"
    modules = {f"clerestory/{one}": _address("text/javascript", _named(files[one])) for one in _needed(files, name)}
    return (
        f'<script type="importmap">{_safe({"imports": modules})}</script>\n'
        f'<script type="module">import "clerestory/{name}";</script>'
    )


def _needed(files: dict[str, str], name: str) -> Iterable[str]:
    """The modules that `name` needs, itself among them."""
    found: dict[str, None] = {}
    waiting = [name]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found[one] = None
            waiting += _IMPORT.findall(files[one])
    return found


def _named(text: str) -> str:
    """A module whose imports are names of the map, not places beside it."""
    return _IMPORT.sub(r'from "clerestory/\1"', text)


def _address(media_type: str, text: str) -> str:
    return f"data:{media_type};base64,{base64.b64encode(text.encode()).decode()}"


def _safe(value: object) -> str:
    """JSON that cannot end the element it stands in."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")
