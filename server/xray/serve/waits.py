"""`GET /waits.json`: which route is slow, and what it waits for. Members are added, never changed in meaning.

    GET /waits.json?route=TEXT
    {"now": 5123.4, "seconds": 412.0, "slow": 0.5,
     "routes": [{"route": "GET /orders/{id}", "requests": 1203, "failed": 2, "p50": 0.002, "p99": 0.31, "longest": 0.5,
                 "busy": 12.5, "typical": [Part, ...], "slow": [Part, ...], "whole": [Part, ...],
                 "examples": [{"id": "17-3", "request": "GET /orders/41?...", "status": 200, "seconds": 0.5, "age": 3.1,
                               "why": "..."}, ...]}, ...]}

`seconds` is how long what is told has been counted. `routes` are those whose name has `route` in it, the one first
whose requests have taken most seconds in all (`busy`). `typical` are the requests around the median, `slow` the slowest
hundredth, `whole` all of them. `failed` were answered with a 5xx, or not at all.

    Part
    {"state": "QUERYING_BACKEND", "whom": "thread find_order", "line": "shop/db.py:41 find_order", "seconds": 11.2,
     "share": 0.9}

With `classes=1` each route has `"classes": [[seconds of one, requests], ...]` too, by how long they took.
`line` is empty where none was seen; state and whom `other waits` of what is too slight to be told apart.

    GET /waits.json?example=17-3
    {"now": ..., "id": "17-3", "peer": "...", "request": "...", "status": 200, "seconds": 0.5, "age": 3.1, "why": "...",
     "parts": [Part, ...], "path": [Transition, ...as in server.xray.serve.shape...]}
"""

from dataclasses import asdict
from typing import Any
from urllib.parse import parse_qsl

from clerestory.handlers.api.errors import HTTPError
from clerestory.server.xray.observe.breakdown import Part, duration, parts_of, told
from clerestory.server.xray.observe.profile import Example, Profile, Route
from clerestory.server.xray.observe.snapshot import LONGEST
from clerestory.server.xray.observe.watch import Watch
from clerestory.server.xray.serve.redaction import hidden
from clerestory.server.xray.serve.shape import JSON, path_json

PARAMETERS = ("route", "example", "secrets", "classes")


def waits_asked(query: str) -> tuple[str, str, bool]:
    """What a query asks for: of which route, which example, and whether queries are shown. Raises HTTPError 400."""
    try:
        given = dict(parse_qsl(query, keep_blank_values=True, max_num_fields=8))
    except ValueError as error:
        raise HTTPError(400, f"The query cannot be read: {error}.") from error
    unknown = [name for name in given if name not in PARAMETERS]
    if unknown:
        raise HTTPError(400, f"There is no parameter {unknown[0]}; there are {', '.join(PARAMETERS)}.")
    return given.get("route", ""), given.get("example", ""), given.get("secrets") == "1"


def waits_json(watch: Watch, wanted: str = "", *, secrets: bool = False, classes: bool = False) -> JSON:
    """/waits.json."""
    profile, now = watch.profile, watch.service.loop.clock()
    routes = {route.name: route for route in profile.all()}
    return {
        "now": now,
        "seconds": profile.seconds(now),
        "routes": [
            {
                "route": one.route,
                "requests": one.requests,
                "failed": one.failed,
                "p50": one.p50,
                "p99": one.p99,
                "longest": one.longest,
                "busy": one.busy,
                "typical": _parts(one.typical),
                "slow": _parts(one.slow),
                "whole": _parts(one.whole),
                "examples": _examples(profile, routes[one.route], now, secrets=secrets),
                **({"classes": one.classes} if classes else {}),
            }
            for one in told(profile, now)
            if wanted in one.route
        ],
    }


def _parts(parts: list[Part]) -> list[JSON]:
    return [asdict(part) for part in parts]


def _examples(profile: Profile, route: Route, now: float, *, secrets: bool) -> list[JSON]:
    return [brief(one, now, secrets=secrets) for one in profile.examples_of(route, now)]


def brief(one: Example, now: float, *, secrets: bool = False) -> JSON:
    """One example, without its path."""
    target = one.target if secrets else hidden(one.target)
    if len(target) > LONGEST:
        target = target[:LONGEST] + "..."
    return {
        "id": one.id,
        "request": f"{one.method} {target}",
        "status": one.status,
        "seconds": one.seconds,
        "age": max(0.0, now - one.ended_at),
        "why": words(parts_of(one.spent, one.waits, one.lines)),
    }


def words(parts: list[Part], most: int = 4) -> str:
    """`0.4 s thread find_order at shop/db.py:41 find_order, 0.1 s a free thread`, the longest first."""
    return ", ".join(f"{duration(part.seconds)} {whom_of(part)}" for part in parts[:most])


def whom_of(part: Any) -> str:
    """`thread find_order at shop/db.py:41 find_order`."""
    return f"{part.whom} at {part.line}" if part.line else str(part.whom)


def example_json(watch: Watch, id: str, *, secrets: bool = False) -> JSON:  # noqa: A002
    """One example with its path. Raises HTTPError 404."""
    one, now = watch.profile.example(id), watch.service.loop.clock()
    if one is None:
        raise HTTPError(404, f"Request {id} is not among the examples that are kept: /waits.json lists them.")
    return {
        "now": now,
        "peer": one.peer,
        **brief(one, now, secrets=secrets),
        "parts": _parts(parts_of(one.spent, one.waits, one.lines)),
        "path": path_json(watch.service.engine, one.path, now),
    }
