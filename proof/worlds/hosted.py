"""connection x WSGI call x thread: applications that are called on one thread, and answer piece by piece.

Of each call `a`, between its thread and the loop:

    mine    its connection wants the answer
    noted   the loop is told to look at what the thread has done
    done    the application has returned or raised
    begun   its answer has begun (`said`), `whole` it is complete, `out` its pieces that were not taken
    bad     the connection is told instead of the rest that there is none; `gone` the thread is told to leave
    room    the thread waits for room, `reads` for a piece of the request's body
    gives   pieces that the application may still give

And of all:

    thread  whose call the thread runs: 0 nobody's, else the number of the client
    after   whose call the thread has taken from the queue, while the loop has not been told so
"""

from clerestory.statemachines import wsgi
from proof.world import Always, Event, Eventually, Part, Way, Ways, World, closable, orders
from proof.worlds.clients import Backend, client, indent, notify

VARIABLES = ("mine", "noted", "done", "said", "whole", "out", "bad", "gone", "room", "reads")


def hosted(clients: int = 1, body: int = 1, pieces: int = 1) -> World:
    """`clients` clients with one request each, that of the first with `body` pieces; answers have up to `pieces`, and
    an end."""
    everyone = range(clients)
    made = [client(i, _backend(i), body=body if i == 0 else 0) for i in everyone]
    variables = {name: value for one in made for name, value in one.variables.items()}
    variables |= {f"{name}{i}": 0 for i in everyone for name in VARIABLES} | {f"gives{i}": pieces for i in everyone}
    return World(
        "hosted",
        "connections x calls of a WSGI application x a thread",
        [*(one.part for one in made), *map(_call, everyone)],
        variables | {"thread": 0, "after": 0},
        [event for i in everyone for event in (*_acts(i, clients), _look(i, clients))],
        [*(one for each in made for one in each.always), *(one for i in everyone for one in _always(i))],
        [
            *(one for each in made for one in each.eventually),
            *(
                Eventually(f"the thread is given back ({i})", f"thread == {i + 1}", f"thread != {i + 1}")
                for i in everyone
            ),
            *(Eventually(f"a call ends ({i})", f"alive(a{i})", f"not alive(a{i})") for i in everyone),
        ],
        [
            f"{clients} client(s), one request each, that of the first with up to {body} piece(s) of body",
            f"one thread, and applications that return at some time; up to {pieces} piece(s) of an answer and its end",
            "room for one piece that is not taken",
        ],
    )


def _always(i: int) -> list[Always]:
    runs = "RUNNING, AWAITING_BODY, PRODUCING, AWAITING_ROOM"
    blocked = f"thread == {i + 1} and not noted{i} and not gone{i}"
    return [
        *closable(f"a{i}", unless=f"at(a{i}, LEAVING)"),
        Always(f"a thread runs what runs ({i})", f"not at(a{i}, {runs}) or thread == {i + 1} or done{i}"),
        Always(
            f"a thread that waits for room is seen to ({i})", f"not ({blocked} and room{i}) or at(a{i}, AWAITING_ROOM)"
        ),
        Always(
            f"a thread that waits for a body is seen to ({i})",
            f"not ({blocked} and reads{i} and not whole{i}) or at(a{i}, AWAITING_BODY)",
        ),
        Always(f"who waits for an answer has a call ({i})", f"not op{i} or (mine{i} and alive(a{i}))"),
        Always(f"who waits is told of what there is ({i})", f"not (op{i} and (out{i} or bad{i})) or noted{i}"),
        Always(f"what has ended is not wanted ({i})", f"alive(a{i}) or thread != {i + 1}"),
    ]


def _leave(i: int) -> str:
    """Call.leave: who has the whole answer needs no body any more."""
    return f"""
if mine{i}:
    mine{i} = 0
    if not whole{i}:
        gone{i} = 1
    out{i} = 0
    room{i} = 0
    reads{i} = 0
    offer(a{i}, CLIENT_LEFT)
"""


