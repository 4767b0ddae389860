"""What is packed is whole: the wheel, made from the source distribution, serves outside of this checkout, with no more
beside it than it says it needs, and beside an application whose modules have the names of our folders.
"""

import ast
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tarfile
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from email import message_from_bytes
from importlib.metadata import distribution
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("diagrams", "handlers", "server", "statemachines")
BUILD = "import sys; sys.path.insert(0, 'shim'); import backend; print(backend.build_{kind}({into!r}))"
PATIENCE = 60

COMMANDS = {
    "clerestory": ["clerestory"],
    "python -m clerestory": ["python", "-m", "clerestory"],
    "python -m server": ["python", "-m", "server"],
}
each_command = pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)


def clean_environment(**settings: str) -> dict[str, str]:
    """Our environment without what would put this checkout on the path or set an option, and with `settings`."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "CLERESTORY"))}
    return ours | settings


def run(*command: str | Path, cwd: Path) -> str:
    """What it prints; it must end well. Nothing of this checkout is on its path, and no wheel is compiled."""
    environment = clean_environment(CLERESTORY_COMPILE="0")
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(kind: str, source: Path, into: Path) -> Path:
    """Build an sdist or a wheel of `source`, as pip does."""
    into.mkdir()
    run(sys.executable, "-W", "error", "-c", BUILD.format(kind=kind, into=str(into)), cwd=source)
    (built,) = into.iterdir()
    return built


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the files that git knows, links as links."""
    copy = tmp_path_factory.mktemp("source") / "checkout"
    for name in run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT).splitlines():
        if (ROOT / name).is_symlink() or (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name, follow_symlinks=False)
    return copy


@pytest.fixture(scope="module")
def source(checkout: Path) -> Path:
    """The source distribution, unpacked."""
    folder = checkout.parent
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


def environment(home: Path, *what: str | Path, beside: set[str]) -> Path:
    """Make an environment in `home` with `what` installed by pip and the distributions `beside`; return its scripts."""
    run(sys.executable, "-m", "venv", "--without-pip", home, cwd=home.parent)
    python = home / "bin" / "python"
    packages = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=home).strip())
    ours = Path(sysconfig.get_path("purelib"))
    for name in beside:
        for top in {
            file.parts[0] for file in distribution(name).files or [] if file.parts[0] not in ("..", "__pycache__")
        }:
            if not (packages / top).exists():
                (packages / top).symlink_to(ours / top)
    options = ("-q", "--no-index", "--no-deps", "--no-build-isolation")
    run(sys.executable, "-m", "pip", "--python", python, "install", *options, *what, cwd=home)
    return home / "bin"


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """The scripts of an environment that has the wheel and what it needs, and nothing else."""
    return environment(wheel.parent.parent / "environment", wheel, beside=needed(requirements(wheel)))


@pytest.fixture(scope="module")
def editable(checkout: Path, wheel: Path) -> Path:
    """The scripts of an environment with an editable installation of the checkout."""
    beside = needed(requirements(wheel)) | {"setuptools"}
    return environment(checkout.parent / "editable", "-e", checkout, beside=beside)


