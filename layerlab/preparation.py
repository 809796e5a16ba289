"""What a variant needs before it can be built and timed: its base images, its frontend, a copy that stays."""

from collections.abc import Callable
from pathlib import Path

from layerlab.build import frontend, untrusted
from layerlab.build.variant import Variant
from layerlab.engine import bases
from layerlab.engine.endpoint import Endpoint
from layerlab.engine.leftovers import Run
from layerlab.errors import LabError


class Preparation:
    """What the variants of a run need, fetched or made once."""

    def __init__(
        self, endpoint: Endpoint, run: Run, progress: Callable[[str], None], *, standins: bool
    ) -> None:
        self._endpoint = endpoint
        self._run = run
        self._progress = progress
        self._standins = standins
        #: The base images that are there now, by their names.
        self.bases: dict[str, bases.Base] = {}
        #: Whether a frontend can be fetched.
        self._frontends: dict[str, bool] = {}
        #: What a reader of the tables must know.
        self.notes: list[str] = []

    def of(self, variant: Variant) -> Path:
        """Have all that a variant needs; returns the copy of its Dockerfile.

        Raises:
            LabError: something can't be had, or the run does not allow it.
        """
        if self._run.confinement:
            untrusted.check(variant)
        for image in variant.dockerfile.images():
            self._have_base(variant, image)
        text = None if self._have_frontend(variant) else frontend.built_in(variant)
        return variant.copy_to(self._run.folder / "dockerfiles" / variant.slug, text)

    def _have_base(self, variant: Variant, image: str) -> None:
        if image in self.bases:
            return
        try:
            (self.bases[image],) = bases.ensure(
                self._endpoint, [image], standins=self._standins, progress=self._progress
            )
        except LabError as error:
            line = variant.dockerfile.line_naming(image)
            raise LabError(f"{variant.where(line)}: {error}") from error

    def _have_frontend(self, variant: Variant) -> bool:
        syntax = variant.dockerfile.syntax
        if syntax is None:
            return True
        if syntax not in self._frontends:
            self._progress(f"fetching the frontend {syntax}")
            self._frontends[syntax] = frontend.fetched(self._endpoint, syntax, self._run.folder)
        if not self._frontends[syntax]:
            self.notes.append(
                f"{variant.path.name}: its frontend {syntax} can't be fetched; "
                "the engine's own read it instead."
            )
        return self._frontends[syntax]
