"""The secrets lab: who can read a secret, by the way it was handed over."""

import json
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from layerlab.build import watch
from layerlab.build.variant import Variant
from layerlab.engine.command import run as run_command
from layerlab.errors import LabError
from layerlab.image import export
from layerlab.image.needles import MASK, Needles, read_values
from layerlab.image.secrets import HISTORY, LAYER, Finding, Search
from layerlab.lab import Lab
from layerlab.run import compose, confined, container, readers, spelling, swarm
from layerlab.run.readers import (
    BUILD_ARG,
    BUILD_SECRET,
    CHILD,
    COMPOSE_ENV,
    COMPOSE_SECRET,
    COMPOSED,
    COPIED,
    ENV_FILE,
    IMAGE_ENV,
    INSIDE,
    OF_IMAGE,
    PULLS,
    REMOVED,
    RUN_ENV,
    SWARM_SECRET,
    WAYS,
    Found,
    Way,
)
from layerlab.show import secrets as tables
from layerlab.show.section import Section

EXPERIMENT = "secrets"
#: Characters of each half of a secret.
RANDOM = 16
#: Which file of the archive it is says nothing to people: its name is another in each run.
_BLOB = re.compile(r"^blobs/sha256/[0-9a-f]+: ")


@dataclass(frozen=True)
class Readers:
    """Who read the secret of each way, and where."""

    found: tuple[Found, ...]
    #: Ways that this engine or its client does not have, and why.
    lacking: Mapping[Way, str]
    #: The halves of what was looked for, which are to be nowhere else; it tells nobody what they are.
    needles: Needles = field(repr=False, compare=False)
    question: ClassVar[str] = tables.QUESTION

    def answer(self) -> str:
        """Which ways keep a secret from whom; see :class:`layerlab.result.Result`."""
        return tables.answer(self.found, self.lacking)

    def of(self, way: Way, person: str | None = None) -> list[Found]:
        """Where a person, or anybody, read the secret of a way."""
        return [one for one in self.found if one.way == way and person in (None, one.person)]

    def level(self, way: Way) -> str:
        return readers.level({one.person for one in self.of(way)})

    def sections(self, style: str, width: int) -> Iterator[Section]:
        """The results as tables; see :class:`layerlab.result.Result`."""
        yield Section(
            "secrets: who can read one, by the way it is handed over",
            tables.people(self.found, self.lacking, style),
            tables.people_notes(self.lacking),
        )
        yield Section("secrets: where it was read", tables.places(self.found, style, width))

    def figures(self, folder: Path) -> Iterator[tuple[str, Path]]:
        """No pictures: nothing here has a size."""
        yield from ()


class Canary(str):
    """A text that no traceback shows."""

    def __repr__(self) -> str:
        return MASK

    @property
    def halves(self) -> tuple[str, str]:
        """The random parts; an error may quote one of them alone, as of a file's broken line."""
        return self[:RANDOM], self[-RANDOM:]


