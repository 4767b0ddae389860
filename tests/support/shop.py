"""A small shop, with the mistakes that the how-tos of docs/ are about. The scenarios serve a copy of this file."""

import os
import threading

from clerestory.handlers.api.messages import Request, Response, json_response, text_response
from clerestory.handlers.backends.threads.threads import in_thread
from clerestory.handlers.router import Router

router = Router()

PRINTER = os.environ.get("SHOP_PRINTER", "")
"""A pipe to a printer, which answers when it has printed."""

WAREHOUSE = threading.Event()
"""Set when the warehouse's database answers."""


@router.get("/products/{number:int}")
def product(request: Request, number: int) -> Response:
    return json_response({"id": number, "name": "a window"})


@router.get("/orders/{number:int}")
async def order(request: Request, number: int) -> Response:
    return json_response(await in_thread(find_order, number))


def find_order(number: int) -> dict[str, int]:
    """Ask the warehouse's database, without a timeout: the mistake."""
    WAREHOUSE.wait()
    return {"id": number}


@router.post("/warehouse")
def warehouse(request: Request) -> Response:
    WAREHOUSE.set()
    return text_response("it answers again\n")


@router.get("/export")
def export(request: Request) -> Response:
    """Every order there is: more than a socket's buffer holds."""
    return Response(b"000000042,a window,sent\n" * 1_000_000)


@router.get("/label")
def label(request: Request) -> Response:
    """Print a label, and wait for it on the loop's own thread: the mistake."""
    with open(PRINTER) as printer:
        return text_response(printer.read())
