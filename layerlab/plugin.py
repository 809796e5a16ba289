"""The pytest face: options, fixtures, parametrisation and summary."""

import os
import shutil
import sys
from collections.abc import Generator
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any

import pytest

from layerlab import lab as laboratory
from layerlab import summary
from layerlab.build.variant import Variant, load, select
from layerlab.engine.choice import choose
from layerlab.engine.endpoint import Endpoint
from layerlab.engine.limits import UNTRUSTED
from layerlab.engine.processors import Spent, spending
from layerlab.errors import LabError, Unmet, os_sentence
from layerlab.lab import Lab
from layerlab.show.live import Screen
from layerlab.text import plain

BAD_INPUT = 2
NEEDS_ENGINE = ("lab", "endpoint")
#: Options that ask for more of what was measured.
REQUESTS = ("steps", "layers", "plot", "timelines")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("layerlab", "layerlab: experiments on a real Docker engine")
    group.addoption(
        "--engine",
        metavar="ENGINE",
        help="`private`, an address (unix://, tcp://, ssh://) or a docker context; "
        "default: DOCKER_HOST, the current context, the default socket, a private engine",
    )
    group.addoption(
        "--variant",
        action="append",
        default=[],
        metavar="NAME|PATH",
        help="measure only this variant: a name, or the path of any Dockerfile; repeatable",
    )
    group.addoption("--rounds", type=int, default=2, metavar="N", help="rounds (default: 2)")
    group.addoption(
        "--steps",
        action="store_true",
        help="show each variant's steps in every scenario, too (of the last round)",
    )
    group.addoption(
        "--layers",
        action="store_true",
        help="show each image's layers, where its bytes are, and what of them is of no use, too",
    )
    group.addoption(
        "--plot", action="store_true", help="show bars of the images' parts in the terminal, too"
    )
    group.addoption(
        "--timelines",
        action="store_true",
        help="show every change of a container's health, and every timeline, too",
    )
    group.addoption(
        "--standins",
        action="store_true",
        help="where no registry answers, build base images from Debian packages on your engine too",
    )
    group.addoption(
        "--build-limit", type=float, default=900, metavar="S", help="seconds that a build may take"
    )
    group.addoption(
        "--start-limit",
        type=float,
        default=30,
        metavar="S",
        help="seconds that an app may take until it answers",
    )
    group.addoption(
        "--untrusted",
        action="store_true",
        help="hold builds and containers to limits (docs/untrusted.md): for Dockerfiles that nobody vouches for",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("rounds") < 1:
        raise bad_input(LabError(f"--rounds {config.getoption('rounds')}: give 1 or more"))
    for limit in ("build", "start"):
        if not config.getoption(f"{limit}_limit") > 0:
            raise bad_input(LabError(f"--{limit}-limit: give more than 0 seconds"))
    config.addinivalue_line(
        "markers",
        "experiment(name, packaged=VARIANT): the lab that a test belongs to; some variants are for some "
        "only. A test that has `packaged` gets that one variant, where one is enough",
    )
    config.pluginmanager.register(Session(config), "layerlab-session")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_cmdline_main() -> Generator[None, Any, Any]:
    try:
        return (yield)
    except pytest.UsageError as error:
        if not isinstance(error.__cause__, LabError):
            raise
        print(f"layerlab: {error}", file=sys.stderr)
        return BAD_INPUT


def bad_input(cause: LabError) -> pytest.UsageError:
    """What ends a session for good; pytest lets it pass through with its clean-up done."""
    error = pytest.UsageError(plain(str(cause)))
    error.__cause__ = cause
    return error


class Session:
    """What one pytest session holds: the variants, the engine, the lab."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.stack = ExitStack()
        # Captured before pytest redirects it during tests, so that progress is seen.
        terminal = open(os.dup(2), "w", encoding="utf-8")  # noqa: PTH123, SIM115
        self.screen = Screen(self.stack.enter_context(terminal))
        self._variants: list[Variant] | None = None
        self._broken: LabError | None = None
        self.endpoint: Endpoint | None = None
        self.lab: Lab | None = None
        self.reported: list[LabError] = []

    @property
    def project(self) -> Path:
        return self.config.rootpath

    def variants(self) -> list[Variant]:
        """The variants that were asked for; none when one of them is broken."""
        if self._variants is None:
            try:
                asked = self.config.getoption("variant")
                # The bootstrap script changes the folder; paths are the caller's.
                here = Path(os.environ.get("LAYERLAB_CALLED_FROM") or Path.cwd())
                paths = select(self.project / "dockerfiles", asked, here)
                self._variants = [load(path) for path in paths]
            except LabError as error:
                self._variants, self._broken = [], error
        return self._variants

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        mark = metafunc.definition.get_closest_marker("experiment")
        variants = [v for v in self.variants() if mark is None or v.is_for(mark.args[0])]
        if "variant" in metafunc.fixturenames:
            # Of a wider scope, pytest would go from experiment to experiment for each variant.
            metafunc.parametrize("variant", _named(variants), scope="module")
        if "packaged" in metafunc.fixturenames and mark is not None:
            metafunc.parametrize("packaged", [self._packaged(mark)], scope="module")
        if "compared_variant" in metafunc.fixturenames:
            compared = [v for v in variants if v.header.differs_from]
            nothing = pytest.param(
                None, marks=pytest.mark.skip("no variant of this run says from which it differs")
            )
            metafunc.parametrize("compared_variant", _named(compared) or [nothing])

    def _packaged(self, mark: pytest.Mark) -> Any:
        """The one variant of an experiment; as a parameter it is prepared with the others of a run."""
        name = mark.kwargs["packaged"]
        found = [variant for variant in self.variants() if variant.name == name]
        why = f"it is measured with the variant {name}, which was not asked for"
        nothing = pytest.param(None, id="none", marks=pytest.mark.skip(why))
        return _named(found)[0] if found else nothing

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if self._broken:
            raise bad_input(self._broken)
        used = [item for item in session.items if set(NEEDS_ENGINE) & set(_fixtures(item))]
        if not used or self.config.getoption("collectonly"):
            return
        took: dict[str, Spent] = {}
        if seconds := os.environ.get("LAYERLAB_ENVIRONMENT_SECONDS"):
            took["set-up"] = Spent(float(seconds))  # told by the bootstrap script that made it
        try:
            with spending() as took["engine"]:
                self.endpoint = choose(self.config.getoption("engine"), self.screen.say)
            if any("lab" in _fixtures(item) for item in used):
                self._open_lab(self.endpoint, _selected(session.items), took)
        except LabError as error:
            raise bad_input(error) from error
        except OSError as error:
            if error.filename is None:
                raise
            raise bad_input(LabError(os_sentence(error))) from error

    def _open_lab(
        self, endpoint: Endpoint, variants: list[Variant], took: dict[str, Spent]
    ) -> None:
        profile = UNTRUSTED if self.config.getoption("untrusted") else None
        build_limit = self.config.getoption("build_limit")
        settings = laboratory.Settings(
            project=self.project,
            rounds=self.config.getoption("rounds"),
            standins=self.config.getoption("standins"),
            build_limit_seconds=min(build_limit, profile.build_seconds) if profile else build_limit,
            start_limit_seconds=self.config.getoption("start_limit"),
            profile=profile,
        )
        self.lab = self.stack.enter_context(
            laboratory.opened(endpoint, self.screen, settings, variants, took)
        )

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        mark = item.get_closest_marker("experiment")
        with self.lab.spending(mark.args[0]) if self.lab and mark else nullcontext():
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        problem: object = call.excinfo.value if call.excinfo else None
        if isinstance(problem, OSError) and problem.filename is not None:
            problem = LabError(os_sentence(problem))
        if isinstance(problem, Unmet):
            report.longrepr = plain(str(problem))
        if isinstance(problem, LabError):
            # The user's mistake, in one sentence, once: our own frames would only hide it.
            if problem in self.reported:
                report.outcome = "skipped"
                report.longrepr = (str(item.path), item.location[1] or 0, "not measured, see above")
            else:
                report.longrepr = plain(str(problem))
                self.reported.append(problem)
        return report

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.reported and session.exitstatus == pytest.ExitCode.TESTS_FAILED:
            session.exitstatus = BAD_INPUT

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.lab is None:
            return
        width = shutil.get_terminal_size().columns
        requested = [name for name in REQUESTS if self.config.getoption(name)]
        for title, lines in summary.sections(self.lab, requested=requested, width=width):
            terminalreporter.section(title)
            for line in lines:
                terminalreporter.write_line(line)
        summary.write_markdown(self.lab)

    def pytest_unconfigure(self) -> None:
        self.stack.close()


def _fixtures(item: pytest.Item) -> list[str]:
    return list(getattr(item, "fixturenames", ()))


def _selected(items: list[pytest.Item]) -> list[Variant]:
    """The variants of the tests that will run, each once, in their order."""
    found: dict[str, Variant] = {}
    for item in items:
        callspec = getattr(item, "callspec", None)
        for variant in callspec.params.values() if callspec else ():
            if isinstance(variant, Variant):
                found[variant.name] = variant
    return list(found.values())


def _named(variants: list[Variant]) -> list[Any]:
    return [pytest.param(variant, id=variant.name) for variant in variants]


def _session(request: pytest.FixtureRequest) -> Session:
    session = request.config.pluginmanager.get_plugin("layerlab-session")
    assert isinstance(session, Session)
    return session


@pytest.fixture(scope="session")
def endpoint(request: pytest.FixtureRequest) -> Endpoint:
    """The engine that this session uses, running and probed."""
    found = _session(request).endpoint
    assert found is not None
    return found


@pytest.fixture(scope="session")
def asked_variants(request: pytest.FixtureRequest) -> list[Variant]:
    """The variants that were asked for, whichever tests run: all where none was named."""
    return _session(request).variants()


@pytest.fixture(scope="module")
def selected_variants(request: pytest.FixtureRequest) -> list[Variant]:
    """The variants of an experiment's tests that run: what is measured together."""
    return _selected([item for item in request.session.items if item.path == request.path])


@pytest.fixture(scope="session")
def lab(request: pytest.FixtureRequest) -> Lab:
    """The lab: an engine with its base images, a run, and a store for its samples."""
    found = _session(request).lab
    assert found is not None
    return found
