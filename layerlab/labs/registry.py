"""The registry lab: what a push and a pull move, whole and after an edit."""

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from layerlab.build.context import EDITS, Edit
from layerlab.build.variant import Variant
from layerlab.engine import bases, fresh, relay
from layerlab.engine.bases import Base
from layerlab.engine.endpoint import Endpoint
from layerlab.errors import LabError, RunLost
from layerlab.image.export import from_engine
from layerlab.image.layers import Image
from layerlab.image.memory import of_user
from layerlab.lab import Lab, slug
from layerlab.record.samples import transfer_samples
from layerlab.run import registry, transfers
from layerlab.run.moves import FIRST, PULL, UPDATE, Moves, judge, modelled_bytes
from layerlab.run.registry import Blob, Registry
from layerlab.run.transfers import Pull, Push
from layerlab.show import registry as tables
from layerlab.show.section import Section
from layerlab.show.units import bytes_text

EXPERIMENT = "registry"
#: The edits that are pushed, each on top of the one before.
PUSHED_EDITS = tuple(e for e in EDITS if e.scenario in ("source-edit", "requirements-edit"))
PUSHES = (FIRST, *(edit.scenario for edit in PUSHED_EDITS))
TAG = "latest"
#: So much may the image lab's compressed size differ: it models gzip with another compressor than Docker's.
#: Measured: +2.2 % and +2.3 % on Engine 28.5 (Go 1.27).
TOLERANCE = 0.05
#: Builds and pushes of bases side by side, while nothing is timed.
WORKERS = 2


@dataclass(frozen=True)
class Transfers:
    """What the registry lab measured."""

    moves: dict[str, Moves]
    #: base -> its push, beside the builds
    bases: dict[str, Push]
    #: variant -> why it could not be measured
    problems: dict[str, LabError]
    #: Why nothing is pulled, as a clause; None where it is.
    lacking: str | None = field(default=None, kw_only=True)

    def of(self, variant: Variant) -> Moves:
        """A variant's.

        Raises:
            LabError: it could not be built, pushed or pulled.
        """
        if problem := self.problems.get(variant.name):
            raise problem
        return self.moves[variant.name]

    def sections(self, style: str, width: int) -> Iterator[Section]:
        """The results as tables; see :class:`layerlab.lab.Result`."""
        if not self.moves:
            return
        told = [
            f"{name} ({len(push.manifest.layers)} layers, {bytes_text(push.manifest.bytes)})"
            for name, push in self.bases.items()
        ]
        yield Section(
            "registry: layers, bytes and seconds of a push",
            tables.pushes(self.moves, PUSHES, style),
            (
                f"Beyond the base: it was there before, as on Docker Hub: {', '.join(told)}.",
                "Bytes: compressed layers that the registry did not have of this image, by its manifests and "
                + "its access log. Seconds: wall clock of one `docker push`.",
            ),
        )
        yield Section(
            "registry: layers, bytes and seconds of a pull, and the size there",
            tables.pulls(self.moves, (PULL, UPDATE), style),
            tuple(self._notes()),
        )

    def _notes(self) -> Iterator[str]:
        if self.lacking:
            yield f"Nothing was pulled: {self.lacking}."
        else:
            yield (
                "Pull: of the first image by its digest, onto an engine that has only the base. "
                "Source edit: of the tag after that, with the first image there."
            )
        yield (
            "Size: all layers as the registry holds them. Model: the image lab's compressed size; up to "
            f"{TOLERANCE:.0%} apart is the compressor's doing, which Docker changes."
        )
        if plain := [one for one in self.moves.values() if one.plain]:
            yield (
                f"{plain[0].plain} layers of {plain[0].variant} are there as plain tar: the engine pushes them "
                "as it has them, and they were loaded so."
            )
        looked = [one for one in self.moves.values() if one.pulls]
        noticed = [one for one in looked if one.moved]
        if noticed:
            yield (
                f"A tag that moved was noticed in {len(noticed)} of {len(looked)}, such as "
                f"{noticed[-1].moved}; by its digest the first image came all the same."
            )

    def figures(self, folder: Path) -> Iterator[tuple[str, Path]]:
        """No pictures yet."""
        yield from ()


@dataclass(frozen=True)
class _Images:
    """A variant's images on the engine: a name for each push, and what the image lab says of the first."""

    names: Mapping[str, str]
    first: Image


