"""What prunes would take, by moby's rules: from inventories alone."""

from dataclasses import replace
from pathlib import Path

import pytest

from layerlab.build.variant import load
from layerlab.engine.client import Client
from layerlab.engine.endpoint import Endpoint
from layerlab.errors import LabError
from layerlab.labs import cleanup
from layerlab.run import prune, triage
from layerlab.run.inventory import (
    CacheRecord,
    Container,
    Image,
    Inventory,
    Network,
    Volume,
    full,
    network,
)
from layerlab.run.prune import COMMANDS, SYSTEM, SYSTEM_ALL, Taken, predict
from layerlab.show import cleanup as tables

BY_WORDS = {command.words: command for command in COMMANDS}
WEB, OLD = "docker.io/me/web:1", "docker.io/me/old:1"


def container(name: str, image: str, *, running: bool, written: str = "", volume: str = "") -> Container:  # fmt: skip
    volumes = frozenset({volume} if volume else ())
    return Container(name, name, running, 10, image, written or image, volumes)


def image(name: str, *tags: str, digests: tuple[str, ...] = (), parent: str = "") -> Image:
    return Image(name, tags, digests, parent, 100)


def record(name: str, *parents: str, kind: str = "regular", shared: bool = False, in_use: bool = False) -> CacheRecord:  # fmt: skip
    return CacheRecord(name, 5, kind, in_use, shared, parents)


FULL = Inventory(
    (28, 5, 2),
    "overlay2",
    (container("web", "i1", running=True, volume="data"), container("old", "i2", running=False, volume="tmp")),
    (Network("n0", "bridge", False, True), Network("n1", "web", True, False), Network("n2", "old", False, False)),
    (Volume("data", 7, False), Volume("tmp", 8, True), Volume("lost", 9, False)),
    (image("i1", WEB), image("i2", OLD), image("i3", "docker.io/me/spare:1"), image("i4")),
    (record("c1"), record("c2", "c1", shared=True), record("c3", "c2"), record("c4", kind="frontend")),
)  # fmt: skip


def test_system_prune_takes_what_nobody_uses_and_no_tagged_image() -> None:
    taken = predict(FULL, SYSTEM)
    assert taken == Taken(
        containers=frozenset({"old"}),
        networks=frozenset({"n2"}),
        images=frozenset({"i4"}),
        cache=frozenset({"c3"}),
        # Should only i4 have had the layer of c2, then that goes, and c1 that it stands on.
        cache_perhaps=frozenset({"c1", "c2"}),
    )


def test_system_prune_all_takes_images_of_stopped_containers_too() -> None:
    taken = predict(FULL, SYSTEM_ALL)
    assert taken.images == {"i2", "i3", "i4"}
    assert taken.cache == {"c1", "c2", "c3", "c4"}
    assert not taken.cache_perhaps
    assert predict(FULL, BY_WORDS["image prune -a"]).images == {"i3", "i4"}


@pytest.mark.parametrize(
    ("words", "engine", "volumes"),
    [
        ("volume prune", (28, 5), set()),  # a stopped container holds the anonymous one
        ("system prune --volumes", (28, 5), {"tmp"}),
        ("volume prune -a", (28, 5), {"lost"}),
        ("volume prune", (20, 10, 24), {"lost"}),
        ("system prune --volumes", (20, 10, 24), {"lost", "tmp"}),
        ("system prune -a", (28, 5), set()),
    ],
)
def test_volumes(words: str, engine: tuple[int, ...], volumes: set[str]) -> None:
    assert predict(replace(FULL, engine=engine), BY_WORDS[words]).volumes == volumes


@pytest.mark.parametrize(
    ("told", "taken"),
    [
        # As a manager of a swarm on Engine 28.5 tells of them, shortened.
        ({"Name": "ingress", "Scope": "swarm", "Ingress": True}, False),
        ({"Name": "unused", "Scope": "swarm", "Ingress": False, "Containers": None}, True),
        ({"Name": "of-a-service", "Id": "held", "Scope": "swarm", "Containers": None}, False),
        ({"Name": "host", "Scope": "local"}, False),
        ({"Name": "template", "Scope": "local", "ConfigOnly": True}, False),
        ({"Name": "mine", "Scope": "local", "Containers": {}}, True),
        ({"Name": "busy", "Scope": "local", "Containers": {"c": {}}}, False),
    ],
)
def test_networks(told: dict[str, object], taken: bool) -> None:
    one = network({"Id": "n", **told}, frozenset({"held"}))
    assert bool(predict(replace(FULL, networks=(one,)), SYSTEM).networks) == taken


def test_the_last_name_of_an_image_in_use_stays_on_the_classic_store() -> None:
    names = ("docker.io/me/a:1", "docker.io/me/b:1", "docker.io/me/b:2")
    used = replace(FULL, images=(image("i1", *names),))
    taken = predict(used, BY_WORDS["image prune -a"])
    assert (taken.images, taken.tags) == (set(), set(names[:2]))
    own = "docker.io/me/b@sha256:1"
    pushed = replace(FULL, images=(image("i1", names[1], digests=(own,)),))
    assert predict(pushed, BY_WORDS["image prune -a"]) == Taken()


