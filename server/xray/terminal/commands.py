"""`ps`, `show`, `watch`, `close` and `page`: each prints what it was asked for, and returns the exit status.

What there is goes to standard output; what should be known besides (banners, that nothing was chosen) to standard
error, so that a pipe gets rows and nothing else.
"""

import json
from argparse import Namespace
from collections.abc import Callable, Collection, Mapping
from urllib.parse import quote

from clerestory.server.xray.terminal.arguments import UsageError, filters_of
from clerestory.server.xray.terminal.client import JSON, GoneError, XRay
from clerestory.server.xray.terminal.details import details
from clerestory.server.xray.terminal.streams import Streams
from clerestory.server.xray.terminal.table import groups, table
from clerestory.server.xray.terminal.text import Style, bare, count_of, duration, fold, span
from clerestory.server.xray.terminal.workers import worker_lines

MOST = 20_000
"""Rows that the x-ray answers with at most."""

Pause = Callable[[float], object]


def ps(client: XRay, arguments: Namespace, streams: Streams) -> int:
    """One line a connection."""
    filters = filters_of(arguments)
    group = arguments.group or ""
    asked = {"limit": 0 if group else MOST} | dict(filters) | {"group": group}
    document = client.get("/connections.json", asked | ({"secrets": "1"} if arguments.secrets else {}))
    if arguments.json:
        streams.put(*_json_lines(document))
        return 0 if document["rows"] or not _narrow(arguments) else 1
    snapshot = client.get("/snapshot.json")
    for banner in snapshot["banners"]:
        streams.say(f"{banner['level'].upper()}: {banner['text']}", banner["level"])
    rows = document["rows"]
    if document["groups"]:
        streams.put(*groups(document["groups"], group, streams.style))
        return 0
    if rows:
        streams.put(*table(rows, streams.style))
    if not _narrow(arguments):
        streams.put(*worker_lines(snapshot.get("workers") or [], streams.style))
        streams.put(*upstream_lines(snapshot.get("upstreams") or [], streams.style))
    total, word = document["total"], "machine" if arguments.kind else "connection"
    if not rows:
        streams.say(f"None of {count_of(total, word)} matches." if total else f"There are no {word}s.")
        return 1 if _narrow(arguments) else 0
    if len(rows) < document["matched"] and streams.style.width is not None:
        streams.say(f"{len(rows):,} of {count_of(document['matched'], word)}.")
    return 0


def upstream_lines(found: list[JSON], style: Style) -> list[str]:
    """The upstreams, a line each."""
    if not found:
        return []
    width = max(len("UPSTREAM"), *(len(bare(one["name"])) for one in found))
    heading = f"{'UPSTREAM':<{width}}  {'STATE':<9}  {'IN USE':>6}  {'WAIT':>5}  {'ANSWERED':>9}  {'FAILED':>7}  "
    heading += f"{'P50':>8}  {'P99':>8}  LAST FAILURE"
    lines = ["", style.paint(heading if style.width is None else heading[: style.width], "bold")]
    for one in found:
        times = [duration(one[name]) if one[name] is not None else "-" for name in ("p50", "p99")]
        last = f"{bare(one['failure'])}, {span(one['failed_ago'])} ago" if one["failed_ago"] is not None else "-"
        text = f"{bare(one['name']):<{width}}  {bare(one['state']):<9}  {one['in_flight']:>6,}  {one['waiting']:>5,}  "
        text += f"{one['answered']:>9,}  {one['failed']:>7,}  {times[0]:>8}  {times[1]:>8}  {last}"
        text = text if style.width is None else text[: style.width]
        lines.append(style.paint(text, "" if one["is_up"] else "critical"))
    return lines


def _narrow(arguments: Namespace) -> bool:
    return bool(filters_of(arguments).keys() - {"sort", "limit"})


def _json_lines(document: JSON) -> list[str]:
    """The document with a line for each row: for programs, and for those who look at what programs get."""
    rows = document["rows"]
    head = json.dumps({name: value for name, value in document.items() if name != "rows"})
    if not rows:
        return [f'{head[:-1]}, "rows": []}}']
    ends = [","] * (len(rows) - 1) + [""]
    return [f'{head[:-1]}, "rows": [', *(json.dumps(row) + end for row, end in zip(rows, ends, strict=True)), "]}"]


def show(client: XRay, arguments: Namespace, streams: Streams) -> int:
    """Everything about one."""
    if arguments.format:
        text = client.export(arguments.id, arguments.format, secrets=arguments.secrets)
        streams.put(*(bare(line) for line in text.splitlines()))
        return 0
    one = client.one(arguments.id, secrets=arguments.secrets)
    if arguments.json:
        streams.put(json.dumps(one, indent=1))
    else:
        streams.put(*details(one, streams.style))
    return 0


def page(client: XRay, _: Namespace, streams: Streams) -> int:
    """A link that opens the page, once."""
    key = client.post("/key")["key"]
    if client.address.startswith("unix:"):
        path = client.address.removeprefix("unix:")
        streams.say("A browser cannot open a Unix socket. Where the browser is, forward a port to it, and then open:")
        streams.say(f"  ssh -N -L 8001:{path} HOST")
        streams.put(f"http://127.0.0.1:8001/#key:{key}")
    else:
        streams.put(f"http://{client.address}/#key:{key}")
    return 0


