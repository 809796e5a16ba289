"""Whether a run can be gone on with: it stopped, and what it measures is the same as then."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from layerlab.build.variant import Variant
from layerlab.engine.bases import Base
from layerlab.errors import LabError
from layerlab.record.rows import Place
from layerlab.record.run import RunRecord, State, find

RESUMABLE = (State.INTERRUPTED, State.LOST, State.KILLED)
#: What makes another engine, as :class:`layerlab.engine.endpoint.Capabilities` names it, for people.
_ENGINE = {
    "id": "engine's ID",
    "engine": "engine's version",
    "image_store": "image store",
    "buildx": "buildx",
}


def stopped(
    runs: Sequence[RunRecord], word: str | None, home: str, alive: Collection[str]
) -> RunRecord:
    """The run to go on with: the one that was named; without a word, or with ``last``, the last.

    Raises:
        LabError: there is none, or it can't be gone on with.
    """
    mine = [run for run in runs if run.kind == "run"]
    if not (mine or (word and runs)):
        raise LabError("there is nothing to resume: no run is recorded here yet")
    run = find(runs if word not in (None, "last") else mine, word or "last")
    state = run.state(home, alive)
    if state == State.RUNNING:
        raise LabError(f"the run {run.id} is running: wait for its end")
    if state == State.DONE:
        others = [one.id for one in mine if one.state(home, alive) in RESUMABLE and one.words]
        hint = f"; `--resume {others[-1]}` goes on with one that did not" if others else ""
        raise LabError(f"there is nothing to resume: the run {run.id} came to its end{hint}")
    if state == State.UNKNOWN or run.home != home:
        raise LabError(
            f"the run {run.id} was begun by another user, on another machine or with another cache "
            "folder: resume it there, or run anew"
        )
    if run.kind != "run":
        raise LabError(f"{run.id} is a {run.kind}, which can't be gone on with: begin it anew")
    if not run.settings:
        raise LabError(
            f"the run {run.id} is of an older layerlab, which did not record what was asked: run anew"
        )
    return run


def check_words(run: RunRecord, words: Sequence[str]) -> None:
    """Refuse a command line that is not the run's."""
    if list(words) != run.words:
        raise LabError(
            f"--resume goes on with `{' '.join(run.words) or 'no option'}`, as the run {run.id} was "
            "asked: give no other words, or run anew"
        )


def check_variants(run: RunRecord, variants: Sequence[Variant]) -> None:
    """Refuse variants that are not the run's.

    Raises:
        LabError: one changed, is new, or is gone: the first that does.
    """
    anew = f"what the run {run.id} measured was another: put it back, or run anew"
    now = {variant.name: variant for variant in variants}
    for name, digest in run.variants.items():
        if name not in now:
            raise LabError(f"the variant {name} is gone: the run {run.id} measured it; run anew")
        if now[name].digest != digest:
            file = now[name].path
            raise LabError(f"{file.name}, or the ignore file beside it, was changed: {anew}")
    for name, variant in now.items():
        if name not in run.variants:
            raise LabError(f"{variant.path.name} is new since the run {run.id} began: run anew")


def at(run: RunRecord, places: Sequence[Place], engine: Mapping[str, Any]) -> tuple[RunRecord, str]:
    """A run as it was on one of its engines, and that engine's name; a run on one engine as it is.

    Raises:
        LabError: the run was on several, and this is none of them.
    """
    if not places:
        return run, ""
    for place in places:
        if place.engine.get("id") == engine.get("id"):
            return replace(run, engine=place.engine, bases=place.bases), place.name
    names = ", ".join(place.name for place in places)
    raise LabError(
        f"the run {run.id} was measured on {names}, and this is another engine: start one of those, or run anew"
    )


def check_engine(run: RunRecord, engine: Mapping[str, Any]) -> None:
    """Refuse an engine that is not the run's; ``engine`` is as the record would have it."""
    for key, what in _ENGINE.items():
        if run.engine.get(key) != engine.get(key):
            raise LabError(
                f"the run {run.id} was measured on another engine (its {what} was "
                f"{run.engine.get(key)}, this one's is {engine.get(key)}): start that one, or run anew"
            )


def check_context(run: RunRecord, contexts: Collection[str], now: str) -> None:
    """Refuse a build context that is not the run's; ``contexts`` are the digests of its samples."""
    if any(digest and digest != now for digest in contexts):
        raise LabError(
            f"the build context, app/, was changed since the run {run.id} began: put it back, or run anew"
        )


def check_bases(run: RunRecord, bases: Sequence[Base]) -> None:
    """Refuse base images that are not the run's."""
    then = {str(base.get("name")): base.get("image_id") for base in run.bases}
    for base in bases:
        if then.get(base.name, base.image_id) != base.image_id:
            raise LabError(
                f"the base image {base.name} is another than when the run {run.id} began: run anew"
            )
