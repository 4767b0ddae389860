"""`/waits.json` of several processes as of one. Pure."""

from typing import Any

from clerestory.server.xray.serve.shape import JSON
from clerestory.server.xray.workers.sums import Said, whole_id

EXAMPLES = 6
"""Slow requests told of a route, as of one process."""

PARTS = ("typical", "slow", "whole")


def waits(own: JSON, said: Said) -> JSON:
    """The routes of all workers, the one first that has kept clients waiting longest."""
    routes: dict[str, list[tuple[Any, JSON]]] = {}
    for member, document in said:
        for route in document["routes"]:
            routes.setdefault(route["route"], []).append((member, route))
    found = [_route(name, of_workers) for name, of_workers in routes.items()]
    seconds = max((document["seconds"] for _, document in said), default=own["seconds"])
    return {"now": own["now"], "seconds": seconds, "routes": sorted(found, key=lambda one: -one["busy"])}


def _route(name: str, of_workers: list[tuple[Any, JSON]]) -> JSON:
    documents = [document for _, document in of_workers]
    classes = sorted((seconds, count) for one in documents for seconds, count in one["classes"])
    found: JSON = {"route": name}
    found |= {key: sum(one[key] for one in documents) for key in ("requests", "failed")}
    found |= {"p50": at(classes, 0.5), "p99": at(classes, 0.99)}
    found |= {"longest": max(one["longest"] for one in documents), "busy": sum(one["busy"] for one in documents)}
    found |= {key: _parts([part for one in documents for part in one[key]]) for key in PARTS}
    examples = [
        example | member.origin | {"id": whole_id(member, example["id"])}
        for member, document in of_workers
        for example in document["examples"]
    ]
    return found | {"examples": sorted(examples, key=lambda one: -one["seconds"])[:EXAMPLES]}


def at(classes: list[tuple[float, int]], share: float) -> float:
    """The seconds that this share of the requests did not exceed; `classes` are seconds and requests."""
    wanted = share * sum(count for _, count in classes)
    seen = 0
    for seconds, count in classes:
        seen += count
        if seen >= wanted:
            return seconds
    return classes[-1][0] if classes else 0.0


def _parts(parts: list[JSON]) -> list[JSON]:
    """Those of one state, whom and line in one, the longest first."""
    seconds: dict[tuple[str, str, str], float] = {}
    for part in parts:
        key = part["state"], part["whom"], part["line"]
        seconds[key] = seconds.get(key, 0.0) + part["seconds"]
    total = sum(seconds.values())
    found = [
        {"state": state, "whom": whom, "line": line, "seconds": stay, "share": stay / total if total else 0.0}
        for (state, whom, line), stay in seconds.items()
    ]
    return sorted(found, key=lambda one: -one["seconds"])
