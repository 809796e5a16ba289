"""The pytest face: options, fixtures, parametrisation and summary."""

import io
import os
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Never

import pytest

from layerlab import lab as laboratory
from layerlab import pages, plugin_options, replay, several, spread, summary
from layerlab.build.variant import Variant, load, select
from layerlab.chapters import chapter_of
from layerlab.compare import gate, grammar
from layerlab.compare.comparison import Comparison
from layerlab.engine import leftovers
from layerlab.engine.choice import choose
from layerlab.engine.endpoint import Endpoint
from layerlab.engine.limits import UNTRUSTED
from layerlab.engine.processors import Spent, spending
from layerlab.errors import LabError, RunLost, Unmet, os_sentence
from layerlab.folders import called_from
from layerlab.lab import Lab
from layerlab.labs import layer_cache
from layerlab.record import resume
from layerlab.record.properties import medians
from layerlab.record.run import RunRecord, State
from layerlab.record.store import Outcome, now, reading
from layerlab.show.chapter import Chapter, packed
from layerlab.show.live import Screen
from layerlab.spread import Leader
from layerlab.text import near, plain

BAD_INPUT = 2
NEEDS_ENGINE = ("lab", "endpoint")
#: The experiments that go on after their last complete round; all others are measured anew.
BY_ROUNDS = (layer_cache.EXPERIMENT,)
#: Options that ask for more of what was measured.
REQUESTS = ("steps", "layers", "plot", "timelines")


def pytest_addoption(parser: pytest.Parser) -> None:
    plugin_options.add(parser)


