"""The environment lab: who wins when two ways set one variable, and what odd values become."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from layerlab.build import watch
from layerlab.build.variant import Variant
from layerlab.errors import LabError
from layerlab.lab import Lab
from layerlab.run import compose, container, env, envfile, handover, ports, spelling
from layerlab.run.env import RULES, Pair, Rule, Way
from layerlab.run.handover import DOCKER_RUN, Setting, Start
from layerlab.run.spelling import Odd
from layerlab.show import env as tables
from layerlab.show.section import Section

EXPERIMENT = "env-injection"
SERVICE = "web"
#: In a `.env` that no one asks for its value.
FORGOTTEN = "LAB_FORGOTTEN"


@dataclass(frozen=True)
class Answers:
    """What the running app answered."""

    #: variable -> its value, or None where the app has no such variable
    values: Mapping[str, str | None]
    #: Ways that this engine or its client does not have, and why.
    lacking: Mapping[Way, str]
    question: ClassVar[str] = tables.QUESTION

    def answer(self) -> str:
        """Who wins over all others; see :class:`layerlab.result.Result`."""
        return tables.answer(self._winners())

    def _winners(self) -> dict[Pair, Way | None]:
        return {one: self.winner(one) for one in env.pairs() if one.variable in self.values}

    def winner(self, pair: Pair) -> Way | None:
        """Whose value the app has, of two ways; None where it has neither's."""
        return env.winner(pair, self.values[pair.variable])

    def available(self, *ways: Way) -> str | None:
        """Why a way of these can't be had here; None where all can."""
        return next((self.lacking[way] for way in ways if way in self.lacking), None)

    def sections(self, style: str, width: int) -> Iterator[Section]:
        """The results as tables; see :class:`layerlab.result.Result`."""
        winners = {(pair.one, pair.other): way for pair, way in self._winners().items()}
        yield Section(
            "environment: who wins when two ways set one variable",
            tables.winners(winners, self.lacking, style),
            tables.winners_notes(self.lacking),
        )
        arrived = {
            (odd, way): self.values[odd.variable(way)]
            for odd in spelling.ODD
            for way in env.WAYS
            if odd.variable(way) in self.values
        }
        yield Section(
            "environment: what odd values become",
            tables.oddities(arrived, self.lacking, style),
            tables.oddities_notes(),
        )

    def figures(self, folder: Path) -> Iterator[tuple[str, Path]]:
        """No pictures: nothing here has a size."""
        yield from ()


def settings(ways: Sequence[Way]) -> list[Setting]:
    """A variable for every pair of ways, and for every odd value in every way that can give it."""
    found = [
        Setting(pair.variable, {way: env.value(way) for way in pair.ways})
        for pair in env.pairs(ways)
    ]
    for odd in spelling.ODD:
        for way in ways:
            if not way.removes and spelling.unspeakable(way, odd.text) is None:
                found.append(Setting(odd.variable(way), {way: odd.text}))
    return found


def measure(lab: Lab, variant: Variant) -> Answers:
    """Hand all settings to a few containers of the variant's image, and ask each app for them.

    Raises:
        LabError: the image can't be built, or a container does not serve.
    """
    if problem := lab.problems.get(variant.name):
        raise problem
    lacking = {way: why for way in env.WAYS if (why := env.lacking(way, lab.endpoint.can))}
    everything = settings([way for way in env.WAYS if way not in lacking])
    starts = list(dict.fromkeys(one.start for one in everything))
    values: dict[str, str | None] = {}
    with lab.screen.work("environment", len(starts) + 1):
        image = _image(lab, variant, everything)
        lab.screen.done()
        for env_file in (False, True):
            here = [start for start in starts if start.env_file == env_file]
            for start, shown in _started(lab, image, everything, here):
                mine = [one.variable for one in everything if one.start == start]
                values.update({name: shown.get(name) for name in mine})
                if start.tool == "compose" and not env_file:
                    values[FORGOTTEN] = values.get(FORGOTTEN) or shown.get(FORGOTTEN)
                lab.screen.done()
    answers = Answers(values, lacking)
    lab.results[EXPERIMENT] = answers
    return answers


