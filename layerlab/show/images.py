"""Tables of images: sizes, layers, waste, and where the bytes are."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from layerlab.image.anatomy import Anatomy
from layerlab.image.layers import Image
from layerlab.image.waste import grouped
from layerlab.show.plots import label
from layerlab.show.sentence import named, sentence
from layerlab.show.tables import in_cell, table
from layerlab.text import plain, shorten
from layerlab.units import bytes_text, megabytes

#: For the computed time of a pull: 100 Mbit/s.
BANDWIDTH_BITS = 100_000_000
MOST_ROWS = 8
#: Sizes that differ by less are told as one.
_SAME = 0.01


QUESTION = "What does each image weigh, and what of it is of no use?"


def answer(anatomies: Mapping[str, Anatomy], failed: Collection[str]) -> str:
    """The smallest and the largest image by the bytes of their files, and the most waste."""
    files = {name: one.image.totals.file_bytes for name, one in anatomies.items()}
    if not files:
        return sentence([], failed)
    small, large = min(files, key=files.__getitem__), max(files, key=files.__getitem__)
    wasteful = max(files, key=lambda name: anatomies[name].waste_bytes)
    waste = megabytes(anatomies[wasteful].waste_bytes)
    if len(files) == 1:
        own = megabytes(anatomies[small].image.own.file_bytes)
        first = f"{named(small)} has {megabytes(files[small])} in files, {own} of them on top of its base"
    elif files[large] <= files[small] * (1 + _SAME):
        first = f"all {len(files)} images have about {megabytes(files[small])} in files"
    else:
        first = f"{named(small)} is the smallest with {megabytes(files[small])} in files"
        if files[small]:
            times = f", {files[large] / files[small]:.1f} times as much"
            first += f", {named(large)} the largest with {megabytes(files[large])}{times}"
    if not anatomies[wasteful].waste_bytes:
        return sentence([first, "not a byte is waste"], failed)
    most = f", the most of all in {named(wasteful)}" if len(files) > 1 else ""
    return sentence([first, f"{waste} are waste{most}"], failed)


@dataclass(frozen=True)
class Factor:
    """What one difference between two images costs, in file bytes."""

    #: None begins a chain.
    name: str | None
    image: str
    bytes: int
    change: int | None


def pull_seconds(compressed_bytes: int) -> float:
    """How long the bytes take to come over a line of :data:`BANDWIDTH_BITS`, and nothing else."""
    return compressed_bytes * 8 / BANDWIDTH_BITS


def sizes(anatomies: Mapping[str, Anatomy], style: str, width: int) -> str:
    """One image a row: totals in MB, the time of a pull, own bytes, waste, own+base layers."""
    rows = []
    for name, anatomy in anatomies.items():
        total, own = anatomy.image.totals, anatomy.image.own
        compressed = total.compressed_bytes
        rows.append(
            [
                in_cell(label(name, max(23, width - 53)), style),
                _mb(total.unpacked_bytes),
                _mb(total.file_bytes),
                "-" if compressed is None else _mb(compressed),
                "-" if compressed is None else f"{pull_seconds(compressed):.1f}",
                _mb(own.unpacked_bytes),
                _mb(anatomy.waste_bytes),
                f"{own.layers}+{total.layers - own.layers}",
            ]
        )
    headers = ["image", "unpacked MB", "files MB", "compr. MB", "pull s"]
    headers += ["own MB", "waste MB", "layers"]
    return _table(rows, headers, style)


def factors(rows: Sequence[Factor], style: str) -> str:
    """What each factor takes away: a chain of images, each differing in one from the one before."""
    start = 0
    cells = []
    for row in rows:
        if row.change is None:
            start = row.bytes
        cells.append(
            [
                in_cell(plain(row.name or "(from here)"), style),
                in_cell(plain(row.image), style),
                _mb(row.bytes),
                "" if row.change is None else f"{row.change / 1e6:+.1f}",
                "" if row.change is None or not start else f"{row.change / start:+.0%}",
            ]
        )
    return _table(
        cells, ["factor", "image", "files MB", "change", "of the start"], style, left=(0, 1)
    )


def layers(image: Image, style: str, width: int) -> str:
    """One layer a row, the lowest first."""
    rows = []
    lines = any(layer.line for layer in image.layers)
    room = max(20, width - (58 if lines else 51))
    for layer in image.layers:
        compressed = layer.compressed_bytes
        rows.append(
            [
                layer.position,
                "base" if layer.base else "own",
                _mb(layer.changeset.tar_bytes),
                _mb(layer.changeset.file_bytes),
                "-" if compressed is None else _mb(compressed),
                f"{layer.changeset.files:,}",
                *([layer.line or ""] if lines else []),
                in_cell(shorten(plain(layer.instruction) or "(not said)", room), style),
            ]
        )
    headers = ["", "of", "unpacked MB", "files MB", "compr. MB", "files"]
    headers += ["line"] * lines + ["made by"]
    return _table(rows, headers, style, left=(1, len(headers) - 1))


def waste(anatomy: Anatomy, style: str, width: int) -> str:
    """What the own layers hide, largest first."""
    rows = [
        [
            _mb(group.bytes),
            f"{group.files:,}",
            ", ".join(map(str, group.written_by)),
            group.hidden_by,
            group.how,
            in_cell(shorten(plain(f"/{group.root}"), max(20, width - 55)), style),
        ]
        for group in grouped(anatomy.own_waste)[:MOST_ROWS]
    ]
    headers = ["MB", "files", "written in", "hidden in", "how", "path"]
    return _table(rows, headers, style, left=(4, 5))


def places(anatomy: Anatomy, style: str, width: int) -> str:
    """Folders by their visible bytes."""
    rows = [
        [
            in_cell(label(place.folder, max(23, width - 26)), style),
            _mb(place.bytes),
            _mb(place.own_bytes),
            f"{place.files:,}",
        ]
        for place in anatomy.places[:MOST_ROWS]
    ]
    return _table(rows, ["folder", "MB", "own MB", "files"], style)


def distributions(anatomy: Anatomy, style: str, width: int) -> str:
    """Installed Python distributions by their visible bytes."""
    rows = [
        [
            in_cell(label(f"{one.name} {one.version}", max(23, width - 35)), style),
            _mb(one.bytes),
            _mb(one.bytecode_bytes),
            f"{one.files:,}",
            "own" if one.own else "base",
        ]
        for one in anatomy.distributions[:MOST_ROWS]
    ]
    headers = ["Python distribution", "MB", "bytecode MB", "files", "of"]
    return _table(rows, headers, style)


def clutter(anatomy: Anatomy, style: str, width: int) -> str:
    """What a runtime image has no use for."""
    rows = [
        [
            one.kind,
            bytes_text(one.bytes),
            bytes_text(one.own_bytes),
            f"{one.files:,}",
            in_cell(shorten(plain(one.example), max(20, width - 52)), style),
        ]
        for one in anatomy.clutter
    ]
    headers = ["of no use here", "bytes", "own", "files", "such as"]
    return _table(rows, headers, style, left=(0, 4))


def _mb(count: int) -> str:
    """In a column of megabytes."""
    return megabytes(count).removesuffix(" MB")


def _table(
    rows: Sequence[Sequence[object]],
    headers: Sequence[str],
    style: str,
    left: Collection[int] = (0,),
) -> str:
    """A table whose numbers have narrow headings in a terminal."""
    headers = [
        header if index in left else header.replace(" ", "\n", 1)
        for index, header in enumerate(headers)
    ]
    return table(rows, headers, style, left)
