"""What `top` shows of what there is, and how keys change that. Pure: a key either changes the view or is an order.

The view is in one of a few modes, each with its own keys: the table, one connection, the help, a line being typed, a
question.
"""

import re
from dataclasses import dataclass, field
from enum import StrEnum, auto

from clerestory.server.xray.terminal.arguments import SORTS, older
from clerestory.server.xray.terminal.client import JSON

STATES = (
    "",
    "AWAITING_REQUEST",
    "HANDSHAKING",
    "READING_HEAD",
    "READING_BODY",
    "QUERYING_BACKEND",
    "PRODUCING",
    "HALF_CLOSED",
    "SENDING_RESPONSE",
    "EXCHANGING",
    "TUNNELLING",
    "LINGERING",
)
"""What `f` goes through."""


class Mode(StrEnum):
    TABLE = auto()
    DETAILS = auto()
    HELP = auto()
    TYPING = auto()
    """A filter is being typed."""
    ASKING = auto()
    """A question, to be answered with y."""


class Order(StrEnum):
    QUIT = auto()
    LOOK = auto()
    """What is shown has changed: look again now."""
    CLOSE_ONE = auto()
    ASK_MANY = auto()
    """Ask how many the filter chooses, and put the question."""
    CLOSE_MANY = auto()


@dataclass(slots=True)
class View:
    """What is shown. `chosen` is the id of a row; `filters` are those of the endpoints."""

    filters: dict[str, object] = field(default_factory=dict)
    sort: str = "wait"
    mode: Mode = Mode.TABLE
    chosen: str = ""
    typed: str = ""
    question: str = ""
    order: Order = Order.LOOK
    """What a yes to the question orders."""
    message: str = ""
    paused: bool = False
    top: int = 0
    """The first line shown of one connection's details."""

    def press(self, key: str, rows: list[JSON]) -> Order | None:
        """A key was pressed while `rows` were shown."""
        self.message = ""
        if self.mode is Mode.TABLE:
            return self._press_table(key, rows)
        modes = {
            Mode.DETAILS: self._press_details,
            Mode.HELP: self._press_help,
            Mode.TYPING: self._press_typing,
            Mode.ASKING: self._press_asking,
        }
        return modes[self.mode](key)

    def place(self, rows: list[JSON]) -> int | None:
        """Which of `rows` is chosen; None where it has gone, or none is."""
        return next((place for place, row in enumerate(rows) if row["id"] == self.chosen), None)

    def words(self) -> str:
        """The filter in words: `state=READING_HEAD older=5`."""
        return " ".join(f"{name}={value}" for name, value in self.filters.items())

    def ask(self, question: str, order: Order) -> None:
        """Put a question; `order` is what a yes means."""
        self.mode, self.question, self.order = Mode.ASKING, question, order

    # --- the modes

    def _press_table(self, key: str, rows: list[JSON]) -> Order | None:
        moves = {"up": -1, "k": -1, "down": 1, "j": 1, "page up": -10, "page down": 10, "home": -(10**6), "end": 10**6}
        if key in moves and rows:
            at = self.place(rows)
            to = 0 if at is None else at + moves[key]
            self.chosen = rows[max(0, min(len(rows) - 1, to))]["id"]
        elif key == "enter" and self.place(rows) is not None:
            self.mode, self.top = Mode.DETAILS, 0
            return Order.LOOK
        elif key in ("c", "C", "enter"):
            return self._wish_to_close(key, rows)
        elif key in ("s", "r", "f", "/", "escape"):
            return self._press_order(key)
        elif key == " ":
            self.paused = not self.paused
        elif key in ("h", "?"):
            self.mode = Mode.HELP
        return Order.QUIT if key == "q" else None

    def _press_order(self, key: str) -> Order | None:
        name, turned = self.sort.removeprefix("-"), self.sort.startswith("-")
        if key == "s":
            self.sort = SORTS[(SORTS.index(name) + 1) % len(SORTS)]
        elif key == "r":
            self.sort = name if turned else f"-{name}"
        elif key == "f":
            at = STATES.index(str(self.filters.get("state", ""))) if self.filters.get("state", "") in STATES else 0
            self.filters = read_filter(f"state={STATES[(at + 1) % len(STATES)]}", self.filters)
        elif key == "/":
            self.mode, self.typed = Mode.TYPING, self.words()
            return None
        else:
            self.filters, self.chosen = {}, ""
        return Order.LOOK

    def _wish_to_close(self, key: str, rows: list[JSON]) -> Order | None:
        if key == "C":
            if self.filters.keys() & {"state", "older", "peer", "path"}:
                return Order.ASK_MANY
            self.message = "C closes what a filter chooses: choose with / or f first"
            return None
        place = self.place(rows)
        if place is None:
            self.message = "choose a connection first, with the arrow keys"
        else:
            row = rows[place]
            self.ask(f"close {row['id']}, {row['request'] or row['state']} of {row['peer']}?", Order.CLOSE_ONE)
        return None

    def _press_details(self, key: str) -> Order | None:
        if key in ("up", "k", "down", "j"):
            self.top = max(0, self.top + (1 if key in ("down", "j") else -1))
        elif key == "c":
            self.ask(f"close {self.chosen}?", Order.CLOSE_ONE)
        elif key in ("enter", "escape", "backspace"):
            self.mode = Mode.TABLE
            return Order.LOOK
        return Order.QUIT if key == "q" else None

    def _press_help(self, key: str) -> Order | None:
        self.mode = Mode.TABLE
        return Order.QUIT if key == "q" else None

    def _press_typing(self, key: str) -> Order | None:
        if key == "enter":
            self.mode = Mode.TABLE
            try:
                self.filters = read_filter(self.typed, {})
            except ValueError as error:
                self.message = str(error)
                return None
            return Order.LOOK
        if key == "escape":
            self.mode = Mode.TABLE
        elif key == "backspace":
            self.typed = self.typed[:-1]
        elif len(key) == 1 and len(self.typed) < 200:
            self.typed += key
        return None

    def _press_asking(self, key: str) -> Order | None:
        self.mode = Mode.TABLE
        if key in ("y", "Y"):
            return self.order
        self.message = "nothing was closed"
        return None


def read_filter(text: str, before: dict[str, object]) -> dict[str, object]:
    """`state=reading_head older=5 peer=10.0 path=/emails`, or words that speak for themselves: a path, a state, an
    age, an address. Raises ValueError with what is wrong."""
    found = dict(before)
    for word in text.split():
        name, equals, value = word.partition("=")
        if not equals:
            name, value = _guess(word), word
        if name not in ("state", "older", "peer", "path", "kind"):
            raise ValueError(f"{name}= is not a filter: there are state, older, peer, path and kind")
        if name == "state":
            value = value.upper().replace("-", "_")
        if name == "older" and value:
            try:
                older(value)
            except Exception as error:
                raise ValueError(str(error)) from error
        found[name] = value
    return {name: value for name, value in found.items() if value}


def _guess(word: str) -> str:
    if word.startswith("/"):
        return "path"
    if word.upper().replace("-", "_") in STATES:
        return "state"
    return "older" if re.fullmatch(r"[0-9.]+[smh]", word) else "peer"
