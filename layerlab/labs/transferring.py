"""The registry lab's transfers: what is built and pushed first, and then each variant, timed."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from layerlab.build.context import Edit
from layerlab.build.variant import Variant
from layerlab.engine.bases import Base
from layerlab.engine.endpoint import Endpoint
from layerlab.errors import LabError
from layerlab.image.export import from_engine
from layerlab.image.layers import Image
from layerlab.image.memory import of_user
from layerlab.lab import Lab
from layerlab.run import transfers
from layerlab.run.manifest import Blob
from layerlab.run.moves import FIRST, PULL, PUSHED_EDITS, PUSHES, UPDATE, Moves, modelled_bytes
from layerlab.run.registry import Registry
from layerlab.run.transfers import Pull, Push

TAG = "latest"
#: Builds and analyses side by side, while nothing is timed; bases are pushed and pulled beside them.
WORKERS = 2
_OURS = "registry"


@dataclass(frozen=True)
class Images:
    """A variant's images on the engine: a name for each push, and what the image lab says of the first."""

    names: Mapping[str, str]
    first: Image


class Measuring:
    """One measurement: an engine that pushes, a registry, an engine that pulls.

    It fills in ``bases``, the push of each base, and ``problems``, why a variant could not be measured.
    """

    def __init__(
        self,
        lab: Lab,
        there: Registry,
        second: Endpoint | None,
        bases: dict[str, Push],
        problems: dict[str, LabError],
    ) -> None:
        self._lab = lab
        self._there = there
        self._second = second
        self._bases = bases
        self._problems = problems

    def prepare(self, variants: Sequence[Variant]) -> dict[str, Images]:
        """Build all images, push the bases, and have them on the second engine."""
        pool = ThreadPoolExecutor(WORKERS, "layerlab-registry")
        carriers = ThreadPoolExecutor(2, "layerlab-bases")
        try:
            good = [variant for variant in variants if variant.name not in self._problems]
            needed = {_base(variant) for variant in good}
            bases = [base for base in self._lab.bases if base.name in needed]
            pushed = carriers.submit(self._push_bases, bases, carriers)
            firsts = [pool.submit(self._build, variant) for variant in good]
            # What waits for a first build is asked for after all of them, so that none waits for ever.
            rest = [
                (
                    [pool.submit(self._build_edited, *this, edit) for edit in PUSHED_EDITS],
                    pool.submit(self._analyse, *this),
                )
                for this in zip(good, firsts, strict=True)
            ]
            built: dict[str, Images] = {}
            for variant, first, (edited, analysed) in zip(good, firsts, rest, strict=True):
                try:
                    names = [first.result(), *(one.result() for one in edited)]
                except LabError as problem:
                    self._problems[variant.name] = self._lab.problems[variant.name] = problem
                else:
                    try:
                        pairs = zip(PUSHES, names, strict=True)
                        built[variant.name] = Images(dict(pairs), analysed.result())
                    except LabError as problem:
                        self._problems[variant.name] = problem
                self._lab.screen.done()
            for pulled in pushed.result():
                pulled.result()
            return built
        finally:
            for one in (pool, carriers):
                one.shutdown(cancel_futures=True)

    def _push_bases(
        self, needed: Sequence[Base], carriers: ThreadPoolExecutor
    ) -> list[Future[Pull]]:
        """Push the bases one by one, as they have layers in common, and have them pulled beside that.

        The smallest first: a pull of it goes on beside the push of a larger one.
        """
        pulls = []
        for base in sorted(needed, key=self._size):
            repository = self._repository(f"base-{len(self._bases)}")
            pushed = transfers.push(self._there, self._labelled(base), repository)
            if second := self._second:
                one = carriers.submit(transfers.pull, self._there, second, repository, TAG)
                pulls.append(one)
            self._bases[base.name] = pushed
        return pulls

    def _size(self, base: Base) -> int:
        words = ("image", "inspect", "--format", "{{.Size}}", base.reference)
        return int(self._lab.endpoint.run(*words, doing=f"asking for the size of {base.name}"))

    def _labelled(self, base: Base) -> str:
        """The name of an image of our own on top of a base: whatever ends us, it is found by its label."""
        name = self._name("base", str(len(self._bases)))
        words = ["buildx", "build", "--load", "--provenance=false", "--tag", name]
        words += self._lab.run.label_words
        folder = self._lab.run.folder / _OURS / name.replace("/", "-")
        folder.mkdir(parents=True)
        (folder / "Dockerfile").write_text(f"FROM {base.reference}\n")
        self._lab.endpoint.run(*words, folder, doing=f"putting a label on {base.name}")
        return name

    def _build(self, variant: Variant) -> str:
        """The image as the app is."""
        context = self._lab.context(f"{_OURS}-{variant.slug}", None)
        self._lab.build(variant, context, FIRST)
        name = self._name(variant.slug, FIRST)
        self._lab.endpoint.run("tag", self._lab.tag(variant), name, doing="naming an image")
        return name

    def _build_edited(self, variant: Variant, first: Future[str], last: Edit) -> str:
        """The image after an edit, and after those before it."""
        first.result()
        context = self._lab.context(f"{_OURS}-{variant.slug}-{last.scenario}", None)
        for edit in PUSHED_EDITS[: PUSHED_EDITS.index(last) + 1]:
            # The same in every run: where the image was built before, the build is not what is measured.
            context.apply(edit, variant.slug)
        name = self._name(variant.slug, last.scenario)
        self._lab.build(variant, context, last.scenario, tag=name)
        return name

    def _analyse(self, _: Variant, first: Future[str]) -> Image:
        return from_engine(self._lab.endpoint, first.result(), of_user(), compress=True)

    def _name(self, what: str, scenario: str) -> str:
        return f"layerlab/{_OURS}-{what}:{self._lab.run.id}-{scenario}"

    def _repository(self, name: str) -> str:
        """A repository of this run.

        Engines remember by a registry's address, which an earlier run's may have had, in which of its
        repositories a layer is, and try the one with the most like path first (containerd,
        core/remotes/docker; moby, distribution/push_v2.go).
        """
        return f"{self._lab.run.nonce.partition('t')[2]}/{name}"

    def one(self, variant: Variant, position: int, images: Images) -> Moves:
        """A variant's pushes and pulls, one after another and alone."""
        repository = self._repository(variant.slug)
        brought: list[str] = []
        try:
            moves = self._one(variant, position, images, repository, brought)
        except BaseException:
            with suppress(LabError):
                self._forget(brought)
            raise
        self._forget(brought)
        return moves

    def _forget(self, brought: Sequence[str]) -> None:
        """Have only the bases on the second engine, as the next variant is to find it."""
        if self._second and brought:
            self._second.run("rmi", "--force", *brought, doing="removing what was pulled")

    def _one(
        self,
        variant: Variant,
        position: int,
        images: Images,
        repository: str,
        brought: list[str],
    ) -> Moves:
        base = self._bases.get(_base(variant))
        known = set(base.manifest.layers) if base else set()
        pushes: dict[str, Push] = {}
        new: dict[str, tuple[Blob, ...]] = {}
        pulls: dict[str, Pull] = {}
        moved = pinned = None
        for scenario, name in images.names.items():
            done = transfers.push(self._there, name, repository, TAG)
            own = tuple(dict.fromkeys(b for b in done.manifest.layers if b not in known))
            _check(variant, scenario, done, own)
            pushes[scenario], new[scenario] = done, own
            known.update(own)
            self._keep(variant, position, scenario, own, done.seconds)
            if self._second and scenario == PUSHES[1]:
                first = pushes[FIRST].manifest
                for pull, tag in ((PULL, first.digest), (UPDATE, TAG)):
                    brought.append(self._there.reference(repository, tag))
                    pulls[pull] = transfers.pull(self._there, self._second, repository, tag)
                    self._keep(variant, position, pull, pulls[pull].downloaded, pulls[pull].seconds)
                pinned = pulls[PULL].image_id in (first.digest, first.config.digest)
        if self._second:
            moved = transfers.moved(self._there, self._second, repository, TAG)
        modelled = modelled_bytes(images.first, pushes[FIRST].manifest)
        return Moves(variant.name, pushes, new, pulls, moved, pinned, modelled)

    def _keep(
        self, variant: Variant, position: int, scenario: str, blobs: Sequence[Blob], seconds: float
    ) -> None:
        values = (
            ("wall", seconds, "s"),
            ("moved", sum(blob.bytes for blob in blobs), "bytes"),
            ("moved-layers", len(blobs), "layers"),
        )
        self._lab.keep(_OURS, variant, scenario, *values, position=position)


def _check(variant: Variant, scenario: str, done: Push, own: Sequence[Blob]) -> None:
    """What the registry's log tells and what its manifests tell must be one and the same."""
    told, moved = set(done.uploaded), set(done.uploaded) | set(done.mounted)
    if not told <= set(own) <= moved:
        raise LabError(
            f"{variant.path.name}: the measurement of {scenario} is void: the layers that were sent, by the "
            "registry's log, are not those that are new, by its manifests; is somebody else pushing to it?"
        )


def _base(variant: Variant) -> str:
    return variant.dockerfile.lineage()[0]
