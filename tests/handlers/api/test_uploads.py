"""Forms with files: what they bring, and what of them is refused."""

import builtins
from typing import Any

import pytest

from clerestory import Request, Router
from clerestory.handlers.api.content import MOST_FIELDS, Fields
from clerestory.handlers.api.uploads import LONGEST_HEADER, MOST_HEADERS, is_multipart
from clerestory.testing import Answer, Client

KIND = {"content-type": "multipart/form-data; boundary=xyz"}
FORMS: list[Fields] = []
router = Router()


@router.post("/form", max_body=1 << 20)
async def take(request: Request) -> dict[str, Any]:
    form = await request.form()
    FORMS.append(form)
    return {"fields": form.pairs, "files": [(file.name, file.filename, len(file.content)) for file in form.uploads]}


def part(head: str, content: bytes = b"") -> bytes:
    return b"--xyz\r\n" + head.encode() + b"\r\n\r\n" + content + b"\r\n"


def field(name: str, content: bytes) -> bytes:
    return part(f'Content-Disposition: form-data; name="{name}"', content)


def send(*parts: bytes, end: bytes = b"--xyz--\r\n", raises: bool = True) -> Answer:
    with Client(router, raises=raises) as client:
        return client.post("/form", headers=KIND, body=b"".join(parts) + end)


def test_fields_and_files_come_in_their_order() -> None:
    FORMS.clear()
    named = (
        'Content-Disposition: form-data; name="photo"; filename="C:\\\\temp\\\\grüße.png"\r\nContent-Type: image/png'
    )
    other = 'Content-Disposition: form-data; name="photo"; filename="../../etc/passwd"'
    answer = send(field("a", b"1"), field("a", "ü".encode()), part(named, b"\x89PNG\r\n"), part(other, b""))
    assert answer.json()["fields"] == [["a", "1"], ["a", "ü"]]
    (form,) = FORMS
    assert (form["a"], form.all("a")) == ("1", ["1", "ü"])
    assert form.files["photo"].content_type == "image/png"
    assert [(one.filename, one.content_type, one.content) for one in form.uploads] == [
        ("grüße.png", "image/png", b"\x89PNG\r\n"),
        ("passwd", "application/octet-stream", b""),
    ]


def test_a_form_in_any_pieces_is_the_same() -> None:
    """A body of more than one read, whose parts end within reads."""
    content = b"\r\n--xy" * 30_000
    answer = send(field("a", b"1"), part('Content-Disposition: form-data; name="f"; filename="f"', content))
    assert answer.json() == {"fields": [["a", "1"]], "files": [["f", "f", len(content)]]}


@pytest.mark.parametrize(
    ("parts", "end", "detail"),
    [
        ([field("a", b"1")], b"", "The form is not well-formed: "),
        ([b"rubbish"], b"", "The form is not well-formed: "),
        ([part("Content-Disposition: form-data")], b"--xyz--\r\n", "The form is not well-formed: "),
        ([field("a", b"\xff")], b"--xyz--\r\n", "The form's 'a' is not UTF-8: byte 0 is not."),
    ],
)
def test_what_is_not_well_formed_is_400_and_says_why(parts: list[bytes], end: bytes, detail: str) -> None:
    answer = send(*parts, end=end)
    assert answer.status == 400
    assert detail in answer.text


def test_a_form_without_a_boundary_is_400() -> None:
    with Client(router) as client:
        answer = client.post("/form", headers={"content-type": "multipart/form-data"}, body=b"x")
    assert (answer.status, "no boundary" in answer.text) == (400, True)


def test_a_form_has_so_many_parts_and_no_more() -> None:
    assert send(*[field("a", b"")] * MOST_FIELDS).status == 200
    assert send(*[field("a", b"")] * (MOST_FIELDS + 1)).status == 413


def test_a_part_has_so_many_fields_and_no_more() -> None:
    heads = ['Content-Disposition: form-data; name="a"', *(f"X-{one}: y" for one in range(MOST_HEADERS - 1))]
    assert send(part("\r\n".join(heads))).status == 200
    assert send(part("\r\n".join([*heads, "X-More: y"]))).status == 413


def test_a_field_of_a_part_has_so_many_bytes_and_no_more() -> None:
    head = 'Content-Disposition: form-data; name="'
    room = LONGEST_HEADER - len(head) - 1
    assert send(part(head + "a" * room + '"')).status == 200
    assert send(part(head + "a" * (room + 1) + '"')).status == 413


def test_all_of_it_has_the_bytes_of_a_body_and_no_more() -> None:
    around = len(field("a", b"")) + len(b"--xyz--\r\n")
    assert send(field("a", b"x" * ((1 << 20) - around))).status == 200
    assert send(field("a", b"x" * ((1 << 20) - around + 1))).status == 413


def test_without_the_library_the_log_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name == "multipart":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match="pip install multipart"):
        send(field("a", b"1"))
    assert send(field("a", b"1"), raises=False).status == 500


@pytest.mark.parametrize(
    ("kind", "is_one"),
    [(b"Multipart/Form-Data; boundary=x", True), (b"multipart/mixed; boundary=x", False), (None, False)],
)
def test_which_bodies_are_such_forms(kind: bytes | None, is_one: bool) -> None:
    assert is_multipart(kind) is is_one
