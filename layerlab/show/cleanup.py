"""Tables of the clean-up lab: what is what, and which command takes it."""

from collections.abc import Mapping, Sequence

from layerlab.run.prune import Taken
from layerlab.run.triage import Row
from layerlab.show.sentence import sentence
from layerlab.show.tables import in_cell, table
from layerlab.units import bytes_text

NOTHING = "-"


QUESTION = "What do Docker's prune commands take?"


def answer(right: int, run: int, taken: Mapping[str, tuple[Taken, int]]) -> str:
    """How many of the commands that were ``run`` took what was predicted, and what the widest would take."""
    done = f"{right} of {run} prune commands took exactly what was predicted" if run else None
    words, (_, most) = max(taken.items(), key=lambda item: item[1][1], default=("", (None, 0)))
    would = f"on the engine in use, docker {words} would free at least {bytes_text(most)}"
    return sentence([done, would if words else None])


def lesson(rows: Sequence[Row], style: str) -> str:
    """What there is, by kind and state, and the mildest command that takes it."""
    cells = [
        [
            row.kind,
            row.what,
            str(row.count),
            NOTHING if row.bytes is None else bytes_text(row.bytes),
            in_cell(row.command or NOTHING, style),
        ]
        for row in rows
    ]
    return table(cells, ["", "which", "count", "bytes", "goes with"], style, left=(0, 1, 4))


def commands(taken: Mapping[str, tuple[Taken, int]], style: str) -> str:
    """One command a row: how much of each kind it would take, and at least how many bytes."""
    rows = []
    for words, (one, count) in taken.items():
        cache = f"{len(one.cache)}+" if one.cache_perhaps else str(len(one.cache))
        numbers = map(len, (one.containers, one.networks, one.volumes, one.images, one.tags))
        cells = [*map(str, numbers), cache, bytes_text(count)]
        rows.append([in_cell(words, style), *(NOTHING if c in ("0", "0 B") else c for c in cells)])
    heads = ["docker …", "cont.", "netw.", "vol.", "images", "tags", "cache", "bytes"]
    return table(rows, heads, style, left=(0,))
