"""All workers of a supervisor, looked at from its x-ray: what they are asked, and what is kept of those that ended.

On the x-ray's thread. Each is asked by a connection of its own through its door (server.net.door), so that one that
stands still keeps nobody waiting but for a moment.
"""

import json
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence

from clerestory.handlers.api.errors import HTTPError
from clerestory.server.xray.observe.considerate import considerate
from clerestory.server.xray.observe.cut import Cut
from clerestory.server.xray.observe.watch import Watch
from clerestory.server.xray.serve.shape import JSON
from clerestory.server.xray.workers import sums
from clerestory.server.xray.workers.exposition import Families, bound, from_counters, read, summed
from clerestory.server.xray.workers.inquiry import Answer, Answers, Inquiries
from clerestory.server.xray.workers.member import Member, members_of
from clerestory.statemachines.connection import State as C
from clerestory.statemachines.worker import State as W

NAMED = 5
"""Connections that are named for which a worker that retires is still there."""

REMEMBERED = 1024
"""Workers that are remembered to have ended: an answer of theirs may still be on its way, and would count twice."""

KEPT = 20_000
"""Samples of one metric that are kept of workers that have ended: a few megabytes. Each worker tells a hundred routes
apart, and not always the same."""

AT_REST = (C.AWAITING_REQUEST, C.LINGERING)
"""States of connections for which no worker waits."""


class Workers:
    """The workers of the supervisor whose machines `watch` looks at."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._gone: OrderedDict[int, None] = OrderedDict()
        self._departed: list[JSON] = []
        """What those that have ended had counted: one document, of all of them."""
        self._counters: Families = {}
        """The same, of their metrics."""
        self._last: dict[int, tuple[JSON | None, Families]] = {}
        """What each worker has counted when it was last asked: for those that do not answer."""

    async def look(self) -> tuple[Cut, list[Member]]:
        """A cut of the supervisor's machines, and the workers in it."""
        cut = await self.watch.look()
        return cut, members_of(cut)

    async def ask(
        self,
        members: Iterable[Member],
        target: str,
        method: str = "GET",
        enough: Callable[[Answer], bool] | None = None,
    ) -> Answers:
        """Ask those of `members` that may answer, all at once; None for one that does not."""
        asked = [member for member in members if member.may_answer]
        if not asked:
            return {}
        answers: Answers = await Inquiries(self.watch.ours, asked, method, target, enough)
        return answers

    async def documents(self, members: list[Member], target: str, method: str = "GET") -> list[tuple[Member, JSON]]:
        """What those say that answer with a document."""
        return documents_of(members, await self.ask(members, target, method))

    # --- what has been counted

    def departed(self, number: int, last_words: JSON) -> None:
        """Worker `number` has ended. What it had counted is what it said last, or what it said when it was asked."""
        document, families = self._last.pop(number, (None, {}))
        try:
            families = from_counters(last_words["counters"])
            document = {name: last_words["summary"][name] for name in sums.COUNTED}
        except (KeyError, TypeError, ValueError):  # it had no time, or is of another version
            pass
        self._gone[number] = None
        while len(self._gone) > REMEMBERED:
            self._gone.popitem(last=False)
        self._counters = summed([self._counters, families])
        for family in self._counters.values():
            bound(family, KEPT)
        if document is not None:
            self._departed = [sums.counted([*self._departed, document])]

    def metrics(self, own: Families, members: list[Member], answers: Answers) -> Families:
        """The metrics of all of them as of one process, of those too that have ended."""
        pages = [own, self._counters]
        for member in members:
            if member.number in self._gone:
                continue
            answer = answers.get(member.number)
            document, before = self._last.get(member.number, (None, {}))
            if answer is not None and answer.status == 200:
                page = read(answer.body.decode())
                before = {name: family for name, family in page.items() if family.grows}
                self._last[member.number] = document, before
                pages.append(page)
            else:
                pages.append(before)
        return summed(pages)

    # --- documents

    async def summary(self, cut: Cut, *, rows: bool = True) -> JSON:
        """/snapshot.json."""
        members = members_of(cut)
        answers = await self.ask(members, "/snapshot.json?buckets=1")
        retiring = [member for member in members if member.state == W.RETIRING]
        held: dict[int, list[str]] = {member.number: [] for member in members}
        for member, document in await self.documents(retiring, f"/connections.json?sort=wait&limit={NAMED}"):
            busy = [row for row in document["rows"] if row["state"] not in AT_REST]
            held[member.number] = [f"{member.number}:{row['id']}: {row['why']}" for row in busy]
        with considerate():
            said = [one for one in documents_of(members, answers) if one[0].number not in self._gone]
            counted = self._note(members, said)
            own = self.watch.summary(cut, rows=rows, buckets=True)
            found = sums.summary(own, said, [*self._departed, *counted])
            found["workers"] = [
                _described(member, answers, dict(_by_number(said)).get(member.number), held[member.number])
                for member in members
            ]
            found["banners"] = [*map(_silent, (one for one in found["workers"] if one["answers"] is False))] + found[
                "banners"
            ]
            for row in found.get("rows", ()):
                if row["kind"] == "worker":
                    _tell_whom(row, held.get(int(row["id"].partition(":")[2]), []))
        return found

    def _note(self, members: list[Member], said: Sequence[tuple[Member, JSON]]) -> list[JSON]:
        """Keep what has been counted; of those that did not answer return what they had counted before."""
        answered = dict(_by_number(said))
        missing = []
        for member in members:
            before, families = self._last.get(member.number, (None, {}))
            if member.number in self._gone:
                continue
            document = answered.get(member.number)
            if document is not None:
                self._last[member.number] = {name: document[name] for name in sums.COUNTED}, families
            elif before is not None:
                missing.append(before)
        return missing


