"""The grammar of gates, one for all metrics.

    GATE   = METRIC ( "slower" [SHARE] | "larger" [SHARE] | ">" "+" SHARE | OPERATOR LIMIT )
    METRIC = a short name, or experiment.scenario.metric
    SHARE  = NUMBER "%", of the baseline
    LIMIT  = NUMBER [UNIT]: ms, s, min; B, kB, MB, GB, TB, KiB, MiB, GiB, TiB; a count has none
    OPERATOR = ">" | ">=" | "<" | "<="

White space between them is as people like it: `rebuild.source-edit slower 10%`, `image.unpacked>+5%`.
"""

import re
from typing import NoReturn

from wcwidth import wcswidth

from layerlab.compare.gate import LARGER, MORE, OPERATORS, SLOWER, Gate, meant, mismatch
from layerlab.compare.metric import known
from layerlab.errors import LabError
from layerlab.text import plain, shorten
from layerlab.units import parse_bytes, parse_percent

_SPACE = re.compile(r"\s*")
_METRIC = re.compile(r"[\w.-]+")
_RELATION = re.compile(r"[<>=!]+|[A-Za-z]+")
_NUMBER = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,9})?")
_SIGN = re.compile(r"[+-]")
_UNIT = re.compile(r"%|[A-Za-z]+")
_SECONDS = {"ms": 0.001, "s": 1.0, "min": 60.0}
#: How much of a gate is shown on each side of its mistake.
_AROUND = 40


def parse(text: str) -> Gate:
    """A gate from its text.

    Raises:
        LabError: it is none; the text points at the character and says what to write there.
    """
    return _Reader(text).gate()


class _Reader:
    """A gate's text and how far it is read."""

    def __init__(self, text: str) -> None:
        self._text = " ".join(text.split())
        self._at = 0

    def gate(self) -> Gate:
        units = {metric.name: metric.unit for metric in known()}
        start, metric = self._next(_METRIC)
        if not metric:
            self._fail(start, "a gate begins with a metric, such as `image.unpacked > +5%`")
        if metric not in units and metric.count(".") < 2:
            hint = meant(metric, units) or f"; those with short names are {', '.join(units)}"
            self._fail(start, f"there is no metric `{plain(shorten(metric))}`{hint}")
        at, relation = self._next(_RELATION)
        limit, _ = self._next(_SPACE)
        if relation in (SLOWER, LARGER):
            gate = Gate(self._text, metric, relation, self._share())
        elif relation in OPERATORS:
            gate = self._limit(metric, relation, at)
        else:
            self._fail(at, f"write one of {', '.join((*OPERATORS, SLOWER, LARGER))} here")
        end, _ = self._next(_SPACE)
        if end < len(self._text):
            self._fail(end, "nothing can follow here: write one --fail-if for each gate")
        if metric in units and (wrong := mismatch(gate, units[metric])):
            self._fail(at if gate.relative else limit, wrong)
        return gate

    def _share(self) -> float | None:
        at, number = self._next(_NUMBER)
        if not number:
            return None
        _, unit = self._next(_UNIT)
        if unit != "%":
            self._fail(at, "write a share of the baseline here, such as `10%`")
        return parse_percent(f"{number}%")

    def _limit(self, metric: str, relation: str, at: int) -> Gate:
        at_sign, sign = self._next(_SIGN)
        at_number, number = self._next(_NUMBER)
        if not number:
            self._fail(at_number, "write a number here, such as `+5%`, `200MB`, `2 s` or `12`")
        at_unit, unit = self._next(_UNIT)
        if unit == "%":
            if relation != ">":
                self._fail(at, "a share of the baseline is written with >, such as `> +5%`")
            if sign != "+":
                self._fail(at_sign, f"a share of the baseline has a plus: write `+{number}%`")
            return Gate(self._text, metric, MORE, parse_percent(f"{number}%"))
        if sign:
            self._fail(at_sign, "a limit has no sign; a share of the baseline ends with %")
        if not unit:
            return Gate(self._text, metric, relation, float(number))
        if unit in _SECONDS:
            return Gate(self._text, metric, relation, float(number) * _SECONDS[unit], "s")
        try:
            return Gate(self._text, metric, relation, parse_bytes(f"{number}{unit}"), "bytes")
        except LabError:
            self._fail(
                at_unit, "units are ms, s, min; B, kB, MB, GB, TB, KiB, MiB, GiB, TiB; and %"
            )

    def _next(self, kind: re.Pattern[str]) -> tuple[int, str]:
        """Where the next token begins, and the token if it is of this kind, else an empty one."""
        blank = _SPACE.match(self._text, self._at)
        start = self._at = blank.end() if blank else self._at
        found = kind.match(self._text, start)
        if found is None:
            return start, ""
        self._at = found.end()
        return start, found[0]

    def _fail(self, at: int, why: str) -> NoReturn:
        before = plain("…" * (at > _AROUND) + self._text[max(0, at - _AROUND) : at])
        end = at + _AROUND
        after = plain(self._text[at:end] + "…" * (end < len(self._text)))
        raise LabError(
            f"--fail-if: {why}\n    {before}{after}\n    {' ' * max(0, wcswidth(before))}^"
        )
