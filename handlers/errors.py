"""The errors a handler may raise to be answered with a status other than 500."""


class HTTPError(Exception):
    """Answer the request with `status`; `detail` is one sentence for the client, `fields` go into the answer.

    Raised by a handler, or thrown into it at an `await`: 413 when the body is longer than the route allows. `cause` is
    for operators, in a few words: an error that has one is told to them, too.
    """

    cause = ""

    def __init__(self, status: int, detail: str = "", fields: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail
        self.fields = fields
