"""Tables of the registry lab: what pushes and pulls moved."""

from collections.abc import Collection, Mapping, Sequence

from layerlab.run.manifest import Blob
from layerlab.run.moves import FIRST, Moves
from layerlab.run.transfers import Pull
from layerlab.show.sentence import named, sentence
from layerlab.show.tables import in_cell, table
from layerlab.text import plain
from layerlab.units import bytes_text, megabytes

NOTHING = "-"


QUESTION = "What do a push and a pull move, whole and after an edit?"


def answer(moves: Mapping[str, Moves], edit: tuple[str, str], failed: Collection[str]) -> str:
    """The fewest and the most bytes that a push sends after an edit: its scenario, and its file."""
    scenario, path = edit
    sent = {name: one.bytes(scenario) for name, one in moves.items()}
    if not sent:
        return sentence([], failed)
    low, high = min(sent, key=sent.__getitem__), max(sent, key=sent.__getitem__)
    parts = [f"after an edit of {path}, {_sends(low, moves[low], scenario)}"]
    if sent[high] > sent[low]:
        parts.append(_sends(high, moves[high], scenario))
    return sentence(parts, failed)


def _sends(name: str, one: Moves, scenario: str) -> str:
    part, whole = one.bytes(scenario), one.bytes(FIRST)
    return f"{named(name)} pushes {bytes_text(part)} (the first time {bytes_text(whole)})"


def pushes(moves: Mapping[str, Moves], scenarios: Sequence[str], style: str) -> str:
    """One variant a row, one push a column: layers, bytes and seconds."""
    rows = [
        [
            in_cell(plain(name), style),
            *(_cell(one.new[s], one.pushes[s].seconds) for s in scenarios),
        ]
        for name, one in moves.items()
    ]
    return table(rows, ["variant", *_heads(scenarios)], style, left=(0,))


def pulls(moves: Mapping[str, Moves], scenarios: Sequence[str], style: str) -> str:
    """One variant a row: its pulls, its size on the registry, and what the image lab says."""
    rows = [
        [
            in_cell(plain(name), style),
            *(_pulled(one.pulls.get(scenario)) for scenario in scenarios),
            megabytes(one.total_bytes).removesuffix(" MB"),
            megabytes(one.modelled_bytes).removesuffix(" MB"),
            f"{one.difference:+.1%}",
        ]
        for name, one in moves.items()
    ]
    heads = ["variant", "pull", "source edit", "size\nMB", "model\nMB", ""]
    return table(rows, heads, style, left=(0,))


def _heads(scenarios: Sequence[str]) -> list[str]:
    return [scenario.replace("-", " ") for scenario in scenarios]


def _cell(blobs: Sequence[Blob], seconds: float) -> str:
    return f"{len(blobs)}  {bytes_text(sum(b.bytes for b in blobs)):>7}  {seconds:.2f} s"


def _pulled(one: Pull | None) -> str:
    return _cell(one.downloaded, one.seconds) if one else NOTHING
