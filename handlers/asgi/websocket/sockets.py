"""What the WebSockets of one loop share: the machine's engine, and their bounds."""

from clerestory.handlers.asgi.hosting import Hosting
from clerestory.handlers.asgi.run import Run
from clerestory.statemachines import websocket
from clerestory.statemachines.engine import Edge, Engine


class WebSockets:
    """What the WebSockets of one loop share."""

    def __init__(self, hosting: Hosting) -> None:
        from clerestory.handlers.websocket.bounds import bounds_of
        from clerestory.handlers.websocket.session import Session

        loop = hosting.loop
        self.loop = loop
        self.checker = hosting.checker
        self.bounds = bounds_of(loop.limits)
        self.engine = Engine(websocket.TABLE, Session, loop.clock, loop.limits, loop.dispatch)
        self._hosting = hosting

    def tell_fault(self, run: Run, edge: Edge, end: tuple[int, str] | None) -> None:
        """A WebSocket has not ended in order."""
        code, reason = end or (None, None)
        fields = {"cause": edge.row.ends, "state": edge.source.state, "code": code, "reason": reason or None}
        self._hosting.say("warning", "websocket_ended", run, **fields)
