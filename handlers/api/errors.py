"""The error that a handler raises to answer with a status of its choice."""


class HTTPError(Exception):
    """Answer the request with `status`; `detail` is one sentence for the client, `fields` are added to the response.

    Raised by a handler, or at an `await` in it: 413 if the body is longer than the route allows. `cause` is a few words
    for operators: an error that has one is also logged. `hint` says in the log what would have
    made it an answer.
    """

    cause = ""
    hint = ""

    def __init__(self, status: int, detail: str = "", fields: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail
        self.fields = fields


class BackendError(HTTPError):
    """What a handler asked of a backend was not done: 502, 503 or 504. `where` is the backend, for operators."""

    def __init__(
        self, status: int, cause: str, detail: str, where: str = "", fields: tuple[tuple[bytes, bytes], ...] = ()
    ) -> None:
        super().__init__(status, detail, fields)
        self.cause = cause
        self.where = where

    def __str__(self) -> str:
        return f"{self.status} {self.where} {self.cause}: {self.detail}"