def documents_of(members: Iterable[Member], answers: Answers) -> list[tuple[Member, JSON]]:
    """The documents among answers. Raises HTTPError where all who answered refuse: the request cannot be meant."""
    found, refused = [], None
    for member in members:
        answer = answers.get(member.number)
        if answer is None:
            continue
        if answer.status == 200:
            with considerate():
                found.append((member, json.loads(answer.body)))
        else:
            refused = answer
    if refused is not None and not found:
        raise HTTPError(refused.status, detail_of(refused))
    return found


def detail_of(answer: Answer) -> str:
    """Why an x-ray refuses."""
    try:
        return str(json.loads(answer.body)["detail"])
    except (ValueError, KeyError, TypeError):
        return answer.body.decode("utf-8", "replace").partition(": ")[2].strip() or f"status {answer.status}"


def _by_number(said: Sequence[tuple[Member, JSON]]) -> Iterable[tuple[int, JSON]]:
    return ((member.number, document) for member, document in said)


def _described(member: Member, answers: Answers, document: JSON | None, waits_for: list[str]) -> JSON:
    blocked = document["loop"]["blocked"] if document is not None else None
    answers_now = member.number in answers and answers[member.number] is not None if member.may_answer else None
    return member.described(answers_now, blocked["seconds"] if blocked is not None else None, waits_for)


def _silent(worker: JSON) -> JSON:
    """The banner of a worker that does not answer."""
    number, generation = worker["worker"], worker["generation"]
    text = f"Worker {number}, generation {generation} (pid {worker['pid']}), does not answer: "
    text += f"it was last heard {worker['heard']:.1f} s ago. What it holds is not shown."
    about = {"worker": number, "generation": generation, "connections": [], "seconds": worker["heard"]}
    return {"kind": "silent", "level": "critical", "text": text} | about


def _tell_whom(row: JSON, held: list[str]) -> None:
    if held:
        row["chain"] = [*row["chain"], *held[:1]]
        row["why"] += f" <- {held[0]}"
