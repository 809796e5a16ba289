"""Agreement: a timeline beside what was predicted of it, and how far apart they are."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from layerlab.run.health import Course, HealthChange, Prediction, predict
from layerlab.run.timeline import Timeline

#: A prediction is right when it is off by no more than this, in seconds: what a loaded machine may take to
#: begin a probe, and to tell of it.
TOLERANCE_SECONDS = 0.25


@dataclass(frozen=True)
class Comparison:
    """A timeline beside what was predicted of it."""

    timeline: Timeline
    prediction: Prediction

    #: When the timeline ends; what is predicted for just then may not have been told any more.
    until_seconds: float

    def pairs(self) -> list[tuple[HealthChange | None, HealthChange | None]]:
        """Predicted and measured change side by side, in order; None where one has no more."""
        measured = self.timeline.announced()
        predicted = [
            change
            for number, change in enumerate(self.prediction.announced())
            if number < len(measured) or change.seconds < self.until_seconds - TOLERANCE_SECONDS
        ]
        return list(itertools.zip_longest(predicted, measured))

    @property
    def off_seconds(self) -> float:
        """The largest difference of a change's time; infinite where the changes are other ones."""
        worst = 0.0
        for predicted, measured in self.pairs():
            if predicted is None or measured is None or predicted.state != measured.state:
                return float("inf")
            worst = max(worst, abs(predicted.seconds - measured.seconds))
        return worst

    @property
    def agrees(self) -> bool:
        return self.off_seconds <= TOLERANCE_SECONDS


def compare(
    timeline: Timeline, engine: str, app: Sequence[tuple[float, str]], until_seconds: float
) -> Comparison:
    """A timeline beside the prediction for an app that did what ``app`` says.

    Where the app changed while a probe ran, nobody can tell which of the two that probe saw: then
    the prediction of both that is closer stands.
    """
    course = Course(tuple(app), timeline.container, timeline.head_start_seconds)
    comparisons = [
        Comparison(
            timeline,
            predict(
                timeline.check,
                engine,
                course,
                probe_seconds=timeline.probe_seconds(),
                until_seconds=until_seconds + 2 * TOLERANCE_SECONDS,
                sees=sees,
            ),
            until_seconds,
        )
        for sees in (1.0, 0.0)
    ]
    return min(comparisons, key=lambda one: one.off_seconds)