def _image(lab: Lab, variant: Variant, everything: Sequence[Setting]) -> str:
    """The variant's image with variables on top; its name."""
    lab.build(variant, lab.context(EXPERIMENT, None), "build")
    lab.screen.doing("build: variables on top")
    folder = _folder(lab, "image")
    file = folder / "Dockerfile"
    file.write_text(handover.dockerfile(lab.tag(variant), everything), encoding="utf-8")
    tag = f"layerlab/{EXPERIMENT}:{lab.run.id}"
    words = ["buildx", "build", "--load", "--provenance=false", "--tag", tag, "--file", str(file)]
    words += [*lab.run.label_words, *watch.options(lab.run.confinement)]
    for name, text in handover.pick(everything, env.BUILD_ARG).items():
        words += ["--build-arg", f"{name}={text}"]
    lab.endpoint.run(
        *words,
        folder,
        doing="building an image with variables",
        timeout=lab.settings.build_limit_seconds,
    )
    return tag


def _started(
    lab: Lab, image: str, everything: Sequence[Setting], starts: Sequence[Start]
) -> Iterator[tuple[Start, dict[str, str]]]:
    """Start a container in each way, and read its variables; all have the same `--env-file`, or none."""
    if DOCKER_RUN in starts:
        lab.screen.doing("docker run")
        yield DOCKER_RUN, _by_docker_run(lab, image, everything)
    composed = [start for start in starts if start.tool == "compose"]
    if not composed:
        return
    env_file = composed[0].env_file
    mine = [one for one in everything if one.start in composed]
    folder = _folder(lab, "compose-env-file" if env_file else "compose")
    texts = handover.compose_files(mine)
    texts[".env"] += f"{FORGOTTEN}=from-.env\n"
    for name, text in texts.items():
        _written(folder / name, text, compose=True)
    service = handover.service(image, ports.publishing(lab.endpoint), mine)
    project = compose.project(
        lab.endpoint,
        lab.run,
        folder,
        {SERVICE: service},
        options=("--env-file", str(folder / "cli.env")) if env_file else (),
        shell=handover.pick(mine, env.SHELL),
    )
    with project as running:
        for start in composed:
            flags = handover.compose_flags(mine)
            lab.screen.doing(f"docker compose {'run' if start.one_off else 'up'}")
            one = running.run(SERVICE, flags) if start.one_off else running.up(SERVICE)
            with one as app:
                yield start, _environment(app)


def _by_docker_run(lab: Lab, image: str, everything: Sequence[Setting]) -> dict[str, str]:
    mine = [one for one in everything if one.start == DOCKER_RUN]
    file = _folder(lab, "run") / "run.env"
    _written(file, handover.raw_file(mine), compose=False)
    environment = container.Environment(
        handover.run_flags(mine), [file], handover.pick(mine, env.RUN_BARE)
    )
    with container.running(
        lab.endpoint, lab.run, image, environment, purpose=EXPERIMENT
    ) as running:
        return _environment(running)


def _environment(app: container.Container) -> dict[str, str]:
    """The variables that the app shows.

    Raises:
        LabError: it is not the app of this project.
    """
    shown = app.get("/info").get("environment")
    if not isinstance(shown, dict):
        raise LabError("/info shows no `environment`: is app/status.py this project's?")
    return shown


def _folder(lab: Lab, name: str) -> Path:
    folder = lab.run.folder / EXPERIMENT / name
    folder.mkdir(parents=True)
    return folder


def _written(path: Path, text: str, *, compose: bool) -> None:
    path.write_text(text, encoding="utf-8")
    envfile.check(path, compose=compose)


def explain(pair: Pair, answers: Answers, rules: Sequence[Rule] = RULES) -> str | None:
    """How the app's answer differs from the prediction, for people; None where it does not."""
    won = answers.winner(pair)
    predicted = env.predict(pair, rules)
    if predicted is not None and predicted[0] == won:
        return None
    said = answers.values[pair.variable]
    got = "no such variable" if said is None else f"`{said}`"
    if predicted is None:
        return f"{pair}: no rule says who wins; the app has {got}"
    expected, rule = predicted
    why = f" ({rule.sentence}: {rule.page})" if rule else ""
    return (
        f"{pair}: `{expected.name}` should win{why}, and "
        f"{f'`{won.name}` won' if won else 'neither did'}: the app has {got}"
    )


def explain_odd(odd: Odd, way: Way, answers: Answers) -> str | None:
    """How an odd value came through otherwise than predicted; None where it did not."""
    expected, changes = spelling.arrives(way, odd.text)
    said = answers.values[odd.variable(way)]
    if said == expected:
        return None
    rules = "; ".join(change.sentence for change in changes) or "nothing changes it"
    got = "no such variable" if said is None else repr(said[-60:])
    return f"`{way.name}`, {odd.name}: expected {expected[-60:]!r} ({rules}), and the app has {got}"