def measure(lab: Lab, variants: Sequence[Variant]) -> Transfers:
    """Push each variant's image whole and after each edit, and pull it onto an engine with only the base.

    Images are built and bases pushed before anything is timed. A variant that fails is left out.

    Raises:
        LabError: the registry or the second engine does not start.
    """
    begun = time.monotonic()
    endpoint, say = lab.endpoint, lab.screen.say
    (image,) = bases.ensure(
        endpoint, [registry.IMAGE], standins=lab.settings.standins, progress=say
    )
    lacking = (
        None if endpoint.private else "layerlab starts a second engine beside its own one only"
    )
    result = Transfers({}, {}, lab.problems, lacking=lacking)
    lab.results[EXPERIMENT] = result
    with lab.screen.work("registry", len(variants) * 2), ExitStack() as stack:
        there = stack.enter_context(registry.serving(endpoint, lab.run, image.reference))
        second = None
        if lacking is None:
            engine = stack.enter_context(fresh.engine("pulls", endpoint.can.image_store, say))
            leads = relay.leading(engine, there.port, (endpoint.address, there.port))
            stack.enter_context(leads)
            second = engine.endpoint()
        measuring = _Measuring(lab, there, second, result)
        built = measuring.prepare(variants)
        for position, variant in enumerate(variants, 1):
            if variant.name not in result.problems:
                lab.screen.doing(f"push and pull: {variant.name}")
                try:
                    images = built[variant.name]
                    result.moves[variant.name] = measuring.one(variant, position, images)
                except RunLost as problem:
                    result.problems.update({v.name: problem for v in variants})
                except LabError as problem:
                    result.problems[variant.name] = problem
            lab.screen.done()
    lab.took[EXPERIMENT] = time.monotonic() - begun
    return result


