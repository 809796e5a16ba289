"""A session: one pytest command with its engine, its lab, and what becomes of its tests."""

import io
import os
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from layerlab import interruption, opening, plugin_options, replay, several, spread
from layerlab.asked import Asked, selected
from layerlab.build.variant import Variant
from layerlab.chapters import chapter_of
from layerlab.command import this_command
from layerlab.engine import leftovers
from layerlab.engine.choice import choose
from layerlab.engine.endpoint import Endpoint
from layerlab.engine.limits import UNTRUSTED
from layerlab.engine.processors import Spent, spending
from layerlab.errors import LabError, RunLost, os_sentence
from layerlab.folders import called_from
from layerlab.lab import Lab, recorded_engine
from layerlab.labs import layer_cache
from layerlab.record import resume
from layerlab.record.run import RunRecord, State
from layerlab.record.store import reading
from layerlab.settings import Settings
from layerlab.show.chapter import Chapter, packed
from layerlab.show.live import Screen
from layerlab.spread import Leader
from layerlab.text import plain

NEEDS_ENGINE = ("lab", "endpoint")
#: The experiments that go on after their last complete round; all others are measured anew.
BY_ROUNDS = (layer_cache.EXPERIMENT,)


@contextmanager
def refusing() -> Iterator[None]:
    """Has what is wrong with what was given end the session for good, in one sentence.

    pytest lets a UsageError pass through with its clean-up done.
    """
    try:
        yield
    except LabError as error:
        raise pytest.UsageError(plain(str(error))) from error
    except OSError as error:
        if error.filename is None:
            raise
        raise pytest.UsageError(plain(os_sentence(error))) from error


class Session:
    """What one pytest session holds: the variants, the engine, the lab."""

    def __init__(self, config: pytest.Config, asked: Asked) -> None:
        self.config = config
        self.asked = asked
        self.stack = ExitStack()
        # Captured before pytest redirects it during tests, so that progress is seen.
        terminal = open(os.dup(2), "w", encoding="utf-8")  # noqa: PTH123, SIM115
        #: What this process was told, where it is one of several that measure.
        self.member = spread.member(config)
        self.terminal = self.stack.enter_context(terminal)
        # Several would write over each other's lines.
        self.screen = Screen(io.StringIO() if self.member else self.terminal)
        self.endpoint: Endpoint | None = None
        self.lab: Lab | None = None
        self.reported: list[LabError] = []
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
        # pytest's own keeps what a finalizer raised, to tell it at the end.
        sys.unraisablehook = interruption.again(sys.unraisablehook)
        if self.leader is None:
            return
        with refusing():
            variants = self.asked.variants()
            self.asked.check([variant.name for variant in variants])
            self.lab = self.leader.begin(self.stack, variants, _set_up())

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        if word := self.config.getoption("resume"):
            try:
                self._resume(word, items)
            except LabError as error:
                self.asked.broken = self.asked.broken or error

    def _resume(self, word: str, items: list[pytest.Item]) -> None:
        """Take the tests of experiments that had come to their end from the record.

        Raises:
            LabError: the run can't be gone on with.
        """
        home, alive = leftovers.home(), leftovers.alive()
        with reading(self.project) as store:
            record = resume.stopped(store.runs(), word, home, alive)
            resume.check_words(record, self.words)
            if self.asked.broken:
                raise self.asked.broken
            resume.check_variants(record, selected(items))
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
        with refusing():
            self.asked.check([variant.name for variant in selected(session.items)])
        used = [item for item in session.items if set(NEEDS_ENGINE) & set(_fixtures(item))]
        if not (used or self.resumed) or self.config.getoption("collectonly"):
            return
        self._left.update(filter(None, map(replay.experiment_of, session.items)))
        took = {} if self.member else _set_up()
        with refusing():
            with spending() as took["engine"]:
                self.endpoint = self._choose()
            if self.resumed or any("lab" in _fixtures(item) for item in used):
                self._open_lab(self.endpoint, selected(session.items), took)

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
                here = recorded_engine(endpoint)
                with reading(self.project) as store:
                    places = store.places(self.resumed.id)
                self.resumed, place = resume.at(self.resumed, places, here)
                resume.check_engine(self.resumed, here)
            opened = opening.opened(endpoint, self.screen, settings, variants, took, self.resumed)
        self.lab = self.stack.enter_context(opened)
        self.lab.place = self.lab.place or place

    def _settings(self) -> Settings:
        profile = UNTRUSTED if self.config.getoption("untrusted") else None
        build_limit = self.config.getoption("build_limit")
        return Settings(
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
            command=this_command(),
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
            chapter = packed(self.chapter(self.lab, experiment))
            self.keep(lambda lab: lab.store.keep_chapter(lab.run.id, experiment, chapter))
        return done

    def chapter(self, lab: Lab, experiment: str) -> Chapter:
        """What an experiment shows, made once: its pictures take time."""
        if experiment not in self._chapters:
            result = lab.results[experiment]
            self._chapters[experiment] = chapter_of(experiment, result, self.width, lab.run.folder)
        return self._chapters[experiment]

    def keep(self, work: Callable[[Lab], None]) -> None:
        """Record something of the run itself; where the store can't be written, the run is lost."""
        if self.lab is None or self.lab.ending == State.LOST:
            return
        try:
            work(self.lab)
        except RunLost as problem:
            self.lab.ending = State.LOST
            self.lab.notes.append(str(problem))
            self.reported.append(problem)

    def pytest_unconfigure(self) -> None:
        self.stack.close()


def own_words(project: Path, folder: str) -> list[str]:
    """What `lab run` and `lab test` tell pytest before the user's words.

    pytest takes an option's value for a test file when it looks for its own settings: without
    this, `--variant ../other/my.Dockerfile` would make it read the settings of another project.
    """
    settings = str(project / "pyproject.toml")
    return ["--rootdir", str(project), "--config-file", settings, "-o", f"testpaths={folder}"]


def _set_up() -> dict[str, Spent]:
    """What the bootstrap script took to make the environment, where it made it now."""
    seconds = os.environ.get("LAYERLAB_ENVIRONMENT_SECONDS")
    return {"set-up": Spent(float(seconds))} if seconds else {}


def _fixtures(item: pytest.Item) -> list[str]:
    return list(getattr(item, "fixturenames", ()))
