"""The table of all models: the order that the lecture promises, in what does not depend on how busy the machine is."""

import pytest

from labs import report_models
from labs.findings import Findings, Stage
from labs.models import MODELS
from labs.models.blocking import POOL

CLIENTS = 100
LOOPS = ("busy polling", "epoll, callbacks", "epoll, machines", "asyncio, coroutines")


@pytest.fixture(scope="module")
def findings(stage: Stage) -> Findings:
    return report_models.run(stage)


def test_who_is_held_is_as_the_models_promise(findings: Findings) -> None:
    held = {model.name: findings.figures[f"echo, {model.name}, held"] for model in MODELS}
    assert held == {
        "one at a time": 1,
        f"a pool of {POOL} threads": POOL,
        "a thread each": CLIENTS,
        **dict.fromkeys(LOOPS, CLIENTS),
    }


@pytest.mark.parametrize("loop", LOOPS)
def test_a_client_of_one_thread_takes_less_than_a_thread(findings: Findings, loop: str) -> None:
    assert findings.figures[f"echo, {loop}, memory"] < findings.figures["echo, a thread each, memory"]


@pytest.mark.parametrize("loop", LOOPS)
def test_one_thread_switches_less_than_a_thread_each(findings: Findings, loop: str) -> None:
    assert findings.figures[f"e-mail, {loop}, switches"] < findings.figures["e-mail, a thread each, switches"]


def test_only_busy_polling_wants_a_cpu_while_nobody_asks(findings: Findings) -> None:
    idle = {model.name: findings.figures[f"echo, {model.name}, idle"] for model in MODELS}
    assert max(idle, key=lambda name: idle[name]) == "busy polling"


def test_all_of_it_is_in_the_table_and_in_the_plots(findings: Findings) -> None:
    assert len(findings.tables[0].rows) == 2 * len(MODELS)
    assert set(findings.plots) == {"models-cpu", "models-switches", "models-memory"}
