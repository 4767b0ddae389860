"""What MkDocs calls: pages that are made from the code, and links that lead out of docs/.

A page of docs/ is read on a forge, too, where `../CHANGELOG.md` is a file. Here it is a page where it is one of `KEPT`,
and else the name of a file of the sources.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from manual import api, machines

ROOT = Path(__file__).resolve().parent.parent
KEPT = {
    "CHANGELOG.md": "project/changelog.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "deploy/README.md": "project/deploy.md",
}
"""Pages of the site that are not in docs/, with their place there."""
SOURCES = {place: path for path, place in KEPT.items()}
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)#:\s]+)(#[^)\s]*)?\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the machines into the navigation."""
    pages: list[Any] = [{"All machines": machines.PLACE.format("index")}]
    pages += [{name: machines.PLACE.format(name)} for name in machines.names()]
    _replace(config.nav, "Machines", pages)
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made, and those from elsewhere."""
    made = {api.PLACE: api.page(), **machines.pages()}
    made |= {place: (ROOT / path).read_text(encoding="utf-8") for path, place in KEPT.items()}
    for place, text in made.items():
        files.append(File.generated(config, place, content=text))
    for place, path in machines.pictures(ROOT).items():
        files.append(File.generated(config, place, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Turn links to files of the sources into links to pages, or into their names."""
    return linked(markdown, page.file.src_uri)


def linked(markdown: str, place: str) -> str:
    """The text of the page at `place`, with its links as they are on the site."""
    source = SOURCES.get(place, f"docs/{place}")
    return LINK.sub(lambda match: _link(match, place, source), markdown)


def _link(match: re.Match[str], place: str, source: str) -> str:
    image, text, target, anchor = match.groups()
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
    inside = KEPT.get(path, path.removeprefix("docs/") if path.startswith("docs/") else None)
    if inside is not None:
        return f"{image}[{text}]({posixpath.relpath(inside, posixpath.dirname(place))}{anchor or ''})"
    if (ROOT / path).exists() and not image:
        return text if text.strip("`") == path else f"{text} (`{path}`)"
    return match[0]


def _replace(nav: Any, name: str, pages: list[Any]) -> None:
    """Give the entry `name` of the navigation its `pages`."""
    for entry in nav:
        for title, inside in entry.items():
            if title == name:
                entry[title] = pages
            elif isinstance(inside, list):
                _replace(inside, name, pages)
