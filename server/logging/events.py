"""How an event becomes a line: JSON for machines, aligned columns for people. Nothing here writes.

The law: a line holds no control character, whatever an event's fields hold. A client chooses its target, and decides
with it what an operator's terminal is sent (uvicorn CVE-2020-7694). JSON lines are ASCII, with everything else escaped
by the encoder. In console lines whatever is not printable is escaped as `repr` does: C0, DEL, C1, U+2028, U+2029, lone
surrogates, and the marks that turn the direction of writing; a field's value that could be taken for something else
is quoted. An exception's traceback and the stack of a blocked loop take several lines: each is marked with `|`.

`RequestLine` and its two formatters are the hot path: the one event of each exchange, formatted by hand.
"""

import json
import time
from collections.abc import Callable, Mapping
from json.encoder import encode_basestring_ascii as quote
from typing import Any, Protocol

from clerestory.statemachines.connection import TABLE, State

STATES = tuple(spec.state.lower() for spec in TABLE.specs)
"""The connection's states as a line names them, in the order in which `spent` of a RequestLine has their seconds."""
WAITING = STATES.index(State.AWAITING_REQUEST.lower())

Clock = Callable[[], float]
Put = Callable[[str], None]


class RequestLine(Protocol):
    """Log the one `request` event of an exchange. Positional, because it is called for each.

    `exchange` is its `id`; `status` is None where nothing was answered. `spent` are the seconds in each of STATES, told
    in milliseconds where there are any. `end` is who ended the connection, and in which state, where something went
    wrong, else None. `upstream` is the one that was asked last, if one was.
    """

    def __call__(
        self,
        exchange: str,
        peer: str,
        method: str,
        target: str,
        status: int | None,
        bytes_in: int,
        bytes_out: int,
        spent: list[float],
        end: str | None,
        upstream: str = "",
        /,
    ) -> None: ...


class Stamp:
    """The time as text, made once a millisecond: RFC 3339 in UTC, or the local time of day."""

    __slots__ = ("_clock", "_known", "_local")

    def __init__(self, clock: Clock, *, local: bool) -> None:
        self._clock = clock
        self._local = local
        self._known = (-1, "")

    def __call__(self) -> str:
        now = int(self._clock() * 1000)
        known, text = self._known
        if now != known:
            text = self._text(*divmod(now, 1000))
            self._known = now, text
        return text

    def _text(self, second: int, millisecond: int) -> str:
        if self._local:
            return f"{time.strftime('%H:%M:%S', time.localtime(second))}.{millisecond:03}"
        return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(second))}.{millisecond:03}Z"


def plain(value: object) -> str:
    """`value` as text; never raises, whatever the value's own methods do."""
    try:
        return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
    except Exception as error:  # noqa: BLE001 - a log line is no place to fail
        return f"<{type(value).__name__} that raises {type(error).__name__}>"


# --- JSON


def json_line(event: Mapping[str, Any], stamp: str) -> str:
    """One line of JSON: `event`, `level` and `time` first, then the fields. What JSON does not know becomes text."""
    head = {"event": event["event"], "level": event["level"], "time": stamp}
    line = head | {plain(key): value for key, value in event.items() if key not in head}
    try:
        return json.dumps(line, default=plain, allow_nan=False, separators=(",", ":")) + "\n"
    except (TypeError, ValueError, RecursionError):  # NaN, odd keys inside a field, a list that holds itself
        return json.dumps({key: plain(value) for key, value in line.items()}, separators=(",", ":")) + "\n"


_MEMBERS = tuple(f'"{state}":' for state in STATES)
_THOUSANDTHS = tuple(f".{number:03}" for number in range(1000))


class JSONRequests:
    """The `request` event as a line of JSON. Times are written as whole numbers: floats take three times as long."""

    __slots__ = ("_of", "_put", "_stamp")

    def __init__(self, put: Put, stamp: Stamp, worker: int = 0) -> None:
        """`worker` is which one of a supervisor's this process is; 0 for none."""
        self._put = put
        self._stamp = stamp
        self._of = f',"worker":{worker}' if worker else ""

    def __call__(
        self,
        exchange: str,
        peer: str,
        method: str,
        target: str,
        status: int | None,
        bytes_in: int,
        bytes_out: int,
        spent: list[float],
        end: str | None,
        upstream: str = "",
        /,
    ) -> None:
        times = [
            f"{_MEMBERS[place]}{(microseconds := int(seconds * 1e6 + 0.5)) // 1000}{_THOUSANDTHS[microseconds % 1000]}"
            for place, seconds in enumerate(spent)
            if seconds
        ]
        self._put(
            f'{{"event":"request","level":"info","time":"{self._stamp()}"{self._of},"id":{quote(exchange)},"peer":{quote(peer)},'
            f'"method":{quote(method)},"target":{quote(target)},"status":{"null" if status is None else status},'
            f'"bytes_in":{bytes_in},"bytes_out":{bytes_out},"times":{{{",".join(times)}}},'
            f'"end":{"null" if end is None else quote(end)}'
            + (f',"upstream":{quote(upstream)}}}\n' if upstream else "}\n")
        )