def test_parents_go_with_the_last_image_on_top_of_them() -> None:
    chain = (image("base"), image("middle", parent="base"), image("top", parent="middle"))
    alone = replace(FULL, containers=(), images=chain)
    assert predict(alone, BY_WORDS["image prune"]).images == {"base", "middle", "top"}
    needed = replace(alone, images=(*chain, image("other", WEB, parent="middle")))
    assert predict(needed, BY_WORDS["image prune"]).images == {"top"}


@pytest.mark.parametrize(
    ("written", "engine", "images", "tags"),
    [
        ("me/web:1", (28, 5), set(), {"docker.io/me/alias:1"}),
        ("i1", (28, 5), set(), {"docker.io/me/alias:1"}),
        ("i1", (26, 1), set(), {"docker.io/me/alias:1", WEB}),
        ("me/gone:1", (28, 5), {"i1"}, {"docker.io/me/alias:1", WEB}),
    ],
)
def test_the_containerd_store_goes_by_the_name_that_a_container_was_created_by(
    written: str, engine: tuple[int, ...], images: set[str], tags: set[str]
) -> None:
    here = Inventory(
        engine,
        "containerd",
        (container("web", "i1", running=True, written=written),),
        images=(image("i1", "docker.io/me/alias:1", WEB),),
    )
    taken = predict(here, BY_WORDS["image prune -a"])
    assert (taken.images, taken.tags) == (images, tags)


def test_a_prediction_is_compared_with_what_is_gone() -> None:
    after = replace(FULL, containers=FULL.containers[:1], cache=FULL.cache[:1])
    real = prune.gone(FULL, after)
    assert real == Taken(containers=frozenset({"old"}), cache=frozenset({"c2", "c3", "c4"}))
    predicted = Taken(
        containers=frozenset({"web"}), cache=frozenset({"c3"}), cache_perhaps=frozenset({"c2"})
    )
    assert prune.differences(predicted, real) == [
        "containers: stayed web",
        "containers: taken old",
        "build cache: taken c4",
    ]
    assert prune.differences(real, real) == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("redis", "docker.io/library/redis:latest"),
        ("me/web:1", "docker.io/me/web:1"),
        ("localhost:5000/web", "localhost:5000/web:latest"),
        ("localhost/web@sha256:1", "localhost/web@sha256:1"),
    ],
)
def test_names_in_full(name: str, expected: str) -> None:
    assert full(name) == expected


def test_the_lesson_names_the_mildest_command() -> None:
    held = replace(FULL.containers[1], volumes=frozenset({"tmp", "lost"}))
    table = tables.lesson(
        triage.rows(replace(FULL, containers=(FULL.containers[0], held))), "simple"
    )
    assert (
        table
        == """\
           which                        count  bytes  goes with
---------  ---------------------------  -----  -----  ----------------------
container  stopped                          1   10 B  system prune
container  running                          1   10 B  -
network    of no running container          1      -  system prune
network    of a running container           1      -  -
volume     anonymous, of a stopped one      1    8 B  system prune --volumes
volume     named, of a stopped one          1    9 B  volume prune -a *
volume     named, of a running one          1    7 B  -
image      dangling, of no container        1  100 B  system prune
image      of a stopped one                 1  100 B  system prune -a
image      of no container                  1  100 B  system prune -a
image      of a running one                 1  100 B  -
cache      of no image                      1    5 B  system prune
cache      of no image                      2   10 B  system prune -a
cache      of an image                      1    0 B  system prune -a"""
    )
    assert max(map(len, table.splitlines())) <= 80


def test_commands_and_what_they_would_take() -> None:
    taken = {command.words: (predict(FULL, command), 1_000_000) for command in COMMANDS}
    lines = tables.commands(taken, "simple").splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[10].split() == ["system", "prune", "1", "1", "-", "1", "-", "1+", "1.00", "MB"]
    assert "\\|" not in tables.commands(taken, "github")


def test_litter_needs_a_base(tmp_path: Path) -> None:
    dockerfile = tmp_path / "empty.Dockerfile"
    dockerfile.write_text("FROM scratch\nCOPY main.py /\n")
    with pytest.raises(
        LabError, match=r"^empty.Dockerfile: its last stage stands on no image"
    ) as caught:
        cleanup.base_of(load(dockerfile), [])
    assert "\n" not in str(caught.value)


def test_nothing_is_pruned_on_an_engine_that_is_not_ours() -> None:
    users = Endpoint("unix:///none.sock", "--engine", Client("docker"))
    with pytest.raises(LabError, match="is not layerlab's own: nothing is pruned there"):
        cleanup.step(users, SYSTEM)
