"""Forms with files (multipart/form-data, RFC 7578), parsed as they come by the library `multipart` (extra `forms`).

All of a form is in memory: what bounds it is the body's limit (`--max-body`, or `max_body` of the route). The number of
parts, and the fields of each, are bounded here.
"""

from collections.abc import AsyncIterable
from typing import Any

from clerestory.handlers.api.content import MOST_FIELDS, Fields, Upload
from clerestory.handlers.api.errors import HTTPError

MULTIPART = b"multipart/form-data"
MOST_HEADERS = 8
"""Fields of a part: RFC 7578 knows three."""
LONGEST_HEADER = 4096
"""Bytes of one of them: a file name has 255, percent-encoded at most three times as many."""
COMMAND = "pip install multipart"


def is_multipart(content_type: bytes | None) -> bool:
    """Whether that is the type of a form with files."""
    return (content_type or b"").partition(b";")[0].strip().lower() == MULTIPART


async def read_multipart(content_type: bytes, pieces: AsyncIterable[bytes]) -> Fields:
    """The fields and files. Raises HTTPError 400 and 413, ImportError where the extra is not installed; and what
    `pieces` raise."""
    try:
        import multipart
    except ImportError as error:
        raise ImportError(f"a form with files was sent, and multipart is not installed: {COMMAND}") from error
    _, options = multipart.parse_options_header(content_type.decode("latin-1"))
    boundary = options.get("boundary", "")
    if not boundary:
        raise HTTPError(400, "The form has no boundary in its Content-Type.")
    form = _Form()
    try:
        parser = multipart.PushMultipartParser(
            boundary,
            max_header_size=LONGEST_HEADER,
            max_header_count=MOST_HEADERS,
            max_segment_count=MOST_FIELDS,
            strict=True,
        )
        with parser:
            async for piece in pieces:
                for event in parser.parse(piece):
                    form.take(event)
    except multipart.ParserLimitReached as error:
        raise HTTPError(413, f"The form is too large: {_sentence(error)}") from None
    except multipart.MultipartError as error:
        raise HTTPError(400, f"The form is not well-formed: {_sentence(error)}") from None
    return Fields(form.pairs, form.uploads)


class _Form:
    """What has come of a form: `take` gets a part's head, pieces of its content, and None at its end."""

    def __init__(self) -> None:
        self.pairs: list[tuple[str, str]] = []
        self.uploads: list[Upload] = []
        self._part: Any = None
        self._content = bytearray()

    def take(self, event: Any) -> None:
        """The next event of the parser. Raises HTTPError 400."""
        if event is None:
            self._end()
        elif self._part is None:
            self._part = event
        else:
            self._content += event

    def _end(self) -> None:
        part, self._part = self._part, None
        content, self._content = bytes(self._content), bytearray()
        if part.filename is not None:
            kind = part.content_type or "application/octet-stream"
            self.uploads.append(Upload(part.name, _last(part.filename), kind, content))
            return
        try:
            self.pairs.append((part.name, content.decode("utf-8")))
        except UnicodeDecodeError as error:
            raise HTTPError(400, f"The form's {part.name!r} is not UTF-8: byte {error.start} is not.") from None


def _last(filename: str) -> str:
    """A file's name without folders: some clients send a whole path, and some would like it to be one of ours."""
    return filename.replace("\\", "/").rpartition("/")[2].replace("\0", "")


def _sentence(error: Exception) -> str:
    return f"{str(error).rstrip('.')}."
