"""Answers of an x-ray for the terminal's tests: made by hand, in the shape of server.xray.serve.shape."""

from typing import Any

from clerestory.server.xray.terminal.client import JSON, GoneError

STATES = ("AWAITING_REQUEST", "READING_HEAD", "QUERYING_BACKEND", "SENDING_RESPONSE", "LINGERING", "CLOSED")


def row(**changes: Any) -> JSON:
    """A connection that waits for an operation; the why line is made of the others unless it is given."""
    made: JSON = {
        "id": "17",
        "kind": "connection",
        "descriptor": 12,
        "peer": "127.0.0.1:5000",
        "state": "QUERYING_BACKEND",
        "waits_for": "the application",
        "true_while": "the handler runs or waits for an operation",
        "seconds": 1.2,
        "deadline": deadline(),
        "request": "GET /emails/7",
        "request_id": "17-3",
        "status": None,
        "bytes_in": 120,
        "bytes_out": 0,
        "requests": 3,
        "age": 62.0,
        "chain": ["work#1 RUNNING find 1.2 s"],
    } | changes
    place = " ".join(part for part in (made["request"], made["state"]) if part)
    until = f" of {made['deadline']['seconds']:g} s" if made["deadline"] else ""
    why = " <- ".join([f"{place} {made['seconds']:.1f} s{until}", *made["chain"]])
    return {"why": why} | made


def deadline(**changes: Any) -> JSON:
    made = {"name": "backend", "by": "time", "seconds": 30.0, "remaining": 28.8, "idle": None, "rate": None}
    return made | changes


def idle(number: int = 1, **changes: Any) -> JSON:
    """A connection that waits for its next request."""
    peer = f"127.0.0.1:{6000 + number}"
    return row(
        **{
            "id": str(number),
            "peer": peer,
            "state": "AWAITING_REQUEST",
            "waits_for": "readable",
            "true_while": "no byte of the next request has arrived",
            "request": "",
            "request_id": "",
            "deadline": deadline(name="keep-alive", seconds=15.0, remaining=13.8),
            "chain": [f"{peer} readable"],
        }
        | changes
    )


def passage(at: float = 5061.0, **changes: Any) -> JSON:
    made = {
        "at": at,
        "age": 5123.4 - at,
        "source": "AWAITING_REQUEST",
        "trigger": "HEAD_RECEIVED",
        "dest": "QUERYING_BACKEND",
        "way": "HAPPY",
        "row": 0,
        "stayed": 0.8,
    }
    return made | changes


def one(**changes: Any) -> JSON:
    """Everything about an open connection."""
    made = {
        "now": 5123.4,
        "ended": None,
        "truncated": False,
        "spent": {"AWAITING_REQUEST": 0.8},
        "fields": [["user-agent", "curl/8"], ["cookie", "(redacted)"]],
        "path": [passage(5122.2)],
    }
    return row() | made | changes


def ended(**changes: Any) -> JSON:
    """Everything about one that has ended."""
    made = {
        "now": 5123.4,
        "id": "16",
        "peer": "127.0.0.1:4999",
        "accepted_at": 5108.4,
        "ended_at": 5120.4,
        "age": 3.0,
        "lasted": 12.0,
        "cause": "deadline",
        "state": "READING_HEAD",
        "trigger": "DEADLINE_PASSED",
        "way": "FAULT",
        "request": "",
        "requests": 0,
        "bytes_in": 3,
        "bytes_out": 0,
        "truncated": True,
        "why": "connection 16 from 127.0.0.1:4999: ended by deadline in READING_HEAD after 12.0 s",
        "path": [
            passage(5110.4, source="AWAITING_REQUEST", trigger="HEAD_STARTED", dest="READING_HEAD", stayed=None),
            passage(5120.4, source="READING_HEAD", trigger="DEADLINE_PASSED", dest="CLOSED", stayed=10.0, way="FAULT"),
        ],
        "ended": {"cause": "deadline", "state": "READING_HEAD", "ago": 3.0},
    }
    return made | changes


def snapshot(**changes: Any) -> JSON:
    """A process with one connection in each of two states."""
    states = dict.fromkeys(STATES, 0) | {"AWAITING_REQUEST": 1, "QUERYING_BACKEND": 1}
    made: JSON = {
        "now": 100.0,
        "pid": 4711,
        "serving": "the built-in mail site",
        "uptime": 61.0,
        "loop": {"lag": 0.0002, "blocked": None},
        "banners": [],
        "bounds": {"slots": 992, "descriptors": 1024, "open_descriptors": 20},
        "totals": {"accepted": 2, "requests": 100, "bytes_in": 1000, "bytes_out": 5000},
        "machines": {
            "connection": {"total": 2, "states": states, "oldest": {"AWAITING_REQUEST": 12.0}},
            "listener": {"total": 1, "states": {"ACCEPTING": 1, "PAUSED": 0}, "oldest": {"ACCEPTING": 60.0}},
        },
        "edges": {"connection": [100, 100, 7]},
        "dwell": {
            "connection": {state: {"count": 0, "p50": None, "p99": None} for state in STATES if state != "CLOSED"}
            | {"QUERYING_BACKEND": {"count": 9, "p50": 0.001, "p99": 2.0}}
        },
    }
    return made | changes


TABLES: JSON = {
    "machines": [
        {
            "name": "connection",
            "states": [{"name": "AWAITING_REQUEST", "words": "waiting for a request"}],
            "rows": [
                {"source": "AWAITING_REQUEST", "dest": "QUERYING_BACKEND"},
                {"source": "QUERYING_BACKEND", "dest": "AWAITING_REQUEST"},
                {"source": "QUERYING_BACKEND", "dest": "QUERYING_BACKEND"},
            ],
        }
    ]
}


def listed(*rows: JSON, **changes: Any) -> JSON:
    """/connections.json."""
    made = {"now": 100.0, "consistent": True, "total": len(rows), "matched": len(rows), "offset": 0, "groups": None}
    return made | {"rows": list(rows)} | changes


class FakeClient:
    """Answers from a table by path; a list is answered one by one, an error is raised. What was asked is in `asked`."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = {"/machines.json": TABLES, "/snapshot.json": snapshot()} | answers
        self.asked: list[tuple[str, str, dict[str, object]]] = []
        self.address = "127.0.0.1:8001"

    def _answer(self, method: str, path: str, parameters: Any) -> JSON:
        self.asked.append((method, path, dict(parameters or {})))
        answer = self.answers.get(path, GoneError(f"There is no {path}."))
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if isinstance(answer, Exception):
            raise answer
        found: JSON = answer
        return found

    def get(self, path: str, parameters: Any = None) -> JSON:
        return self._answer("GET", path, parameters)

    def post(self, path: str, parameters: Any = None) -> JSON:
        return self._answer("POST", path, parameters)

    def one(self, identity: str, *, secrets: bool = False) -> JSON:
        return self.get(f"/connections/{identity}", {"secrets": "1"} if secrets else {})

    def export(self, identity: str, form: str, *, secrets: bool = False) -> str:
        return str(self.get(f"/connections/{identity}", {"format": form} | ({"secrets": "1"} if secrets else {})))

    def close(self) -> None:
        pass
