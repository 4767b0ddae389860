"""The example application, served without a target: messages and inboxes as JSON.

    GET  /                       a page that explains these
    GET  /emails?limit=&after=   a page of messages
    GET  /emails/{number}        one message
    POST /emails                 a new one: {"sender": ..., "subject": ..., "body": ...}
    GET  /inboxes/{recipient}    the messages in an inbox
    POST /inboxes/{recipient}    put a message there: {"email_id": n}
    POST /echo                   returns the body

Read `put_into_inbox` first: a request is read, a backend is queried, a response is sent, and each of the three is a
state of the connection. Errors are JSON and name the field. A body is read as JSON whatever its Content-Type says, so
that `curl -d` works without options.
"""

import functools
import json
import re
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec
from urllib.parse import parse_qsl

from clerestory.handlers.api.messages import REASONS, Request, Response, html_response, json_response
from clerestory.handlers.echo import echo
from clerestory.handlers.mail.page import page
from clerestory.handlers.mail.store import FieldError, MailStore
from clerestory.handlers.router import Router

P = ParamSpec("P")

DEFAULT_LIMIT = 20
MAX_LIMIT = 100
"""Messages in one response: about 10 kB."""

MAX_NUMBER = (1 << 63) - 1
"""The largest integer in SQLite and PostgreSQL."""

MAX_EMAIL_BODY = 128 * 1024
"""Bytes of a request with a message: the longest texts below fit, even with each character escaped in six bytes."""

MAX_LENGTHS = {"sender": 254, "subject": 200, "body": 16_000}
"""Characters: of an address the limit of RFC 5321 section 4.5.3.1, of a subject what fits on a line of a list."""

MAX_ECHO = 1 << 30
"""Bytes: they are not stored; there is a limit only because everything has one."""

_NUMBER = re.compile(r"[0-9]{1,19}")
_CONTROL = re.compile("[\x00-\x1f\x7f]")
_CONTROL_BUT_LINES = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_SURROGATE = re.compile("[\ud800-\udfff]")

JSONHandler = Callable[Concatenate[Request, P], Coroutine[Any, Any, Response]]


def mail_site(store: MailStore) -> Router:
    """The application on `store`."""
    router = Router()

    @router.get("/")
    def front(request: Request) -> Response:
        return html_response(page(request.authority.decode("latin-1"), store.place), 200, _PAGE_FIELDS)

    @router.get("/emails")
    @answers_json
    async def show_emails(request: Request) -> Response:
        limit, after = read_page(request.query)
        emails, more = await store.list_emails(limit, after)
        following = f"{request.base}/emails?limit={limit}&after={emails[-1]['id']}" if more else None
        return json_response({"emails": emails, "next": following})

    @router.get("/emails/{number:int}")
    @answers_json
    async def show_email(request: Request, number: int) -> Response:  # noqa: ARG001 - the path has everything
        return json_response(await store.find_email(number))

    @router.post("/emails", max_body=MAX_EMAIL_BODY)
    @answers_json
    async def post_email(request: Request) -> Response:
        members = await read_members(request, ("sender", "subject", "body"))
        texts = {name: take_text(members, name) for name in members}
        email = await store.add_email(**texts)
        location = f"{request.base}/emails/{email['id']}".encode()
        return json_response(email, 201, ((b"location", location),))

    @router.get("/inboxes/{recipient}")
    @answers_json
    async def show_inbox(request: Request, recipient: str) -> Response:  # noqa: ARG001 - the path has everything
        return json_response(await store.read_inbox(recipient))

    @router.post("/inboxes/{recipient}", max_body=1024)
    @answers_json
    async def put_into_inbox(request: Request, recipient: str) -> Response:
        members = await read_members(request, ("email_id",))  # READING_BODY
        email_id = take_number(members, "email_id")
        delivery = await store.deliver(recipient, email_id)  # QUERYING_BACKEND
        return json_response(delivery, 201)  # SENDING_RESPONSE

    router.post("/echo", max_body=MAX_ECHO)(echo)
    return router


