"""A run as one JSON document: docs/record.md describes it, docs/layerlab.schema.json defines it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from layerlab.build.progress import Step
from layerlab.compare.comparison import Comparison, Effect
from layerlab.compare.metric import EXACT_UNITS
from layerlab.errors import LabError
from layerlab.record.between import Recording
from layerlab.record.rows import Kept, Place, Sample
from layerlab.record.run import RunRecord, State
from layerlab.text import plain, shorten

#: Of the JSON document, not of the store.
SCHEMA = 1
REMEDY = "give a file that `layerlab export --format json` wrote"


def document(
    run: RunRecord,
    state: State,
    kept: Sequence[Kept],
    steps: Mapping[int, Sequence[Step]],
    verdicts: Sequence[Comparison],
    places: Sequence[Place] = (),
) -> dict[str, Any]:
    """A run as a value that JSON can hold: seconds, bytes, and times in UTC."""
    numbers = {one.id: number for number, one in enumerate(kept, 1)}
    return {
        "schema": SCHEMA,
        "run": _run(run, state, places),
        "samples": [_sample(numbers[one.id], one) for one in kept],
        "steps": [
            {"sample": numbers[sample], "ordinal": ordinal, **_step(step)}
            for sample, its in steps.items()
            for ordinal, step in enumerate(its, 1)
        ],
        "verdicts": [_verdict(one) for one in verdicts],
    }


def text(found: Mapping[str, Any]) -> str:
    """The document as JSON text, which has no NaN."""
    return json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def number(value: float | None, unit: str) -> float | int | None:
    """A value as it is written: what is counted has no fraction."""
    return (
        int(value) if value is not None and unit in EXACT_UNITS and value == int(value) else value
    )


def _run(run: RunRecord, state: State, places: Sequence[Place]) -> dict[str, Any]:
    # Where it was called is a path of this machine, and whose it is serves the store alone.
    here_alone = ("called_from", "command")
    settings = {key: value for key, value in run.settings.items() if key not in here_alone}
    return {
        "id": run.id,
        "kind": run.kind,
        "state": str(state),
        "started": run.started,
        "ended": run.ended,
        "resumed": list(run.resumed),
        "host": dict(run.host),
        "engine": dict(run.engine),
        "bases": [dict(base) for base in run.bases],
        "places": [
            {"name": one.name, "engine": one.engine, "bases": one.bases, "ends": one.ends}
            for one in places
        ],
        "settings": settings,
        "variants": [{"name": name, "digest": digest} for name, digest in run.variants.items()],
    }


def _sample(ordinal: int, kept: Kept) -> dict[str, Any]:
    one = kept.sample
    return {
        "id": ordinal,
        "measured": kept.measured,
        "experiment": one.experiment,
        "variant": one.variant,
        "digest": one.digest,
        "context": one.context,
        "scenario": one.scenario,
        "round": one.round,
        "position": one.position,
        "control": one.control,
        "metric": one.metric,
        "value": number(one.value, one.unit),
        "unit": one.unit,
        "valid": one.invalid is None,
        "reason": one.invalid,
        "place": one.place,
    }


def _step(step: Step) -> dict[str, Any]:
    return {
        "stage": step.stage,
        "position": step.position,
        "total": step.total,
        "instruction": step.instruction,
        "line": step.line,
        "end_line": step.end_line,
        "cached": step.cached,
        "seconds": step.seconds,
        "offset_seconds": step.offset_seconds,
        "error": step.error,
    }


def _verdict(one: Comparison) -> dict[str, Any]:
    unit = one.metric.unit
    return {
        "metric": one.metric.name,
        "title": one.metric.title,
        "unit": unit,
        "exact": one.metric.exact,
        "baseline": one.baseline,
        "variant": one.variant,
        "baseline_value": number(one.baseline_value, unit),
        "variant_value": number(one.variant_value, unit),
        "variant_interval": asdict(one.variant_interval) if one.variant_interval else None,
        "effect": _effect(one.effect),
        "noise": _effect(one.noise),
        "margin": one.margin,
        "verdict": str(one.verdict),
        "more_pairs": one.more_pairs,
        "notes": list(one.notes),
    }


def _effect(effect: Effect | None) -> dict[str, Any] | None:
    if effect is None:
        return None
    return {
        "ratio": effect.ratio,
        "interval": asdict(effect.interval) if effect.interval else None,
        "pairs": [asdict(pair) for pair in effect.pairs],
    }


def recording(name: str, content: str) -> Recording:
    """The run of a document; ``name`` is the file's.

    Raises:
        LabError: it is no such document, is of a newer layerlab, or is damaged (where).
    """
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        where = f"line {error.lineno}" if isinstance(error, json.JSONDecodeError) else "somewhere"
        raise LabError(f"{name}: this is no JSON ({where}): {REMEDY}") from error
    if not isinstance(found, dict) or not {"schema", "run", "samples"} <= found.keys():
        raise LabError(f"{name}: this is JSON, and no run of layerlab: {REMEDY}")
    schema = found["schema"]
    if isinstance(schema, int) and schema > SCHEMA:
        raise LabError(
            f"{name} was written by a newer layerlab (schema {schema}, this one knows {SCHEMA}): "
            "upgrade layerlab"
        )
    if schema != SCHEMA:
        raise LabError(f"{name}: `schema` is {shorten(plain(repr(schema)), 20)}: {REMEDY}")
    run = _Reader(name, "run", found["run"])
    samples = found["samples"]
    if not isinstance(samples, list):
        raise LabError(f"{name}: damaged at `samples`: {REMEDY}")
    return Recording(
        name,
        RunRecord(
            id=run.get("id", str),
            kind=run.get("kind", str),
            started=run.get("started", str),
            ended=run.get("ended", str, None),
            ending=None,
            resumed=(),
            engine=run.get("engine", dict),
            bases=[one for one in run.get("bases", list) if isinstance(one, dict)],
            host=run.get("host", dict),
            home="",
            settings=run.get("settings", dict),
            variants={},
        ),
        [_read(_Reader(name, f"samples[{at}]", one)) for at, one in enumerate(samples)],
    )


def _read(one: "_Reader") -> Sample:
    return Sample(
        experiment=one.get("experiment", str),
        variant=one.get("variant", str),
        digest=one.get("digest", str),
        scenario=one.get("scenario", str),
        round=one.get("round", int),
        position=one.get("position", int),
        metric=one.get("metric", str),
        value=one.get("value", (int, float), None),
        unit=one.get("unit", str),
        invalid=one.get("reason", str, None),
        control=one.get("control", bool),
        context=one.get("context", str),
        place=one.get("place", str, ""),
    )


_REQUIRED = object()


class _Reader:
    """An object of a document, which says where it is damaged."""

    def __init__(self, name: str, place: str, found: object) -> None:
        self._name, self._place = name, place
        if not isinstance(found, dict):
            raise self._damaged("")
        self._found = found

    def get(self, key: str, kind: Any, default: object = _REQUIRED) -> Any:
        """A value; ``default`` is what may stand in for one of its kind."""
        value = self._found.get(key, default)
        if value is default and default is not _REQUIRED:
            return value
        # To Python, true is 1.
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self._damaged(f".{key}")
        if isinstance(value, float) and not float("-inf") < value < float("inf"):
            raise self._damaged(f".{key}")
        return value

    def _damaged(self, at: str) -> LabError:
        return LabError(f"{self._name}: damaged at `{self._place}{at}`: {REMEDY}")
