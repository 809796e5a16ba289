"""What Docker's prune commands would take, computed: nothing is removed here.

The rules are moby's: daemon/prune.go (containers, networks), volume/service (volumes), daemon/images/image_prune.go
and image_delete.go (the classic image store), daemon/containerd/image_prune.go (the containerd store), and BuildKit's
cache/manager.go (the build cache). `docker system prune` asks for them in the order of docker/cli's
cli/command/system/prune.go: containers, networks, volumes, images, build cache.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from layerlab.run.inventory import Container, Image, Inventory, full

#: The first engine whose volume prune takes anonymous volumes only, unless it is told to take all.
ANONYMOUS_ONLY = (23,)
#: The first whose containerd store leaves a last tag to an image that a container was created from by its id
#: (moby/moby#48076, #48488); before, it lost all its tags.
KEEPS_LAST = (27, 3)
#: Records that a prune without --all leaves alone, used or not.
_KEPT_KINDS = ("internal", "frontend")
CONTAINERS, NETWORKS, VOLUMES, IMAGES, CACHE = "container", "network", "volume", "image", "builder"


@dataclass(frozen=True)
class Command:
    """A prune command: its words after `docker`, and what it prunes; True where it takes all, not some."""

    words: str
    steps: tuple[tuple[str, bool], ...]


def _system(words: str, *, everything: bool, volumes: bool) -> Command:
    between = ((VOLUMES, False),) if volumes else ()
    first, last = (
        ((CONTAINERS, True), (NETWORKS, True)),
        ((IMAGES, everything), (CACHE, everything)),
    )
    return Command(words, (*first, *between, *last))


SYSTEM = _system("system prune", everything=False, volumes=False)
SYSTEM_VOLUMES = _system("system prune --volumes", everything=False, volumes=True)
SYSTEM_ALL = _system("system prune -a", everything=True, volumes=False)
SYSTEM_ALL_VOLUMES = _system("system prune -a --volumes", everything=True, volumes=True)
VOLUME_ALL = Command("volume prune -a", ((VOLUMES, True),))
COMMANDS = (
    Command("container prune", ((CONTAINERS, True),)),
    Command("network prune", ((NETWORKS, True),)),
    Command("volume prune", ((VOLUMES, False),)),
    VOLUME_ALL,
    Command("image prune", ((IMAGES, False),)),
    Command("image prune -a", ((IMAGES, True),)),
    Command("builder prune", ((CACHE, False),)),
    Command("builder prune -a", ((CACHE, True),)),
    SYSTEM,
    SYSTEM_VOLUMES,
    SYSTEM_ALL,
    SYSTEM_ALL_VOLUMES,
)


@dataclass(frozen=True)
class Taken:
    """What a command takes: ids, and names of volumes and tags."""

    containers: frozenset[str] = frozenset()
    networks: frozenset[str] = frozenset()
    volumes: frozenset[str] = frozenset()
    images: frozenset[str] = frozenset()
    #: Names that are taken from images, whether these stay or not.
    tags: frozenset[str] = frozenset()
    cache: frozenset[str] = frozenset()
    #: Records of the build cache that go, too, if of all images only ones that are taken share them; which
    #: do, an engine does not tell.
    cache_perhaps: frozenset[str] = frozenset()


def exists(command: Command, inventory: Inventory) -> bool:
    """Whether the engine knows the command: `volume prune -a` came with Engine 23."""
    return (VOLUMES, True) not in command.steps or inventory.engine >= ANONYMOUS_ONLY


def predict(inventory: Inventory, command: Command) -> Taken:
    """What a command would take of an engine that is as the inventory says."""
    found = Taken()
    for kind, everything in command.steps:
        if kind == CONTAINERS:
            gone = frozenset(c.id for c in inventory.containers if not c.running)
            found = replace(found, containers=gone)
            inventory = replace(inventory, containers=_without(inventory.containers, gone))
        elif kind == NETWORKS:
            free = (n.id for n in inventory.networks if not (n.fixed or n.in_use))
            found = replace(found, networks=frozenset(free))
        elif kind == VOLUMES:
            found = replace(found, volumes=_volumes(inventory, everything))
        elif kind == IMAGES:
            prune = _of_containerd if inventory.image_store == "containerd" else _of_classic
            images, tags = prune(inventory, everything)
            found = replace(found, images=images, tags=tags)
        elif everything:
            found = replace(found, cache=_cache(inventory, everything=True))
        else:
            sure = _cache(inventory, everything=False)
            perhaps = _cache(inventory, everything=False, shared=True) if found.images else sure
            found = replace(found, cache=sure, cache_perhaps=perhaps - sure)
    return found


def gone(before: Inventory, after: Inventory) -> Taken:
    """What was taken between two inventories of an engine."""

    def ids(inventory: Inventory, kind: str) -> set[str]:
        return {one.id for one in getattr(inventory, kind)}

    def tags(inventory: Inventory) -> set[str]:
        return {tag for image in inventory.images for tag in image.tags}

    volumes = {v.name for v in before.volumes} - {v.name for v in after.volumes}
    return Taken(
        containers=frozenset(ids(before, "containers") - ids(after, "containers")),
        networks=frozenset(ids(before, "networks") - ids(after, "networks")),
        volumes=frozenset(volumes),
        images=frozenset(ids(before, "images") - ids(after, "images")),
        tags=frozenset(tags(before) - tags(after)),
        cache=frozenset(ids(before, "cache") - ids(after, "cache")),
    )


def differences(predicted: Taken, real: Taken) -> list[str]:
    """Where a prediction and what was really taken are not the same; none where it was right."""
    kinds = ("containers", "networks", "volumes", "images", "tags")
    told = [
        f"{kind}: {sign} {one}"
        for kind in kinds
        for sign, ones in (
            ("stayed", getattr(predicted, kind) - getattr(real, kind)),
            ("taken", getattr(real, kind) - getattr(predicted, kind)),
        )
        for one in sorted(ones)
    ]
    stayed = predicted.cache - real.cache
    taken = real.cache - predicted.cache - predicted.cache_perhaps
    told += [f"build cache: stayed {one}" for one in sorted(stayed)]
    return told + [f"build cache: taken {one}" for one in sorted(taken)]


def _without(things: tuple[Container, ...], ids: frozenset[str]) -> tuple[Container, ...]:
    return tuple(one for one in things if one.id not in ids)


def _volumes(inventory: Inventory, everything: bool) -> frozenset[str]:
    """Volumes that no container has, stopped ones included."""
    used = {name for container in inventory.containers for name in container.volumes}
    every = everything or inventory.engine < ANONYMOUS_ONLY
    return frozenset(
        v.name for v in inventory.volumes if v.name not in used and (every or v.anonymous)
    )


def _of_classic(inventory: Inventory, everything: bool) -> tuple[frozenset[str], frozenset[str]]:
    """Images and tags that the classic store gives up: those whose image no container has.

    Of an image that one has, and that has several tags, all but the last in order of the alphabet go.
    """
    used = {container.image_id for container in inventory.containers}
    parents = {image.parent for image in inventory.images}
    left: dict[str, list[str]] = {}
    for image in inventory.images:
        names = sorted((*image.tags, *image.digests))
        left[image.id] = list(names)
        if not everything and (image.tags or image.id in parents):
            continue
        for name in names:
            remaining = left[image.id]
            if name in remaining and not (_single(remaining) and image.id in used):
                left[image.id] = _untagged(remaining, name)
    chosen = {i.id for i in inventory.images if everything or not (i.tags or i.id in parents)}
    images = _deleted(inventory.images, left, used, chosen)
    tags = {tag for i in inventory.images for tag in i.tags if tag not in left[i.id]}
    return images, frozenset(tags)


def _single(names: list[str]) -> bool:
    """Whether only one name is left, with or without its own digest (image_delete.go, isSingleReference)."""
    tags = [name for name in names if "@" not in name]
    repositories = {name.partition("@")[0] for name in names if "@" in name}
    if len(names) <= 1:
        return True
    if len(tags) > 1 or len(repositories) != 1:
        return False
    return not tags or tags[0].rpartition(":")[0] in repositories


def _untagged(names: list[str], name: str) -> list[str]:
    """The names without one; a repository's digests go with its last tag."""
    left = [one for one in names if one != name]
    repository = name.rpartition(":")[0]
    if "@" in name or any("@" not in one and one.rpartition(":")[0] == repository for one in left):
        return left
    return [one for one in left if one.partition("@")[0] != repository]


