"""A run's samples as CSV, one a row, safe to be opened by a spreadsheet."""

import csv
import io
from collections.abc import Sequence

from layerlab.record.document import number
from layerlab.record.rows import Kept

COLUMNS = (
    "run",
    "measured",
    "experiment",
    "variant",
    "digest",
    "context",
    "scenario",
    "round",
    "position",
    "control",
    "metric",
    "value",
    "unit",
    "valid",
    "reason",
    "place",
)
#: With these a cell begins that a spreadsheet takes for a formula (OWASP, "CSV Injection").
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def sheet(run: str, kept: Sequence[Kept]) -> str:
    """The samples as CSV (RFC 4180): UTF-8, a heading, then one sample a row."""
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    for one in kept:
        sample = one.sample
        row = (
            run,
            one.measured,
            sample.experiment,
            sample.variant,
            sample.digest,
            sample.context,
            sample.scenario,
            sample.round,
            sample.position,
            int(sample.control),
            sample.metric,
            number(sample.value, sample.unit),
            sample.unit,
            int(sample.invalid is None),
            sample.invalid or "",
            sample.place,
        )
        writer.writerow([cell(value) if isinstance(value, str) else value for value in row])
    return file.getvalue()


def cell(text: str) -> str:
    """Text that no spreadsheet takes for a formula: an apostrophe says that it is text."""
    return f"'{text}" if text.startswith(_FORMULA) else text
