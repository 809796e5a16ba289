"""What the engine tests share: a build on a small base, and a look at what is left behind."""

import io
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import killing
import pytest
import releases
from tabulate import tabulate

from layerlab.build.buildx import Build, Request, build
from layerlab.build.dockerfile import parse
from layerlab.build.variant import Variant, load
from layerlab.engine import bases, leftovers, matrix
from layerlab.engine.endpoint import Endpoint
from layerlab.engine.leftovers import Run
from layerlab.engine.matrix import MATRIX, Release
from layerlab.engine.transfer import bring
from layerlab.lab import Lab
from layerlab.opening import opened
from layerlab.record.store import Store
from layerlab.settings import Settings
from layerlab.show.live import Screen

# `lab run` installs no hypothesis, and there pytest reads this file, too, when it is given what is no path.
with suppress(ModuleNotFoundError):
    from hypothesis import settings

    # What hypothesis tries unless a test says otherwise; `--hypothesis-profile=long` is for an evening. The
    # deadline, in milliseconds for one example, is for what hangs; other processes may keep us waiting.
    settings.register_profile("quick", max_examples=25, deadline=10_000)
    settings.register_profile("long", max_examples=5_000, deadline=10_000)
    settings.load_profile("quick")
# `./lab test` was called from one folder; the layerlabs that tests start are called from theirs.
os.environ.pop("LAYERLAB_CALLED_FROM", None)

PROJECT = Path(__file__).parent.parent
SLIM = "python:3.11-slim"
#: What the faults tests tried and what happened, for the table of docs/faults.md.
TRIED = pytest.StashKey[list[tuple[str, ...]]]()
Brought = Callable[..., AbstractContextManager[tuple[Lab, list[Variant]]]]


def asks_for_faults(config: pytest.Config) -> bool:
    """Whether the command line has `-m faults`, or another expression that names them."""
    return "faults" in (config.getoption("markexpr") or "")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the long faults tests unless somebody asks for them."""
    if asks_for_faults(config):
        return
    marks = [item.get_closest_marker("faults") for item in items]
    long = [item for item, mark in zip(items, marks, strict=True) if mark and "long" in mark.args]
    config.hook.pytest_deselected(items=long)
    items[:] = [item for item in items if item not in long]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if rows := terminalreporter.config.stash.get(TRIED, []):
        terminalreporter.section(f"faults: what was tried (LAYERLAB_SEED={killing.SEED})")
        for line in tabulate(rows, ("what", "how", "what happened")).splitlines():
            terminalreporter.write_line(line)


@pytest.fixture
def tried(request: pytest.FixtureRequest) -> Callable[[str, str, str], None]:
    """Keeps what was tried, how, and what happened, for the table at the end."""
    rows = request.config.stash.setdefault(TRIED, [])
    return lambda what, how, happened: rows.append((what, how, happened))


@pytest.fixture(scope="session")
def slim(endpoint: Endpoint) -> str:
    """The slim base, present on the engine; what a Dockerfile's FROM must say."""
    (base,) = bases.ensure(endpoint, [SLIM], standins=False, progress=lambda _: None)
    return base.reference


#: `LAYERLAB_RELEASES=20.10-overlay2,28.5-containerd` leaves the matrix these; all without it. A remote one,
#: which has no mounts from here and no engine beside it, has tests of its own (test_remote_engine.py).
CHOSEN = [
    release
    for release in MATRIX
    if not release.remote
    and release.name in os.environ.get("LAYERLAB_RELEASES", release.name).split(",")
]


@pytest.fixture(scope="session", params=CHOSEN, ids=lambda release: release.name)
def release(request: pytest.FixtureRequest) -> Release:
    """Each release of the matrix; tests that use it are marked ``matrix``."""
    found: Release = request.param
    return found


@pytest.fixture(scope="session")
def matrix_endpoint(release: Release) -> Iterator[Endpoint]:
    """The private engine of each release, one after another, running and probed."""
    if lack := matrix.lacking():
        pytest.skip(f"no engines of other releases here: {lack}")
    with releases.release_running(release) as running:
        yield running


@pytest.fixture
def classic_endpoint(matrix_endpoint: Endpoint, release: Release) -> Endpoint:
    """The private engine of each release, once: for what an image store has no say in."""
    if release.image_store == "containerd":
        pytest.skip("the image store has no say in how containers run")
    return matrix_endpoint