class _Measuring:
    """One measurement: an engine that pushes, a registry, an engine that pulls."""

    def __init__(
        self, lab: Lab, there: Registry, second: Endpoint | None, result: Transfers
    ) -> None:
        self._lab = lab
        self._there = there
        self._second = second
        self._result = result

    def prepare(self, variants: Sequence[Variant]) -> dict[str, _Images]:
        """Build all images, push the bases, and have them on the second engine."""
        pool = ThreadPoolExecutor(WORKERS, "layerlab-registry")
        try:
            names = {_base(variant) for variant in variants}
            needed = [base for base in self._lab.bases if base.name in names]
            pushed = pool.submit(self._push_bases, needed)
            images: dict[str, Future[_Images]] = {
                variant.name: pool.submit(self._build, variant)
                for variant in variants
                if variant.name not in self._result.problems
            }
            built: dict[str, _Images] = {}
            for name, future in images.items():
                try:
                    built[name] = future.result()
                except LabError as problem:
                    self._result.problems[name] = problem
                self._lab.screen.done()
            pushed.result()
            return built
        finally:
            pool.shutdown(cancel_futures=True)

    def _push_bases(self, needed: Sequence[Base]) -> None:
        for base in needed:
            # Under a name of our own image on top of it, so that whatever ends us, it is found by its label.
            name = self._name("base", str(len(self._result.bases)))
            words = ["buildx", "build", "--load", "--provenance=false", "--tag", name]
            words += [w for p in self._lab.run.labels.items() for w in ("--label", "=".join(p))]
            folder = self._lab.run.folder / EXPERIMENT / name.replace("/", "-")
            folder.mkdir(parents=True)
            (folder / "Dockerfile").write_text(f"FROM {base.reference}\n")
            endpoint = self._lab.endpoint
            endpoint.run(*words, folder, doing=f"putting a label on {base.name}")
            repository = self._repository(f"base-{len(self._result.bases)}")
            pushed = transfers.push(self._there, name, repository)
            if self._second:
                transfers.pull(self._there, self._second, repository, TAG)
            self._result.bases[base.name] = pushed

    def _build(self, variant: Variant) -> _Images:
        """The image as the app is, and after each edit."""
        context = self._lab.context(f"{EXPERIMENT}-{slug(variant)}", None)
        names: dict[str, str] = {}
        for edit in (None, *PUSHED_EDITS):
            scenario = _scenario(edit)
            if edit:
                context.apply(edit, f"{self._lab.run.id}-{slug(variant)}")
            self._lab.build(variant, context, scenario)
            names[scenario] = self._name(slug(variant), scenario)
            words = ("tag", self._lab.tag(variant), names[scenario])
            self._lab.endpoint.run(*words, doing="naming an image")
        first = from_engine(self._lab.endpoint, names[FIRST], of_user(), compress=True)
        return _Images(names, first)

    def _name(self, what: str, scenario: str) -> str:
        return f"layerlab/{EXPERIMENT}-{what}:{self._lab.run.id}-{scenario}"

    def _repository(self, name: str) -> str:
        """A repository of this run.

        Engines remember by a registry's address, which an earlier run's may have had, in which of its
        repositories a layer is, and try the one with the most like path first (containerd,
        core/remotes/docker; moby, distribution/push_v2.go).
        """
        return f"{self._lab.run.id.partition('t')[2]}/{name}"

    def one(self, variant: Variant, position: int, images: _Images) -> Moves:
        """A variant's pushes and pulls, one after another and alone."""
        repository = self._repository(slug(variant))
        base = self._result.bases.get(_base(variant) or "")
        known = set(base.manifest.layers) if base else set()
        pushes: dict[str, Push] = {}
        new: dict[str, tuple[Blob, ...]] = {}
        pulls: dict[str, Pull] = {}
        moved = pinned = None
        for scenario, name in images.names.items():
            done = transfers.push(self._there, name, repository, TAG)
            own = tuple(dict.fromkeys(b for b in done.manifest.layers if b not in known))
            self._check(variant, scenario, done, own)
            pushes[scenario], new[scenario] = done, own
            known.update(own)
            self._keep(variant, position, scenario, own, done.seconds)
            if self._second and scenario == PUSHES[1]:
                first = pushes[FIRST].manifest
                pulls[PULL] = self._pull(variant, position, PULL, repository, first.digest)
                pulls[UPDATE] = self._pull(variant, position, UPDATE, repository, TAG)
                pinned = pulls[PULL].image_id in (first.digest, first.config.digest)
        if self._second:
            moved = transfers.moved(self._there, self._second, repository, TAG)
            names = [
                self._there.reference(repository, word)
                for word in (TAG, pushes[FIRST].manifest.digest)
            ]
            # The next variant, too, is to find only the base.
            self._second.run("rmi", "--force", *names, doing="removing what was pulled")
        modelled = modelled_bytes(images.first, pushes[FIRST].manifest)
        return Moves(variant.name, pushes, new, pulls, moved, pinned, modelled)

    def _pull(
        self, variant: Variant, position: int, scenario: str, repository: str, tag: str
    ) -> Pull:
        assert self._second
        pulled = transfers.pull(self._there, self._second, repository, tag)
        self._keep(variant, position, scenario, pulled.downloaded, pulled.seconds)
        return pulled

    def _keep(
        self, variant: Variant, position: int, scenario: str, blobs: Sequence[Blob], seconds: float
    ) -> None:
        count = sum(blob.bytes for blob in blobs)
        for sample in transfer_samples(variant, scenario, position, len(blobs), count, seconds):
            self._lab.store.add(self._lab.run.id, sample)

    def _check(self, variant: Variant, scenario: str, done: Push, own: Sequence[Blob]) -> None:
        """What the registry's log tells and what its manifests tell must be one and the same."""
        told, moved = set(done.uploaded), set(done.uploaded) | set(done.mounted)
        if not told <= set(own) <= moved:
            raise LabError(
                f"{variant.path.name}: the measurement of {scenario} is void: the layers that were sent, by the "
                "registry's log, are not those that are new, by its manifests; is somebody else pushing to it?"
            )


def _base(variant: Variant) -> str:
    return variant.dockerfile.lineage()[0]


def _scenario(edit: Edit | None) -> str:
    return edit.scenario if edit else FIRST


def explain(variant: Variant, moves: Moves, scenario: str, expected: str) -> str:
    """Why a push after an edit is not as expected, for the Dockerfile's author."""
    whole, sent = moves.bytes(FIRST), moves.bytes(scenario)
    told = f"{bytes_text(sent)} in {len(moves.new[scenario])} layers, of {bytes_text(whole)} of the first push"
    got = judge(moves, scenario)
    advice = (
        "\nCopy only what the install needs first (COPY requirements.txt .), install, and copy the rest "
        "after it: then a push sends only the source."
        if got == "install"
        else "\nIs the header still right?"
    )
    return (
        f"{variant.path.name}: the push after the {scenario} sent {told}; expected: {expected}, "
        f"got: {got}.{advice}"
    )
