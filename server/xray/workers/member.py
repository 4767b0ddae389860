"""Which workers there are, as the supervisor's machines show them."""

from dataclasses import dataclass
from typing import Any

from clerestory.server.process.worker import Worker
from clerestory.server.xray.observe.cut import Cut
from clerestory.server.xray.serve.shape import JSON
from clerestory.statemachines.worker import State as S

ANSWERING = (S.READY, S.AWAITING_SUCCESSOR, S.RETIRING, S.STOPPING, S.ABORTING)
"""Where a worker has an x-ray that may answer."""

SERVING = (S.READY, S.AWAITING_SUCCESSOR)
"""Where it accepts connections."""


@dataclass(frozen=True, slots=True)
class Member:
    """One worker at the moment of a cut. `heard` is how many seconds ago it was last heard."""

    worker: Worker
    state: str
    seconds: float
    age: float
    heard: float
    figures: dict[str, Any]

    @property
    def number(self) -> int:
        """Its number, which no other worker of the supervisor has had."""
        return self.worker.number

    @property
    def generation(self) -> int:
        """The start or reload that it belongs to."""
        return self.worker.generation

    @property
    def may_answer(self) -> bool:
        """Whether it is worth asking."""
        return self.state in ANSWERING

    @property
    def serves(self) -> bool:
        """Whether it accepts connections."""
        return self.state in SERVING

    @property
    def key(self) -> str:
        """As sums.Part.key."""
        return str(self.number)

    @property
    def title(self) -> str:
        """As sums.Part.title."""
        return f"Worker {self.number}, generation {self.generation}"

    @property
    def origin(self) -> JSON:
        """As sums.Part.origin."""
        return {"worker": self.number, "generation": self.generation}

    def described(self, answers: bool | None, blocked: float | None, waits_for: list[str]) -> JSON:
        """Worker (server.xray.serve.shape)."""
        return {
            "worker": self.number,
            "generation": self.generation,
            "pid": self.worker.pid,
            "state": self.state,
            "seconds": self.seconds,
            "age": self.age,
            "heard": self.heard,
            "answers": answers,
            "blocked": blocked,
            "connections": self.figures.get("connections", 0),
            "requests": self.figures.get("requests", 0),
            "memory": self.figures.get("memory", 0),
            "waits_for": waits_for,
        }


def members_of(cut: Cut) -> list[Member]:
    """The workers of a cut of their supervisor's machines, by number."""
    found = []
    for position in cut.seen.at(lambda machine, _: machine.engine.table.name == "worker"):
        worker, node, since, _ = cut.seen[position]
        if isinstance(worker, Worker):
            ages = cut.now - since, cut.now - worker.born, max(0.0, cut.now - worker.heard)
            found.append(Member(worker, str(node.state), *ages, dict(worker.figures)))
    return sorted(found, key=lambda member: member.number)
