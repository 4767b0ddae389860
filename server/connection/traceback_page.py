"""What a developer is shown of an error in a handler, with --debug or --reload: its traceback. Nobody else is.

The application's own frames come first, the innermost on top, each with its lines; below is the whole traceback, as
Python prints it. A browser gets a page, who asks for JSON gets JSON, all others get text.
"""

import linecache
import sysconfig
import traceback
from collections.abc import Iterator
from html import escape
from pathlib import Path

from clerestory.handlers.api.messages import Response, html_response, json_response, text_response
from clerestory.handlers.api.pages import page

AROUND = 3
"""Lines shown before and behind the one that raised."""
FRAMES = 20
"""The application's own frames that are shown with their lines."""

_ROOT = Path(__file__).resolve().parents[2]
_OURS = tuple(f"{_ROOT / name}/" for name in ("server", "handlers", "statemachines"))
_LIBRARIES = tuple(f"{sysconfig.get_path(name)}/" for name in ("stdlib", "platstdlib", "purelib", "platlib"))


def traceback_response(error: BaseException, about: str, kind: str) -> Response:
    """A 500 with the traceback of `error`, in the form that is `preferred`. `about` says of which request:
    `GET /orders/1, request 3-1`."""
    lines = traceback.format_exception(error)
    title = traceback.format_exception_only(error)[-1 - len(_notes(error))].strip()
    if kind == "json":
        frames = [{"file": file, "line": line, "function": function} for file, line, function in own_frames(error)]
        said = {"status": 500, "error": "Internal Server Error", "detail": about, "exception": title}
        return json_response(said | {"frames": frames, "traceback": "".join(lines).splitlines()}, 500)
    if kind == "html":
        return html_response(page(title, _content(error, about, "".join(lines))), 500)
    return text_response(f"500 Internal Server Error: {about}\n\n{''.join(lines)}", 500)


def _notes(error: BaseException) -> list[str]:
    """The lines of its notes (PEP 678), which Python prints behind it."""
    return [line for note in getattr(error, "__notes__", ()) for line in str(note).split("\n")]


def own_frames(error: BaseException) -> list[tuple[str, int, str]]:
    """The application's own frames, the innermost first: file, line and function."""
    frames = [(frame.filename, frame.lineno or 0, frame.name) for frame in traceback.extract_tb(error.__traceback__)]
    return [frame for frame in reversed(frames) if _is_users(frame[0])][:FRAMES]


def _is_users(file: str) -> bool:
    """Whether a source is neither ours nor a library's."""
    return not str(Path(file).resolve()).startswith((*_OURS, *_LIBRARIES)) and not file.startswith("<")


def _content(error: BaseException, about: str, whole: str) -> str:
    parts = [f"<p>{escape(about)}. Shown because the server runs with --debug or --reload.</p>\n"]
    parts += [f"<p>{escape(note)}</p>\n" for note in _notes(error)]
    for file, line, function in own_frames(error):
        parts.append(f"<h2><code>{escape(file)}:{line}</code> in <code>{escape(function)}</code></h2>\n")
        parts.append(f"<pre>{''.join(_source(file, line))}</pre>\n")
    parts.append(f"<details><summary>The whole traceback</summary><pre>{escape(whole)}</pre></details>\n")
    return "".join(parts)


def _source(file: str, line: int) -> Iterator[str]:
    """The lines around `line`, which is marked."""
    for number in range(max(1, line - AROUND), line + AROUND + 1):
        text = linecache.getline(file, number).rstrip("\n")
        if text or number == line:
            shown = f"{number:5}  {escape(text)}"
            yield f"<mark>{shown}</mark>\n" if number == line else f"{shown}\n"