@pytest.fixture(params=["installed", "editable"])
def scripts(request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue(request.param)
    return found


@contextmanager
def serving(command: Sequence[str | Path], folder: Path) -> Iterator[dict[str, str]]:
    """The URLs that a server announces that is started in `folder`: of its site, and of its x-ray."""
    options = ["--port", "0", "--xray", "127.0.0.1:0", "--log-format", "json"]
    process = subprocess.Popen([*command, *options], cwd=folder, env=clean_environment(), stderr=subprocess.PIPE)
    assert process.stderr is not None
    try:
        urls: dict[str, str] = {}
        while not {"listening", "xray"} <= urls.keys():
            line = process.stderr.readline()
            assert line.startswith(b"{"), line + process.stderr.read()
            event = json.loads(line)
            urls[event["event"]] = event.get("url", "")
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


def test_the_wheel_holds_every_file_of_its_packages_and_nothing_else(wheel: Path) -> None:
    tracked = run("git", "ls-files", *FOLDERS, cwd=ROOT).splitlines()
    kept = {f"clerestory/{name}" for name in tracked if name.endswith(".py") or "/page/" in name}
    kept |= {*run("git", "ls-files", "clerestory/*.py", cwd=ROOT).splitlines(), "clerestory/py.typed"}
    kept |= {f"server/{name}" for name in ("__init__.py", "__main__.py")}
    with ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert packed == kept


def test_it_needs_no_more_than_it_says(installed: Path) -> None:
    version = run(installed / "clerestory", "--version", cwd=installed)
    assert re.match(
        r"clerestory [0-9.]+, h11 [0-9.]+, httptools \(not installed\), transitions [0-9.]+, Python", version
    )


@each_command
def test_the_three_spellings_of_the_command_start_the_same_program(
    scripts: Path, tmp_path: Path, words: list[str]
) -> None:
    found = run(scripts / words[0], *words[1:], "--version", cwd=tmp_path)
    assert found == run(scripts / "clerestory", "--version", cwd=tmp_path)
    assert found.startswith("clerestory ")


@each_command
def test_it_serves_its_site_and_its_x_ray_with_every_file_of_the_page(
    installed: Path, tmp_path: Path, words: list[str]
) -> None:
    with serving([installed / words[0], *words[1:]], tmp_path) as urls:
        assert json.loads(fetch(urls["listening"] + "emails/42"))["id"] == 42
        page = fetch(urls["xray"])
        assert b"<html" in page
        assert b"clerestory" in page.lower()
        for file in (ROOT / "server" / "xray" / "page").iterdir():
            if file.name != "index.html":
                assert fetch(f"{urls['xray']}page/{file.name}") == file.read_bytes()


def test_the_tables_are_proved_and_the_machines_drawn_as_text(installed: Path, tmp_path: Path) -> None:
    assert "ok" in run(installed / "clerestory", "check", cwd=tmp_path)
    run(installed / "clerestory", "diagrams", "--format", "mermaid", cwd=tmp_path)
    drawn = (tmp_path / "diagrams" / "connection.mmd").read_bytes()
    assert drawn == (ROOT / "diagrams" / "connection.mmd").read_bytes()


def test_a_library_that_is_missing_is_named_by_a_command_that_works_from_a_wheel_and_in_a_checkout(
    scripts: Path, tmp_path: Path
) -> None:
    """`pip install 'clerestory[postgres]'` would need an index that has Clerestory."""
    command = [str(scripts / "clerestory"), "--database", "postgresql://mail@127.0.0.1/mail"]
    done = subprocess.run(command, cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, check=False)
    said = "clerestory: --database postgresql://...: psycopg is not installed: pip install 'psycopg[binary]'\n"
    assert (done.returncode, done.stderr) == (2, said)


APPLICATION = """
import diagrams, handlers.users, server, statemachines
from clerestory import Router, json_response

router = Router()


@router.get("/")
def files(request):
    found = (diagrams, handlers, handlers.users, server, statemachines)
    return json_response([module.__file__ for module in found])
"""


def test_an_applications_own_modules_are_found_though_they_have_the_names_of_our_folders(
    scripts: Path, tmp_path: Path
) -> None:
    for name in FOLDERS:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    (tmp_path / "handlers" / "users.py").touch()
    (tmp_path / "shop.py").write_text(APPLICATION)
    with serving([scripts / "clerestory", "shop:router"], tmp_path) as urls:
        found = json.loads(fetch(urls["listening"]))
    own = ("diagrams/__init__.py", "handlers/__init__.py", "handlers/users.py", "server/__init__.py")
    assert found == [str(tmp_path / name) for name in (*own, "statemachines/__init__.py")]


def test_an_application_may_have_a_module_server(scripts: Path, tmp_path: Path) -> None:
    """`python -m server` beside it runs that module, as Python does; the other spellings run Clerestory."""
    (tmp_path / "server.py").write_text("print('the server of the user')\n")
    (tmp_path / "shop.py").write_text("import server\nfrom clerestory import Router\nrouter = Router()\n")
    for words in (["clerestory"], ["python", "-m", "clerestory"]):
        done = run(scripts / words[0], *words[1:], "--version", cwd=tmp_path)
        assert done.startswith("clerestory ")
    assert run(scripts / "python", "-m", "server", cwd=tmp_path) == "the server of the user\n"


def test_the_distribution_named_diagrams_neither_hides_nor_removes_ours(wheel: Path, tmp_path: Path) -> None:
    """A distribution of PyPI is called `diagrams` and installs a package of that name at the top."""
    theirs = tmp_path / "theirs"
    (theirs / "diagrams").mkdir(parents=True)
    (theirs / "diagrams" / "__init__.py").write_text("theirs = True\n")
    (theirs / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
        '[project]\nname = "diagrams"\nversion = "1"\n[tool.setuptools]\npackages = ["diagrams"]\n'
    )
    beside = needed(requirements(wheel)) | {"setuptools"}
    scripts = environment(tmp_path / "environment", wheel, theirs, beside=beside)
    assert run(scripts / "python", "-c", "import diagrams; print(diagrams.theirs)", cwd=tmp_path) == "True\n"
    whole = run(scripts / "clerestory", "check", cwd=tmp_path)
    run(sys.executable, "-m", "pip", "--python", scripts / "python", "uninstall", "-q", "-y", "diagrams", cwd=tmp_path)
    assert run(scripts / "clerestory", "check", cwd=tmp_path) == whole
    run(scripts / "clerestory", "diagrams", "--format", "mermaid", cwd=tmp_path)


@pytest.mark.timeout(1500)
@pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no C compiler")
def test_a_wheel_is_compiled_without_being_asked(source: Path, tmp_path: Path) -> None:
    """From the source distribution. (benchmarks/builds.py builds it from the checkout, for all other tests.)"""
    folder = tmp_path / "sources"
    shutil.copytree(source, folder, symlinks=True)
    command = [sys.executable, "-c", BUILD.format(kind="wheel", into=str(tmp_path))]
    done = subprocess.run(
        command,
        cwd=folder,
        env=clean_environment(MYPYC_OPT_LEVEL="0"),
        capture_output=True,
        text=True,
        timeout=1400,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    (wheel,) = tmp_path.glob("*.whl")
    scripts = environment(tmp_path / "environment", wheel, beside=needed(requirements(wheel)))
    assert "compiled to C" in run(scripts / "clerestory", "--version", cwd=tmp_path)


@pytest.mark.parametrize(("compiler", "compiled"), [("no-such-compiler", []), ("", ["mypy"])])
def test_mypy_is_needed_for_a_wheel_only_where_there_is_a_compiler(
    checkout: Path, compiler: str, compiled: list[str]
) -> None:
    if compiled and shutil.which("gcc") is None:
        pytest.skip("there is no C compiler")
    asks = "import sys; sys.path.insert(0, 'shim'); import backend; {}; print(backend.get_requires_for_build_{}())"
    wanted = "import os; os.environ['CC'] = {!r}".format
    for kind, expected in (("wheel", compiled), ("editable", [])):
        script = asks.format(wanted(compiler), kind)
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=checkout, env=clean_environment(), capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        names = {Requirement(one).name for one in ast.literal_eval(done.stdout.splitlines()[-1])}
        assert names.issuperset(expected)
        assert bool(names & {"mypy"}) == bool(expected)
