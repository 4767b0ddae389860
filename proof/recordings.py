"""A counter-example as recordings, one for each machine: `clerestory replay FILE` walks them.

A recording has the form of those of the x-ray (server.xray.exports). Its times are the numbers of the events, and
behind the point those of the rows in that turn: the world knows no seconds. Recordings with the same `clock` can be
laid beside each other; a machine that was `made` on the way is there, at the latest, when it first moves. Where a fault
was found in tables that were changed on purpose, the replay says so.
"""

import json
from pathlib import Path
from typing import Any

from proof.explorer import Fault
from proof.world import Part, World


def recordings(world: World, fault: Fault) -> dict[str, dict[str, Any]]:
    """The recordings by name, such as `c0`; a machine that was made anew has one for each time: `u-2`."""
    found: dict[str, dict[str, Any]] = {}
    lives = [0] * len(world.parts)
    for number, (event, passed) in enumerate(fault.trace, 1):
        for place, step in enumerate(passed):
            part = world.parts[step.part]
            name = _name(part, lives[step.part])
            made = not part.born or lives[step.part] > 0
            recording = found.setdefault(name, _empty(world, part, name, fault, made=made))
            row = part.table.rows[step.row]
            recording["passages"].append(
                {
                    "at": number + place / 1000,
                    "source": str(row.source),
                    "trigger": str(row.trigger),
                    "dest": str(row.dest),
                    "guard": row.guard,
                    "event": event,
                }
            )
            recording["cause"] = recording["cause"] or (str(row.ends) if row.ends else None)
            if part.table.spec(row.dest).final:
                recording["ended"], recording["seen_at"] = True, None
                lives[step.part] += 1
    return found


def write(world: World, fault: Fault, folder: Path) -> list[Path]:
    """Write the recordings into `folder`, which is made; the files."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, recording in recordings(world, fault).items():
        path = folder / f"{world.name}-{name}.json"
        path.write_text(json.dumps(recording, indent=1) + "\n", encoding="utf-8")
        paths.append(path)
    return paths


def told(world: World, fault: Fault) -> str:
    """The fault and the way to it, for people."""
    lines = [f"{world.name}: {fault.what}"]
    for number, (event, passed) in enumerate(fault.trace, 1):
        lines.append(f"  {number}. {event}")
        for step in passed:
            part = world.parts[step.part]
            row = part.table.rows[step.row]
            guard = f" [{row.guard}]" if row.guard else ""
            action = f": {row.action}" if row.action else ""
            lines.append(f"       {part.name}: {row.source} {row.trigger}{guard} -> {row.dest}{action}")
    lines += [f"  then for ever: {event}" for event, _ in fault.cycle]
    return "\n".join(lines)


def _name(part: Part, lives: int) -> str:
    return part.name if not lives else f"{part.name}-{lives + 1}"


def _empty(world: World, part: Part, name: str, fault: Fault, *, made: bool) -> dict[str, Any]:
    return {
        "format": "clerestory recording",
        "version": 1,
        "machine": part.table.name,
        "id": f"{part.table.name}:{name}",
        "peer": f"the world {world.name}",
        "request": fault.what,
        "fault": fault.what,
        "made": made,
        "clock": f"the world {world.name}",
        "requests": 0,
        "status": None,
        "bytes_in": 0,
        "bytes_out": 0,
        "whole": True,
        "ended": False,
        "seen_at": float(len(fault.trace)),
        "received": [],
        "sent": [],
        "cause": None,
        "passages": [],
    }
