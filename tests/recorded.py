"""A recorded run of three labs on Engine 28.5.2: chapters and samples, as a report gets them."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from layerlab.record.rows import Sample
from layerlab.show.chapter import Chapter
from layerlab.show.section import Section


@cache
def _read() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(__file__).with_name("recorded_run.json").read_bytes())
    return found


def chapters() -> list[Chapter]:
    return [
        Chapter(
            one["experiment"],
            one["question"],
            one["answer"],
            {
                style: tuple(
                    Section(**{**section, "notes": tuple(section["notes"])}) for section in sections
                )
                for style, sections in one["sections"].items()
            },
            tuple((title, figure) for title, figure in one["figures"]),
        )
        for one in _read()["chapters"]
    ]


def samples() -> list[Sample]:
    return [Sample(**one) for one in _read()["samples"]]
