"""`top`: look, draw, wait for a key or for the interval, and again. A look that fails is said, and tried again."""

import signal
import termios
from urllib.parse import quote

from clerestory.server.xray.terminal.arguments import UsageError
from clerestory.server.xray.terminal.client import JSON, GoneError, XRay, XRayError
from clerestory.server.xray.terminal.frame import Sight, frame
from clerestory.server.xray.terminal.screen import Screen
from clerestory.server.xray.terminal.streams import Streams
from clerestory.server.xray.terminal.text import Style, count_of, style_of
from clerestory.server.xray.terminal.view import Mode, Order, View
from clerestory.server.xray.terminal.waits import Ended

ROWS = 200
"""Rows asked for: more than a screen has, so that one can scroll."""


def top(client: XRay, filters: dict[str, object], interval: float, streams: Streams) -> int:
    """Show what the connections wait for, until `q`. Raises UsageError where there is no terminal, XRayError when
    there is no answer at the beginning."""
    if not (streams.out.isatty() and streams.keys.isatty()):
        raise UsageError("top needs a terminal: ps prints the same once")
    sort = str(filters.pop("sort", "wait"))
    screen = Screen(streams.keys.fileno(), streams.out.fileno(), streams.waits)
    this = Top(client, View(filters, sort), screen, style_of(streams.out).colours)
    this.begin()
    try:
        with screen.shown(interval):
            this.run()
    except Ended as end:
        if end.number != signal.SIGINT:
            raise
        return 0
    except (OSError, termios.error):  # the terminal has gone
        return 2
    return 0


APART = 0.5
"""Seconds between two snapshots from which rates are made: a key that is pressed makes us look again at once."""


class Top:
    """The live view of `client`'s server on `screen`."""

    def __init__(self, client: XRay, view: View, screen: Screen, colours: bool) -> None:
        self.client = client
        self.view = view
        self.screen = screen
        self.colours = colours
        self.sight = Sight(client.address)
        screen.changed = self.draw

    def begin(self) -> None:
        """The first look, before the screen is ours. Raises XRayError."""
        self.sight.tables = {one["name"]: one for one in self.client.get("/machines.json")["machines"]}
        self._look()

    def run(self) -> None:
        """Until somebody quits."""
        while True:
            self.draw()
            keys = self.screen.keys()
            if not keys and not self.view.paused:
                self.look()
            for key in keys:
                order = self.view.press(key, self.sight.rows)
                if order is Order.QUIT:
                    return
                if order is not None:
                    self.obey(order)

    def draw(self) -> None:
        """Show what was seen last, in the size there is now."""
        columns, lines = self.screen.size()
        self.screen.draw(frame(self.sight, self.view, Style(columns, self.colours), lines))

    def look(self) -> None:
        """Look again; say so where that cannot be done."""
        try:
            self._look()
        except XRayError as error:
            self.view.message = str(error)

    def _look(self) -> None:
        sight, view = self.sight, self.view
        snapshot = self.client.get("/snapshot.json")
        if sight.snapshot is None or snapshot["now"] - sight.snapshot["now"] >= APART:
            sight.before = sight.snapshot
        sight.snapshot = snapshot
        if view.mode is Mode.DETAILS:
            try:
                sight.one = self.client.one(view.chosen)
            except GoneError as error:
                view.mode, view.message = Mode.TABLE, str(error)
        listed: JSON = self.client.get("/connections.json", view.filters | {"sort": view.sort, "limit": ROWS})
        sight.rows, sight.matched, sight.total = listed["rows"], listed["matched"], listed["total"]

    def obey(self, order: Order) -> None:
        """Do what a key has ordered; a refusal is a message."""
        view = self.view
        filters = {name: value for name, value in view.filters.items() if name != "kind"}
        try:
            if order is Order.CLOSE_ONE:
                done = self.client.post(f"/connections/{quote(str(view.chosen), safe=':')}/close")
            elif order is Order.ASK_MANY:
                count = self.client.post("/close", filters)["would_close"]
                view.ask(f"close {count_of(count, 'connection')} with {view.words()}?", Order.CLOSE_MANY)
                return
            elif order is Order.CLOSE_MANY:
                done = self.client.post("/close", filters | {"confirm": 1})
            else:
                self._look()
                return
            self._look()
        except XRayError as error:
            view.message = str(error)
            return
        gone = f", {len(done['failed'])} had already ended, or the loop is blocked" if done["failed"] else ""
        view.message = f"{count_of(len(done['closed']), 'connection')} closed{gone}"