# --- watch


def watch(client: XRay, arguments: Namespace, streams: Streams, pause: Pause | None = None) -> int:
    """Print the transitions of one as they happen, until it ends."""
    pause = pause or (lambda seconds: streams.waits.wait(None, 0, seconds))
    one = client.one(arguments.id)
    streams.put(*_heading(one, streams.style))
    last: JSON | None = None
    while True:
        for text in _news(one, last):
            streams.put(text if streams.style.width is None else text[: streams.style.width])
        last = one["path"][-1] if one["path"] else None
        if one["ended"] is not None:
            streams.put(
                *(streams.style.paint(line, "bold") for line in fold(bare(one["why"]), streams.style.width or 10_000))
            )
            return 0
        streams.out.flush()
        pause(arguments.interval)
        try:
            one = client.one(arguments.id)
        except GoneError:
            streams.say("It has ended, and is no longer remembered.")
            return 0


def _heading(one: JSON, style: Style) -> list[str]:
    title = f"{bare(one['id'])}  {bare(one['why'])}" if one["ended"] is None else bare(one["id"])
    columns = style.paint(f"{'AT':>11}  {'STAYED':>11}  TRANSITION"[: style.width], "bold")
    return [*fold(title, style.width or 10_000, "    "), columns]


def _news(one: JSON, last: JSON | None) -> list[str]:
    """The transitions after `last`, as lines. Times are since the connection came."""
    path, new = one["path"], 0
    if last is not None:
        same = [place for place, transition in enumerate(path) if _key(transition) == _key(last)]
        new = same[-1] + 1 if same else 0
    lines = ["some transitions were too fast to be seen"] if last is not None and path and not new else []
    born = one["accepted_at"] if one["ended"] is not None else one["now"] - (one["age"] or 0.0)
    for transition in path[new:]:
        way = f"{bare(transition['source'])}: {bare(transition['trigger'])} -> {bare(transition['dest'])}"
        mark = "! " if transition["way"] == "FAULT" else ""
        lines.append(f"{span(max(0.0, transition['at'] - born)):>11}  {span(transition['stayed']):>11}  {mark}{way}")
    return lines


def _key(transition: JSON) -> tuple[float, int]:
    return transition["at"], transition["row"]


# --- close


def close(client: XRay, arguments: Namespace, streams: Streams) -> int:
    """Close those that are named, or that the filters choose: say which, ask, do it."""
    filters = filters_of(arguments)
    if bool(arguments.ids) == bool(filters):
        raise UsageError("say which to close: by their numbers, or by --state, --older, --peer, --path; not by both")
    if arguments.ids:
        rows = _named(client, arguments.ids, streams)
        count = len(rows)
    else:
        would = client.post("/close", filters)
        rows, count = would["rows"], would["would_close"]
    if not count:
        streams.say("There is nothing to close.")
        return 1
    streams.put(*table(rows, streams.style))
    if count > len(rows):
        streams.put(f"and {count - len(rows):,} more")
    kind = _kind([row["id"] for row in rows])
    if arguments.dry_run:
        streams.say(f"{count_of(count, kind)} would be closed.")
        return 0
    if not arguments.yes:
        if not streams.keys.isatty():
            raise UsageError(
                f"nothing was closed: standard input is not a terminal; add --yes to close {_these(count, kind)}"
            )
        if not streams.ask(f"Close {_these(count, kind)}?"):
            streams.say("Nothing was closed.")
            return 1
    return _order(client, [row["id"] for row in rows] if arguments.ids else [], filters, streams)


def _kind(ids: Collection[str]) -> str:
    """What these are: of a stream the id has its connection's number before a slash."""
    return "stream" if ids and all("/" in one for one in ids) else "connection"


def _these(count: int, kind: str) -> str:
    return f"this {kind}" if count == 1 else f"these {count_of(count, kind)}"


def _named(client: XRay, ids: list[str], streams: Streams) -> list[JSON]:
    """The rows of those that are open."""
    rows = []
    for identity in dict.fromkeys(ids):
        try:
            one = client.one(identity)
        except GoneError as error:
            streams.say(str(error))
            continue
        if one["ended"] is None:
            rows.append(one)
        else:
            streams.say(f"It is closed already: {one['why']}")
    return rows


def _order(client: XRay, ids: list[str], filters: Mapping[str, object], streams: Streams) -> int:
    closed: list[str] = []
    failed: list[str] = []
    if ids:
        for identity in ids:
            try:
                done = client.post(f"/connections/{quote(identity, safe=':')}/close")
            except GoneError:
                done = {"closed": [], "failed": [identity]}
            closed, failed = closed + done["closed"], failed + done["failed"]
    else:
        done = client.post("/close", {**filters, "confirm": 1})
        closed, failed = done["closed"], done["failed"]
    streams.put(f"{count_of(len(closed), _kind(closed))} closed.")
    if failed:
        streams.say(
            f"{count_of(len(failed), _kind(failed))} not closed ({', '.join(failed[:5])}): they had already ended, "
            "or the loop is blocked and will close them when it runs again."
        )
    return 0 if closed and not failed else 1
