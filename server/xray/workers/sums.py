"""What several processes show, as of one: documents of x-rays (server.xray.serve.shape) are put together. Pure.

Counts are added up, ages and lags are those of the worst, and lists are merged in their order. What a worker of another
version calls differently is left out, and does no harm.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from clerestory.server.xray.observe.figures import quantile
from clerestory.server.xray.serve.filters import ORDERS, USUAL
from clerestory.server.xray.serve.shape import JSON
from clerestory.statemachines.tables import CARRIERS, STREAM, TABLES


class Part(Protocol):
    """One of those whose x-rays are put together: a worker of a supervisor, or a server of a fleet."""

    @property
    def key(self) -> str:
        """What stands before the ids of its machines, and a colon."""

    @property
    def title(self) -> str:
        """What a reader knows it by."""

    @property
    def origin(self) -> JSON:
        """What is added to each row and banner that comes from it."""


Said = Sequence[tuple[Part, JSON]]
"""What each part that answered has said."""

COUNTED = ("totals", "edges", "dwell")
"""The members of a summary that only grow: what a worker had counted still counts when it has ended."""

INITIAL = {name: str(table.initial) for name, table in TABLES.items()}


def summary(own: JSON, said: Said, departed: Iterable[JSON] = ()) -> JSON:
    """/snapshot.json of the supervisor, `own`, and what its workers said; `departed` is what those that have ended had
    counted."""
    found = dict(own)
    others = [document for _, document in said]
    counting = [own, *others, *departed]
    found["consistent"] = all(one["consistent"] for one in (own, *others))
    found["serving"] = next((one["serving"] for one in others if one["serving"]), own["serving"])
    found["loop"] = _loop([own["loop"], *(one["loop"] for one in others)], said)
    found["banners"] = _banners(own, said)
    if others:
        names = ("slots", "descriptors", "open_descriptors")
        found["bounds"] = {name: _sum(one["bounds"][name] for one in others) for name in names}
    found["upstreams"] = _upstreams(one["upstreams"] for one in others)
    found["totals"] = _totals([one["totals"] for one in counting])
    found["machines"] = _machines([one["machines"] for one in (own, *others)])
    found["edges"] = _edges([one["edges"] for one in counting])
    if "dwell" in own:
        found["dwell"] = _dwell([one["dwell"] for one in counting if "dwell" in one])
    if "rows" in own:
        rows = [mark(part, row) for part, document in said for row in document.get("rows", ())]
        found["rows"] = own["rows"] + rows
    return found


def counted(documents: Sequence[JSON]) -> JSON:
    """The COUNTED members of several summaries, added up."""
    return {
        "totals": _totals([one["totals"] for one in documents]),
        "edges": _edges([one["edges"] for one in documents]),
        "dwell": _dwell([one["dwell"] for one in documents], buckets=True),
    }


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _loop(loops: list[JSON], said: Said) -> JSON:
    blocked = [
        of["loop"]["blocked"] | part.origin | {"id": whole_id(part, of["loop"]["blocked"]["id"])}
        for part, of in said
        if of["loop"]["blocked"] is not None
    ]
    return {
        "lag": max(one["lag"] for one in loops),
        "pause": max(one["pause"] for one in loops),
        "turns": sum(one["turns"] for one in loops),
        "blocked": max(blocked, key=lambda one: one["seconds"]) if blocked else loops[0]["blocked"],
    }


def whole_id(part: Part, identity: str | None) -> str | None:
    """What a machine of `part` is called among those of all."""
    return f"{part.key}:{identity}" if identity is not None else None


def mark(part: Part, document: JSON) -> JSON:
    """`document`, a row or the like, as of `part`."""
    return document | part.origin | {"id": whole_id(part, document["id"])}


def _banners(own: JSON, said: Said) -> list[JSON]:
    found = list(own["banners"])
    for part, document in said:
        for banner in document["banners"]:
            about = {
                "text": f"{part.title}: {banner['text']}",
                "connections": [whole_id(part, one) for one in banner["connections"]],
            }
            found.append(banner | part.origin | about)
    levels = ("critical", "warning", "info")
    return sorted(found, key=lambda one: levels.index(one["level"]))


def _upstreams(lists: Iterable[list[JSON]]) -> list[JSON]:
    """By name: the state is the worst that a worker knows of, so are the times; the rest is added up."""
    found: dict[str, JSON] = {}
    for one in (one for of_worker in lists for one in of_worker):
        before = found.get(one["name"])
        if before is None:
            found[one["name"]] = dict(one)
            continue
        if before["is_up"] and not one["is_up"]:
            before |= {name: one[name] for name in ("state", "since", "is_up")}
        before["may_be_asked"] = before["may_be_asked"] or one["may_be_asked"]
        for name in ("answered", "failed", "in_flight", "waiting"):
            before[name] += one[name]
        for name in ("p50", "p99"):
            before[name] = max((value for value in (before[name], one[name]) if value is not None), default=None)
        ago = one["failed_ago"]
        if ago is not None and (before["failed_ago"] is None or ago < before["failed_ago"]):
            before |= {"failed_ago": ago, "failure": one["failure"]}
    return [found[name] for name in sorted(found)]


def _totals(all_totals: list[JSON]) -> JSON:
    found: JSON = {name: sum(one[name] for one in all_totals) for name in ("accepted", "requests")}
    found |= {name: sum(one[name] for one in all_totals) for name in ("bytes_in", "bytes_out")}
    statuses: dict[str, int] = {}
    ends: dict[tuple[str, str], int] = {}
    for one in all_totals:
        for status, count in one["statuses"].items():
            statuses[status] = statuses.get(status, 0) + count
        for end in one["ends"]:
            key = end["cause"], end["state"]
            ends[key] = ends.get(key, 0) + end["count"]
    found["statuses"] = dict(sorted(statuses.items()))
    found["ends"] = [{"cause": cause, "state": state, "count": n} for (cause, state), n in sorted(ends.items())]
    return found


def _machines(all_machines: list[JSON]) -> JSON:
    found: JSON = {}
    for machines in all_machines:
        for name, one in machines.items():
            into = found.setdefault(name, {"total": 0, "states": {}, "oldest": {}})
            into["total"] += one["total"]
            for state, count in one["states"].items():
                into["states"][state] = into["states"].get(state, 0) + count
            for state, seconds in one["oldest"].items():
                into["oldest"][state] = max(into["oldest"].get(state, 0.0), seconds)
    return found


def _edges(all_edges: list[JSON]) -> JSON:
    found: dict[str, list[int]] = {}
    for edges in all_edges:
        for name, counts in edges.items():
            before = found.setdefault(name, [0] * len(counts))
            if len(before) == len(counts):  # else that worker has another version's table
                found[name] = [a + b for a, b in zip(before, counts, strict=True)]
    return found


def _dwell(all_dwell: list[JSON], *, buckets: bool = False) -> JSON:
    found: dict[str, dict[str, list[int]]] = {}
    for dwell in all_dwell:
        for name, states in dwell.items():
            of_kind = found.setdefault(name, {})
            for state, one in states.items():
                before = of_kind.get(state, [0] * len(one["buckets"]))
                of_kind[state] = [a + b for a, b in zip(before, one["buckets"], strict=False)]
    return {
        name: {
            state: {"count": sum(stays), "p50": quantile(stays, 0.5), "p99": quantile(stays, 0.99)}
            | ({"buckets": stays} if buckets else {})
            for state, stays in states.items()
        }
        for name, states in found.items()
    }


# --- lists


def listed(own: JSON, said: Said, sort: str, limit: int, offset: int) -> tuple[JSON, list[JSON]]:
    """/connections.json: the members but `rows`, and the rows in the order `sort`. Each has said the first rows of its
    own, as many as `offset` and `limit` together."""
    documents = [own, *(document for _, document in said)]
    rows = own["rows"] + [mark(part, row) for part, document in said for row in document["rows"]]
    order, turned = sort.removeprefix("-"), sort.startswith("-")
    descending = order != "wait" and ORDERS[order][1]
    rows.sort(key=KEYS[order], reverse=descending != turned)
    if order == "wait":
        rows = _together(rows)
    members = {
        "now": own["now"],
        "consistent": all(one["consistent"] for one in documents),
        "total": sum(one["total"] for one in documents),
        "matched": sum(one["matched"] for one in documents),
        "offset": offset,
        "groups": _groups([one["groups"] for one in documents if one["groups"]]),
    }
    return members, rows[offset : offset + limit]


def _together(rows: list[JSON]) -> list[JSON]:
    """The same, with the streams of a connection behind it, where the first of them stands."""
    groups: dict[str, list[JSON]] = {}
    for row in rows:
        group = groups.setdefault(row["id"].partition("/")[0], [])
        group.insert(len(group) if row["kind"] == STREAM else 0, row)
    return [row for group in groups.values() for row in group]


def _age(row: JSON) -> float:
    return row["age"] or 0.0


def _place(row: JSON) -> tuple[int, str, int, int]:
    kind, _, number = row["id"].rpartition(":")
    connection, _, stream = number.partition("/")
    return row.get("worker", 0), "" if row["kind"] in CARRIERS else kind, int(connection or 0), int(stream or 0)


KEYS: dict[str, Callable[[JSON], Any]] = {
    "wait": lambda row: (row["state"] in (INITIAL.get(row["kind"]), "AWAITING_REQUEST"), -row["seconds"]),
    "seconds": lambda row: row["seconds"],
    "age": _age,
    "remaining": lambda row: row["deadline"]["remaining"] if row["deadline"] is not None else float("inf"),
    "bytes_in": lambda row: row["bytes_in"],
    "bytes_out": lambda row: row["bytes_out"],
    "requests": lambda row: row["requests"],
    "state": lambda row: row["state"],
    "peer": lambda row: row["peer"],
    "id": _place,
}
"""As server.xray.serve.filters.ORDERS, of rows."""


def _groups(lists: list[list[JSON]]) -> list[JSON] | None:
    found: dict[str, JSON] = {}
    for one in (one for groups in lists for one in groups):
        before = found.setdefault(one["key"], {"key": one["key"], "count": 0, "oldest": 0.0})
        before["count"] += one["count"]
        before["oldest"] = max(before["oldest"], one["oldest"])
    return sorted(found.values(), key=lambda one: (-one["count"], one["key"]))[:USUAL] if lists else None


def ended(own: JSON, said: Said) -> JSON:
    """/ended.json."""
    found: JSON = {"now": own["now"]}
    for name in ("abnormal", "normal"):
        marked = [mark(part, one) for part, document in said for one in document[name]]
        found[name] = sorted(own[name] + marked, key=lambda one: -one["ended_at"])
    return found


def closed(said: Said) -> JSON:
    """What came of an order to close those that a filter chooses."""
    documents = [document for _, document in said]
    if any("would_close" in one for one in documents):
        rows = [mark(part, row) for part, document in said for row in document["rows"]]
        return {"dry_run": True, "would_close": sum(one["would_close"] for one in documents), "rows": rows[:USUAL]}
    found: JSON = {"dry_run": False}
    for name in ("closed", "failed"):
        found[name] = [whole_id(part, one) for part, document in said for one in document[name]]
    return found
