"""What is packed is whole: the wheel, made from the source distribution, serves outside of this checkout, with no more
beside it than it says it needs.
"""

import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
import tarfile
import urllib.request
from collections.abc import Iterator
from email import message_from_bytes
from importlib.metadata import distribution
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("diagrams", "handlers", "server", "statemachines")
BUILD = "from setuptools import build_meta; print(build_meta.build_{kind}({into!r}))"
PATIENCE = 60


def run(*command: str | Path, cwd: Path) -> str:
    """What it prints; it must end well. Nothing of this checkout is on its path."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "CLERESTORY"))}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(kind: str, source: Path, into: Path) -> Path:
    """Build an sdist or a wheel of `source`, as pip does."""
    into.mkdir()
    run(sys.executable, "-W", "error", "-c", BUILD.format(kind=kind, into=str(into)), cwd=source)
    (built,) = into.iterdir()
    return built


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution of what git knows, unpacked."""
    folder = tmp_path_factory.mktemp("source")
    checkout = folder / "checkout"
    for name in run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT).splitlines():
        if (ROOT / name).is_file():
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            (checkout / name).write_bytes((ROOT / name).read_bytes())
    with tarfile.open(build("sdist", checkout, folder / "built")) as archive:
        archive.extractall(folder, filter="data")
    (unpacked,) = folder.glob("clerestory-*")
    return unpacked


@pytest.fixture(scope="module")
def wheel(source: Path) -> Path:
    return build("wheel", source, source.parent / "wheel")


def needed(requirements: list[str]) -> set[str]:
    """The distributions that these lead to, without any extra."""
    wanted = map(Requirement, requirements)
    names = {one.name for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})}
    return names.union(*(needed(distribution(name).requires or []) for name in names))


def requirements(wheel: Path) -> list[str]:
    """What the wheel says it needs."""
    with ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return message_from_bytes(archive.read(name)).get_all("Requires-Dist", [])


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """The scripts of an environment that has the wheel and what it needs, and nothing else."""
    home = wheel.parent.parent / "environment"
    run(sys.executable, "-m", "venv", "--without-pip", home, cwd=wheel.parent)
    python = home / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-index", "--no-deps", wheel, cwd=home)
    packages = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=home).strip())
    ours = Path(sysconfig.get_path("purelib"))
    for name in needed(requirements(wheel)):
        for top in {
            file.parts[0] for file in distribution(name).files or [] if file.parts[0] not in ("..", "__pycache__")
        }:
            (packages / top).symlink_to(ours / top)
    return home / "bin"


def test_the_wheel_holds_every_file_of_its_packages_and_nothing_else(wheel: Path) -> None:
    tracked = run("git", "ls-files", *PACKAGES, cwd=ROOT).splitlines()
    kept = {name for name in tracked if name.endswith((".py", "py.typed")) or "/page/" in name}
    with ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert packed == kept


def test_it_needs_no_more_than_it_says(installed: Path) -> None:
    version = run(installed / "clerestory", "--version", cwd=installed)
    assert re.match(
        r"clerestory [0-9.]+, h11 [0-9.]+, httptools \(not installed\), transitions [0-9.]+, Python", version
    )


def test_the_tables_are_proved_and_the_machines_drawn_as_text(installed: Path, tmp_path: Path) -> None:
    assert "ok" in run(installed / "clerestory", "check", cwd=tmp_path)
    run(installed / "python", "-m", "diagrams", "--format", "mermaid", "--output", ".", cwd=tmp_path)
    assert (tmp_path / "connection.mmd").read_bytes() == (ROOT / "diagrams" / "connection.mmd").read_bytes()


@pytest.fixture(params=["clerestory", "python -m server"])
def serving(request: pytest.FixtureRequest, installed: Path, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The URLs that the installed server announces: of its site, and of its x-ray."""
    command = [installed / "clerestory"] if request.param == "clerestory" else [installed / "python", "-m", "server"]
    options = ["--port", "0", "--xray", "127.0.0.1:0", "--log-format", "json"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "CLERESTORY"))}
    process = subprocess.Popen([*command, *options], cwd=tmp_path, env=environment, stderr=subprocess.PIPE)
    assert process.stderr is not None
    try:
        urls: dict[str, str] = {}
        while "listening" not in urls:
            line = process.stderr.readline()
            assert line.startswith(b"{"), line + process.stderr.read()
            event = json.loads(line)
            urls[event["event"]] = event["url"]
        yield urls
        process.send_signal(signal.SIGTERM)
        process.stderr.read()
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        body: bytes = answer.read()
        return body


def test_it_serves_its_site_and_its_x_ray_with_every_file_of_the_page(serving: dict[str, str]) -> None:
    assert json.loads(fetch(serving["listening"] + "emails/42"))["id"] == 42
    page = fetch(serving["xray"])
    assert b"<html" in page
    assert b"clerestory" in page.lower()
    for file in (ROOT / "server" / "xray" / "page").iterdir():
        if file.name != "index.html":
            assert fetch(f"{serving['xray']}page/{file.name}") == file.read_bytes()
