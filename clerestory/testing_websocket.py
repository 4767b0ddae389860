"""The client's end of a WebSocket in a test: `with client.websocket("/echo") as socket:` (clerestory.testing)."""

import json
import socket
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self, cast

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from clerestory.handlers.websocket.codes import ABNORMAL, NO_STATUS, NORMAL
from clerestory.handlers.websocket.socket import WebSocketClosed


class WebSocketRefused(Exception):
    """The handshake was answered with something else than a 101: `status`, `headers` and `body`."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status_code, bytes(response.body or b""))
        self.status = response.status_code
        self.headers = {name.lower(): value for name, value in response.headers.raw_items()}
        self.body = bytes(response.body or b"")


class TestSocket:
    """The client's end. `waiting` gives what lets the server go on, and raises where that takes too long."""

    __test__ = False  # to pytest, which takes what begins with Test for one

    def __init__(
        self,
        far: socket.socket,
        waiting: Callable[[], Callable[[], None]],
        target: str,
        headers: Mapping[str, str],
        offers: Sequence[str],
    ) -> None:
        self._far = far
        self._waiting = waiting
        self._output = b""
        self._messages: deque[str | bytes] = deque()
        self._answers: list[Response] = []
        offered = [cast("Subprotocol", one) for one in offers] or None
        self._protocol = ClientProtocol(parse_uri(f"ws://testing{target}"), subprotocols=offered, max_size=None)
        asked = self._protocol.connect()
        for name, value in headers.items():
            asked.headers[name] = value
        self._protocol.send_request(asked)
        self._until(lambda: bool(self._answers))
        (answer,) = self._answers
        if answer.status_code != 101:
            raise WebSocketRefused(answer)

    @property
    def subprotocol(self) -> str | None:
        """The one that was chosen."""
        return self._protocol.subprotocol

    def send(self, message: str | bytes | dict[str, Any] | list[Any]) -> None:
        """Send text, bytes, or a dict or list as JSON."""
        if isinstance(message, dict | list):
            message = json.dumps(message)
        if isinstance(message, str):
            self._protocol.send_text(message.encode())
        else:
            self._protocol.send_binary(message)
        self._until(lambda: not self._output)

    def receive(self) -> str | bytes:
        """The next message. Raises WebSocketClosed, what the handler raised, TimeoutError."""
        self._until(lambda: bool(self._messages) or self._is_over())
        if not self._messages:
            raise WebSocketClosed(*self._end())
        return self._messages.popleft()

    def receive_json(self) -> Any:
        """The next message, as JSON."""
        return json.loads(self.receive())

    def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Close it, and wait until the server has closed it, too. Does nothing where that has been done."""
        if self._far.fileno() < 0:
            return
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(code, reason)
        self._until(self._is_over)
        self._far.close()
        self._waiting()()

    def _is_over(self) -> bool:
        return self._protocol.state is State.CLOSED or self._protocol.close_rcvd is not None

    def _end(self) -> tuple[int, str]:
        said = self._protocol.close_rcvd
        if said is None:
            return ABNORMAL, ""
        return said.code or NO_STATUS, said.reason

    def _until(self, is_done: Callable[[], bool]) -> None:
        step = self._waiting()
        while True:
            self._pass()
            if is_done():
                self._waiting()  # raises what the handler raised
                return
            step()

    def _pass(self) -> None:
        """Send and take what there is."""
        protocol = self._protocol
        try:
            data = self._far.recv(65536)
            protocol.receive_data(data) if data else protocol.receive_eof()
        except BlockingIOError:
            pass
        except (ConnectionResetError, EOFError):
            protocol.receive_eof()
        for event in protocol.events_received():
            if isinstance(event, Response):
                self._answers.append(event)
            elif isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                self._messages.append(bytes(event.data).decode())
            elif isinstance(event, Frame) and event.opcode is Opcode.BINARY:
                self._messages.append(bytes(event.data))
        self._output += b"".join(protocol.data_to_send())
        try:
            self._output = self._output[self._far.send(self._output) :] if self._output else b""
        except BlockingIOError:
            return
        except (BrokenPipeError, ConnectionResetError):
            self._output = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
