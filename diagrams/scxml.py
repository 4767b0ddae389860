"""A table as SCXML (W3C, 2015): a document that any interpreter of it can run.

What a table has and SCXML too is written in its own elements:

- an event is a trigger; the first transition of a state whose `cond` holds is taken, as the first row is;
- a guard is a variable of the data model: 0, which is false, until the program that runs the document sets it;
- an action is a `<log>` of its name: what it does is the server's;
- a deadline is a `DEADLINE_PASSED` that the state sends to itself when it is entered, and cancels when it is left. It
  has its default; where it counts from the last byte that moved, `idle` says so, which SCXML cannot.

What SCXML has no element for (what a state waits for, what kind of row this is, who ended the machine) is in attributes
of the namespace `urn:clerestory:table`. What an action returns is not in it: events come from outside alone.
"""

from xml.sax.saxutils import quoteattr

from clerestory.statemachines.contract import Deadline, Row, Spec, Table

NAMESPACE = "urn:clerestory:table"
LATE = "DEADLINE_PASSED"


def to_scxml(table: Table) -> str:
    """An SCXML document that ends in a new line."""
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f"<!-- {table.name}: made by clerestory diagrams, not by hand -->",
        '<scxml xmlns="http://www.w3.org/2005/07/scxml" version="1.0" datamodel="ecmascript"',
        f'    xmlns:table="{NAMESPACE}" name={quoteattr(table.name)} initial={quoteattr(table.initial.name)}>',
    ]
    guards = sorted({row.guard for row in table.rows} - {""})
    if guards:
        lines += ["  <datamodel>", *(f'    <data id="{guard}" expr="0"/>' for guard in guards), "  </datamodel>"]
    for state in table.states:
        lines += _state(table, table.spec(state))
    return "\n".join([*lines, "</scxml>"]) + "\n"


def _state(table: Table, spec: Spec) -> list[str]:
    name = spec.state.name
    if spec.final:
        return [f"  <final id={quoteattr(name)}{_attributes(true_while=spec.true_while)}/>"]
    lines = [f"  <state id={quoteattr(name)}{_attributes(**_facts(spec))}>"]
    if isinstance(spec.deadline, Deadline):
        mark, delay = quoteattr(f"deadline.{name}"), quoteattr(f"{spec.deadline.seconds:.12g}s")
        lines.append(f'    <onentry><send event="{LATE}" id={mark} delay={delay}/></onentry>')
        lines.append(f"    <onexit><cancel sendid={mark}/></onexit>")
    for row in table.rows:
        if row.source is spec.state:
            lines += _transition(row)
    return [*lines, "  </state>"]


def _facts(spec: Spec) -> dict[str, str]:
    facts = {"waits_for": spec.phrase(), "true_while": spec.true_while}
    deadline = spec.deadline
    if isinstance(deadline, Deadline):
        facts |= {"deadline": deadline.name, "why": deadline.why}
        facts |= {"idle": "true"} if deadline.idle or deadline.min_rate else {}
        facts |= {"min_rate": str(deadline.min_rate)} if deadline.min_rate else {}
    else:
        facts["unbounded"] = deadline.why
    return facts


def _transition(row: Row) -> list[str]:
    cond = f" cond={quoteattr(row.guard)}" if row.guard else ""
    more = _attributes(way=row.way.value, ends=row.ends.value if row.ends is not None else "")
    head = f"    <transition event={quoteattr(row.trigger.name)}{cond} target={quoteattr(row.dest.name)}{more}"
    if not row.action:
        return [f"{head}/>"]
    return [f"{head}>", f'      <log label="action" expr="\'{row.action}\'"/>', "    </transition>"]


def _attributes(**values: str) -> str:
    """Attributes of our own namespace, for those that have a value."""
    return "".join(f" table:{name.replace('_', '-')}={quoteattr(value)}" for name, value in values.items() if value)
