# ruff: noqa: ASYNC110 - tests poll
"""The contract of tests/e2e/hosting in Django; `item` is a synchronous view, which runs in a thread."""

import asyncio
import importlib
from collections.abc import AsyncIterator
from typing import Any

from django.conf import settings  # type: ignore[import-untyped, unused-ignore]

settings.configure(
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="for tests",
    LOGGING_CONFIG=None,
    DATA_UPLOAD_MAX_MEMORY_SIZE=None,
)

import django  # type: ignore[import-untyped, unused-ignore]  # noqa: E402

asgi: Any = importlib.import_module("django.core.asgi")
http: Any = importlib.import_module("django.http")
urls: Any = importlib.import_module("django.urls")
HttpRequest = Any
HttpResponse, JsonResponse, StreamingHttpResponse = http.HttpResponse, http.JsonResponse, http.StreamingHttpResponse

django.setup(set_prefix=False)

marks: dict[str, str] = {}
tasks: set[Any] = set()


async def index(request: HttpRequest) -> Any:
    return JsonResponse({"hello": "world"}, headers={"x-app": "django"})


def item(request: HttpRequest, number: int) -> Any:
    return JsonResponse({"id": number, "q": request.GET.get("q")})


async def empty(request: HttpRequest) -> Any:
    return HttpResponse(status=204)


async def echo(request: HttpRequest) -> Any:
    return HttpResponse(request.body, content_type=request.headers.get("content-type"))


async def count(request: HttpRequest) -> Any:
    return JsonResponse(len(request.body), safe=False)


async def stream(request: HttpRequest) -> Any:
    async def pieces() -> AsyncIterator[str]:
        for number in range(100):
            yield f"piece {number}\n"

    return StreamingHttpResponse(pieces(), content_type="text/plain")


async def endless(request: HttpRequest) -> Any:
    async def pieces() -> AsyncIterator[str]:
        try:
            while True:
                yield "more\n"
                await asyncio.sleep(0.01)
        finally:
            marks["endless"] = "gone"

    return StreamingHttpResponse(pieces(), content_type="text/plain")


async def events(request: HttpRequest) -> Any:
    async def pieces() -> AsyncIterator[str]:
        for number in range(3):
            yield f"data: {number}\r\n\r\n"

    return StreamingHttpResponse(pieces(), content_type="text/event-stream")


async def work() -> None:
    while "go" not in marks:
        await asyncio.sleep(0.01)
    marks["background"] = "done"


async def background(request: HttpRequest) -> Any:
    task = asyncio.create_task(work())
    tasks.add(task)
    task.add_done_callback(tasks.discard)
    return JsonResponse("ok", safe=False)


async def go(request: HttpRequest) -> Any:
    marks["go"] = "yes"
    return JsonResponse("ok", safe=False)


async def seen(request: HttpRequest) -> Any:
    return JsonResponse(marks)


async def wait(request: HttpRequest) -> Any:
    try:
        await asyncio.sleep(60)
    finally:
        marks["wait"] = "gone"
    return HttpResponse()


async def error(request: HttpRequest) -> Any:
    raise RuntimeError("the application's own fault")


urlpatterns = [
    urls.path("", index),
    urls.path("items/<int:number>", item),
    urls.path("empty", empty),
    urls.path("echo", echo),
    urls.path("count", count),
    urls.path("stream", stream),
    urls.path("endless", endless),
    urls.path("events", events),
    urls.path("background", background),
    urls.path("go", go),
    urls.path("marks", seen),
    urls.path("wait", wait),
    urls.path("error", error),
]

app = asgi.get_asgi_application()
