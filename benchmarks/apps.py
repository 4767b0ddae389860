"""The application under test, on our own router: `clerestory benchmarks.apps:app`.

It does the work of `benchmarks.work`, as every peer's application does; a file goes by our static handler.
"""

from benchmarks import work
from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.messages import Fields, Request, Response
from clerestory.handlers.backends.timer import sleep
from clerestory.handlers.router import Router
from clerestory.handlers.static.files import StaticFiles

JSON: Fields = ((b"content-type", b"application/json"),)
BINARY: Fields = ((b"content-type", b"application/octet-stream"),)

app = Router()


@app.get("/constant")
def constant(_request: Request) -> Response:
    """A small JSON object."""
    return Response(work.constant(), 200, JSON)


@app.get("/emails/{number:int}")
def email(_request: Request, number: int) -> Response:
    """One e-mail, by its primary key."""
    found = work.email(number)
    if found is None:
        raise HTTPError(404)
    return Response(found, 200, JSON)


@app.get("/wait")
async def wait(_request: Request) -> Response:
    """Nothing, for an hour."""
    await sleep(3600)
    return Response(b"")


@app.post("/echo")
async def echo(request: Request) -> Response:
    """The request's body."""
    return Response(await request.read(), 200, BINARY)


app.mount("/files", StaticFiles(work.data() / "files"))
