"""`waits`: which routes are slow, and what their requests wait for.

ROUTE             REQUESTS       P50        P99
GET /orders/{id}     1,203   26.1 ms      0.3 s
  p50  98 % thread find_order at shop/db.py:41 find_order, 2 % the handler runs
  p99  80 % a free thread, 20 % thread find_order at shop/db.py:41 find_order
"""

import json
from argparse import Namespace
from collections.abc import Iterator

from clerestory.server.xray.terminal.client import JSON, XRay
from clerestory.server.xray.terminal.details import timeline
from clerestory.server.xray.terminal.streams import Streams
from clerestory.server.xray.terminal.text import Style, bare, duration, shorten, span

BAR = 20
"""Columns of a bar that stands for all of the time."""

MORE = 3
"""Parts of the time that are told in the line of an overview."""


def waits(client: XRay, arguments: Namespace, streams: Streams) -> int:
    """Where the time of each route's requests goes; or of one request."""
    secrets = "1" if arguments.secrets else ""
    asked = {"route": arguments.route, "example": arguments.request, "secrets": secrets}
    document = client.get("/waits.json", asked)
    if arguments.request:
        streams.put(*([json.dumps(document, indent=1)] if arguments.json else _request(document, streams.style)))
        return 0
    routes = document["routes"] = _sorted(document["routes"], arguments.sort)[: arguments.limit]
    if arguments.json:
        streams.put(json.dumps(document, indent=1))
        return 0 if routes else 1
    if not routes:
        wanted = f" with {arguments.route} in its name" if arguments.route else ""
        streams.say(f"No route{wanted} was asked for in the last {span(document['seconds'])}.")
        return 1
    streams.put(*overview(routes, streams.style, whole=bool(arguments.route)))
    streams.say(f"Of the last {span(document['seconds'])}. p50: the median request; p99: the slowest hundredth.")
    return 0


def _sorted(routes: list[JSON], by: str) -> list[JSON]:
    return sorted(routes, key=lambda one: -one[by])


def overview(routes: list[JSON], style: Style, *, whole: bool) -> list[str]:
    """The routes, one after the other; with `whole` every part of their time, and their slow requests."""
    names = [bare(one["route"]) for one in routes]
    width = max([len("ROUTE"), *map(len, names)])
    if style.width is not None:
        width = min(width, max(len("ROUTE"), style.width - 46))
    heading = f"{'ROUTE':<{width}}  {'REQUESTS':>9}  {'FAILED':>6}  {'P50':>9}  {'P99':>9}"
    lines = [style.paint(_fit(heading, style), "bold")]
    for name, one in zip(names, routes, strict=True):
        failed = f"{one['failed']:,}" if one["failed"] else "-"
        figures = f"{one['requests']:>9,}  {failed:>6}  {duration(one['p50']):>9}  {duration(one['p99']):>9}"
        lines.append(_fit(f"{shorten(name, width):<{width}}  {figures}", style))
        lines += _whole(one, style) if whole else _brief(one, style)
    return lines


def _brief(one: JSON, style: Style) -> Iterator[str]:
    """Two lines: the median's time, and that of the slowest."""
    for label, parts in (("p50", one["typical"]), ("p99", one["slow"])):
        told = ", ".join(f"{percent(part['share'])} {whom_of(part)}" for part in parts[:MORE])
        yield style.paint(_fit(f"  {label}  {told}", style), "dim" if label == "p50" else "")


def _whole(one: JSON, style: Style) -> Iterator[str]:
    for label, parts in (("p50", one["typical"]), ("p99", one["slow"])):
        yield from _parts(parts, style, label)
    if one["examples"]:
        yield style.paint(_fit("  slow requests, for waits --request ID:", style), "bold")
    for example in one["examples"]:
        status = example["status"] or "no answer"
        line = f"    {bare(example['id']):<9} {duration(example['seconds']):>9}  {bare(example['request'])} {status}"
        yield _fit(f"{line}, {span(example['age'])} ago", style)


def _parts(parts: list[JSON], style: Style, label: str) -> Iterator[str]:
    for part in parts:
        bar = "#" * round(BAR * part["share"])
        yield _fit(f"  {label:<4} {percent(part['share']):>5}  {bar:<{BAR}}  {whom_of(part)}", style)
        label = ""


def _request(one: JSON, style: Style) -> list[str]:
    """One request: where its time went, and its path."""
    status = f"answered with {one['status']}" if one["status"] else "not answered"
    title = (
        f"{bare(one['id'])}  {bare(one['request'])} from {bare(one['peer'])}: {status} after {duration(one['seconds'])}"
    )
    lines = [style.paint(_fit(title, style), "bold"), ""]
    for part in one["parts"]:
        bar = "#" * round(BAR * part["share"])
        lines.append(
            _fit(f"  {duration(part['seconds']):>9} {percent(part['share']):>5}  {bar:<{BAR}}  {whom_of(part)}", style)
        )
    path = {"path": one["path"], "ended": True, "truncated": False}
    return [*lines, "", *timeline(path, style)]


def percent(share: float) -> str:
    """`98 %`, `<1 %`."""
    return "<1 %" if share < 0.01 else f"{share * 100:.0f} %"


def whom_of(part: JSON) -> str:
    """`thread find_order at shop/db.py:41 find_order`."""
    whom = bare(part["whom"])
    return f"{whom} at {bare(part['line'])}" if part["line"] else whom


def _fit(line: str, style: Style) -> str:
    return line if style.width is None else shorten(line, style.width)
