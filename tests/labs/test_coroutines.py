"""Coroutines and machines, held up in the same places; and the executor that runs the former."""

import contextlib
import socket
import threading

from labs import coroutines, held_up, inbox_in_a_thread
from labs.findings import Stage, Verdict
from labs.suspension import statements, suspension_points


def test_coroutines_and_machines_are_held_up_in_the_same_places(stage: Stage) -> None:
    found = coroutines.run(stage)
    compiled, held = found.tables
    assert [row[1] for row in compiled.rows] == [
        "number = await wire.read_request()",
        "email = await wire.get_email(number)",
        "await wire.send_response(email)",
    ]
    assert [(row[0], row[5]) for row in held.rows] == [
        ("number = await wire.read_request()", "READING_HEAD"),
        ("email = await wire.get_email(number)", "QUERYING_BACKEND"),
        ("await wire.send_response(email)", "SENDING_RESPONSE"),
    ]
    assert [(row[4], row[6]) for row in held.rows] == [("readable",) * 2, ("readable",) * 2, ("writable",) * 2]
    assert held.rows[1][2] == "add_to_inbox > get_email > ready"
    assert held.rows[2][3] == r"number = b'7\n', email = b'e-mail 7\n'"
    assert found.figures["coroutines served"] == found.figures["machines served"] == 3
    (claim,) = found.claims
    assert claim.verdict is Verdict.HOLDS


def test_a_coroutine_is_left_at_the_instruction_that_the_compiler_has_numbered() -> None:
    held = coroutines.coroutines_held_up()
    points = suspension_points(coroutines.add_to_inbox)
    assert {place.line for place in held.places} == set(points.values())
    # Left at the instruction that yields, or about to go on at the one behind it: which of both, versions differ.
    assert all(any(0 <= place.offset - point <= 2 for point in points) for place in held.places)


async def one_less(wire: coroutines.Wire) -> None:
    await wire.read_request()


def test_programs_that_differ_are_not_called_alike() -> None:
    threaded = statements(inbox_in_a_thread.add_to_inbox_in_a_thread)
    assert statements(coroutines.add_to_inbox) == threaded
    assert statements(one_less) == ["wire.read_request()"]
    assert statements(one_less) != threaded
    assert len(suspension_points(one_less)) == 1


def test_the_threaded_program_does_the_same() -> None:
    with contextlib.ExitStack() as stack:
        store = held_up.Store(stack)
        store.listener.setblocking(True)
        client, accepted = socket.socketpair()
        stack.enter_context(client)
        stack.enter_context(accepted)
        inbox: list[bytes] = []
        wire = inbox_in_a_thread.BlockingWire(accepted, store.address)
        thread = threading.Thread(target=inbox_in_a_thread.add_to_inbox_in_a_thread, args=(wire, inbox))
        thread.start()
        client.sendall(b"5\n")
        with store.listener.accept()[0] as asking:
            assert asking.recv(64) == b"5\n"
            asking.send(held_up.email(b"5"))
        wanted = len(held_up.email(b"5")) * held_up.REPEAT
        while wanted:
            wanted -= len(client.recv(1 << 20))
        thread.join()
    assert inbox == [held_up.email(b"5")]