# --- console

WORTH_TELLING = 0.001
"""Seconds from which on a line for people tells how long a state lasted: a quick request's line fits 120 columns."""

_LEVELS = {"debug": "2", "info": "32", "warning": "33", "error": "31", "critical": "1;31"}
_STATUSES = {1: "36", 2: "32", 3: "36", 4: "33", 5: "31"}


def bare(text: str) -> str:
    """`text` with whatever is not printable escaped."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def word(text: str) -> str:
    """As `bare`, and without spaces, so that it stays one column; `-` where there is nothing."""
    return bare(text).replace(" ", "\\x20") or "-"


def shown(value: object) -> str:
    """A field's value: bare where it is one word, else quoted, so that it cannot be taken for another field."""
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".")
    text = plain(value)
    return text if text and text.isprintable() and not any(c in " \"'=\\" for c in text) else repr(text)


def paint(text: str, colour: str) -> str:
    """`text` in an ANSI colour."""
    return f"\x1b[{colour}m{text}\x1b[0m" if colour else text


def console_line(event: Mapping[str, Any], stamp: str, *, colours: bool) -> str:
    """One line for people: time, level, event, fields; and below it the traceback, if there is one."""
    level, name = plain(event["level"]), bare(plain(event["event"]))
    rest = {plain(key): value for key, value in event.items() if key not in ("event", "level", "exception")}
    stack = rest.pop("stack") if isinstance(rest.get("stack"), list) else []
    label = f"{level:<8}"
    if colours:
        stamp, label, name = paint(stamp, "2"), paint(label, _LEVELS.get(level, "")), paint(name, "1")
        fields = [paint(bare(key) + "=", "36") + shown(value) for key, value in rest.items()]
    else:
        fields = [bare(key) + "=" + shown(value) for key, value in rest.items()]
    trace = plain(event.get("exception", "")).split("\n") if event.get("exception") else []
    trace += map(plain, stack)
    line = f"{stamp}  {label} {name}"
    return "\n    | ".join(["  ".join([line, *fields]), *map(bare, trace)]) + "\n"


class ConsoleRequests:
    """The `request` event as aligned columns: time, status, method, milliseconds, bytes out, target, and the rest."""

    __slots__ = ("_colours", "_of", "_put", "_stamp")

    def __init__(self, put: Put, stamp: Stamp, worker: int = 0, *, colours: bool) -> None:
        self._put = put
        self._stamp = stamp
        self._of = f"worker={worker} " if worker else ""
        self._colours = colours

    def __call__(
        self,
        exchange: str,
        peer: str,
        method: str,
        target: str,
        status: int | None,
        bytes_in: int,
        bytes_out: int,
        spent: list[float],
        end: str | None,
        upstream: str = "",
        /,
    ) -> None:
        stamp, answer = self._stamp(), f"{status or '-':<8}"
        tail = f"{self._of}peer={shown(peer)} id={shown(exchange)} in={bytes_in}"
        # The wait for the request is the client's time, not the exchange's: it is neither in the sum nor listed.
        busy = 1000 * (sum(spent) - spent[WAITING])
        for place, (state, seconds) in enumerate(zip(STATES, spent, strict=True)):
            if seconds >= WORTH_TELLING and place != WAITING:
                tail += f" {state}={seconds * 1000:.3f}"
        if upstream:
            tail += f" upstream={shown(upstream)}"
        if end is not None:
            tail += f" end={shown(end)}"
        if self._colours:
            stamp, tail = paint(stamp, "2"), paint(tail, "2")
            answer = paint(answer, _STATUSES.get((status or 0) // 100, ""))
        self._put(f"{stamp}  {answer} {word(method):<7} {busy:9.2f} ms {bytes_out:>9} B  {word(target)}  {tail}\n")
