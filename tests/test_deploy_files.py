"""The files of deploy/: each is read by what it is for, and their deadlines fit together with the server's own."""

import configparser
import json
import re
import shlex
import shutil
import subprocess
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from clerestory.server.cli.arguments import parse
from clerestory.server.config import Limits

DEPLOY = Path(__file__).resolve().parent.parent / "deploy"
LIMITS = Limits()
END = LIMITS.last_request_timeout + LIMITS.drain_timeout + LIMITS.lifespan_shutdown_timeout
"""Seconds that an orderly end may take."""
ANSWER = max(LIMITS.backend_timeout, LIMITS.application_timeout)
"""Seconds that an answer may take to begin."""


def unit(name: str) -> configparser.RawConfigParser:
    found = configparser.RawConfigParser(strict=False, comment_prefixes=("#",))
    found.optionxform = str  # type: ignore[assignment,method-assign]
    found.read_string((DEPLOY / "systemd" / name).read_text())
    return found


def containers(kind: str) -> list[dict[str, Any]]:
    yaml: Any = import_module("yaml")
    text = (DEPLOY / "kubernetes" / "clerestory.yaml").read_text()
    return [one for one in yaml.safe_load_all(text) if one["kind"] == kind]


def seconds(name: str) -> float:
    """A time in haproxy.cfg."""
    found = re.search(rf"{name} ([0-9]+)(ms|s|h)", (DEPLOY / "haproxy" / "haproxy.cfg").read_text())
    assert found is not None, name
    return int(found[1]) * {"ms": 0.001, "s": 1.0, "h": 3600.0}[found[2]]


def test_systemd_takes_the_unit_and_its_socket(tmp_path: Path) -> None:
    service, listening = unit("clerestory.service"), unit("clerestory.socket")
    command = shlex.split(service["Service"]["ExecStart"])
    parse(command[1:])
    assert listening["Socket"]["ListenStream"]
    assert float(service["Service"]["TimeoutStopSec"]) > END
    if shutil.which("systemd-analyze") is None:
        return
    for name in ("clerestory.service", "clerestory.socket"):
        text = (DEPLOY / "systemd" / name).read_text()
        (tmp_path / name).write_text(text.replace(command[0], shutil.which("true") or "/bin/true"))
    files = [str(tmp_path / name) for name in ("clerestory.service", "clerestory.socket")]
    done = subprocess.run(["systemd-analyze", "verify", *files], capture_output=True, text=True, check=False)
    ours = [line for line in done.stderr.splitlines() if "clerestory" in line]
    assert (done.returncode, ours) == (0, []), done.stderr


@pytest.mark.skipif(shutil.which("haproxy") is None, reason="there is no haproxy here")
def test_haproxy_takes_its_configuration() -> None:
    command = ["haproxy", "-c", "-f", str(DEPLOY / "haproxy" / "haproxy.cfg")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr


def test_haproxy_waits_longer_for_answers_and_keeps_connections_for_less_time() -> None:
    assert seconds("timeout server") > ANSWER
    assert seconds("pool-purge-delay") < LIMITS.keep_alive_timeout
    assert seconds("timeout http-keep-alive") <= LIMITS.keep_alive_timeout


def test_the_image_is_not_the_superusers_and_its_command_is_ours() -> None:
    parser: Any = import_module("dockerfile_parse").DockerfileParser(path=str(DEPLOY / "docker" / "Dockerfile"))
    said = {one["instruction"]: one["value"] for one in parser.structure}  # of several the last, which is the image's
    assert said["USER"] == "65532:65532"
    assert said["STOPSIGNAL"] == "SIGTERM"
    assert json.loads(said["ENTRYPOINT"]) == ["clerestory"]
    parse(json.loads(said["CMD"]))
    command = said["HEALTHCHECK"].partition("CMD ")[2]
    assert "/readyz" in json.loads(command)[2]
    compile(json.loads(command)[2], "HEALTHCHECK", "exec")
    assert {one["instruction"] for one in parser.structure} <= {
        *("COMMENT", "FROM", "COPY", "RUN", "WORKDIR", "ENV", "USER", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK"),
        *("ENTRYPOINT", "CMD"),
    }


@pytest.mark.parametrize("kind", ["Deployment", "Service", "PodDisruptionBudget"])
def test_kubernetes_takes_the_manifests(kind: str) -> None:
    validate: Any = import_module("kubernetes_validate").validate
    (found,) = containers(kind)
    validate(found, "1.30", strict=True)


def test_a_pod_has_time_to_end_and_nothing_that_it_does_not_need() -> None:
    (deployment,) = containers("Deployment")
    spec = deployment["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    sleep = float(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert spec["terminationGracePeriodSeconds"] > sleep + END
    readiness = container["readinessProbe"]
    assert sleep >= readiness["periodSeconds"] * readiness["failureThreshold"]
    parse(container["args"])
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert spec["securityContext"]["runAsNonRoot"] is True
    (service,) = containers("Service")
    assert service["spec"]["selector"] == deployment["spec"]["template"]["metadata"]["labels"]


def test_the_page_has_the_deadlines_of_today() -> None:
    text = (DEPLOY / "README.md").read_text()
    end = " + ".join(
        f"{one:g}" for one in (LIMITS.last_request_timeout, LIMITS.drain_timeout, LIMITS.lifespan_shutdown_timeout)
    )
    assert f"| {end} |" in text
    assert f"| {LIMITS.backend_timeout:g}, {LIMITS.application_timeout:g} |" in text
    for name in re.findall(r"`(--[a-z-]+)`", text):
        assert name.removeprefix("--").replace("-", "_") in Limits.__dataclass_fields__ or name == "--timeout"