@pytest.fixture(scope="module")
def app_image(
    endpoint: Endpoint, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Run]]:
    """The production image on this session's engine, and the run that made it.

    Not for the whole session: other tests look whether anything is left on that engine.
    """
    folder = tmp_path_factory.mktemp("app-image")
    (folder / "app").symlink_to(PROJECT / "app")
    variant = load(PROJECT / "dockerfiles" / "production.Dockerfile")
    with opened(endpoint, Screen(io.StringIO()), Settings(folder), [variant], {}) as lab:
        lab.build(variant, lab.context("app", None), "build")
        yield lab.tag(variant), lab.run


@pytest.fixture
def brought(endpoint: Endpoint, app_image: tuple[str, Run], tmp_path: Path) -> Brought:
    """A lab on another engine, with variants on top of the production image, which is brought there.

    ``texts`` has what each variant adds to that image, by its name. Nothing is left there at the end.
    """

    @contextmanager
    def bring_it(there: Endpoint, **texts: str) -> Iterator[tuple[Lab, list[Variant]]]:
        tag, run = app_image
        bring(tag, endpoint, there)
        (tmp_path / "app").symlink_to(PROJECT / "app")
        variants = []
        for name, text in texts.items():
            dockerfile = tmp_path / f"{name}.Dockerfile"
            dockerfile.write_text(f"FROM {tag}\n{text}\n")
            variants.append(load(dockerfile))
        with opened(there, Screen(io.StringIO()), Settings(tmp_path), variants, {}) as lab:
            yield lab, variants
        leftovers.remove_run(there, run)
        assert leftovers.remaining(there) == []

    return bring_it


@pytest.fixture
def run(endpoint: Endpoint) -> Iterator[Run]:
    """A run whose images are removed."""
    with leftovers.running() as this:
        yield this
        leftovers.remove_run(endpoint, this)


@pytest.fixture
def build_text(endpoint: Endpoint, slim: str, run: Run, tmp_path: Path) -> Callable[..., Build]:
    """Builds a Dockerfile's text (SLIM stands for the base) with a context of a few files."""

    def build_it(
        text: str, *, files: dict[str, str] | None = None, cold: bool = True, limit: float = 120
    ) -> Build:
        context = tmp_path / "context"
        context.mkdir(exist_ok=True)
        for name, content in (files or {}).items():
            (context / name).write_text(content)
        dockerfile = tmp_path / "student.Dockerfile"
        source = textwrap.dedent(text).lstrip("\n").replace("SLIM", slim)
        dockerfile.write_text(source)
        request = Request(
            dockerfile=dockerfile,
            context=context,
            parsed=parse(source),
            tag=f"layerlab/test:{run.id}",
            labels=run.labels,
            no_cache=cold,
            time_limit_seconds=limit,
        )
        return build(endpoint, request)

    return build_it


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project like this one, with a record of its own."""
    folder = tmp_path / "project"
    folder.mkdir()
    for name in ("app", "compose", "dockerfiles", "experiments", "pyproject.toml"):
        (folder / name).symlink_to(PROJECT / name)
    return folder


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of empty folders, from which layerlab is called, with a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "experiments").mkdir()
    (tmp_path / ".layerlab").mkdir()
    return tmp_path


@pytest.fixture
def store(bare: Path) -> Store:
    """Its store, in which nothing is recorded."""
    return Store(bare / ".layerlab" / "store.sqlite")


@pytest.fixture
def lab_begun(endpoint: Endpoint, project: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Begins ``layerlab run`` on this session's engine, to be interrupted; killed at the end if it lives."""
    begun: list[subprocess.Popen[str]] = []

    def begin(*words: str | Path) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "layerlab", "run", *map(str, words)],
            cwd=project,
            env={**os.environ, **endpoint.environ()},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        begun.append(process)
        return process

    yield begin
    for process in begun:
        process.kill()


@pytest.fixture
def lab_run(endpoint: Endpoint, project: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs ``layerlab run`` on this session's engine, as a user does."""

    def run_it(*words: str | Path, **settings: str) -> subprocess.CompletedProcess[str]:
        environ = {**os.environ, **endpoint.environ(), "COLUMNS": "100", **settings}
        # pytest cuts its summary to the terminal's width, but not where this is set.
        environ.pop("CI", None)
        return subprocess.run(
            [sys.executable, "-m", "layerlab", "run", *map(str, words)],
            cwd=project,
            env=environ,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run_it
