"""The page's files, read once at the start: serving them needs no descriptor. Beside it the plain list of endpoints.

They are the same for everybody: what the page shows it asks for itself, with the session that a key has opened."""

from importlib import resources

from clerestory.handlers.api.messages import Response

TYPES = {
    "css": b"text/css; charset=utf-8",
    "html": b"text/html; charset=utf-8",
    "js": b"text/javascript; charset=utf-8",
    "svg": b"image/svg+xml",
}

PLAIN = b"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Clerestory x-ray</title>
<h1>Clerestory x-ray</h1>
<p>These take the token, as <code>Authorization: Bearer TOKEN</code>, but the last three.</p>
<ul>
<li><a href="snapshot.json">snapshot.json</a>: counts, rates, banners, and every machine that is no connection
<li><a href="connections.json">connections.json</a>?state=&amp;older=&amp;peer=&amp;path=&amp;sort=&amp;limit=
<li>connections/ID: one connection; ?format=text, mermaid, perfetto or recording
<li><a href="ended.json">ended.json</a>: those that have ended
<li><a href="machines.json">machines.json</a>: the tables
<li><a href="events">events</a>: the counts, once a second
<li><a href="metrics">metrics</a>, <a href="healthz">healthz</a>, <a href="readyz">readyz</a>
</ul></html>
"""


def load() -> dict[str, bytes]:
    """The files of server/xray/page, by name; `index.html` is there in any case."""
    files = {"index.html": PLAIN}
    folder = resources.files("clerestory.server.xray").joinpath("page")
    if folder.is_dir():
        for file in folder.iterdir():
            if file.name.rpartition(".")[2] in TYPES and file.is_file():
                files[file.name] = file.read_bytes()
    return files


def answer(files: dict[str, bytes], name: str) -> Response | None:
    """The file of that name; None where there is none."""
    data = files.get(name)
    return Response(data, 200, ((b"content-type", TYPES[name.rpartition(".")[2]]),)) if data is not None else None
