"""WebSockets of the contract of tests/e2e/hosting, in Channels, beside Django."""

import importlib
from typing import Any

from tests.e2e.hosting.applications.django_app import app as django_app
from tests.e2e.hosting.applications.django_app import marks

routing: Any = importlib.import_module("channels.routing")
websocket: Any = importlib.import_module("channels.generic.websocket")
urls: Any = importlib.import_module("django.urls")
Base: Any = websocket.AsyncWebsocketConsumer


class Chat(Base):  # type: ignore[misc]
    async def connect(self) -> None:
        offered = self.scope["subprotocols"]
        await self.accept(offered[0] if offered else None, headers=[(b"x-app", b"channels")])

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if text_data == "leave":
            await self.close(4000, "as you wish")
        elif text_data == "fail":
            raise RuntimeError("the application's own fault")
        else:
            await self.send(text_data, bytes_data)

    async def disconnect(self, code: int) -> None:
        marks["chat"] = str(code)


class NoChat(Base):  # type: ignore[misc]
    async def connect(self) -> None:
        await self.close()


SOCKETS = [urls.path("chat", Chat.as_asgi()), urls.path("no-chat", NoChat.as_asgi())]
app = routing.ProtocolTypeRouter({"http": django_app, "websocket": routing.URLRouter(SOCKETS)})
