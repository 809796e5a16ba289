"""Tables of the live reload lab: how long a save took to show, and what failed meanwhile."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from layerlab.run.marks import ONE, SAVES, Save
from layerlab.run.reload import BIND, POLLING, SYNC, WAYS, Way
from layerlab.run.saving import Outcome
from layerlab.run.watching import INTERVAL_SECONDS, PATIENCE_SECONDS, RESOLUTION_SECONDS
from layerlab.show.sentence import count, listed, sentence
from layerlab.show.tables import in_cell, table

NOTHING, LACKING, UNNOTICED, POLLED = "-", "x", "*", "p"
SILENCES_NOTES = (
    "Where uvicorn restarts the app it keeps the port open, and requests wait; where the container is "
    + "replaced there is none, and they fail. An app with a syntax error is down until that is mended.",
)


QUESTION = "How long until a saved source file shows in the running app?"


def answer(outcomes: Mapping[Way, Mapping[Save, Outcome]], failed: Collection[str]) -> str:
    """Seconds from the save of one file, where the app takes it in and where its image is rebuilt."""
    saved = {
        way: its[ONE].change
        for way, its in outcomes.items()
        if ONE in its and its[ONE].invalid is None
    }
    told = {way: f"{one.seconds:.2f} s ({way.name})" for way, one in saved.items()}
    kept = [way for way in told if not way.builds]
    # The ways that people choose between; the others differ from these in one thing.
    live = [told[way] for way in kept if way in (BIND, SYNC)] or [told[way] for way in kept][:2]
    built = [text for way, text in told.items() if way.builds]
    lost = sum(one.failed for way, one in saved.items() if way.builds)
    first = f"a saved file shows after {listed(live)}" if live else None
    other = (
        f"a rebuild and a new container take {listed(built)}, and {count(lost, 'request')} failed"
    )
    return sentence([first, other if built else None], failed)


@dataclass(frozen=True)
class Shown:
    """What there is to show."""

    outcomes: Mapping[Way, Mapping[Save, Outcome]]
    #: Ways without outcomes, or without all of them, and why.
    absent: Mapping[Way, str]
    #: Ways that were measured with polling.
    polled: Collection[Way]


def answers(shown: Shown, style: str) -> str:
    """The ways as rows, the saves as columns: seconds to the answer, and how many requests failed."""

    def cell(one: Outcome) -> str:
        mark = "" if one.noticed else UNNOTICED
        return f"{mark}{one.change.seconds:.2f} {one.change.failed:>3}"

    return _table(shown, style, cell)


def silences(shown: Shown, style: str) -> str:
    """The ways as rows, the saves as columns: the longest time in which nobody got an answer."""
    return _table(shown, style, lambda one: f"{one.change.silent_seconds:.2f}")


def _table(shown: Shown, style: str, cell: Callable[[Outcome], str]) -> str:
    rows = []
    for way in WAYS:
        outcomes = shown.outcomes.get(way, {})
        missing = LACKING if way in shown.absent else NOTHING
        cells = [cell(outcomes[save]) if save in outcomes else missing for save in SAVES]
        mark = f" {POLLED}" if way in shown.polled else ""
        rows.append([in_cell(f"{way.number} {way.name}{mark}", style), *cells])
    headings = [save.name.replace(" ", "\n") for save in SAVES]
    return table(rows, ["way", *headings], style, left=(0,))


def answers_notes(shown: Shown) -> tuple[str, ...]:
    """What a reader of :func:`answers` must know."""
    every = [one for outcomes in shown.outcomes.values() for one in outcomes.values()]
    notes = []
    if every:
        widest = max(one.change.resolution_seconds for one in every)
        typical = sorted(one.change.resolution_seconds for one in every)[len(every) // 2]
        notes.append(
            "Seconds from the save (of a syntax error: from mending it) to the first right answer; then the "
            f"requests that failed meanwhile: no connection, or no answer in {PATIENCE_SECONDS:.0f} s. One was "
            f"made every {INTERVAL_SECONDS * 1000:.0f} ms; when the answers came they were {typical * 1000:.0f} ms "
            f"apart (median), and {widest * 1000:.0f} ms at most."
        )
    coarse = [
        f"{way.number} {save.name}"
        for way, outcomes in shown.outcomes.items()
        for save, one in outcomes.items()
        if not one.exact
    ]
    if coarse:
        notes.append(
            f"More than {RESOLUTION_SECONDS * 1000:.0f} ms apart, so no measurement (the machine was busy): "
            f"{'; '.join(coarse)}."
        )
    if any(not one.noticed for one in every):
        notes.append(
            f"{UNNOTICED} not noticed by itself: the app went on as before until another file was saved, "
            "from which it took so long."
        )
    if shown.polled:
        notes.append(
            f"{POLLED} file events do not arrive on this mount: what was saved was in the container, and the "
            f"app was not told. {POLLING}=true makes watchfiles look by itself; measured with it."
        )
    for why in dict.fromkeys(shown.absent.values()):
        ways = ", ".join(str(way.number) for way, its in shown.absent.items() if its == why)
        notes.append(f"{LACKING} not available: {ways}: {why}")
    return tuple(notes)