def _deleted(
    images: Iterable[Image], left: dict[str, list[str]], used: set[str], chosen: set[str]
) -> frozenset[str]:
    """Of images without a name, those that no container and no image that stays needs, and their parents."""
    by_id = {image.id: image for image in images}
    deleted: set[str] = set()
    while True:
        needed = {image.parent for image in by_id.values() if image.id not in deleted}
        freed = {by_id[one].parent for one in deleted} & set(by_id)
        ready = {
            one
            for one in (chosen | freed) - deleted
            if not left[one] and one not in used and one not in needed
        }
        if not ready:
            return frozenset(deleted)
        deleted |= ready


def _of_containerd(inventory: Inventory, everything: bool) -> tuple[frozenset[str], frozenset[str]]:
    """Images and tags that the containerd store gives up: those whose name no container was created by."""
    used = {container.image_id for container in inventory.containers}
    written = {container.image for container in inventory.containers}
    by_name = {full(name.partition("@")[0]) for name in written} | {full(name) for name in written}
    by_id = {
        c.image_id
        for c in inventory.containers
        if c.image_id.removeprefix("sha256:").startswith(c.image.removeprefix("sha256:"))
        or c.image.endswith(f"@{c.image_id}")
    }
    images: set[str] = set()
    tags: set[str] = set()
    for image in inventory.images:
        names = list(image.tags or image.digests)
        if not names:
            if image.id not in used:
                images.add(image.id)
            continue
        if not everything:
            continue
        going = [name for name in names if name not in by_name]
        if len(going) == len(names) and image.id in by_id:
            if inventory.engine >= KEEPS_LAST:
                going.pop()
        elif len(going) == len(names):
            images.add(image.id)
        tags.update(name for name in going if name in image.tags)
    return frozenset(images), frozenset(tags)


def _cache(inventory: Inventory, *, everything: bool, shared: bool = False) -> frozenset[str]:
    """Records of the build cache that go: unused ones, from those that no other one stands on downwards.

    Without ``everything``, those that an image shares stay, unless ``shared`` takes them for free.
    """
    free = {
        one.id
        for one in inventory.cache
        if not one.in_use
        and (everything or (one.kind not in _KEPT_KINDS and (shared or not one.shared)))
    }
    while True:
        needed = {p for one in inventory.cache if one.id not in free for p in one.parents}
        if not free & needed:
            return frozenset(free)
        free -= needed