def _backend(i: int) -> Backend:
    begin = f"""
op{i} = 1
mine{i} = 1
begin(a{i})
if thread == 0:
    thread = {i + 1}
    tell(a{i}, THREAD_GIVEN)
"""
    begun, there = f"begun{i} == 1", f"said{i} and (out{i} > 0 or whole{i})"
    take = f"""
out{i} = 0
if room{i}:
    room{i} = 0
    if at(a{i}, AWAITING_ROOM):
        tell(a{i}, ROOM_MADE)
"""
    waits = Way("", f"op{i} = 1", f"mine{i} and not (out{i} or whole{i} or bad{i} or reads{i})")
    wants = Way("BODY_REQUESTED", "", f"mine{i} and reads{i} and not (out{i} or whole{i} or bad{i})")
    resumed = []
    for keep in (0, 1):
        answers = f"begun{i} = 1\nkeep{i} = {keep}\n"
        resumed += [
            Way(
                "OUTPUT_READY",
                f"{answers}more{i} = 0\nmine{i} = 0\nout{i} = 0",
                f"begun{i} == 0 and whole{i} and out{i} < 2",
            ),
            Way(
                "OUTPUT_READY", f"{answers}more{i} = 1", f"begun{i} == 0 and {there} and not (whole{i} and out{i} < 2)"
            ),
            Way("OUTPUT_READY", f"{answers}more{i} = 0\n{_leave(i)}", f"begun{i} == 0 and bad{i} and not ({there})"),
        ]
    produced = [
        Way("OUTPUT_READY", take, f"{begun} and out{i} > 0"),
        Way("OUTPUT_READY", f"more{i} = 0", f"{begun} and out{i} == 0 and whole{i}"),
        Way("BACKEND_FAILED", _leave(i), f"{begun} and out{i} == 0 and not whole{i} and bad{i}"),
    ]
    gives = f"reads{i} = 0\noffer(a{i}, BODY_GIVEN)\n"
    start = [
        Way("", begin, f"not alive(a{i}) and not mine{i} and not said{i} and begun{i} == 0"),
        *(
            Way(way.hands, gives + way.do, f"mine{i} and reads{i} and ({way.when})")
            for way in (*resumed, *produced, Way("", f"op{i} = 1", f"not (out{i} or whole{i} or bad{i})"))
        ),
    ]
    return Backend(start, _leave(i), [*resumed, *produced, waits, wants], "", [*produced, waits, wants])


def _acts(i: int, clients: int) -> list[Event]:
    """What the application does, on the thread."""
    runs = f"thread == {i + 1} and not ((room{i} or reads{i}) and not gone{i})"
    gives = f"{runs} and not (gone{i} or whole{i} or bad{i})"
    given = f"said{i} = 1\nnoted{i} = 1\nif out{i} < 2:\n    out{i} += 1\n"
    following = "".join(
        f"{'el' * (at > 0)}if at(a{j}, QUEUED):\n    thread = {j + 1}\n    after = {j + 1}\n"
        for at, j in enumerate(j for j in range(clients) if j != i)
    )
    ended = f"done{i} = 1\nnoted{i} = 1\nroom{i} = 0\nreads{i} = 0\nthread = 0\n{following}"
    returns = f"if not (gone{i} or bad{i} or whole{i}):\n    said{i} = 1\n    whole{i} = 1\n{ended}"
    raises = f"if not (gone{i} or bad{i} or whole{i}):\n    bad{i} = 1\n{ended}"
    return [
        Event(
            "thread", f"{gives} and gives{i} > 0", f"gives{i} -= 1\n{given}room{i} = out{i} > 1", name=f"a{i}: gives"
        ),
        Event("thread", gives, f"{given}whole{i} = 1", name=f"a{i}: gives the last"),
        Event(
            "thread",
            f"{runs} and not (gone{i} or bad{i} or whole{i}) and body{i} > 0",
            f"reads{i} = 1\nnoted{i} = 1",
            name=f"a{i}: reads",
        ),
        Event("thread", runs, returns, name=f"a{i}: returns"),
        Event("thread", runs, raises, name=f"a{i}: raises"),
    ]


def _look(i: int, clients: int) -> Event:
    """Call.look."""
    taken = "".join(
        f"if after == {j + 1}:\n    after = 0\n    offer(a{j}, THREAD_GIVEN)\n" for j in range(clients) if j != i
    )
    do = f"""
noted{i} = 0
{taken}
if done{i}:
    tell(a{i}, CALL_ENDED)
elif whole{i}:
    offer(a{i}, ANSWER_ENDED)
elif room{i}:
    offer(a{i}, ROOM_WANTED)
elif reads{i}:
    offer(a{i}, BODY_REQUESTED)
elif out{i} > 0:
    offer(a{i}, PIECE_GIVEN)
if mine{i}:
{indent(notify(i))}
"""
    return Event("loop", f"noted{i} and after != {i + 1}", do, name=f"the loop looks at a{i}")


def _call(i: int) -> Part:
    told = f"if mine{i}:\n{indent(notify(i))}"
    queued = f"thread != {i + 1}"
    goes = f"gone{i} = 1\n"
    ways: Ways = {
        "withdraw": [Way("WITHDRAWN", goes, queued), Way("", goes, f"not ({queued})")],
        "tell_leaving": [Way("", goes)],
        "refuse": [Way("", f"bad{i} = 1\n{goes}{told}")],
        "refuse_queued": [
            Way("WITHDRAWN", f"bad{i} = 1\n{told}{goes}", queued),
            Way("", f"bad{i} = 1\n{told}{goes}", f"not ({queued})"),
        ],
    }
    drain = Event("operator", f"heeds(a{i}, DRAIN_STARTED)", "", f"a{i}", "DRAIN_STARTED", f"a{i}: the server ends")
    guards = {"has_begun": f"said{i} == 1"}
    return Part(f"a{i}", wsgi.TABLE, False, ways, guards, outside=(orders(f"a{i}"), drain))
