"""What a request's body says: JSON, text, or the fields of a form. What is not well-formed is 400, and says where."""

import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from clerestory.handlers.api.errors import HTTPError

MOST_FIELDS = 1000
"""Fields of a form, or of a query."""

FORM = b"application/x-www-form-urlencoded"
_CHARSET = re.compile(rb"(?i);[ \t]*charset=\"?([A-Za-z0-9_-]+)\"?")
_CHARSETS = {b"utf-8": "utf-8", b"utf8": "utf-8", b"us-ascii": "ascii", b"iso-8859-1": "latin-1"}


class Upload(NamedTuple):
    """A file of a form: `name` is the field's, `filename` the file's as the client calls it, without folders."""

    name: str
    filename: str
    content_type: str
    content: bytes


class Fields(dict[str, str]):
    """The fields of a form by name. Of several with one name the first is here; `all` has every one. `files` has the
    files by the names of their fields, likewise, and `uploads` every one."""

    def __init__(self, pairs: list[tuple[str, str]], uploads: Sequence[Upload] = ()) -> None:
        super().__init__(reversed(pairs))
        self.pairs = pairs
        self.uploads = tuple(uploads)

    @property
    def files(self) -> dict[str, Upload]:
        """The first file of each field that has one."""
        return {upload.name: upload for upload in reversed(self.uploads)}

    def all(self, name: str) -> list[str]:
        """Every value of `name`, in their order."""
        return [value for key, value in self.pairs if key == name]


def parse_json(body: bytes) -> Any:
    """The value (RFC 8259). Raises HTTPError 400."""
    try:
        return json.loads(body.decode("utf-8"), parse_constant=_refuse)
    except json.JSONDecodeError as error:
        raise HTTPError(400, f"The body is not JSON: line {error.lineno}, column {error.colno}: {error.msg}.") from None
    except UnicodeDecodeError as error:
        raise HTTPError(400, f"The body is not JSON: byte {error.start} is not UTF-8.") from None
    except (ValueError, RecursionError) as error:
        raise HTTPError(400, f"The body is not JSON that is read here: {error}.") from None


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not a value of JSON")


def parse_text(body: bytes, content_type: bytes | None) -> str:
    """The text, in the charset of `content_type`; UTF-8 where it names none. Raises HTTPError 400 or 415."""
    found = _CHARSET.search(content_type or b"")
    charset = _CHARSETS.get(found[1].lower()) if found is not None else "utf-8"
    if charset is None:
        raise HTTPError(415, "Text is read in UTF-8, US-ASCII or ISO-8859-1.")
    try:
        return body.decode(charset)
    except UnicodeDecodeError as error:
        raise HTTPError(400, f"The body is not {charset.upper()}: byte {error.start} is not.") from None


def check_form(content_type: bytes | None) -> None:
    """Raises HTTPError 415 unless that is the type of a form."""
    if (content_type or b"").partition(b";")[0].strip().lower() != FORM:
        raise HTTPError(415, f"A form is {FORM.decode()}, or multipart/form-data.")


def parse_form(body: bytes) -> Fields:
    """The fields of a form. Raises HTTPError 400."""
    return Fields(parse_pairs(body.decode("latin-1"), "form"))


def parse_pairs(text: str, what: str) -> list[tuple[str, str]]:
    """Names and values of a query or a form (WHATWG URL section 5.1), in their order. Raises HTTPError 400."""
    if not text:
        return []
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict")
    except UnicodeDecodeError:
        raise HTTPError(400, f"The {what} is not UTF-8.") from None
    except ValueError:
        raise HTTPError(400, f"The {what} has more than {MOST_FIELDS} fields.") from None
