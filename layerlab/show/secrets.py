"""Tables of the secrets lab: who can read a secret by the way it was handed over, and where."""

from collections.abc import Mapping, Sequence

from layerlab.run.readers import (
    CHILD,
    HIGH,
    INSIDE,
    INSPECTS,
    LOW,
    MIDDLE,
    PEOPLE,
    PULLS,
    RULE,
    WAYS,
    Found,
    Way,
)
from layerlab.run.readers import level as level_of
from layerlab.show.sentence import listed, sentence
from layerlab.show.tables import in_cell, table
from layerlab.text import plain, shorten

YES, NO, LACKING = "yes", "-", "x"
_ROOM = 18


QUESTION = "Who can read a secret, by the way in which it was handed over?"


def answer(found: Sequence[Found], lacking: Mapping[Way, str]) -> str:
    """The ways by who can read what they hand over."""
    levels: dict[str, list[str]] = {}
    for way in WAYS:
        if way not in lacking:
            readers = {one.person for one in found if one.way == way}
            levels.setdefault(level_of(readers), []).append(f"`{way.name}`")
    told = (
        (LOW, "who pulls the image can read a secret given by {}"),
        (MIDDLE, "who may inspect the engine can read one given by {}"),
        (HIGH, "neither of them can read one given by {}"),
    )
    return sentence(text.format(listed(levels[one])) for one, text in told if one in levels)


def people(found: Sequence[Found], lacking: Mapping[Way, str], style: str) -> str:
    """The ways as rows, the people as columns, the level that follows and the chapter's."""
    rows = []
    for way in WAYS:
        readers = {one.person for one in found if one.way == way}
        if way in lacking:
            cells = [LACKING] * (len(PEOPLE) + 1)
        else:
            cells = [YES if person in readers else NO for person in PEOPLE]
            cells.append(level_of(readers))
        rows.append([_named(way, style), *cells, way.chapter or NO])
    return table(rows, ["way", *PEOPLE, "level", "chapter"], style, left=range(7))


def people_notes(lacking: Mapping[Way, str]) -> tuple[str, ...]:
    """What a reader of :func:`people` must know."""
    return (
        f"{PULLS}: has the image (configuration, history, every byte of every layer, attestations). "
        + f"{INSPECTS}: asks the engine (inspect, history, logs, compose config). {INSIDE}: a process of the "
        f"app's user (environment, /proc/*/environ, files). {CHILD}: a process that the app started.",
        RULE,
        "Each way had a secret of its own, new for this run, also looked for as base64, URL, JSON, hex and "
        + "UTF-16; files below /usr, /opt and /var/lib were read in the image, not again inside.",
        *(
            f"{LACKING} not available: {way.number} {way.name}: {why}"
            for way, why in lacking.items()
        ),
    )


def places(found: Sequence[Found], style: str, width: int) -> str:
    """Where exactly each of them read it."""
    rows: list[list[str]] = []
    for way in WAYS:
        for person in PEOPLE:
            mine = [one for one in found if one.way == way and one.person == person]
            for text in dict.fromkeys(_place(one) for one in mine):
                rows.append([str(way.number), person, _cell(text, style, width)])
    return table(rows, ["way", "who", "where"], style, left=(1, 2))


def _place(one: Found) -> str:
    where = f"{one.kind}: {one.where}" if one.where else one.kind
    return f"{where}, removed later" if one.hidden else where


def _cell(text: str, style: str, width: int) -> str:
    return in_cell(shorten(plain(text), max(20, width - _ROOM)), style)


def _named(way: Way, style: str) -> str:
    return in_cell(f"{way.number:>2} {way.name}", style)