def canary() -> Canary:
    """A secret for one way and one run, with characters that encoders change."""
    one, other = (secrets.token_hex(RANDOM // 2) for _ in range(2))
    return Canary(f'{one}/+"&={other}')


def measure(lab: Lab, variant: Variant) -> Readers:
    """Hand a secret of its own over in each way, and look for it as each of the people.

    Raises:
        LabError: the image can't be built, or a container does not run; no secret is in what it says.
    """
    if problem := lab.problems.get(variant.name):
        raise problem
    given = {way: canary() for way in WAYS}
    needles = Needles(read_values("\n".join(given.values()).encode()))
    parts = [half for one in given.values() for half in one.halves]
    halves = Needles(read_values("\n".join(parts).encode()))
    measuring = _Measuring(lab, variant, given, needles)
    try:
        with lab.screen.work("secrets", 5):
            measuring.all()
    except LabError as error:
        raise LabError(halves.mask_cut(needles.mask_cut(str(error)))) from None
    result = Readers(tuple(dict.fromkeys(measuring.found)), measuring.lacking, halves)
    lab.results[EXPERIMENT] = result
    return result


class _Measuring:
    """One measurement; what it hands to Docker goes by files, standard input and the environment."""

    def __init__(
        self, lab: Lab, variant: Variant, given: Mapping[Way, str], needles: Needles
    ) -> None:
        self._lab = lab
        self._endpoint = lab.endpoint
        self._variant = variant
        self._given = given
        self._needles = needles
        self._tag = f"layerlab/{EXPERIMENT}:{lab.run.id}"
        self.found: list[Found] = []
        self.lacking: dict[Way, str] = {}

    def all(self) -> None:
        self._build()
        self._lab.screen.done()
        self._pull()
        self._lab.screen.done()
        self._lab.screen.doing("docker run")
        self._run()
        self._lab.screen.done()
        self._lab.screen.doing("docker compose up")
        self._compose()
        self._lab.screen.done()
        self._lab.screen.doing("docker service create")
        self._swarm()
        self._lab.screen.done()

    def _folder(self, name: str) -> Path:
        folder = self._lab.run.folder / EXPERIMENT / name
        folder.mkdir(parents=True)
        return folder

    def _build(self) -> None:
        """An image with a secret in each way that images have; on top of the variant's."""
        self._lab.build(self._variant, self._lab.context(EXPERIMENT, None), "build")
        self._lab.screen.doing("build: secrets on top")
        folder = self._folder("image")
        for name, way in (("copied", COPIED), ("removed", REMOVED)):
            (folder / name).mkdir()
            text = f"{way.key}={self._given[way]}\n"
            _written(folder / name / ".env", text)
        secret = self._folder("build-secret") / "value"
        _written(secret, self._given[BUILD_SECRET])
        lines = [
            f"FROM {self._lab.tag(self._variant)}",
            "USER root",
            f"ENV {IMAGE_ENV.key}={spelling.dockerfile(self._given[IMAGE_ENV])}",
            "COPY copied/.env /srv/copied/.env",
            "COPY removed/.env /srv/removed/.env",
            "RUN rm /srv/removed/.env",
            f"RUN --mount=type=secret,id={BUILD_SECRET.key} test -s /run/secrets/{BUILD_SECRET.key}",
            f"ARG {BUILD_ARG.key}",
            f'RUN test -n "${BUILD_ARG.key}"',
            "USER app",
        ]
        file = folder / "Dockerfile"
        _written(file, "\n".join(lines) + "\n")
        words = ["buildx", "build", "--load", "--tag", self._tag, "--file", str(file)]
        # The classic store keeps no attestations, and refuses to be asked for one.
        keeps = self._endpoint.can.image_store == "containerd"
        words.append("--provenance=mode=max" if keeps else "--provenance=false")
        words += [*self._lab.run.label_words, *watch.options(self._lab.run.confinement)]
        words += ["--build-arg", BUILD_ARG.key, "--secret", f"id={BUILD_SECRET.key},src={secret}"]
        run_command(
            self._endpoint.command(*words, folder),
            doing="building an image with secrets",
            environ={**self._endpoint.environ(), BUILD_ARG.key: self._given[BUILD_ARG]},
            timeout=self._lab.settings.build_limit_seconds,
        )

    def _pull(self) -> None:
        """As who pulls: this image, and the one that all other containers have."""
        self._lab.screen.doing("reading the image")
        archive = self._folder("pulled") / "images.tar"
        names = (self._tag, self._lab.tag(self._variant))
        self._endpoint.run("save", "--output", archive, *names, doing="saving the image")
        search = Search(self._needles)
        images = export.from_file(archive, compress=False, watch=search)
        archive.unlink()
        for one in search.searched(images).findings:
            way = WAYS[one.needle.number - 1]
            where = readers.in_form(_where(one), one.form)
            self.found.append(Found(way, PULLS, one.place, where, bool(one.hidden_by)))

    def _run(self) -> None:
        name = f"layerlab-{EXPERIMENT}-{self._lab.run.id}"
        words = ["run", "--detach", "--pull", "never", "--no-healthcheck", "--name", name]
        words += ["--memory", container.MEMORY, "--pids-limit", str(container.PIDS)]
        if self._lab.run.confinement:
            words += [*confined.words(self._lab.run.confinement), "--network", "none"]
        words += [*self._lab.run.label_words, "--env", RUN_ENV.key, self._tag, *readers.APP]
        ways = (*OF_IMAGE, RUN_ENV)
        try:
            run_command(
                self._endpoint.command(*words),
                doing="starting a container",
                environ={**self._endpoint.environ(), RUN_ENV.key: self._given[RUN_ENV]},
                timeout=container.START_SECONDS,
            )
            self._inspect(ways, "docker image inspect", "image", "inspect", self._tag)
            self._inspect(ways, "docker history", "history", "--no-trunc", self._tag)
            self._look(name, ways)
        finally:
            container.remove(self._endpoint, name)

    def _compose(self) -> None:
        ways = list(COMPOSED)
        if self._endpoint.can.compose is None:
            self.lacking |= dict.fromkeys(ways, "this client has no docker compose")
            return
        if self._endpoint.remote:
            ways.remove(COMPOSE_SECRET)
            self.lacking[COMPOSE_SECRET] = (
                "the engine is on another machine, and compose mounts a secret's file from here"
            )
        folder = self._folder("compose")
        _written(folder / ".env", f"{ENV_FILE.key}={spelling.dotenv(self._given[ENV_FILE])}\n")
        _written(folder / "secret.txt", self._given[COMPOSE_SECRET])
        more = {"secrets": {COMPOSE_SECRET.key: {"file": "./secret.txt"}}}
        _written(folder / "secrets.yaml", json.dumps(more if COMPOSE_SECRET in ways else {}))
        common: dict[str, Any] = {
            "image": self._lab.tag(self._variant),
            "command": list(map(_undollared, readers.APP)),
            "healthcheck": {"disable": True},
        }
        of_way: dict[Way, dict[str, Any]] = {
            COMPOSE_ENV: {"environment": {COMPOSE_ENV.key: self._given[COMPOSE_ENV]}},
            ENV_FILE: {"env_file": [".env"]},
            COMPOSE_SECRET: {"secrets": [COMPOSE_SECRET.key]},
        }
        services = {f"way-{way.number}": {**common, **of_way[way]} for way in ways}
        files = [str(folder / name) for name in ("compose.yaml", "secrets.yaml")]
        options = [word for file in files for word in ("--file", file)]
        project = compose.project(
            self._endpoint, self._lab.run, folder, services, options=options, shell={}
        )
        with project as running:
            running.compose("up", "--detach", "--no-build", doing="docker compose up")
            config = running.compose("config", "--format", "json", doing="docker compose config")
            self._shown(ways, "docker compose config", config)
            for way in ways:
                words = ("ps", "--all", "--quiet", f"way-{way.number}")
                found = running.compose(*words, doing="docker compose ps").split()
                if not found:
                    raise LabError(f"{way.name}: docker compose up made no container")
                self._look(found[0], [way])

    def _swarm(self) -> None:
        unsafe = "a Swarm service can't be held to what --untrusted allows"
        if why := unsafe if self._lab.run.confinement else swarm.lacking(self._endpoint):
            self.lacking[SWARM_SECRET] = why
            return
        run, image, ways = self._lab.run, self._lab.tag(self._variant), [SWARM_SECRET]
        secret = (SWARM_SECRET.key, self._given[SWARM_SECRET])
        try:
            with (
                swarm.joined(self._endpoint),
                swarm.service(self._endpoint, run, image, secret, readers.APP) as (name, its),
            ):
                self._inspect(ways, "docker service inspect", "service", "inspect", name)
                self._inspect(ways, "docker secret inspect", "secret", "inspect", secret[0])
                self._inspect(ways, "docker service logs", "service", "logs", name)
                self._look(its, ways)
        except swarm.NoSwarm as error:
            said = " ".join(str(error).split())
            self.lacking[SWARM_SECRET] = f"no swarm can be had here: {said[:300]}"

    def _look(self, name: str, ways: Sequence[Way]) -> None:
        """At one container, as who can inspect it, from inside, and as a child of its app."""
        for person in (CHILD, INSIDE):
            doing = f"looking around in {name}"
            answer = self._endpoint.run("exec", name, *readers.ASKING[person], doing=doing)
            self.found += readers.in_survey(self._needles, ways, person, answer)
        self._inspect(ways, "docker inspect", "inspect", name)
        logs = run_command(
            self._endpoint.command("logs", name),
            doing="reading the log",
            environ=self._endpoint.environ(),
        )
        if "serving" not in logs:
            raise LabError(f"{name}: its log is not the app's")
        self._shown(ways, "docker logs", logs)

    def _inspect(self, ways: Sequence[Way], kind: str, *words: str) -> None:
        self._shown(ways, kind, self._endpoint.run(*words, doing=kind))

    def _shown(self, ways: Sequence[Way], kind: str, output: str) -> None:
        self.found += readers.in_output(self._needles, ways, kind, output)


def _where(one: Finding) -> str:
    if one.place == LAYER:
        return f"layer {one.layer}, {one.where}"
    if one.place == HISTORY:
        return f"{one.where} {one.instruction}"
    return _BLOB.sub("", one.where)


def _undollared(word: str) -> str:
    """As compose, which interpolates, has to be told."""
    return word.replace("$", "$$")


def _written(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    # As editors leave it; the app's user has to be able to read what is copied or mounted.
    path.chmod(0o644)
