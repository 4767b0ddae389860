"""The contract of tests/e2e/hosting in Django, synchronous."""

import importlib
import time
from collections.abc import Iterator
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

http: Any = importlib.import_module("django.http")
urls: Any = importlib.import_module("django.urls")
wsgi: Any = importlib.import_module("django.core.wsgi")
HttpRequest = Any
HttpResponse, JsonResponse, StreamingHttpResponse = http.HttpResponse, http.JsonResponse, http.StreamingHttpResponse

django.setup(set_prefix=False)

marks: dict[str, str] = {}


def index(request: HttpRequest) -> Any:
    return JsonResponse({"hello": "world"}, headers={"x-app": "django"})


def item(request: HttpRequest, number: int) -> Any:
    return JsonResponse({"id": number, "q": request.GET.get("q")})


def empty(request: HttpRequest) -> Any:
    return HttpResponse(status=204)


def echo(request: HttpRequest) -> Any:
    return HttpResponse(request.body, content_type=request.headers.get("content-type"))


def count(request: HttpRequest) -> Any:
    return JsonResponse(len(request.body), safe=False)


def upload(request: HttpRequest) -> Any:
    file = request.FILES["file"]
    return JsonResponse({"name": file.name, "size": len(file.read()), "note": request.POST["note"]})


def stream(request: HttpRequest) -> Any:
    return StreamingHttpResponse((f"piece {number}\n" for number in range(100)), content_type="text/plain")


def endless(request: HttpRequest) -> Any:
    def pieces() -> Iterator[str]:
        try:
            while True:
                yield "more\n"
                time.sleep(0.01)
        finally:
            marks["endless"] = "gone"

    return StreamingHttpResponse(pieces(), content_type="text/plain")


def file(request: HttpRequest) -> Any:
    return http.FileResponse(open(__file__, "rb"), content_type="text/x-python")


def seen(request: HttpRequest) -> Any:
    return JsonResponse(marks)


def error(request: HttpRequest) -> Any:
    raise RuntimeError("the application's own fault")


def broken(request: HttpRequest) -> Any:
    def pieces() -> Iterator[bytes]:
        yield b"x" * 100_000
        yield b"x" * 100_000
        raise RuntimeError("behind the beginning")

    return StreamingHttpResponse(pieces())


urlpatterns = [
    urls.path("", index),
    urls.path("items/<int:number>", item),
    urls.path("empty", empty),
    urls.path("echo", echo),
    urls.path("count", count),
    urls.path("upload", upload),
    urls.path("stream", stream),
    urls.path("endless", endless),
    urls.path("file", file),
    urls.path("marks", seen),
    urls.path("error", error),
    urls.path("broken", broken),
]

app = wsgi.get_wsgi_application()
