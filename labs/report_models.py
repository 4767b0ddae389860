"""The last table of the report: the same echo and the same e-mail in every way of serving (`labs.models`)."""

from collections.abc import Callable, Mapping

from benchmarks import plot
from benchmarks.machine import LOAD_CPU
from benchmarks.plot import Kind
from benchmarks.report import Table
from benchmarks.summary import duration, spread
from labs import mail_store
from labs.costs import Cost, cost
from labs.findings import Findings, Stage
from labs.measuring import amount
from labs.models import MODELS
from labs.serving import serving

Costs = Mapping[str, Mapping[str, Cost]]
"""By workload, by model."""

WORKLOADS = {"echo": b"echo hello\n", "e-mail": b"email 7\n"}
OURS = "epoll, machines"


def run(stage: Stage) -> Findings:
    """Every model with every workload, and as many clients."""
    clients = stage.pick(1000, 100)
    costs: dict[str, dict[str, Cost]] = {workload: {} for workload in WORKLOADS}
    with serving(mail_store.serve, cpu=LOAD_CPU) as store:
        for model in MODELS:
            for workload, line in WORKLOADS.items():
                costs[workload][model.name] = found = cost(
                    model.serve,
                    *store.address,
                    clients=clients,
                    lines=[line],
                    seconds=stage.pick(3.0, 0.2),
                    silence=stage.pick(1.0, 0.1),
                    patience=stage.pick(3.0, 1.0),
                )
                stage.say(f"{model.name}, {workload}: {found.phrase()}")
    return Findings(_shows(costs), [_table(costs, clients)], _plots(costs), figures=_figures(costs))


def _shows(costs: Costs) -> str:
    each, ours = costs["e-mail"]["a thread each"], costs["e-mail"][OURS]
    return (
        f"An e-mail took {duration(ours.cpu)} of CPU and {ours.switches:.2f} context switches on machines, "
        f"{duration(each.cpu)} and {each.switches:.2f} with a thread each; a client {amount(ours.memory)} against "
        f"{amount(each.memory)}."
    )


def _table(costs: Costs, clients: int) -> Table:
    return Table(
        "The same echo and the same e-mail on every model",
        (
            "model",
            "work",
            f"held, of {clients:,}",
            "memory, a client",
            "switches a request",
            "CPU a request",
            "idle CPU",
            "p99",
        ),
        [
            (
                model.name,
                workload,
                f"{found.held:,}",
                amount(found.memory),
                f"{found.switches:.2f}",
                duration(found.cpu),
                f"{found.idle:.1%}",
                duration(found.p99),
            )
            for model in MODELS
            for workload, found in ((workload, costs[workload][model.name]) for workload in WORKLOADS)
        ],
        note="Held are those that were answered while all were connected. Of these, up to 50 ask without a pause: that "
        "is when switches, CPU and p99 are measured; the others are silent. Memory is that of the server's process, as "
        "it grew with its clients; idle is the share of a CPU that it wants while all are silent. For an e-mail the "
        f"store takes {duration(mail_store.DELAY)} and up to a millisecond more.",
        left=frozenset({"work"}),
    )


def _plots(costs: Costs) -> dict[str, str]:
    return {
        "models-cpu": _bars(
            costs,
            "CPU for a request",
            "The server's CPU time for one echo and for one e-mail, 50 clients asking. Less is better.",
            "µs",
            lambda found: found.cpu * 1e6,
        ),
        "models-switches": _bars(
            costs,
            "Context switches for a request",
            "How often the kernel takes one thread of the server off the CPU for another, 50 clients asking.",
            "",
            lambda found: found.switches,
        ),
        "models-memory": _bars(
            costs,
            "Memory for a client",
            "By how much the server's process grows with each client that it holds.",
            "KiB",
            lambda found: found.memory / 1024,
            fewest=2,
        ),
    }


def _bars(costs: Costs, title: str, lead: str, unit: str, value: Callable[[Cost], float], fewest: int = 1) -> str:
    """A bar for each workload of each model; none of those that hold fewer clients than can be divided by."""
    rows = [
        plot.Row(
            model.name,
            [spread([value(found)]) for found in (costs[workload][model.name] for workload in WORKLOADS)],
            Kind.OURS if model.name == OURS else Kind.PEER,
        )
        for model in MODELS
        if all(costs[workload][model.name].held >= fewest for workload in WORKLOADS)
    ]
    return plot.bars(title, lead, rows, list(WORKLOADS), unit)


def _figures(costs: Costs) -> dict[str, float]:
    return {
        f"{workload}, {name}, {what}": getattr(found, what)
        for workload, by_model in costs.items()
        for name, found in by_model.items()
        for what in ("held", "memory", "switches", "cpu", "idle", "p99")
    }