_PAGE_FIELDS = (
    (b"cache-control", b"no-cache"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'"),
)


def answers_json(handler: JSONHandler[P]) -> JSONHandler[P]:
    """Answer a FieldError with JSON that names its `field`."""

    @functools.wraps(handler)
    async def answering(request: Request, /, *args: P.args, **kwargs: P.kwargs) -> Response:
        try:
            return await handler(request, *args, **kwargs)
        except FieldError as error:
            reason = REASONS[error.status]
            problem = {"status": error.status, "error": reason, "detail": error.detail, "field": error.field}
            if request.id:
                problem["request_id"] = request.id
            return json_response(problem, error.status, error.fields)

    return answering


def read_page(query: str) -> tuple[int, int]:
    """The `limit` and `after` of a query, or FieldError 400."""
    numbers = {"limit": DEFAULT_LIMIT, "after": 0}
    bounds = {"limit": (1, MAX_LIMIT), "after": (0, MAX_NUMBER)}
    given: set[str] = set()
    for name, value in parse_qsl(query, keep_blank_values=True, errors="surrogateescape"):
        shown = _SURROGATE.sub("\ufffd", name)
        if name not in numbers:
            raise FieldError(400, shown, f"Unknown parameter {shown!r}; the parameters are limit and after.")
        if name in given:
            raise FieldError(400, name, f"{name} is given twice.")
        low, high = bounds[name]
        if not _NUMBER.fullmatch(value) or not low <= int(value) <= high:
            raise FieldError(400, name, f"{name} must be an integer from {low} to {high}.")
        given.add(name)
        numbers[name] = int(value)
    return numbers["limit"], numbers["after"]


async def read_members(request: Request, names: tuple[str, ...]) -> dict[str, Any]:
    """The body as a JSON object that has exactly the members `names`, or FieldError 400 or 422. May raise 413."""
    value = parse_json(await request.read())
    if not isinstance(value, dict):
        raise FieldError(422, None, f"The body must be a JSON object with {', '.join(names)}.")
    for name in value:
        if name not in names:
            shown = _SURROGATE.sub("\ufffd", name)
            raise FieldError(422, shown, f"Unknown member {shown!r}; expected {', '.join(names)}.")
    for name in names:
        if name not in value:
            raise FieldError(422, name, f"{name} is missing.")
    return value


def parse_json(body: bytes) -> object:
    """The value, strictly by RFC 8259: UTF-8, no NaN, no name twice. FieldError 400 for anything else."""
    try:
        return json.loads(body.decode(), parse_constant=_refuse_constant, object_pairs_hook=_members)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise FieldError(400, None, f"The body is not JSON: {error.msg} at {place}.") from None
    except UnicodeDecodeError as error:
        raise FieldError(400, None, f"The body is not JSON: byte {error.start} is not UTF-8.") from None
    except RecursionError:
        raise FieldError(400, None, "The JSON in the body is nested too deeply.") from None
    except ValueError:
        # An integer with thousands of digits: well-formed, but converting it takes quadratic time.
        raise FieldError(400, None, "A number in the JSON of the body is too long.") from None


def take_number(members: dict[str, Any], name: str) -> int:
    """The member `name` as the number of a message, or FieldError 422."""
    value = members[name]
    # In Python True is an int, in JSON it is not; and 1.0 is not written as one.
    if type(value) is not int:
        raise FieldError(422, name, f"{name} must be an integer, not {_kind(value)}.")
    if not 1 <= value <= MAX_NUMBER:
        raise FieldError(422, name, f"{name} must be from 1 to {MAX_NUMBER}.")
    return value


def take_text(members: dict[str, Any], name: str) -> str:
    """The member `name` as text that can be stored and shown, or FieldError 422."""
    value = members[name]
    if not isinstance(value, str):
        raise FieldError(422, name, f"{name} must be a string, not {_kind(value)}.")
    if not value.strip():
        raise FieldError(422, name, f"{name} is empty.")
    if len(value) > MAX_LENGTHS[name]:
        raise FieldError(422, name, f"{name} has {len(value)} characters; it may have {MAX_LENGTHS[name]}.")
    if _SURROGATE.search(value) or (_CONTROL_BUT_LINES if name == "body" else _CONTROL).search(value):
        raise FieldError(422, name, f"{name} has a control character or half of a surrogate pair.")
    return value


def _kind(value: object) -> str:
    kinds = {bool: "a boolean", float: "a floating-point number", str: "a string", list: "an array", dict: "an object"}
    return kinds.get(type(value), "a number" if value is not None else "null")


def _refuse_constant(name: str) -> object:
    raise FieldError(400, None, f"The body is not JSON: {name} is not a JSON value.")


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            shown = _SURROGATE.sub("\ufffd", name)
            raise FieldError(400, shown, f"The member {shown!r} is given twice.")
        members[name] = value
    return members
