"""An application is called, as PEP 3333 has it: `start_response`, `write`, the iterable and its `close()`.

It runs on a thread, and blocks where the call makes it wait (handlers.wsgi.giving). Laws:

- the iterable's `close()` is called exactly once, whatever happens;
- a second `start_response` needs `exc_info`, which is raised when the head is out;
- an answer that is whole has its length; a file is sent by sendfile(2) where that can be.
"""

from types import TracebackType
from typing import Any

from clerestory.handlers.api.messages import WITHOUT_BODY, File
from clerestory.handlers.wsgi.files import FileWrapper, file_of
from clerestory.handlers.wsgi.giving import Giving
from clerestory.handlers.wsgi.heads import HeadError
from clerestory.handlers.wsgi.hosting import Hosting
from clerestory.handlers.wsgi.streams import Errors, Input

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


def perform(call: Giving, hosting: Hosting, ends: tuple[str, Any]) -> None:
    """Call the application for `call`, whose ends are the peer's name and our own address; raises what it raises."""
    invocation = Invocation(call, hosting)
    errors = Errors(invocation.say_line)
    peer, here = ends
    environ = hosting.environs.make(call.request, peer, here, Input(call.take_body), errors)
    try:
        result = hosting.called(environ, invocation.start_response)
        call.request.route = rule_of(environ)
        invocation.answer(result)
    finally:
        errors.flush()


def rule_of(environ: dict[str, Any]) -> str:
    """The route that has matched, where the framework tells: Werkzeug's request, and so Flask's, is in the environ."""
    rule = getattr(getattr(environ.get("werkzeug.request"), "url_rule", None), "rule", None)
    return f"{environ.get('SCRIPT_NAME', '')}{rule}" if isinstance(rule, str) else ""


class Invocation:
    """What the application is given, but for its environ."""

    __slots__ = ("_call", "_hosting")

    def __init__(self, call: Giving, hosting: Hosting) -> None:
        self._call = call
        self._hosting = hosting

    def say_line(self, line: str) -> None:
        """A line for the log."""
        self._hosting.tell("warning", "application_said", id=self._call.name, text=line)

    def start_response(self, status: Any, headers: Any, exc_info: ExcInfo | None = None) -> Any:
        """Begin the answer; a second time only with `exc_info`, which is raised when the head is out."""
        call = self._call
        if exc_info is not None:
            try:
                if call.begun:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None
        elif call.started:
            raise HeadError("start_response was called before, and exc_info is not given")
        call.status, call.reason, call.fields, call.length = self._hosting.heads.check(status, headers)
        call.started = True
        call.bodiless = call.request.method == "HEAD" or call.status in WITHOUT_BODY
        return self.write

    def write(self, data: Any) -> None:
        """What start_response gives, for applications that cannot return an iterable."""
        _check(data)
        if data:
            self._call.give(data)

    def answer(self, result: Any) -> None:
        """Give what the application has returned, and close it."""
        call = self._call
        try:
            if isinstance(result, list | tuple):
                self._give_list(result)
            elif not (isinstance(result, FileWrapper) and self._give_file(result)):
                for piece in result:
                    _check(piece)
                    if piece:
                        self._demand_start()
                        call.give(piece)
                        if call.bodiless:
                            break
                self._demand_start()
                call.give(b"", last=True)
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()

    def _demand_start(self) -> None:
        if not self._call.started:
            raise HeadError("the application gave its answer before it called start_response")

    def _give_list(self, pieces: list[Any] | tuple[Any, ...]) -> None:
        """Give an answer that is whole; with its length, where none was promised and nothing was written."""
        call = self._call
        for piece in pieces:
            _check(piece)
        self._demand_start()
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if call.length is None and not call.begun and call.status not in WITHOUT_BODY:
            call.length = len(body)
        call.give(body, last=True)

    def _give_file(self, wrapper: FileWrapper) -> bool:
        """Give an answer that is what is left of a file, where sendfile(2) can send it."""
        call = self._call
        if not call.started or call.begun or call.bodiless:
            return False
        file: File | None = file_of(wrapper, call.length)
        if file is None:
            return False
        if call.length is None:
            call.length = file.count
        call.give(file, last=True)
        return True


def _check(piece: Any) -> None:
    if not isinstance(piece, bytes):
        raise TypeError(f"an application's answer is bytes, not {type(piece).__name__}")