def pytest_configure(config: pytest.Config) -> None:
    try:
        plugin_options.check(config)
    except LabError as error:
        raise bad_input(error) from error
    config.addinivalue_line(
        "markers",
        "experiment(name, packaged=VARIANT): the lab that a test belongs to; some variants are for some "
        "only. A test that has `packaged` gets that one variant, where one is enough",
    )
    session = Session(config)
    config.pluginmanager.register(session, "layerlab-session")
    if session.leader:
        config.pluginmanager.register(session.leader, "layerlab-leader")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> Generator[None, Any, Any]:
    plugin_options.spread(config)
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
        #: What this process was told, where it is one of several that measure.
        self.member = spread.member(config)
        self.terminal = self.stack.enter_context(terminal)
        # Several would write over each other's lines.
        self.screen = Screen(io.StringIO() if self.member else self.terminal)
        self._variants: list[Variant] | None = None
        self._broken: LabError | None = None
        self.endpoint: Endpoint | None = None
        self.lab: Lab | None = None
        self.reported: list[LabError] = []
        try:
            self.gates = [grammar.parse(text) for text in config.getoption("fail_if")]
        except LabError as error:
            raise bad_input(error) from error
        #: Each variant beside the baseline, if one was named.
        self.comparisons: list[Comparison] = []
        #: What the gates say, a line each.
        self.held: list[str] = []
        self.resumed: RunRecord | None = None
        #: How many tests of each experiment have not come to their end.
        self._left: Counter[str] = Counter()
        #: What the experiments of this session show.
        self._chapters: dict[str, Chapter] = {}
        engines = plugin_options.engines(config)
        leads = len(engines) > 1 and not self.member and not config.getoption("resume")
        #: Has the experiments measured by other processes, where several engines are used.
        self.leader = (
            Leader(engines, self._settings(), self.screen, self.width)
            if leads and not config.getoption("collectonly")
            else None
        )

    @property
    def project(self) -> Path:
        return self.config.rootpath

    @property
    def words(self) -> tuple[str, ...]:
        """The command line, without what `lab run` adds to it, and without `--resume`."""
        words = list(map(str, self.config.invocation_params.args))
        own = own_words(self.project, "experiments")
        words = words[len(own) :] if words[: len(own)] == own else words
        if plugin_options.engines(self.config):
            words = plugin_options.without_engines(words)
        return tuple(word for word in words if not word.startswith("--resume="))

    @property
    def width(self) -> int:
        """Columns of the terminal that the run is shown on."""
        return self.member.width if self.member else shutil.get_terminal_size().columns

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        if self.leader is None:
            return
        try:
            known = [variant.name for variant in self.variants()]
            self._check_asked(known)
            self.lab = self.leader.begin(self.stack)
        except LabError as error:
            raise bad_input(error) from error

    def _check_asked(self, known: list[str]) -> None:
        """Refuse variants that are broken, and a baseline that is not measured.

        Raises:
            LabError: the first of them.
        """
        if self._broken:
            raise self._broken
        baseline = self.config.getoption("baseline")
        if baseline and known and baseline not in known:
            there = f"{near(baseline, known)}: the variants are {', '.join(known)}"
            raise LabError(f"--baseline {baseline}: this run does not measure it{there}")

    def variants(self) -> list[Variant]:
        """The variants that were asked for; none when one of them is broken."""
        if self._variants is None:
            try:
                asked = self.config.getoption("variant")
                paths = select(self.project / "dockerfiles", asked, called_from())
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

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        if word := self.config.getoption("resume"):
            try:
                self._resume(word, items)
            except LabError as error:
                self._broken = self._broken or error

    def _resume(self, word: str, items: list[pytest.Item]) -> None:
        """Take the tests of experiments that had come to their end from the record.

        Raises:
            LabError: the run can't be gone on with.
        """
        home, alive = leftovers.home(), leftovers.alive()
        with reading(self.project) as store:
            record = resume.stopped(store.runs(), word if word != "last" else None, home, alive)
            resume.check_words(record, self.words)
            if self._broken:
                raise self._broken
            resume.check_variants(record, _selected(items))
            outcomes = store.outcomes(record.id)
            done = replay.ended(items, outcomes)
            began = {one.sample.experiment for one in store.kept(record.id)}
            # Half of its rounds would be another engine's.
            goes_on = () if record.settings.get("engines") else BY_ROUNDS
            for experiment in sorted(began - done - set(goes_on)):
                store.supersede(record.id, experiment)
        items[:] = replay.replayed(items, outcomes, done)
        self.resumed = record

    def pytest_report_collectionfinish(self, items: list[pytest.Item]) -> list[str]:
        if self.resumed is None:
            return []
        recorded = sum(isinstance(item, replay.Recorded) for item in items)
        which = f"{recorded} of {len(items)} tests come from the record"
        return [f"going on with the run {self.resumed.id}: {which}"]

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        try:
            self._check_asked([variant.name for variant in _selected(session.items)])
        except LabError as error:
            raise bad_input(error) from error
        used = [item for item in session.items if set(NEEDS_ENGINE) & set(_fixtures(item))]
        if not (used or self.resumed) or self.config.getoption("collectonly"):
            return
        self._left.update(filter(None, map(replay.experiment_of, session.items)))
        took: dict[str, Spent] = {}
        if seconds := os.environ.get("LAYERLAB_ENVIRONMENT_SECONDS"):
            took["set-up"] = Spent(float(seconds))  # told by the bootstrap script that made it
        try:
            with spending() as took["engine"]:
                self.endpoint = self._choose()
            if self.resumed or any("lab" in _fixtures(item) for item in used):
                self._open_lab(self.endpoint, _selected(session.items), took)
        except LabError as error:
            raise bad_input(error) from error
        except OSError as error:
            if error.filename is None:
                raise
            raise bad_input(LabError(os_sentence(error))) from error

    def _choose(self) -> Endpoint:
        """The engine of this process.

        Raises:
            LabError: it can't be used.
        """
        if self.member:
            return choose(self.member.engine, self.screen.say)
        *others, last = plugin_options.engines(self.config) or (self.config.getoption("engine"),)
        for name in others:
            # What is gone on with is measured on the first of its engines that is there.
            with suppress(LabError):
                return choose(name, self.screen.say)
        return choose(last, self.screen.say)

    def _open_lab(
        self, endpoint: Endpoint, variants: list[Variant], took: dict[str, Spent]
    ) -> None:
        settings = self._settings()
        place = ""
        if self.member:
            opened = several.joined(endpoint, self.member, self.screen, settings, variants, took)
        else:
            if self.resumed:
                here = laboratory.recorded_engine(endpoint)
                with reading(self.project) as store:
                    places = store.places(self.resumed.id)
                self.resumed, place = resume.at(self.resumed, places, here)
                resume.check_engine(self.resumed, here)
            opened = laboratory.opened(
                endpoint, self.screen, settings, variants, took, self.resumed
            )
        self.lab = self.stack.enter_context(opened)
        self.lab.place = self.lab.place or place

    def _settings(self) -> laboratory.Settings:
        profile = UNTRUSTED if self.config.getoption("untrusted") else None
        build_limit = self.config.getoption("build_limit")
        return laboratory.Settings(
            project=self.project,
            words=self.words,
            called_from=str(called_from()),
            asked=tuple(self.config.getoption("variant")),
            rounds=self.config.getoption("rounds"),
            baseline=self.config.getoption("baseline"),
            standins=self.config.getoption("standins"),
            build_limit_seconds=min(build_limit, profile.build_seconds) if profile else build_limit,
            start_limit_seconds=self.config.getoption("start_limit"),
            profile=profile,
            engines=plugin_options.engines(self.config),
        )

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        experiment = replay.experiment_of(item)
        if self.lab is None or experiment is None or isinstance(item, replay.Recorded):
            return (yield)
        with self.lab.spending(experiment):
            done = yield
        self._left[experiment] -= 1
        if not self._left[experiment] and experiment in self.lab.results:
            chapter = packed(self._chapter(self.lab, experiment))
            self._kept(lambda lab: lab.store.keep_chapter(lab.run.id, experiment, chapter))
        return done

    def _chapter(self, lab: Lab, experiment: str) -> Chapter:
        """What an experiment shows, made once: its pictures take time."""
        if experiment not in self._chapters:
            result = lab.results[experiment]
            self._chapters[experiment] = chapter_of(experiment, result, self.width, lab.run.folder)
        return self._chapters[experiment]

    def _kept(self, work: Callable[[Lab], None]) -> None:
        """Record something of the run itself; where the store can't be written, the run is lost."""
        if self.lab is None or self.lab.ending == State.LOST:
            return
        try:
            work(self.lab)
        except RunLost as problem:
            self.lab.ending = State.LOST
            self.lab.notes.append(str(problem))
            self.reported.append(problem)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        if call.when == "call" and self.config.getoption("xmlpath", None):
            item.user_properties += self._properties(item)
        report = yield
        problem: object = call.excinfo.value if call.excinfo else None
        if isinstance(problem, OSError) and problem.filename is not None:
            problem = LabError(os_sentence(problem))
        if isinstance(problem, Unmet):
            report.longrepr = plain(str(problem))
        if isinstance(problem, LabError) and self.lab and problem not in self.reported:
            problem = self.lab.cause(problem)
            if self.lab.lost and self.member:
                self._leave(problem)
            if self.lab.lost:  # of which every test that follows would fail, too
                item.session.shouldstop = "the engine is gone"
        if isinstance(problem, LabError):
            # The user's mistake, in one sentence, once: our own frames would only hide it.
            if problem in self.reported:
                report.outcome = "skipped"
                report.longrepr = (str(item.path), item.location[1] or 0, "not measured, see above")
            else:
                report.longrepr = plain(str(problem))
                self.reported.append(problem)
        self._record(item, report, problem)
        return report

    def _leave(self, problem: LabError) -> Never:
        """End as a worker that was killed: what it was measuring is measured on another engine."""
        self.terminal.write(f"\nlayerlab: {plain(str(problem))}\n")
        self.terminal.flush()
        os._exit(pytest.ExitCode.INTERNAL_ERROR)

    def _record(self, item: pytest.Item, report: pytest.TestReport, problem: object) -> None:
        """Record what became of a part of a test; not of one that a resumed run must measure anew."""
        experiment = replay.experiment_of(item)
        if self.lab is None or experiment is None or isinstance(item, replay.Recorded):
            return
        if isinstance(problem, RunLost):
            self.lab.ending = State.LOST
        outcome = Outcome(
            experiment=experiment,
            nodeid=item.nodeid,
            stage=report.when or "",
            outcome=report.outcome,
            told=replay.told(report),
            fault=isinstance(problem, LabError),
            seconds=report.duration,
            ended=now(),
            place=self.lab.place,
        )
        self._kept(lambda lab: lab.store.add_outcome(lab.run.id, outcome))

    def _properties(self, item: pytest.Item) -> list[tuple[str, object]]:
        """What was measured of a test's variant, for JUnit's file."""
        mark = item.get_closest_marker("experiment")
        if self.lab is None or mark is None:
            return []
        samples = self.lab.store.samples(self.lab.run.id)
        return [
            pair
            for variant in _selected([item])
            for pair in medians(samples, mark.args[0], variant.name)
        ]

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        stopped = (pytest.ExitCode.INTERRUPTED, pytest.ExitCode.INTERNAL_ERROR)
        if self.lab and session.exitstatus in stopped and self.lab.ending == State.DONE:
            self.lab.ending = State.INTERRUPTED
        if self.member:
            if self.lab:
                spread.tell(self.config, self.lab, faulty=bool(self.reported))
            return
        if self.leader:
            self.leader.finish()
        if self.lab:
            self._compare(session, self.lab)
        faulty = self.reported or (self.leader and self.leader.faulty)
        if faulty and session.exitstatus in (0, pytest.ExitCode.TESTS_FAILED):
            session.exitstatus = BAD_INPUT

    def _compare(self, session: pytest.Session, lab: Lab) -> None:
        """Compare the variants with the baseline, and hold them to the gates."""
        try:
            self.comparisons = lab.comparisons()
            broken, self.held = gate.told(self.gates, self.comparisons)
            if broken and session.exitstatus == pytest.ExitCode.OK:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
        except LabError as error:
            self.held = [str(error)]
            self.reported.append(error)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.lab is None:
            return
        requested = [name for name in REQUESTS if self.config.getoption(name)]
        chapters = [
            *self.lab.recorded.values(),
            *(self._chapter(self.lab, experiment) for experiment in self.lab.results),
        ]
        told = summary.sections(
            self.lab, chapters, self.comparisons, requested=requested, width=self.width
        )
        for title, lines in told:
            terminalreporter.section(title)
            for line in lines:
                terminalreporter.write_line(line)
        for line in self.held:
            terminalreporter.write_line(f"layerlab: {plain(line)}")
        step_summary = os.environ.get("GITHUB_STEP_SUMMARY")
        try:
            pages.write(
                self.lab, chapters, self.comparisons, Path(step_summary) if step_summary else None
            )
        except LabError as error:
            terminalreporter.write_line(f"layerlab: the report is not written: {plain(str(error))}")
        except OSError as error:
            # A disk that is full names no file.
            why = os_sentence(error) if error.filename else f"{error.strerror}: free some space"
            terminalreporter.write_line(f"layerlab: the report is not written: {plain(why)}")

    def pytest_unconfigure(self) -> None:
        self.stack.close()


def own_words(project: Path, folder: str) -> list[str]:
    """What `lab run` and `lab test` tell pytest before the user's words.

    pytest takes an option's value for a test file when it looks for its own settings: without
    this, `--variant ../other/my.Dockerfile` would make it read the settings of another project.
    """
    settings = str(project / "pyproject.toml")
    return ["--rootdir", str(project), "--config-file", settings, "-o", f"testpaths={folder}"]


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
def lab(
    request: pytest.FixtureRequest, record_testsuite_property: Callable[[str, object], None]
) -> Lab:
    """The lab: an engine with its base images, a run, and a store for its samples."""
    found = _session(request).lab
    assert found is not None
    record_testsuite_property("layerlab.run", found.run.id)
    record_testsuite_property("layerlab.engine", plain(found.endpoint.described()))
    return found
