"""What a directory may be given besides its files: a fallback, a page for errors, further fields, rules for caches.

- *fallback*: a file that answers, with 200, every path at which there is nothing and whose last segment has no dot: the
  page of a single-page application, which looks at the path itself. `/missing.js` stays 404.
- *error page*: a file that is sent with 404 where nothing else is, without validators: it is not the resource.
- *fields*: on every response of the directory, errors too. One that the response has already is replaced.
- *caching*: the Cache-Control of the paths that a pattern matches (fnmatch); the first pattern that does holds.
"""

from collections.abc import Coroutine, Iterable
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import quote

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.messages import Answer, Application, Fields, Request, Response

CONDITIONS = (b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since", b"if-range", b"range")
VALIDATORS = (b"etag", b"last-modified", b"accept-ranges")


class Extras:
    """The application `files` with what it was given besides. `fallback` and `error_page` are paths below its root."""

    def __init__(
        self,
        files: Application,
        *,
        fallback: str = "",
        error_page: str = "",
        fields: Fields = (),
        caching: Iterable[tuple[str, bytes]] = (),
    ) -> None:
        self._files = files
        self._fallback = "/" + quote(fallback) if fallback else ""
        self._error_page = "/" + quote(error_page) if error_page else ""
        self._fields = fields
        self._caching = tuple(caching)

    def __call__(self, request: Request) -> Answer:
        """Answer `request`. Raises HTTPError as the files do."""
        path = request.path
        try:
            answer = self._files(request)
        except HTTPError as error:
            answer = self._instead(request, error)
        return self._dress(path, answer) if isinstance(answer, Response) else self._dressed(path, answer)

    async def _dressed(self, path: str, answer: Coroutine[Any, Any, Response]) -> Response:
        try:
            return self._dress(path, await answer)
        except HTTPError as error:
            error.fields = self._replaced(error.fields, self._fields)
            raise

    def _instead(self, request: Request, error: HTTPError) -> Answer:
        """What answers instead of an error."""
        if error.status == 404 and request.method in ("GET", "HEAD"):
            if self._fallback and "." not in request.path.rpartition("/")[2]:
                request.path = self._fallback
                return self._files(request)
            if self._error_page:
                request.path = self._error_page
                request.fields = tuple(field for field in request.fields if field[0] not in CONDITIONS)
                page = self._files(request)
                if isinstance(page, Response):
                    page.status = 404
                    page.fields = tuple(field for field in page.fields if field[0] not in VALIDATORS)
                return page
        error.fields = self._replaced(error.fields, self._fields)
        raise error

    def _dress(self, path: str, response: Response) -> Response:
        more = self._fields
        if response.status < 400:
            more = (*self._cache_control(path), *more)
        response.fields = self._replaced(response.fields, more)
        return response

    def _cache_control(self, path: str) -> Fields:
        for pattern, value in self._caching:
            if fnmatchcase(path, pattern if pattern.startswith(("/", "*")) else f"*/{pattern}"):
                return ((b"cache-control", value),)
        return ()

    @staticmethod
    def _replaced(fields: Fields, more: Fields) -> Fields:
        if not more:
            return fields
        names = {name for name, _ in more}
        return (*(field for field in fields if field[0] not in names), *more)
