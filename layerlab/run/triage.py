"""Triage: what an engine holds, by kind and state, and the mildest prune that takes it."""

from collections.abc import Sequence
from dataclasses import dataclass

from layerlab.run import prune
from layerlab.run.inventory import Inventory
from layerlab.run.prune import (
    SYSTEM,
    SYSTEM_ALL,
    SYSTEM_ALL_VOLUMES,
    SYSTEM_VOLUMES,
    VOLUME_ALL,
    Command,
)

#: A stopped container holds its named volumes until it is gone itself.
LATER = Command("volume prune -a *", (("container", True), ("volume", True)))
#: From the mildest; what none of them takes stays.
LADDER = (SYSTEM, SYSTEM_VOLUMES, SYSTEM_ALL, SYSTEM_ALL_VOLUMES, VOLUME_ALL, LATER)


@dataclass(frozen=True)
class Row:
    """Things of one kind that one and the same command takes."""

    kind: str
    what: str
    count: int
    #: None where they have none of their own.
    bytes: int | None
    #: The mildest command that takes them; None where no prune does.
    command: str | None


def rows(found: Inventory) -> list[Row]:
    """What there is, by kind, state, and the mildest command that takes it."""
    ladder = [(c.words, prune.predict(found, c)) for c in LADDER if prune.exists(c, found)]

    def mildest(kind: str, one: str) -> str | None:
        return next((words for words, taken in ladder if one in getattr(taken, kind)), None)

    things: list[tuple[str, str, int | None, str | None]] = [
        *(
            ("container", _state(c.running), c.bytes, mildest("containers", c.id))
            for c in found.containers
        ),
        *(
            ("network", _network(n.in_use), None, mildest("networks", n.id))
            for n in found.networks
            if not n.fixed
        ),
        *(
            ("volume", _volume(found, v.name, v.anonymous), v.bytes, mildest("volumes", v.name))
            for v in found.volumes
        ),
        *(
            ("image", _image(found, i.id, i.tags), i.own_bytes, mildest("images", i.id))
            for i in found.images
        ),
        *(
            ("cache", _record(r.shared, r.in_use), 0 if r.shared else r.bytes, mildest("cache", r.id))
            for r in found.cache
        ),
    ]  # fmt: skip
    grouped: dict[tuple[str, str, str | None], list[int | None]] = {}
    for kind, what, count, words in things:
        grouped.setdefault((kind, what, words), []).append(count)
    order = [*(words for words, _ in ladder), None]
    kinds = list(dict.fromkeys(kind for kind, _, _ in grouped))
    return [
        Row(kind, what, len(counts), _total(counts), words)
        for (kind, what, words), counts in sorted(
            grouped.items(), key=lambda item: (kinds.index(item[0][0]), order.index(item[0][2]))
        )
    ]


def _total(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _state(running: bool) -> str:
    return "running" if running else "stopped"


def _network(in_use: bool) -> str:
    return "of a running container" if in_use else "of no running container"


def _user(running: Sequence[bool]) -> str:
    if not running:
        return "of no container"
    return "of a running one" if any(running) else "of a stopped one"


def _volume(found: Inventory, name: str, anonymous: bool) -> str:
    users = [c.running for c in found.containers if name in c.volumes]
    return f"{'anonymous' if anonymous else 'named'}, {_user(users)}"


def _image(found: Inventory, image: str, tags: Sequence[str]) -> str:
    users = [c.running for c in found.containers if c.image_id == image]
    return f"{'' if tags else 'dangling, '}{_user(users)}"


def _record(shared: bool, in_use: bool) -> str:
    return "in use" if in_use else "of an image" if shared else "of no image"
